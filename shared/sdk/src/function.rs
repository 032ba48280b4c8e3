//! Async functions as actions, with or without parameters of a type of their own.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use honk_agent::{Action, JobContext};
use honk_protocol::run::Outputs;
use honk_protocol::settle::Failed;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failed::reject;

/// A function that can be an action: `async fn(JobContext) -> Result<T, Failed>`, or with its step's `with:` as a second parameter of any
/// type that serde reads. `T` is [`Outputs`], `()`, or anything that serialises as a JSON object.
///
/// `A` only tells the two forms apart; it is always inferred.
pub trait Function<A>: Send + Sync + 'static {
    /// Calls it.
    fn call(&self, job: JobContext) -> impl Future<Output = Result<Outputs, Failed>> + Send;
}

impl<F, R, T> Function<(JobContext,)> for F
where
    F: Fn(JobContext) -> R + Send + Sync + 'static,
    R: Future<Output = Result<T, Failed>> + Send + 'static,
    T: Serialize,
{
    async fn call(&self, job: JobContext) -> Result<Outputs, Failed> {
        outputs(&self(job).await?)
    }
}

impl<F, P, R, T> Function<(JobContext, P)> for F
where
    F: Fn(JobContext, P) -> R + Send + Sync + 'static,
    P: DeserializeOwned + Send,
    R: Future<Output = Result<T, Failed>> + Send + 'static,
    T: Serialize,
{
    async fn call(&self, job: JobContext) -> Result<Outputs, Failed> {
        let parameters = job.parameters()?;
        outputs(&self(job, parameters).await?)
    }
}

/// The action `name` that calls `function`, for those who compose agents themselves and for tests.
pub fn action<A: Send + Sync + 'static>(name: &'static str, function: impl Function<A>) -> Arc<dyn Action> {
    Arc::new(Called { name, function, form: std::marker::PhantomData })
}

struct Called<F, A> {
    name: &'static str,
    function: F,
    /// A function's type alone does not say which of the forms it has.
    form: std::marker::PhantomData<A>,
}

#[async_trait]
impl<F: Function<A>, A: Send + Sync + 'static> Action for Called<F, A> {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn run(&self, job: &JobContext) -> Result<Outputs, Failed> {
        self.function.call(job.clone()).await
    }
}

fn outputs(result: &impl Serialize) -> Result<Outputs, Failed> {
    match serde_json::to_value(result) {
        Ok(Value::Object(outputs)) => Ok(outputs),
        Ok(Value::Null) => Ok(Outputs::new()),
        Ok(other) => Err(reject(format!("the action's result must be a JSON object, and is {other}"))),
        Err(error) => Err(reject(format!("the action's result is no JSON: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use honk_protocol::name::{PoolName, RunId, WorkflowHash};
    use honk_protocol::reason::Reason;
    use honk_protocol::run::{EventRef, Fence, NewRun, Run, WorkflowRef};
    use honk_service::Clock;
    use serde::Deserialize;
    use serde_json::json;
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn job(with: &Value) -> JobContext {
        let new = NewRun {
            id: RunId::of_event("test", "1"),
            dataset: "d".parse().expect("dataset"),
            workflow: WorkflowRef { name: "w".parse().expect("workflow"), hash: WorkflowHash::of(b"w") },
            event: EventRef { source: "test".into(), id: "1".into() },
            trace: String::new(),
            input: serde_json::Map::new(),
            limit_ms: None,
            gate: None,
            jobs: vec![("a".parse().expect("job"), PoolName::default_pool(), vec![]).into()],
        };
        JobContext {
            run: Arc::new(Run::create(new, false, Clock::system().now()).0),
            job: "a".parse().expect("job"),
            fence: Fence { generation: 1, attempt: 1 },
            may_split: false,
            with: with.as_object().map_or_else(BTreeMap::new, |with| with.clone().into_iter().collect()),
            cancelled: CancellationToken::new(),
            progress: Arc::default(),
        }
    }

    #[derive(Deserialize)]
    struct Add {
        a: u32,
        b: u32,
    }

    #[derive(Serialize)]
    struct Sum {
        sum: u32,
    }

    async fn add(job: JobContext, Add { a, b }: Add) -> Result<Sum, Failed> {
        tokio::task::yield_now().await;
        if job.dataset().as_str() == "d" { Ok(Sum { sum: a + b }) } else { Err(reject("another dataset")) }
    }

    #[tokio::test]
    async fn parameters_and_result_have_types_of_their_own() {
        let action = action("acme/add", add);
        assert_eq!(action.name(), "acme/add");
        let outputs = action.run(&job(&json!({ "a": 1, "b": 2 }))).await.expect("a sum");
        assert_eq!(Value::Object(outputs), json!({ "sum": 3 }));
    }

    #[tokio::test]
    async fn parameters_that_do_not_fit_are_the_workflows_fault() {
        let failed = action("acme/add", add).run(&job(&json!({ "a": 1 }))).await.expect_err("`b` is missing");
        assert_eq!(failed.reason, Reason::InputInvalid);
        assert!(failed.message.contains('b'), "{}", failed.message);
    }

    #[tokio::test]
    async fn a_closure_can_bring_what_it_needs_and_may_leave_nothing() {
        let greeting = String::from("hello");
        let silent = action("acme/silent", move |_: JobContext| {
            let length = greeting.len();
            async move { if length == 5 { Ok(()) } else { Err(reject("another greeting")) } }
        });
        assert_eq!(silent.run(&job(&json!({}))).await.expect("nothing is left"), Outputs::new());
    }

    #[tokio::test]
    async fn a_result_that_is_no_object_is_rejected() {
        let odd = action("acme/odd", |_: JobContext| async { Ok(7) });
        let failed = odd.run(&job(&json!({}))).await.expect_err("7 has no names");
        assert_eq!((failed.reason, failed.message.contains('7')), (Reason::ActionRejected, true));
    }
}
