//! A greeting over HTTP/1, served by hyper with each library.

use std::convert::Infallible;
use std::io;
use std::net;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use futures::task::LocalSpawnExt;
use hyper::body::Incoming;
use hyper::rt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use netpoll_hyper::{Executor, Version};
use smol_hyper::rt::FuturesIo;

use super::{Server, Work, executors};

/// The first is the baseline of the others: hyper comes from there.
pub(crate) const SERVERS: [Server; 7] = [
    Server { name: "tokio", title: "tokio, current_thread", serve: tokio },
    Server { name: "smol", title: "smol, inline", serve: smol },
    Server { name: "async-io-local", title: "async-io, LocalPool", serve: async_io },
    Server { name: "netpoll-local", title: "netpoll, LocalPool", serve: netpoll },
    Server { name: "netpoll-inline", title: "netpoll, inline", serve: netpoll_inline },
    Server { name: "netpoll-tokio", title: "netpoll-tokio in tokio", serve: netpoll_tokio },
    Server { name: "netpoll-server", title: "netpoll-hyper's Server", serve: netpoll_server },
];

pub(super) async fn greet(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("hello, world".to_owned()))
}

/// Serves one connection, whatever it is of.
pub(super) async fn serve_one<I: rt::Read + rt::Write + Unpin>(io: I) {
    // The clients hang up when they are done.
    let _ = http1::Builder::new().serve_connection(io, service_fn(greet)).await;
}

fn tokio(listener: OwnedFd, _: Work) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener.into())?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(serve_one(hyper_util::rt::TokioIo::new(stream)));
        }
    })
}

fn netpoll_tokio(listener: OwnedFd, _: Work) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = netpoll_tokio::net::TcpListener::from_std(listener.into())?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(serve_one(hyper_util::rt::TokioIo::new(stream)));
        }
    })
}

fn smol(listener: OwnedFd, _: Work) -> io::Result<()> {
    executors::smol(|tasks| {
        let serve = move |io| tasks.spawn(serve_one(io)).detach();
        accept_async_io(listener, serve)
    })
}

fn async_io(listener: OwnedFd, _: Work) -> io::Result<()> {
    executors::local_pool(|tasks| {
        let serve = move |io| tasks.spawn_local(serve_one(io)).expect("the pool lives");
        accept_async_io(listener, serve)
    })
}

async fn accept_async_io(
    listener: OwnedFd,
    serve: impl Fn(FuturesIo<async_net::TcpStream>),
) -> io::Result<()> {
    let listener = async_net::TcpListener::try_from(net::TcpListener::from(listener))?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        serve(FuturesIo::new(stream));
    }
}

fn netpoll(listener: OwnedFd, _: Work) -> io::Result<()> {
    executors::local_pool(|tasks| {
        accept(listener, move |stream| {
            let served = serve_one(netpoll_hyper::Io::new(stream));
            tasks.spawn_local(served).expect("the pool lives");
        })
    })
}

fn netpoll_inline(listener: OwnedFd, _: Work) -> io::Result<()> {
    executors::inline(|tasks| {
        let serve = move |stream| tasks.spawn(serve_one(netpoll_hyper::Io::new(stream))).detach();
        accept(listener, serve)
    })
}

/// With its deadlines, for headers, idleness and writes.
fn netpoll_server(listener: OwnedFd, _: Work) -> io::Result<()> {
    let nobody = Executor::new(|_| unreachable!("HTTP/1 spawns nothing"));
    let server = Arc::new(netpoll_hyper::Server::new(nobody).only(Version::Http1));
    executors::local_pool(|tasks| {
        accept(listener, move |stream| {
            let served = watch_over(server.clone(), stream);
            tasks.spawn_local(served).expect("the pool lives");
        })
    })
}

async fn watch_over(server: Arc<netpoll_hyper::Server>, stream: netpoll_futures::TcpStream) {
    drop(server.serve_connection(stream, service_fn(greet)).await);
}

async fn accept(listener: OwnedFd, serve: impl Fn(netpoll_futures::TcpStream)) -> io::Result<()> {
    let listener = netpoll_futures::TcpListener::try_from(net::TcpListener::from(listener))?;
    loop {
        let (stream, _) = listener.accept().await?;
        serve(stream);
    }
}
