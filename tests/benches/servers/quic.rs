//! A mebibyte over QUIC for each request: quinn with its own runtime for tokio and with ours.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use async_executor::Executor;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, EndpointConfig, ServerConfig, TokioRuntime};
use tokio::runtime::Builder;

use super::{Server, Work, tls};

/// The length of an answer.
pub(crate) const ANSWER: usize = 1 << 20;

/// The first is the baseline of the others.
pub(super) const SERVERS: [Server; 3] = [
    Server { name: "tokio", title: "tokio, current_thread", serve: tokio },
    Server { name: "netpoll-inline", title: "netpoll, inline", serve: netpoll },
    Server { name: "netpoll-tokio", title: "netpoll-tokio in tokio", serve: netpoll_tokio },
];

fn tokio(socket: OwnedFd, _: Work) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(socket, Arc::new(TokioRuntime)))
}

fn netpoll_tokio(socket: OwnedFd, _: Work) -> io::Result<()> {
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let spawn = |task| drop(tokio::spawn(task));
        let runtime = netpoll_quinn::Runtime::new_on(&netpoll_tokio::reactor()?, spawn);
        serve(socket, Arc::new(runtime)).await
    })
}

fn netpoll(socket: OwnedFd, _: Work) -> io::Result<()> {
    let tasks = Arc::new(Executor::new());
    let spawner = tasks.clone();
    let runtime = netpoll_quinn::Runtime::new(move |task| spawner.spawn(task).detach())?;
    netpoll::block_on(tasks.run(tasks.spawn(serve(socket, Arc::new(runtime)))))
}

/// One connection after the other.
async fn serve(socket: OwnedFd, runtime: Arc<dyn quinn::Runtime>) -> io::Result<()> {
    let config = QuicServerConfig::try_from(tls::config()?).map_err(io::Error::other)?;
    let config = ServerConfig::with_crypto(Arc::new(config));
    let endpoint = Endpoint::new(EndpointConfig::default(), Some(config), socket.into(), runtime)?;
    while let Some(incoming) = endpoint.accept().await {
        // It ends when the client hangs up.
        drop(answer(&incoming.await?).await);
    }
    Ok(())
}

async fn answer(connection: &Connection) -> io::Result<()> {
    let answer = vec![7; ANSWER];
    loop {
        let (mut send, mut receive) = connection.accept_bi().await?;
        receive.read_to_end(1).await.map_err(io::Error::other)?;
        send.write_all(&answer).await?;
        send.finish()?;
    }
}
