//! async-io, by way of async-net: under smol's executor, and under others with its own thread.

use std::future::Future;
use std::io;
use std::net;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use async_net::{TcpListener, TcpStream};
use futures::task::LocalSpawnExt;
use smol::future::FutureExt;
use smol::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use smol::{LocalExecutor, Timer};

use super::{Deadlines, PATIENCE, Work, executors};

pub(super) fn smol(listener: OwnedFd, work: Work) -> io::Result<()> {
    executors::smol(|tasks| {
        accept(listener, move |stream| match work.deadlines {
            Deadlines::None => tasks.spawn(echo(stream, work.buffer)).detach(),
            Deadlines::Each => tasks.spawn(echo_in_time(stream, work.buffer, late)).detach(),
        })
    })
}

pub(super) fn local(listener: OwnedFd, work: Work) -> io::Result<()> {
    executors::local_pool(|tasks| {
        accept(listener, move |stream| {
            let spawned = match work.deadlines {
                Deadlines::None => tasks.spawn_local(end(echo(stream, work.buffer))),
                Deadlines::Each => tasks.spawn_local(end(echo_in_time(stream, work.buffer, late))),
            };
            spawned.expect("the pool lives");
        })
    })
}

pub(super) fn pool(listener: OwnedFd, work: Work) -> io::Result<()> {
    executors::thread_pool(|tasks| {
        accept(listener, move |stream| match work.deadlines {
            Deadlines::None => tasks.spawn_ok(end(echo(stream, work.buffer))),
            Deadlines::Each => tasks.spawn_ok(end(echo_in_time(stream, work.buffer, late))),
        })
    })
}

async fn accept(listener: OwnedFd, serve: impl Fn(TcpStream)) -> io::Result<()> {
    let listener = TcpListener::try_from(net::TcpListener::from(listener))?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        serve(stream);
    }
}

/// How a connection has ended is of no interest.
async fn end(serving: impl Future<Output = io::Result<()>>) {
    let _ = serving.await;
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

async fn echo_in_time<L: Future<Output = io::Result<()>>>(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    buffer: usize,
    late: fn() -> L,
) -> io::Result<()> {
    let mut buffer = vec![0; buffer];
    loop {
        let len = stream.read(&mut buffer).or(async { late().await.map(|()| 0) }).await?;
        if len == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..len]).or(late()).await?;
    }
}

/// In place of a deadline: a timer beside the operation.
async fn late() -> io::Result<()> {
    Timer::after(PATIENCE).await;
    Err(io::ErrorKind::TimedOut.into())
}

/// The same as `smol`, with `adapters/async-io` and `adapters/async-net` in place of the released crates.
pub(super) fn patched(listener: OwnedFd, work: Work) -> io::Result<()> {
    let tasks = Rc::new(LocalExecutor::new());
    let spawner = tasks.clone();
    netpoll_async_io::block_on(tasks.run(tasks.spawn(async move {
        let listener = netpoll_async_net::TcpListener::try_from(net::TcpListener::from(listener))?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            match work.deadlines {
                Deadlines::None => spawner.spawn(echo(stream, work.buffer)).detach(),
                Deadlines::Each => {
                    spawner.spawn(echo_in_time(stream, work.buffer, late_patched)).detach();
                }
            }
        }
    })))
}

async fn late_patched() -> io::Result<()> {
    netpoll_async_io::Timer::after(PATIENCE).await;
    Err(io::ErrorKind::TimedOut.into())
}
