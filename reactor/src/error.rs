//! The three errors of an operation that do not come from the kernel.
//!
//! Each is the payload of an [`io::Error`], so that it can be distinguished from an
//! errno of the same kind: a keepalive that fails is `ETIMEDOUT`, and not a deadline (Go
//! added `os.ErrDeadlineExceeded` for the same reason, golang/go#31449).

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};

/// The deadline of the operation passed. Kind: [`ErrorKind::TimedOut`].
///
/// Test for it with [`is_deadline_exceeded`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadlineExceeded;

/// The socket was closed on this side, by `close`. Kind: [`ErrorKind::NotConnected`].
///
/// Test for it with [`is_closed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed;

/// The reactor that served the socket was shut down, could not wait any more, or belongs to the parent
/// of this process.
/// Kind: [`ErrorKind::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReactorGone {
    /// The text that it displays.
    reason: &'static str,
}

impl DeadlineExceeded {
    /// An [`io::Error`] with it as payload.
    #[must_use]
    pub fn error() -> io::Error {
        DeadlineExceeded.into()
    }
}

impl Closed {
    /// An [`io::Error`] with it as payload.
    #[must_use]
    pub fn error() -> io::Error {
        Closed.into()
    }
}

impl ReactorGone {
    /// See [`Reactor::shutdown_because`](crate::Reactor::shutdown_because).
    pub(crate) fn because(reason: &'static str) -> Self {
        Self { reason }
    }

    /// An [`io::Error`] with it as payload.
    #[must_use]
    pub fn error() -> io::Error {
        let reason = "the reactor was shut down or has failed, or is that of the process that forked this one";
        Self::because(reason).into()
    }
}

/// Whether `error` means that a deadline passed, and not that the kernel gave up (`ETIMEDOUT`).
#[must_use]
pub fn is_deadline_exceeded(error: &io::Error) -> bool {
    carries::<DeadlineExceeded>(error)
}

/// Whether `error` means that the socket was closed on this side.
#[must_use]
pub fn is_closed(error: &io::Error) -> bool {
    carries::<Closed>(error)
}

/// The errno in `error`, also where an [`OpError`] or the like is around it.
#[must_use]
pub fn raw_os_error(error: &io::Error) -> Option<i32> {
    let wrapped = || error.get_ref()?.source()?.downcast_ref::<io::Error>();
    error.raw_os_error().or_else(|| raw_os_error(wrapped()?))
}

/// An error with the operation that failed and its subject: `bind 127.0.0.1:80: permission
/// denied`. It is the payload of an [`io::Error`] of the same kind.
#[derive(Debug)]
pub struct OpError {
    operation: &'static str,
    subject: String,
    source: io::Error,
}

impl OpError {
    /// Puts operation and subject around `source`, whose kind stays.
    pub fn wrap(
        operation: &'static str,
        subject: impl fmt::Display,
        source: io::Error,
    ) -> io::Error {
        let subject = subject.to_string();
        io::Error::new(source.kind(), OpError { operation, subject, source })
    }

    /// The error inside, where `error` is an `OpError`; every other error as it is. For code that matches
    /// [`raw_os_error`](io::Error::raw_os_error), which an error with a payload has not.
    ///
    /// ```
    /// # use std::io;
    /// use netpoll::OpError;
    ///
    /// let refused = io::Error::from_raw_os_error(111);
    /// let wrapped = OpError::wrap("connect", "127.0.0.1:80", refused);
    /// assert_eq!(wrapped.raw_os_error(), None);
    /// assert_eq!(OpError::strip(wrapped).raw_os_error(), Some(111));
    /// ```
    #[must_use]
    pub fn strip(error: io::Error) -> io::Error {
        match error.downcast::<Self>() {
            Ok(wrapped) => Self::strip(wrapped.source),
            Err(other) => other,
        }
    }

    /// The operation: `bind`, `connect`, `accept`, `register`.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The address or the descriptor of the operation.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

impl fmt::Display for OpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.operation, self.subject, self.source)
    }
}

impl Error for OpError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// Whether `error`, or an error that it wraps, has a payload of type `E`.
fn carries<E: Error + 'static>(error: &io::Error) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = error.get_ref().map(|e| e as _);
    while let Some(payload) = next {
        if payload.is::<E>() {
            return true;
        }
        next = match payload.downcast_ref::<io::Error>() {
            Some(inner) => inner.get_ref().map(|e| e as _),
            None => payload.source(),
        };
    }
    false
}

impl fmt::Display for DeadlineExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadline exceeded")
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("use of a closed socket")
    }
}

impl fmt::Display for ReactorGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason)
    }
}

impl Error for DeadlineExceeded {}
impl Error for Closed {}
impl Error for ReactorGone {}

impl From<DeadlineExceeded> for io::Error {
    fn from(error: DeadlineExceeded) -> Self {
        io::Error::new(ErrorKind::TimedOut, error)
    }
}

impl From<Closed> for io::Error {
    fn from(error: Closed) -> Self {
        io::Error::new(ErrorKind::NotConnected, error)
    }
}

impl From<ReactorGone> for io::Error {
    fn from(error: ReactorGone) -> Self {
        io::Error::other(error)
    }
}
