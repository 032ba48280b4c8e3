//! How fast the copy engine is, and how much memory it takes: one large object and many small ones, between two embedded
//! S3 servers and inside one. The servers are processes of their own, so that the memory shown is the engine's.
//!
//! `cargo run --release -p honk-migrate --example copy_bench [-- OBJECTS LARGE_MIB]`
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people, which may stop where it fails")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use bytes::Bytes;
use futures_util::future::try_join_all;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use honk_local::s3::{S3Options, S3Server, Storage};
use honk_migrate::config::MigrateSection;
use honk_migrate::copy::{CopyPlan, CopyReport, Progress, migrate_objects};
use honk_storage::{Algorithm, Attributes, Credentials, Place, StorageConfig, Stores};
use tokio_util::sync::CancellationToken;

const MIB: u64 = 1 << 20;
const SMALL: usize = 4 << 10;
const KEY: &str = "benchmark";

/// A server process; ends with this one.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = command.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { child, url: url.trim().to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).unwrap();
    }
}

/// Serves until the parent closes the standard input.
async fn serve() {
    let folder = tempfile::tempdir().unwrap();
    let options = S3Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        storage: Storage::Disk(folder.path().to_owned()),
        access_key: KEY.to_owned(),
        secret_key: KEY.to_owned(),
    };
    let server = S3Server::start(options).await.unwrap();
    println!("{}", server.url());
    std::io::stdout().flush().unwrap();
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    ended.await.unwrap().unwrap();
}

fn stores() -> Stores {
    let credentials = Credentials { access_key: KEY.to_owned(), secret_key: KEY.to_owned(), session_token: None };
    Stores::new(StorageConfig { credentials: Some(credentials), ..StorageConfig::default() })
}

async fn fill(stores: &Stores, url: &str, objects: usize, large_mib: u64) {
    let store = stores.open(&Place::new("source", "").at(url)).await.unwrap();
    store.create_bucket().await.unwrap();
    let body = Bytes::from(vec![7; SMALL]);
    let puts = (0..objects).map(|index| {
        let (store, body) = (store.clone(), body.clone());
        async move { store.put_small(&format!("small/{index:06}"), body, &Attributes::default()).await }
    });
    let _etags: Vec<_> = stream::iter(puts).buffer_unordered(32).try_collect().await.unwrap();
    let part = Bytes::from((0..8 * MIB).map(|index| index.to_le_bytes()[0]).collect::<Vec<_>>());
    let upload = store.create_upload("large/object", &Attributes::default(), Algorithm::Crc64Nvme).await.unwrap();
    let mut parts = Vec::new();
    for number in 1..=i32::try_from(large_mib.div_ceil(8)).unwrap() {
        parts.push(upload.part(number, part.clone()).await.unwrap());
    }
    upload.complete(&parts).await.unwrap();
}

/// The most memory that this process has had resident since the last call, in MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    // Writing 5 resets the mark.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    kib / 1_024
}

/// Ticks of a hundredth of a second that this process has computed.
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Copies the folder from one server to another `times` times at once, as so many slots of an agent would, and then again.
async fn measure(stores: &Stores, what: &str, (folder, times): (&str, u64), (from, to): (&Server, &Server)) {
    let source = Place::new("source", folder).at(&from.url);
    let target = |index| Place::new("target", format!("{folder}-{times}/{index}")).at(&to.url);
    stores.open(&target(0)).await.unwrap().create_bucket().await.unwrap();
    for attempt in ["copy", "again"] {
        let copies = (0..times).map(|index| {
            let (source, settings) = (source.clone(), MigrateSection::default().copy_settings());
            let plan = CopyPlan { stores: stores.clone(), source, target: target(index), settings };
            async move { migrate_objects(plan, &Progress::default(), &CancellationToken::new()).await }
        });
        peak_mib();
        let (started, ticks) = (Instant::now(), cpu_ticks());
        let reports = try_join_all(copies).await.unwrap();
        let (seconds, cpu) = (started.elapsed().as_secs_f64(), (cpu_ticks() - ticks) as f64 / 100.0);
        let sum = |number: fn(&CopyReport) -> u64| reports.iter().map(number).sum::<u64>() as f64;
        println!(
            "{what:<36} {attempt:<6} {seconds:>7.2} s {cpu:>7.2} s CPU {:>8.0} objects/s {:>8.1} MB/s {:>5} MiB  ({} copied)",
            sum(|report| report.objects) / seconds,
            sum(|report| report.bytes) / seconds / 1e6,
            peak_mib(),
            sum(|report| report.copied),
        );
    }
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "serve") {
        return serve().await;
    }
    let number = |index: usize, default: u64| arguments.get(index).map_or(default, |text| text.parse().unwrap());
    let (objects, large_mib) = (number(0, 10_000), number(1, 1_024));
    let (one, other) = (Server::start(), Server::start());
    let stores = stores();
    fill(&stores, &one.url, usize::try_from(objects).unwrap(), large_mib).await;
    for (server, places) in [(&one, "one endpoint"), (&other, "two endpoints")] {
        measure(&stores, &format!("{objects} x 4 KiB, {places}"), ("small", 1), (&one, server)).await;
        measure(&stores, &format!("1 x {large_mib} MiB, {places}"), ("large", 1), (&one, server)).await;
    }
    measure(&stores, &format!("8 datasets of {large_mib} MiB, two endpoints"), ("large", 8), (&one, &other)).await;
}
