//! Just enough HTTP/1.1 to pass a request on and to damage its answer: one request a connection, bodies with a length.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A request, as it came.
pub(super) struct Raw {
    head: String,
    body: Vec<u8>,
}

/// A server's whole answer.
pub(super) struct Answer {
    head: String,
    pub(super) body: Vec<u8>,
}

impl Raw {
    /// Method, and path with query.
    pub(super) fn line(&self) -> (&str, &str) {
        let mut words = self.head.split(' ');
        (words.next().unwrap_or_default(), words.next().unwrap_or_default())
    }
}

/// Reads a request; nothing if the client went away.
pub(super) async fn read_request(client: &mut TcpStream) -> io::Result<Option<Raw>> {
    let mut bytes = Vec::new();
    let Some(body_at) = read_head(client, &mut bytes).await? else { return Ok(None) };
    let head = String::from_utf8_lossy(&bytes[..body_at]).into_owned();
    let length = header(&head, "content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    if header(&head, "expect").is_some() {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let mut body = bytes.split_off(body_at);
    while body.len() < length {
        if client.read_buf(&mut body).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(Raw { head, body }))
}

/// Asks the server, on a connection that it closes after its answer.
pub(super) async fn forward(upstream: &str, request: &Raw) -> io::Result<Answer> {
    let mut server = TcpStream::connect(upstream).await?;
    let kept = request.head.trim_end().lines().filter(|line| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        name != "connection" && name != "expect"
    });
    let head = kept.collect::<Vec<_>>().join("\r\n") + "\r\nconnection: close\r\n\r\n";
    server.write_all(head.as_bytes()).await?;
    server.write_all(&request.body).await?;
    let mut bytes = Vec::new();
    server.read_to_end(&mut bytes).await?;
    let body_at = find(&bytes).unwrap_or(bytes.len());
    let body = bytes.split_off(body_at);
    Ok(Answer { head: String::from_utf8_lossy(&bytes).into_owned(), body })
}

/// An S3 error of one's own.
pub(super) async fn answer(client: &mut TcpStream, status: u16, with_body: bool) -> io::Result<()> {
    let code = match status {
        429 | 503 => "SlowDown",
        _ => "InternalError",
    };
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>on request</Message></Error>");
    let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    client.write_all(head.as_bytes()).await?;
    if with_body {
        client.write_all(body.as_bytes()).await?;
    }
    client.shutdown().await
}

impl Answer {
    /// Half of the body, and a length that says that this is all of it.
    pub(super) fn truncate(&mut self) {
        self.body.truncate(self.body.len() / 2);
        let length = format!("content-length: {}", self.body.len());
        let lines = self.head.trim_end().lines();
        let is_length = |line: &str| line.to_ascii_lowercase().starts_with("content-length:");
        let lines: Vec<&str> = lines.map(|line| if is_length(line) { length.as_str() } else { line }).collect();
        self.head = lines.join("\r\n") + "\r\n\r\n";
    }

    /// One wrong bit in the middle of the body.
    pub(super) fn flip(&mut self) {
        let middle = self.body.len() / 2;
        self.body[middle] ^= 1;
    }

    pub(super) async fn write(&self, client: &mut TcpStream) -> io::Result<()> {
        client.write_all(self.head.as_bytes()).await?;
        client.write_all(&self.body).await?;
        client.shutdown().await
    }

    /// The head, and half of the body that it announces.
    pub(super) async fn write_half(&self, client: &mut TcpStream) -> io::Result<()> {
        client.write_all(self.head.as_bytes()).await?;
        client.write_all(&self.body[..self.body.len() / 2]).await?;
        client.flush().await
    }
}

async fn read_head(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<Option<usize>> {
    loop {
        if let Some(at) = find(bytes) {
            return Ok(Some(at));
        }
        if stream.read_buf(bytes).await? == 0 {
            return Ok(None);
        }
    }
}

/// Where the body begins.
fn find(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_answer_says_a_length_that_fits() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\netag: x\r\n\r\n".to_owned();
        let mut answer = Answer { head, body: b"0123456789".to_vec() };
        answer.truncate();
        assert_eq!(answer.head, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\netag: x\r\n\r\n");
        assert_eq!(answer.body, b"01234");
        answer.flip();
        assert_eq!(answer.body, b"01334");
    }
}
