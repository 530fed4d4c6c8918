//! The echo server over Unix streams.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::Builder;

use super::{Server, Work, echo, executors};

/// The first is the baseline of the others.
pub(super) const SERVERS: [Server; 5] = [
    Server { name: "bare", title: "bare epoll", serve: echo::bare::serve },
    Server { name: "tokio", title: "tokio, current_thread", serve: tokio },
    Server { name: "smol", title: "smol, inline", serve: smol },
    Server { name: "netpoll-inline", title: "netpoll, inline", serve: netpoll },
    Server { name: "netpoll-tokio", title: "netpoll-tokio in tokio", serve: netpoll_tokio },
];

fn tokio(listener: OwnedFd, work: Work) -> io::Result<()> {
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::UnixListener::from_std(listener.into())?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(echo::tokio::echo(stream, work.buffer));
        }
    })
}

fn netpoll_tokio(listener: OwnedFd, work: Work) -> io::Result<()> {
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = netpoll_tokio::net::UnixListener::from_std(listener.into())?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(echo::tokio::echo(stream, work.buffer));
        }
    })
}

fn smol(listener: OwnedFd, work: Work) -> io::Result<()> {
    executors::smol(|tasks| async move {
        let listener = smol::net::unix::UnixListener::try_from(net::UnixListener::from(listener))?;
        loop {
            let (stream, _) = listener.accept().await?;
            tasks.spawn(echo(stream, work.buffer)).detach();
        }
    })
}

fn netpoll(listener: OwnedFd, work: Work) -> io::Result<()> {
    executors::inline(|tasks| async move {
        let listener = netpoll_futures::UnixListener::try_from(net::UnixListener::from(listener))?;
        loop {
            let (stream, _) = listener.accept().await?;
            tasks.spawn(echo(stream, work.buffer)).detach();
        }
    })
}

async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin, buffer: usize) -> io::Result<()> {
    let mut buffer = vec![0; buffer];
    loop {
        let len = stream.read(&mut buffer).await?;
        if len == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..len]).await?;
    }
}
