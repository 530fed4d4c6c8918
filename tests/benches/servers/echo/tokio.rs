//! tokio, on one thread and on two, and netpoll-tokio in tokio.

use std::io;
use std::net;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::{BUFFER, Deadlines, PATIENCE};

pub(super) fn serve(listener: net::TcpListener, deadlines: Deadlines) -> io::Result<()> {
    run(&Builder::new_current_thread().enable_all().build()?, listener, deadlines)
}

pub(super) fn on_two_threads(listener: net::TcpListener, deadlines: Deadlines) -> io::Result<()> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    run(&runtime, listener, deadlines)
}

fn run(runtime: &Runtime, listener: net::TcpListener, deadlines: Deadlines) -> io::Result<()> {
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            match deadlines {
                Deadlines::None => tokio::spawn(echo(stream)),
                Deadlines::Each => tokio::spawn(echo_in_time(stream)),
            };
        }
    })
}

/// The same with netpoll's sockets: the runtime turns their reactor.
pub(super) fn of_netpoll(listener: net::TcpListener, deadlines: Deadlines) -> io::Result<()> {
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = netpoll_tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            match deadlines {
                Deadlines::None => tokio::spawn(echo(stream)),
                Deadlines::Each => tokio::spawn(echo_by_deadlines(stream)),
            };
        }
    })
}

async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
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
        let len = timeout(PATIENCE, stream.read(&mut buffer)).await??;
        if len == 0 {
            return Ok(());
        }
        timeout(PATIENCE, stream.write_all(&buffer[..len])).await??;
    }
}

async fn echo_by_deadlines(mut stream: netpoll_tokio::net::TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
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
