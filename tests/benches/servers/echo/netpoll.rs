//! netpoll: with its thread under two executors of futures, and inline under three.

use std::future::Future;
use std::io;
use std::net;
use std::os::fd::OwnedFd;
use std::time::Instant;

use futures::task::LocalSpawnExt;
use netpoll::{Interest, Registration};
use netpoll_futures::{TcpListener, TcpStream};

use super::{Deadlines, PATIENCE, Work, announce, executors, listen_beside, minimal};

pub(super) fn inline(listener: OwnedFd, work: Work) -> io::Result<()> {
    executors::inline(|tasks| {
        accept(listener, move |stream| match work.deadlines {
            Deadlines::None => tasks.spawn(echo(stream, work.buffer)).detach(),
            Deadlines::Each => tasks.spawn(echo_in_time(stream, work.buffer)).detach(),
        })
    })
}

pub(super) fn local(listener: OwnedFd, work: Work) -> io::Result<()> {
    executors::local_pool(|tasks| {
        accept(listener, move |stream| {
            let spawned = match work.deadlines {
                Deadlines::None => tasks.spawn_local(end(echo(stream, work.buffer))),
                Deadlines::Each => tasks.spawn_local(end(echo_in_time(stream, work.buffer))),
            };
            spawned.expect("the pool lives");
        })
    })
}

pub(super) fn driven(listener: OwnedFd, work: Work) -> io::Result<()> {
    executors::driven_pool(|tasks| {
        accept(listener, move |stream| match work.deadlines {
            Deadlines::None => tasks.spawn(end(echo(stream, work.buffer))),
            Deadlines::Each => tasks.spawn(end(echo_in_time(stream, work.buffer))),
        })
    })
}

pub(super) fn minimal(listener: OwnedFd, work: Work) -> io::Result<()> {
    minimal::run(|tasks| {
        accept(listener, move |stream| match work.deadlines {
            Deadlines::None => tasks.spawn(end(echo(stream, work.buffer))),
            Deadlines::Each => tasks.spawn(end(echo_in_time(stream, work.buffer))),
        })
    })
}

pub(super) fn pool(listener: OwnedFd, work: Work) -> io::Result<()> {
    executors::thread_pool(|tasks| {
        accept(listener, move |stream| match work.deadlines {
            Deadlines::None => tasks.spawn_ok(end(echo(stream, work.buffer))),
            Deadlines::Each => tasks.spawn_ok(end(echo_in_time(stream, work.buffer))),
        })
    })
}

pub(super) fn on_two_threads(listener: OwnedFd, work: Work) -> io::Result<()> {
    two_threads(1, listener, work)
}

pub(super) fn with_two_reactors(listener: OwnedFd, work: Work) -> io::Result<()> {
    two_threads(2, listener, work)
}

fn two_threads(reactors: usize, listener: OwnedFd, work: Work) -> io::Result<()> {
    executors::two_threads(reactors, |tasks, reactor| async move {
        let listener: TcpListener =
            Registration::with(&reactor, net::TcpListener::from(listener), Interest::Readable)?
                .into();
        accept_all(listener, move |stream| match work.deadlines {
            Deadlines::None => tasks.spawn(echo(stream, work.buffer)).detach(),
            Deadlines::Each => tasks.spawn(echo_in_time(stream, work.buffer)).detach(),
        })
        .await
    })
}

/// A reactor, an executor and a listener for each thread: the kernel spreads the connections.
pub(super) fn thread_per_core(listener: OwnedFd, work: Work) -> io::Result<()> {
    let listener = net::TcpListener::from(listener);
    let another = listen_beside(&listener)?;
    announce(listener.local_addr()?.port());
    executors::thread_per_core([listener, another], move |tasks, reactor, listener| async move {
        let listener: TcpListener =
            Registration::with(&reactor, listener, Interest::Readable)?.into();
        accept_all(listener, move |stream| match work.deadlines {
            Deadlines::None => tasks.spawn(echo(stream, work.buffer)).detach(),
            Deadlines::Each => tasks.spawn(echo_in_time(stream, work.buffer)).detach(),
        })
        .await
    })
}

async fn accept(listener: OwnedFd, serve: impl Fn(TcpStream)) -> io::Result<()> {
    accept_all(TcpListener::try_from(net::TcpListener::from(listener))?, serve).await
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

async fn echo(stream: TcpStream, buffer: usize) -> io::Result<()> {
    let mut buffer = vec![0; buffer];
    loop {
        let len = stream.read(&mut buffer).await?;
        if len == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..len]).await?;
    }
}

async fn echo_in_time(stream: TcpStream, buffer: usize) -> io::Result<()> {
    let mut buffer = vec![0; buffer];
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
