//! The program as a child: it is given the request, its lines are read, and it is ended with whoever waits for it.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use honk_protocol::reason::Reason;
use honk_protocol::settle::Failed;
use honk_protocol::transform::{
    TransformFailure, TransformProgress, TransformReply, TransformRequest, TransformResult,
};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// Lines of its log that are kept for the case that it says nothing else.
const LAST_WORDS: usize = 5;

/// Runs it to its end. Dropped before that, it is killed; and it ends by itself when this process is gone, because its input ends then.
pub(super) async fn run(
    program: &Path,
    request: &TransformRequest,
    progress: impl Fn(TransformProgress) + Send,
) -> Result<TransformResult, Failed> {
    let mut child = start(program).map_err(|error| crashed(&format!("starting `{}`: {error}", program.display())))?;
    let (Some(mut input), Some(output), Some(log)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(crashed("its input and output are not connected"));
    };
    let mut line = serde_json::to_vec(request).map_err(|error| crashed(&error.to_string()))?;
    line.push(b'\n');
    // One that is gone already has said why on its output.
    if let Err(error) = input.write_all(&line).await {
        tracing::debug!(%error, "the transformation did not take its request");
    }
    let (last, words) = tokio::join!(replies(output, progress), relay(log));
    let status = child.wait().await.map_err(|error| crashed(&error.to_string()))?;
    drop(input);
    match last.map_err(|error| crashed(&error.to_string()))? {
        Some(TransformReply::Result(result)) if status.success() => Ok(*result),
        Some(TransformReply::Failure(failure)) => Err(failed(failure)),
        _ => Err(crashed(&ended(status, &words))),
    }
}

fn start(program: &Path) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn()
}

/// Its last line that is a result or a failure.
async fn replies(output: ChildStdout, progress: impl Fn(TransformProgress)) -> io::Result<Option<TransformReply>> {
    let mut lines = BufReader::new(output).lines();
    let mut last = None;
    while let Some(line) = lines.next_line().await? {
        match serde_json::from_str(&line) {
            Ok(TransformReply::Progress(made)) => progress(made),
            Ok(reply) => last = Some(reply),
            Err(error) => tracing::warn!(%error, line, "the transformation said something else"),
        }
    }
    Ok(last)
}

/// Its log becomes this process's, line by line.
async fn relay(log: ChildStderr) -> Vec<String> {
    let mut lines = BufReader::new(log).lines();
    let mut words = VecDeque::new();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::info!(line, "transformation");
        words.push_back(line);
        if words.len() > LAST_WORDS {
            words.pop_front();
        }
    }
    words.into()
}

fn failed(failure: TransformFailure) -> Failed {
    let decide = if failure.again { Failed::retry } else { Failed::reject };
    decide(failure.reason, failure.message)
}

fn ended(status: ExitStatus, words: &[String]) -> String {
    let said =
        if words.is_empty() { "and said nothing".to_owned() } else { format!("last words: {}", words.join(" | ")) };
    format!("it ended with {status}, {said}")
}

fn crashed(what: &str) -> Failed {
    Failed::retry(Reason::TransformFailed, format!("the transformation has no result: {what}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Mutex;

    use honk_protocol::settle::Again;
    use serde_json::json;

    use super::*;

    fn request() -> TransformRequest {
        let place = json!({ "s3": { "bucket": "b", "prefix": "p" } });
        serde_json::from_value(
            json!({ "source": place, "target": place, "storage": {}, "transform": {}, "memory_bytes": 1 }),
        )
        .unwrap()
    }

    async fn run_script(script: &str) -> (Result<TransformResult, Failed>, Vec<u64>) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("honk-transform");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let seen = Mutex::new(Vec::new());
        let done = run(&program, &request(), |progress| seen.lock().unwrap().push(progress.bytes)).await;
        (done, seen.into_inner().unwrap())
    }

    #[tokio::test]
    async fn its_failure_is_the_jobs_with_its_own_decision() {
        let (done, seen) = run_script(
            r#"read line
echo '{"progress":{"objects":0,"objects_total":1,"bytes":7,"bytes_total":9}}'
echo '{"failure":{"reason":"transform-ragged","message":"`a.csv`, line 2","again":false}}'
exit 1"#,
        )
        .await;
        let failed = done.unwrap_err();
        assert_eq!((failed.reason, failed.again, seen), (Reason::TransformRagged, Again::Never, vec![7]));
    }

    #[tokio::test]
    async fn a_crash_is_a_failed_attempt_with_its_last_words() {
        let (done, _) = run_script("echo 'out of memory' >&2; kill -9 $$").await;
        let failed = done.unwrap_err();
        assert_eq!((failed.reason, failed.again), (Reason::TransformFailed, Again::Later));
        assert!(failed.message.contains("signal: 9") && failed.message.contains("out of memory"), "{}", failed.message);
    }
}
