//! The API as a process, or as a part of one: connect, copy, listen, serve, drain.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use honk_bus::Bus;
use honk_service::{Context, Failure, Hint, Lifecycle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::ApiSettings;
use crate::endpoint;
use crate::state::Api;

/// A listener with everything behind it.
pub struct Server {
    listener: TcpListener,
    router: Router,
    lifecycle: Lifecycle,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Connects and serves until the context's lifecycle ends it.
pub async fn serve(context: Context<ApiSettings>) -> Result<(), Failure> {
    check_address(context.config.api.listen)?;
    let bus = honk_agent::start::connect(&context).await.or_hint("HONK_NATS__URL says where NATS is")?;
    let lifecycle = context.lifecycle.clone();
    let server = tokio::select! {
        server = Server::start(context, bus) => server?,
        () = lifecycle.soft_stop().cancelled() => return Ok(()),
    };
    tracing::info!(address = %server.local_addr()?, "the API listens");
    server.run().await
}

impl Server {
    /// Binds, and copies what is read often. Requests are answered from [`Server::run`] on.
    pub async fn start(context: Context<ApiSettings>, bus: Bus) -> Result<Self, Failure> {
        let config = context.config.api.clone();
        let address = config.listen;
        check_address(address)?;
        let hint = format!("api.listen is {address}; choose another with HONK_API__LISTEN");
        let listener = TcpListener::bind(address).await.or_hint(hint)?;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let api = Api::start(&context, config, bus, (&tasks, &stop)).await?;
        Ok(Self { listener, router: endpoint::router(api), lifecycle: context.lifecycle.clone(), tasks, stop })
    }

    /// The address in fact bound.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers requests until the lifecycle's soft stop, and then those that have begun until its hard stop.
    pub async fn run(self) -> Result<(), Failure> {
        let soft = self.lifecycle.soft_stop().clone();
        let served = axum::serve(self.listener, self.router).with_graceful_shutdown(soft.cancelled_owned());
        let outcome = tokio::select! {
            outcome = served.into_future() => outcome.map_err(Failure::from),
            () = self.lifecycle.hard_stop().cancelled() => Ok(()),
        };
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        outcome
    }
}

/// Whoever reaches the API may do everything.
fn check_address(address: SocketAddr) -> Result<(), Failure> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    let message =
        format!("api.listen is {address}, which other machines can reach, and the API has no authentication yet");
    let hint = "listen on 127.0.0.1, and let a proxy with authentication on the same machine pass requests on";
    Err(Failure::new(message).with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_others_can_reach_is_refused() {
        for (address, allowed) in [
            ("127.0.0.1:8080", true),
            ("127.9.9.9:1", true),
            ("[::1]:8080", true),
            ("0.0.0.0:8080", false),
            ("192.168.0.1:8080", false),
            ("[::]:8080", false),
        ] {
            let checked = check_address(address.parse().unwrap());
            assert_eq!(checked.is_ok(), allowed, "{address}");
            if let Err(failure) = checked {
                assert!(failure.to_string().contains("no authentication") && failure.hint().is_some());
            }
        }
    }
}
