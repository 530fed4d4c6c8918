//! A greeting by axum.

use std::io;
use std::os::fd::OwnedFd;

use axum::Router;
use axum::routing::get;
use tokio::runtime::Builder;

use super::{Server, Work};

/// The first is the baseline of the others.
pub(super) const SERVERS: [Server; 2] = [
    Server { name: "tokio", title: "tokio, current_thread", serve: tokio },
    Server { name: "netpoll-tokio", title: "netpoll-tokio in tokio", serve: netpoll_tokio },
];

fn greeter() -> Router {
    Router::new().route("/", get(async || "hello, world"))
}

fn tokio(listener: OwnedFd, _: Work) -> io::Result<()> {
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener.into())?;
        axum::serve(listener, greeter()).await
    })
}

fn netpoll_tokio(listener: OwnedFd, _: Work) -> io::Result<()> {
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = netpoll_tokio::net::TcpListener::from_std(listener.into())?;
        axum::serve(listener, greeter()).await
    })
}
