//! async-io, by way of async-net: under smol's executor, and under others with its own thread.

use std::future::Future;
use std::io;
use std::net;

use async_net::{TcpListener, TcpStream};
use futures::task::LocalSpawnExt;
use smol::Timer;
use smol::future::FutureExt;
use smol::io::{AsyncReadExt, AsyncWriteExt};

use super::{BUFFER, Deadlines, PATIENCE, executors};

pub(super) fn smol(listener: net::TcpListener, deadlines: Deadlines) -> io::Result<()> {
    executors::smol(|tasks| {
        accept(listener, move |stream| match deadlines {
            Deadlines::None => tasks.spawn(echo(stream)).detach(),
            Deadlines::Each => tasks.spawn(echo_in_time(stream)).detach(),
        })
    })
}

pub(super) fn local(listener: net::TcpListener, deadlines: Deadlines) -> io::Result<()> {
    executors::local_pool(|tasks| {
        accept(listener, move |stream| {
            let spawned = match deadlines {
                Deadlines::None => tasks.spawn_local(end(echo(stream))),
                Deadlines::Each => tasks.spawn_local(end(echo_in_time(stream))),
            };
            spawned.expect("the pool lives");
        })
    })
}

pub(super) fn pool(listener: net::TcpListener, deadlines: Deadlines) -> io::Result<()> {
    executors::thread_pool(|tasks| {
        accept(listener, move |stream| match deadlines {
            Deadlines::None => tasks.spawn_ok(end(echo(stream))),
            Deadlines::Each => tasks.spawn_ok(end(echo_in_time(stream))),
        })
    })
}

async fn accept(listener: net::TcpListener, serve: impl Fn(TcpStream)) -> io::Result<()> {
    let listener = TcpListener::try_from(listener)?;
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

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        let len = stream.read(&mut buffer).await?;
        if len == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..len]).await?;
    }
}

async fn echo_in_time(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        let len = stream.read(&mut buffer).or(late()).await?;
        if len == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..len]).or(late()).await?;
    }
}

/// In place of a deadline: a timer beside the operation.
async fn late<T>() -> io::Result<T> {
    Timer::after(PATIENCE).await;
    Err(io::ErrorKind::TimedOut.into())
}
