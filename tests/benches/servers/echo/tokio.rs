//! tokio, on one thread and on two, and netpoll-tokio in tokio.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::{Deadlines, PATIENCE, Work};

pub(super) fn serve(listener: OwnedFd, work: Work) -> io::Result<()> {
    run(&Builder::new_current_thread().enable_all().build()?, listener, work)
}

pub(super) fn on_two_threads(listener: OwnedFd, work: Work) -> io::Result<()> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    run(&runtime, listener, work)
}

fn run(runtime: &Runtime, listener: OwnedFd, work: Work) -> io::Result<()> {
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener.into())?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            match work.deadlines {
                Deadlines::None => tokio::spawn(echo(stream, work.buffer)),
                Deadlines::Each => tokio::spawn(echo_in_time(stream, work.buffer)),
            };
        }
    })
}

/// The same with netpoll's sockets: the runtime turns their reactor.
pub(super) fn of_netpoll(listener: OwnedFd, work: Work) -> io::Result<()> {
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = netpoll_tokio::net::TcpListener::from_std(listener.into())?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            match work.deadlines {
                Deadlines::None => tokio::spawn(echo(stream, work.buffer)),
                Deadlines::Each => tokio::spawn(echo_by_deadlines(stream, work.buffer)),
            };
        }
    })
}

pub(in crate::servers) async fn echo(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    buffer: usize,
) -> io::Result<()> {
    let mut buffer = vec![0; buffer];
    loop {
        let len = stream.read(&mut buffer).await?;
        if len == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..len]).await?;
    }
}

async fn echo_in_time(mut stream: TcpStream, buffer: usize) -> io::Result<()> {
    let mut buffer = vec![0; buffer];
    loop {
        let len = timeout(PATIENCE, stream.read(&mut buffer)).await??;
        if len == 0 {
            return Ok(());
        }
        timeout(PATIENCE, stream.write_all(&buffer[..len])).await??;
    }
}

async fn echo_by_deadlines(
    mut stream: netpoll_tokio::net::TcpStream,
    buffer: usize,
) -> io::Result<()> {
    let mut buffer = vec![0; buffer];
    loop {
        stream.set_read_deadline(PATIENCE)?;
        let len = stream.read(&mut buffer).await?;
        if len == 0 {
            return Ok(());
        }
        stream.set_write_deadline(PATIENCE)?;
        stream.write_all(&buffer[..len]).await?;
    }
}
