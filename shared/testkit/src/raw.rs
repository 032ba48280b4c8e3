//! A NATS client of a few lines. A refusal reaches the usual clients only as an event beside a time-out; here it is the answer to the
//! very line that was refused: the server works through the lines in order, so what it says before `PONG` is about what came before
//! `PING`.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(20);
const INBOX: &str = "raw.answer";

/// A connection.
#[derive(Debug)]
pub struct Raw {
    stream: BufReader<TcpStream>,
}

impl Raw {
    /// Logs in as `user` with `password`, or as nobody in particular.
    pub async fn connect(port: u16, login: Option<(&str, &str)>) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let mut raw = Self { stream: BufReader::new(stream) };
        let mut hello = json!({ "verbose": false, "pedantic": false, "lang": "test", "version": "0", "protocol": 1 });
        if let Some((user, password)) = login {
            hello["user"] = user.into();
            hello["pass"] = password.into();
        }
        let refusal = raw.say(&format!("CONNECT {hello}\r\n")).await;
        assert_eq!(refusal, None, "logging in as {login:?}");
        raw
    }

    /// Publishes an empty message; what the server says against it, if anything.
    pub async fn publish(&mut self, subject: &str) -> Option<String> {
        self.say(&format!("PUB {subject} 0\r\n\r\n")).await
    }

    /// Subscribes; what the server says against it, if anything.
    pub async fn subscribe(&mut self, subject: &str) -> Option<String> {
        self.say(&format!("SUB {subject} 1\r\n")).await
    }

    /// Sends a request and reads its answer.
    pub async fn request(&mut self, subject: &str, body: &str) -> Value {
        let lines = format!("SUB {INBOX} 9\r\nUNSUB 9 1\r\nPUB {subject} {INBOX} {}\r\n{body}\r\n", body.len());
        self.stream.write_all(lines.as_bytes()).await.unwrap();
        loop {
            let line = self.line().await;
            assert!(!line.starts_with("-ERR"), "{subject}: {line}");
            if line.starts_with("MSG ") {
                let length: usize = line.rsplit(' ').next().unwrap().parse().unwrap();
                let mut bytes = vec![0; length + 2];
                self.stream.read_exact(&mut bytes).await.unwrap();
                return serde_json::from_slice(&bytes).unwrap();
            }
        }
    }

    async fn say(&mut self, lines: &str) -> Option<String> {
        self.stream.write_all(format!("{lines}PING\r\n").as_bytes()).await.unwrap();
        let mut refusal = None;
        loop {
            let line = self.line().await;
            if let Some(error) = line.strip_prefix("-ERR ") {
                refusal = Some(error.trim_matches('\'').to_owned());
            }
            if line == "PONG" {
                return refusal;
            }
        }
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = tokio::time::timeout(PATIENCE, self.stream.read_line(&mut line)).await;
        assert!(read.unwrap().unwrap() > 0, "the server hung up");
        line.trim_end().to_owned()
    }
}
