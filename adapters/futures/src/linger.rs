//! Closing a connection that lingers (`SO_LINGER`), without a thread that waits in `close(2)`.
//!
//! A duplicate descriptor keeps the connection open when the socket's descriptor is closed.
//! `shutdown(2)` queues the FIN behind the unsent bytes, and a registration of the duplicate waits
//! until the peer has acknowledged them all: the kernel reports that as an event, and `SIOCOUTQ`, which
//! counts the FIN as a byte, is then zero. Then, or when the linger time is over, the duplicate is
//! closed. `SO_LINGER` is off by then, so closing does not block. The kernel goes on sending bytes that
//! are not acknowledged by then.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use crate::sys;
use netpoll::{Direction, Interest, Reactor, Registration};

use crate::sealed::StdSocket;

/// A connection that stays open after its socket is closed. Dropping it closes the connection without
/// waiting.
pub(crate) struct Lingering {
    connection: OwnedFd,
    time: Duration,
}

impl Lingering {
    /// `None` for a socket that does not linger. If the process has no descriptor left for the
    /// duplicate, this turns `SO_LINGER` off: `close(2)` must not block the thread.
    pub(crate) fn of<S: StdSocket>(socket: &S) -> Option<Self> {
        let socket = socket.as_fd();
        let linger = if S::LINGERS { sys::linger(socket).ok()? } else { None };
        let time = linger.filter(|time| !time.is_zero())?;
        match socket.try_clone_to_owned() {
            Ok(connection) => Some(Self { connection, time }),
            Err(_) => sys::set_linger(socket, None).err().and(None),
        }
    }

    /// Waits until the peer has acknowledged all bytes, or until the linger time is over.
    ///
    /// # Errors
    ///
    /// If waiting fails, for example without a reactor, this returns at once.
    pub(crate) async fn wait(self, reactor: &Reactor) -> io::Result<()> {
        sys::shutdown(self.connection.as_fd(), Shutdown::Write)?;
        let connection = Registration::with(reactor, self.connection.as_fd(), Interest::Writable)?;
        connection.set_write_deadline(reactor.now().checked_add(self.time))?;
        loop {
            let ready = connection.ready(Direction::Write).await?;
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
