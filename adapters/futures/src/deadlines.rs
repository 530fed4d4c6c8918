//! A handle that sets the deadlines of a socket that another object owns.

use std::fmt;
use std::io;
use std::sync::{Arc, Weak};

use netpoll::{Closed, Deadline, Direction, Registration};

/// The deadlines of a socket that was moved into a library: with this handle, the user can still limit
/// it. See [`Socket::deadlines`](crate::Socket::deadlines), and [`command_deadlines`](crate::command_deadlines) for clients that
/// share a connection among commands.
///
/// It does not keep the socket open: once the last clone of the socket is dropped, a setter fails with
/// [`Closed`], as it does after `close`.
///
/// ```
/// # fn main() -> std::io::Result<()> { netpoll_futures::block_on(async {
/// use std::time::Duration;
/// use futures_util::AsyncReadExt;
/// use netpoll_futures::{TcpListener, TcpStream, is_deadline_exceeded};
///
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let client = TcpStream::connect(listener.local_addr()?).await?;
/// let deadlines = client.deadlines();
/// let mut library = futures_util::io::BufReader::new(client);
/// deadlines.set_read_deadline(Duration::from_millis(10))?;
/// let late = AsyncReadExt::read(&mut library, &mut [0]).await.unwrap_err();
/// assert!(is_deadline_exceeded(&late));
/// drop(library);
/// assert!(deadlines.set_read_deadline(None).is_err());
/// # Ok(()) }) }
/// ```
#[derive(Clone)]
pub struct Deadlines(Weak<dyn SetDeadlines>);

/// An object with a deadline for each direction; for adapters with objects of their own.
#[doc(hidden)]
pub trait SetDeadlines: Send + Sync {
    fn set(&self, direction: Option<Direction>, deadline: Deadline) -> io::Result<()>;
}

impl<T: Send + Sync> SetDeadlines for Registration<T> {
    fn set(&self, direction: Option<Direction>, deadline: Deadline) -> io::Result<()> {
        match direction {
            None => self.set_deadline(deadline),
            Some(Direction::Read) => self.set_read_deadline(deadline),
            Some(Direction::Write) => self.set_write_deadline(deadline),
        }
    }
}

/// Each method fails with [`Closed`] if the socket is closed or dropped.
impl Deadlines {
    #[doc(hidden)]
    #[must_use]
    pub fn of<T: SetDeadlines + 'static>(object: &Arc<T>) -> Self {
        let object: Weak<T> = Arc::downgrade(object);
        Self(object)
    }

    /// Sets or clears the deadline of reading and writing.
    pub fn set_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()> {
        self.set(None, deadline.into())
    }

    /// Sets or clears the deadline of reading.
    pub fn set_read_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()> {
        self.set(Some(Direction::Read), deadline.into())
    }

    /// Sets or clears the deadline of writing.
    pub fn set_write_deadline(&self, deadline: impl Into<Deadline>) -> io::Result<()> {
        self.set(Some(Direction::Write), deadline.into())
    }

    fn set(&self, direction: Option<Direction>, deadline: Deadline) -> io::Result<()> {
        self.0.upgrade().ok_or_else(Closed::error)?.set(direction, deadline)
    }
}

/// Prints only the type's name: the socket may be gone.
impl fmt::Debug for Deadlines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadlines").finish_non_exhaustive()
    }
}
