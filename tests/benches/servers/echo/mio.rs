//! mio: the loop over epoll, with names for its parts.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Token};

use super::Work;

/// The listener's; a connection's is its descriptor.
const LISTENER: Token = Token(usize::MAX);

/// It knows no deadlines.
pub(super) fn serve(listener: OwnedFd, work: Work) -> io::Result<()> {
    let mut listener = mio::net::TcpListener::from_std(listener.into());
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(256);
    let mut streams: Vec<Option<TcpStream>> = Vec::new();
    let mut buffer = vec![0; work.buffer];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, poll.registry(), &mut streams)?;
            } else {
                serve_one(event, &mut streams, &mut buffer)?;
            }
        }
    }
}

fn accept(
    listener: &mio::net::TcpListener,
    registry: &Registry,
    streams: &mut Vec<Option<TcpStream>>,
) -> io::Result<()> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        stream.set_nodelay(true)?;
        let place = stream.as_raw_fd() as usize;
        registry.register(&mut stream, Token(place), Interest::READABLE)?;
        streams.resize_with(streams.len().max(place + 1), || None);
        streams[place] = Some(stream);
    }
}

fn serve_one(
    event: &Event,
    streams: &mut [Option<TcpStream>],
    buffer: &mut [u8],
) -> io::Result<()> {
    let place = &mut streams[event.token().0];
    if let Some(stream) = place
        && !echo(stream, buffer)?
    {
        *place = None;
    }
    Ok(())
}

/// Echoes the bytes that are there. Returns whether there may be more to come.
fn echo(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<bool> {
    loop {
        let len = match stream.read(buffer) {
            Ok(0) => return Ok(false),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
            Err(error) => return Err(error),
        };
        stream.write_all(&buffer[..len])?;
        if len < buffer.len() {
            return Ok(true);
        }
    }
}
