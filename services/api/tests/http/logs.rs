//! What steps print: page by page, selected, followed, and of a dataset's newest run.

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use honk_agent::ledger::Trace;
use honk_api::wire::{LogPage, LogUpdate, RunView};
use honk_bus::Publication;
use honk_protocol::log::{LOG_VERSION, LogChunk, LogLine, LogStream};
use honk_protocol::name::RunId;
use honk_protocol::run::{Fan, Fence, Outputs, RunEvent, RunState};
use honk_protocol::subject::LogSubject;
use reqwest::{Method, Response};

use crate::harness::{PATIENCE, World, dataset, problem};

/// Publishes lines as an agent does.
async fn print(world: &World, run: &RunId, job: &str, attempt: u32, lines: &[(&str, &str)]) {
    let line = |(at, text): &(&str, &str)| LogLine {
        at: format!("2026-01-02T{at}Z").parse().unwrap(),
        stream: if text.starts_with("warning") { LogStream::Stderr } else { LogStream::Stdout },
        text: (*text).to_owned(),
        continued: false,
    };
    let chunk = LogChunk {
        v: LOG_VERSION,
        attempt,
        agent: "agent-1".into(),
        step: 1,
        title: "python check.py".into(),
        lines: lines.iter().map(line).collect(),
    };
    let subject = LogSubject { run: run.clone(), job: job.parse().unwrap(), generation: 1, attempt };
    let publication = Publication::new(subject.to_string(), serde_json::to_vec(&chunk).unwrap());
    world.bus.publish(publication).await.unwrap();
}

fn texts(page: &LogPage) -> Vec<&str> {
    page.items.iter().map(|item| item.text.as_str()).collect()
}

/// A run of `d` that printed seven lines in four messages, and another one that printed too.
async fn printed(world: &World) -> RunId {
    let run = world.run("d", "1").await.id;
    let other = world.run("e", "2").await.id;
    print(world, &run, "a", 1, &[("03:00:00", "a1"), ("03:00:01", "warning: a2")]).await;
    print(world, &other, "a", 1, &[("03:00:01", "another run's")]).await;
    print(world, &run, "a", 2, &[("03:10:00", "a3"), ("03:10:01", "a4"), ("03:10:02", "a5")]).await;
    world.bus.publish(Publication::new(format!("honk.log.{run}.a.1.2"), "nonsense")).await.unwrap();
    print(world, &run, "b", 1, &[("03:20:00", "b1")]).await;
    print(world, &run, "b", 1, &[("03:20:01", "b2")]).await;
    world.eventually(&format!("/api/runs/{other}"), |_: &RunView| true).await;
    run
}

#[tokio::test]
async fn every_line_comes_once_and_in_order_whatever_the_size_of_a_page() {
    let world = World::start().await;
    let run = printed(&world).await;
    let path = format!("/api/runs/{run}/logs");
    let all: LogPage = world.get(&path).await;
    assert_eq!((&all.run, all.next.as_ref()), (&run, None));
    assert_eq!(texts(&all), ["a1", "warning: a2", "a3", "a4", "a5", "b1", "b2"]);
    let item = &all.items[1];
    assert_eq!((item.job.as_str(), item.attempt, item.step, item.title.as_str()), ("a", 1, 1, "python check.py"));
    assert_eq!(
        (item.agent.as_str(), item.stream, item.at.to_string().as_str()),
        ("agent-1", LogStream::Stderr, "2026-01-02T03:00:01Z")
    );
    for limit in 1..=8 {
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let page: LogPage = world.get(&format!("{path}?limit={limit}{after}")).await;
            assert!(page.items.len() <= limit);
            found.extend(page.items);
            let Some(next) = page.next else { break };
            after = format!("&after={next}");
        }
        assert_eq!(found, all.items, "{limit} a page");
    }
    let rest: LogPage = world.get(&format!("{path}?after={}", all.items[3].cursor)).await;
    assert_eq!(texts(&rest), ["a5", "b1", "b2"]);
}

#[tokio::test]
async fn a_page_is_filled_from_as_many_messages_as_it_takes() {
    let world = World::start().await;
    let run = world.run("d", "1").await.id;
    for number in 0..150 {
        print(&world, &run, "a", 1 + number % 50, &[("03:00:00", &number.to_string())]).await;
    }
    world.eventually(&format!("/api/runs/{run}"), |_: &RunView| true).await;
    let page: LogPage = world.get(&format!("/api/runs/{run}/logs?limit=140")).await;
    assert_eq!((page.items.len(), page.next.is_some()), (140, true));
    let rest: LogPage = world.get(&format!("/api/runs/{run}/logs?after={}", page.next.unwrap())).await;
    assert_eq!((texts(&rest)[0], rest.items.len(), rest.next.as_ref()), ("140", 10, None));
    let few: LogPage = world.get(&format!("/api/runs/{run}/logs?attempt=50")).await;
    assert_eq!((texts(&few), few.next.as_ref()), (vec!["49", "99", "149"], None));
}

#[tokio::test]
async fn lines_are_selected_by_job_attempt_and_time() {
    let world = World::start().await;
    let run = printed(&world).await;
    for (query, expected) in [
        ("job=a", vec!["a1", "warning: a2", "a3", "a4", "a5"]),
        ("job=a&attempt=2", vec!["a3", "a4", "a5"]),
        ("attempt=1", vec!["a1", "warning: a2", "b1", "b2"]),
        ("since=2026-01-02T03:10:01Z", vec!["a4", "a5", "b1", "b2"]),
        ("since=2026-01-02T03:10:01Z&job=b", vec!["b1", "b2"]),
        ("since=2200-01-01T00:00:00Z", vec![]),
        ("attempt=7", vec![]),
    ] {
        let page: LogPage = world.get(&format!("/api/runs/{run}/logs?{query}")).await;
        assert_eq!((texts(&page), page.next.as_ref()), (expected, None), "{query}");
    }
}

#[tokio::test]
async fn a_job_with_a_matrix_has_the_lines_of_all_its_items_and_each_item_its_own() {
    let world = World::start().await;
    let run = world.run("d", "1").await.id;
    let known = world.ledger.get(&dataset("d"), &run).await.unwrap();
    let fan = Fan { items: 2, max_parallel: None, fail_fast: true, rejoins: false };
    let event = RunEvent::FannedOut { job: "a".parse().unwrap(), fence: Fence { generation: 1, attempt: 1 }, fan };
    world.ledger.advance(&known, &event, &Trace::default()).await.unwrap();
    for (job, text) in [("a:0", "first"), ("b", "another job's"), ("a:1", "second"), ("a", "its own")] {
        print(&world, &run, job, 1, &[("03:00:00", text)]).await;
    }
    let path = format!("/api/runs/{run}/logs");
    let item: LogPage = world.eventually(&format!("{path}?job=a:1"), |_| true).await;
    assert_eq!(texts(&item), ["second"]);
    let all: LogPage = world.get(&format!("{path}?job=a")).await;
    assert_eq!(texts(&all), ["first", "second", "its own"]);
    problem(world.send(Method::GET, &format!("{path}?job=a:2"), "").await, 404, "job-unknown").await;
}

#[tokio::test]
async fn what_cannot_be_selected_is_refused_with_the_reason() {
    let world = World::start().await;
    let run = printed(&world).await;
    for query in ["limit=0", "limit=5001", "after=x", "since=yesterday", "attempt=x", "jobs=a"] {
        problem(world.send(Method::GET, &format!("/api/runs/{run}/logs?{query}"), "").await, 422, "query-invalid")
            .await;
    }
    let unknown =
        problem(world.send(Method::GET, &format!("/api/runs/{run}/logs?job=c"), "").await, 404, "job-unknown").await;
    assert_eq!(unknown.help.as_deref(), Some("Its jobs are a, b."));
    problem(world.send(Method::GET, "/api/runs/r00000000000000000000/logs", "").await, 404, "run-unknown").await;
}

#[tokio::test]
async fn a_datasets_log_is_that_of_its_newest_run() {
    let world = World::start().await;
    problem(world.send(Method::GET, "/api/datasets/d/logs", "").await, 404, "dataset-unknown").await;
    world.import("d").await;
    problem(world.send(Method::GET, "/api/datasets/d/logs", "").await, 404, "run-none").await;
    let run = printed(&world).await;
    let page: LogPage = world.get("/api/datasets/d/logs?job=b").await;
    assert_eq!((&page.run, texts(&page)), (&run, vec!["b1", "b2"]));
    let newer = world.run("d", "3").await.id;
    let page: LogPage = world.eventually("/api/datasets/d/logs", |page: &LogPage| page.run == newer).await;
    assert_eq!(page.items, []);
}

/// A log that is followed.
struct Followed {
    body: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: String,
}

impl Followed {
    async fn open(world: &World, path: &str, last: Option<&str>) -> Self {
        let mut request = world.client.get(format!("{}{path}", world.url)).header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response: Response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.bytes_stream().boxed(), text: String::new() }
    }

    /// The next line's text, or how the run ended.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                let read = |name: &str| LogUpdate::read(name, field("data:").unwrap()).unwrap();
                match field("event:").and_then(read) {
                    Some(LogUpdate::Line(line)) => {
                        assert_eq!(field("id:"), Some(line.cursor.as_str()));
                        return Some(line.text);
                    }
                    Some(LogUpdate::End(end)) => return Some(end.state.to_string()),
                    None => continue,
                }
            }
            let piece = tokio::time::timeout(PATIENCE, self.body.next()).await.expect("a piece in time")?;
            self.text.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
        }
    }
}

#[tokio::test]
async fn a_followed_log_has_what_was_there_what_comes_and_the_end() {
    let world = World::start().await;
    let run = printed(&world).await;
    let mut followed = Followed::open(&world, &format!("/api/runs/{run}/logs?job=b"), None).await;
    assert_eq!(followed.next().await.as_deref(), Some("b1"));
    assert_eq!(followed.next().await.as_deref(), Some("b2"));
    print(&world, &run, "a", 3, &[("04:00:00", "another job's")]).await;
    print(&world, &run, "b", 1, &[("04:00:01", "b3")]).await;
    assert_eq!(followed.next().await.as_deref(), Some("b3"));
    for job in ["a", "b"] {
        let known = world.ledger.get(&dataset("d"), &run).await.unwrap();
        let fence = Fence { generation: 1, attempt: 1 };
        let event = RunEvent::Completed { job: job.parse().unwrap(), fence, outputs: Outputs::new() };
        world.ledger.advance(&known, &event, &Trace::default()).await.unwrap();
    }
    world.eventually(&format!("/api/runs/{run}"), |run: &RunView| run.state == RunState::Success).await;
    // A line that comes after the record is still sent.
    print(&world, &run, "b", 1, &[("04:00:02", "b4")]).await;
    assert_eq!(followed.next().await.as_deref(), Some("b4"));
    assert_eq!(followed.next().await.as_deref(), Some("success"));
    assert_eq!(followed.next().await, None);
}

#[tokio::test]
async fn a_followed_log_goes_on_after_the_last_line_that_was_seen() {
    let world = World::start().await;
    let run = printed(&world).await;
    let all: LogPage = world.get(&format!("/api/runs/{run}/logs")).await;
    let mut followed = Followed::open(&world, "/api/datasets/d/logs", Some(&all.items[4].cursor)).await;
    assert_eq!(followed.next().await.as_deref(), Some("b1"));
    assert_eq!(followed.next().await.as_deref(), Some("b2"));
    world.stop().await;
    assert_eq!(followed.next().await, None);
}
