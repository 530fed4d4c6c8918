//! A loop over epoll, and nothing else: the work that no library can avoid.
//!
//! It makes the fewest system calls for the events of one wait, but it is no lower bound. On one
//! processor it is woken for every single request; a server that is woken later finds more of them.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use super::Work;
use crate::measure::epoll::{self, BareEpoll};

/// The name of the listener's events; a connection's are under its descriptor.
const LISTENER: usize = usize::MAX;

/// It knows no deadlines.
pub(in crate::servers) fn serve(listener: OwnedFd, work: Work) -> io::Result<()> {
    Loop::new(listener, work)?.run(|_| {})
}

/// Flips a bit of the last byte of every message.
pub(super) fn lie(listener: OwnedFd, work: Work) -> io::Result<()> {
    Loop::new(listener, work)?.run(|message| {
        if let Some(last) = message.last_mut() {
            *last ^= 1;
        }
    })
}

struct Loop {
    listener: OwnedFd,
    epoll: BareEpoll,
    /// Each at the place of its descriptor.
    streams: Vec<Option<OwnedFd>>,
    buffer: Vec<u8>,
}

impl Loop {
    fn new(listener: OwnedFd, work: Work) -> io::Result<Self> {
        let epoll = BareEpoll::new()?;
        epoll.add(&listener, LISTENER)?;
        let (streams, buffer) = (Vec::new(), vec![0; work.buffer]);
        Ok(Self { listener, epoll, streams, buffer })
    }

    fn run(mut self, change: impl Fn(&mut [u8])) -> io::Result<()> {
        let mut ready = Vec::new();
        loop {
            ready.extend(self.epoll.wait(-1)?);
            for name in ready.drain(..) {
                if name == LISTENER {
                    self.accept()?;
                } else if !echo(name as i32, &mut self.buffer, &change)? {
                    self.streams[name] = None;
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        while let Some(stream) = epoll::accept(&self.listener)? {
            // A Unix stream has no such option.
            let _ = netpoll_futures::sys::set_nodelay(stream.as_fd(), true);
            let name = stream.as_raw_fd() as usize;
            self.epoll.add(&stream, name)?;
            self.streams.resize_with(self.streams.len().max(name + 1), || None);
            self.streams[name] = Some(stream);
        }
        Ok(())
    }
}

/// Echoes the bytes that are there. Returns whether there may be more to come.
fn echo(fd: i32, buffer: &mut [u8], change: &impl Fn(&mut [u8])) -> io::Result<bool> {
    loop {
        let len = match epoll::receive(fd, buffer) {
            Ok(0) => return Ok(false),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
            Err(error) => return Err(error),
        };
        change(&mut buffer[..len]);
        if epoll::send(fd, &buffer[..len]).is_err() {
            // The client has hung up, or else it reports an end that it did not expect.
            return Ok(false);
        }
        if len < buffer.len() {
            return Ok(true);
        }
    }
}
