//! Closing a connection that lingers (`SO_LINGER`), without a thread that waits in `close(2)`.
//!
//! A duplicate keeps the connection when the descriptor is closed. `shutdown(2)` sends the end behind what
//! is in the queue, and the duplicate is watched until the peer has acknowledged all of it: the kernel reports
//! that as an event, and `SIOCOUTQ`, which counts the end as a byte, is then zero. Then, or when the time of
//! lingering is over, the duplicate is closed, with `SO_LINGER` off, so that it does not block. What is not
//! acknowledged by then the kernel goes on sending.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use crate::sys;
use netpoll::{Interest, Reactor, Registration};

use crate::sealed::StdSocket;

/// A connection that is to stay after its socket is closed. Dropped, it does not wait.
pub(crate) struct Lingering {
    connection: OwnedFd,
    time: Duration,
}

impl Lingering {
    /// `None` for a socket that does not linger. Where there is no descriptor for a duplicate, it lingers no
    /// more: the thread must not wait.
    pub(crate) fn of<S: StdSocket>(socket: &S) -> Option<Self> {
        let socket = socket.as_fd();
        let linger = if S::LINGERS { sys::linger(socket).ok()? } else { None };
        let time = linger.filter(|time| !time.is_zero())?;
        match socket.try_clone_to_owned() {
            Ok(connection) => Some(Self { connection, time }),
            Err(_) => sys::set_linger(socket, None).err().and(None),
        }
    }

    /// Waits until the peer has everything, or until the time is over. Where waiting fails, as without a
    /// reactor, there is no waiting.
    pub(crate) async fn wait(self, reactor: &Reactor) {
        let _ = self.until_acknowledged(reactor).await;
    }

    async fn until_acknowledged(&self, reactor: &Reactor) -> io::Result<()> {
        sys::shutdown(self.connection.as_fd(), Shutdown::Write)?;
        let connection = Registration::with(reactor, self.connection.as_fd(), Interest::Writable)?;
        connection.set_write_deadline(reactor.now().checked_add(self.time))?;
        loop {
            let ready = connection.writable().await?;
            if sys::not_taken(connection.as_fd())? == 0 {
                return Ok(());
            }
            connection.clear_ready(ready);
        }
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let _ = sys::set_linger(self.connection.as_fd(), None);
    }
}
