//! A loop over epoll, and nothing else: what no library can do without.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use super::{BUFFER, Deadlines};
use crate::measure::epoll::{self, BareEpoll};

/// The name of the listener's events; a connection's are under its descriptor.
const LISTENER: usize = usize::MAX;

/// It knows no deadlines.
pub(super) fn serve(listener: TcpListener, _: Deadlines) -> io::Result<()> {
    run(&listener, |_| {})
}

/// Flips a bit of the last byte of every message.
pub(super) fn lie(listener: TcpListener, _: Deadlines) -> io::Result<()> {
    run(&listener, |message| {
        if let Some(last) = message.last_mut() {
            *last ^= 1;
        }
    })
}

fn run(listener: &TcpListener, change: impl Fn(&mut [u8])) -> io::Result<()> {
    let mut epoll = BareEpoll::new()?;
    epoll.add(listener, LISTENER)?;
    let mut streams: Vec<Option<TcpStream>> = Vec::new();
    let mut ready = Vec::new();
    loop {
        ready.extend(epoll.wait(-1)?);
        for name in ready.drain(..) {
            if name == LISTENER {
                accept(listener, &epoll, &mut streams)?;
            } else if !echo(name as i32, &change)? {
                streams[name] = None;
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    epoll: &BareEpoll,
    streams: &mut Vec<Option<TcpStream>>,
) -> io::Result<()> {
    while let Some(stream) = epoll::accept(listener)? {
        stream.set_nodelay(true)?;
        let name = stream.as_raw_fd() as usize;
        epoll.add(&stream, name)?;
        streams.resize_with(streams.len().max(name + 1), || None);
        streams[name] = Some(stream);
    }
    Ok(())
}

/// Echoes what there is; whether there may be more to come.
fn echo(fd: i32, change: &impl Fn(&mut [u8])) -> io::Result<bool> {
    let mut buffer = [0; BUFFER];
    loop {
        let len = match epoll::receive(fd, &mut buffer) {
            Ok(0) => return Ok(false),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
            Err(error) => return Err(error),
        };
        change(&mut buffer[..len]);
        epoll::send(fd, &buffer[..len])?;
        if len < BUFFER {
            return Ok(true);
        }
    }
}
