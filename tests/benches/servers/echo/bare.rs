//! A loop over epoll, and nothing else: the work that no library can avoid.
//!
//! It makes the fewest system calls for the events of one wait, but it is no lower bound. On one
//! processor it is woken for every single request; a server that is woken later finds more of them.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use super::{BUFFER, Deadlines};
use crate::measure::epoll::{self, BareEpoll};

/// The name of the listener's events; a connection's are under its descriptor.
const LISTENER: usize = usize::MAX;

/// It knows no deadlines.
pub(super) fn serve(listener: TcpListener, _: Deadlines) -> io::Result<()> {
    Loop::new(listener)?.run(|_| {})
}

/// Flips a bit of the last byte of every message.
pub(super) fn lie(listener: TcpListener, _: Deadlines) -> io::Result<()> {
    Loop::new(listener)?.run(|message| {
        if let Some(last) = message.last_mut() {
            *last ^= 1;
        }
    })
}

struct Loop {
    listener: TcpListener,
    epoll: BareEpoll,
    /// Each at the place of its descriptor.
    streams: Vec<Option<TcpStream>>,
}

impl Loop {
    fn new(listener: TcpListener) -> io::Result<Self> {
        let epoll = BareEpoll::new()?;
        epoll.add(&listener, LISTENER)?;
        Ok(Self { listener, epoll, streams: Vec::new() })
    }

    fn run(mut self, change: impl Fn(&mut [u8])) -> io::Result<()> {
        let mut ready = Vec::new();
        loop {
            ready.extend(self.epoll.wait(-1)?);
            for name in ready.drain(..) {
                if name == LISTENER {
                    self.accept()?;
                } else if !echo(name as i32, &change)? {
                    self.streams[name] = None;
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        while let Some(stream) = epoll::accept(&self.listener)? {
            stream.set_nodelay(true)?;
            let name = stream.as_raw_fd() as usize;
            self.epoll.add(&stream, name)?;
            self.streams.resize_with(self.streams.len().max(name + 1), || None);
            self.streams[name] = Some(stream);
        }
        Ok(())
    }
}

/// Echoes the bytes that are there. Returns whether there may be more to come.
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
