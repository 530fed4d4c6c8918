//! netpoll: with its thread under two executors of futures, and inline under three.

use std::future::Future;
use std::io;
use std::net;
use std::time::Instant;

use futures::task::LocalSpawnExt;
use netpoll::{Interest, Registration};
use netpoll_futures::{TcpListener, TcpStream};

use super::{BUFFER, Deadlines, PATIENCE, executors, minimal};

pub(super) fn inline(listener: net::TcpListener, deadlines: Deadlines) -> io::Result<()> {
    executors::inline(|tasks| {
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

pub(super) fn driven(listener: net::TcpListener, deadlines: Deadlines) -> io::Result<()> {
    executors::driven_pool(|tasks| {
        accept(listener, move |stream| match deadlines {
            Deadlines::None => tasks.spawn(end(echo(stream))),
            Deadlines::Each => tasks.spawn(end(echo_in_time(stream))),
        })
    })
}

pub(super) fn minimal(listener: net::TcpListener, deadlines: Deadlines) -> io::Result<()> {
    minimal::run(|tasks| {
        accept(listener, move |stream| match deadlines {
            Deadlines::None => tasks.spawn(end(echo(stream))),
            Deadlines::Each => tasks.spawn(end(echo_in_time(stream))),
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

pub(super) fn on_two_threads(listener: net::TcpListener, deadlines: Deadlines) -> io::Result<()> {
    two_threads(1, listener, deadlines)
}

pub(super) fn with_two_reactors(
    listener: net::TcpListener,
    deadlines: Deadlines,
) -> io::Result<()> {
    two_threads(2, listener, deadlines)
}

fn two_threads(
    reactors: usize,
    listener: net::TcpListener,
    deadlines: Deadlines,
) -> io::Result<()> {
    executors::two_threads(reactors, |tasks, reactor| async move {
        let listener: TcpListener =
            Registration::with(&reactor, listener, Interest::Readable)?.into();
        accept_all(listener, move |stream| match deadlines {
            Deadlines::None => tasks.spawn(echo(stream)).detach(),
            Deadlines::Each => tasks.spawn(echo_in_time(stream)).detach(),
        })
        .await
    })
}

async fn accept(listener: net::TcpListener, serve: impl Fn(TcpStream)) -> io::Result<()> {
    accept_all(TcpListener::try_from(listener)?, serve).await
}

async fn accept_all(listener: TcpListener, serve: impl Fn(TcpStream)) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        serve(stream);
    }
}

/// How a connection has ended is of no interest.
async fn end(serving: impl Future<Output = io::Result<()>>) {
    let _ = serving.await;
}

async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        let len = stream.read(&mut buffer).await?;
        if len == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..len]).await?;
    }
}

async fn echo_in_time(stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        stream.set_read_deadline(Some(Instant::now() + PATIENCE))?;
        let len = stream.read(&mut buffer).await?;
        if len == 0 {
            return Ok(());
        }
        stream.set_write_deadline(Some(Instant::now() + PATIENCE))?;
        stream.write_all(&buffer[..len]).await?;
    }
}
