//! When a started `nats-server` is ready, and on which port.
//!
//! The server writes its ports file once it listens, after it has recovered its `JetStream` store; a first INFO line on the
//! port then proves that it answers. Reading the log for a phrase would break with the next release.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, BufReader};
use tokio::net::TcpStream;

/// How often the ports file is looked for.
const POLL: Duration = Duration::from_millis(5);

#[derive(Deserialize)]
struct Ports {
    nats: Vec<String>,
}

/// Where the server with this process id writes its ports.
pub(super) fn ports_file(folder: &Path, binary: &Path, pid: u32) -> PathBuf {
    let name = binary.file_name().unwrap_or_default().to_string_lossy();
    folder.join(format!("{name}_{pid}.ports"))
}

/// Waits, without bound, until the server serves, and returns its port.
pub(super) async fn wait(ports_file: &Path) -> u16 {
    loop {
        if let Some(port) = read_port(ports_file).await
            && says_info(port).await.unwrap_or(false)
        {
            return port;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The port, or nothing while the file is missing or half written.
async fn read_port(ports_file: &Path) -> Option<u16> {
    let text = tokio::fs::read(ports_file).await.ok()?;
    let ports: Ports = serde_json::from_slice(&text).ok()?;
    let (_, port) = ports.nats.first()?.rsplit_once(':')?;
    port.parse().ok()
}

async fn says_info(port: u16) -> io::Result<bool> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut first = [0; 5];
    BufReader::new(stream).read_exact(&mut first).await?;
    Ok(&first == b"INFO ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_ports_file_that_is_missing_or_half_written_names_no_port() {
        let folder = tempfile::tempdir().unwrap();
        let file = ports_file(folder.path(), Path::new("/opt/nats-server"), 42);
        assert_eq!(file.file_name().unwrap(), "nats-server_42.ports");
        assert_eq!(read_port(&file).await, None);
        std::fs::write(&file, r#"{"nats": ["nats://127.0.0.1:42"#).unwrap();
        assert_eq!(read_port(&file).await, None);
        std::fs::write(&file, r#"{"nats": ["nats://127.0.0.1:4222"], "monitoring": ["http://x:1"]}"#).unwrap();
        assert_eq!(read_port(&file).await, Some(4222));
    }
}
