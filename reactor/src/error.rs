//! The three errors of an operation that do not come from the kernel.
//!
//! Each is the payload of an [`io::Error`], so that it can be distinguished from an
//! errno of the same kind: a keepalive that fails is `ETIMEDOUT`, and not a deadline (Go
//! added `os.ErrDeadlineExceeded` for the same reason, golang/go#31449).

use std::error::Error;
use std::fmt::{self, Write};
use std::io::{self, ErrorKind};
use std::sync::Arc;

/// The deadline of the operation passed. Kind: [`ErrorKind::TimedOut`].
///
/// Test for it with [`is_deadline_exceeded`], and in the error of a library with [`deadline_in`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// Whether `error` means that a deadline passed, and not that the kernel gave up (`ETIMEDOUT`): [`deadline_in`] for
/// the error of an operation.
#[must_use]
pub fn is_deadline_exceeded(error: &io::Error) -> bool {
    deadline_in(error)
}

/// Whether a deadline passed, by the error of a library: whether `error` is a [`DeadlineExceeded`], or one is at any
/// depth of the errors inside it.
///
/// It follows [`source`](Error::source), and looks inside each [`io::Error`], which is not its own `source`, and inside
/// an error in an [`Arc`] or a `Box`. Some libraries keep no more than the text of an error (h2 does): so an error whose
/// whole text is that of `DeadlineExceeded` counts as one. An `ETIMEDOUT` of the kernel never does.
///
/// ```
/// use std::error::Error;
/// use std::io;
/// use netpoll::{DeadlineExceeded, deadline_in};
///
/// // A library puts the error of the socket into one of its own.
/// let library = io::Error::other(DeadlineExceeded::error());
/// let boxed: Box<dyn Error + Send + Sync> = library.into();
/// assert!(deadline_in(&*boxed));
/// assert!(!deadline_in(&io::Error::from(io::ErrorKind::TimedOut)));
/// ```
#[must_use]
pub fn deadline_in(error: &(dyn Error + 'static)) -> bool {
    contains(error, &DeadlineExceeded)
}

/// Whether `error` means that the socket was closed on this side. It looks as deep as [`deadline_in`].
#[must_use]
pub fn is_closed(error: &io::Error) -> bool {
    contains(error, &Closed)
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

/// How many errors inside one another are looked at. No chain is so long; one whose `source` leads back has no end.
const DEPTH: usize = 128;

/// Whether `error`, or an error inside it, is `wanted`, or has its text.
fn contains<E: Error + 'static>(error: &(dyn Error + 'static), wanted: &E) -> bool {
    let text = wanted.to_string();
    let chain = std::iter::successors(Some(error), |error| inner(*error));
    chain.take(DEPTH).any(|error| error.is::<E>() || reads(error, &text))
}

/// The next error inside. The `source` of an [`io::Error`], an [`Arc`] or a `Box` is not the error in it, but the source
/// of that.
fn inner<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return error.get_ref().map(|inner| inner as _);
    }
    if let Some(shared) = error.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
        return Some(&**shared);
    }
    let shared = error.downcast_ref::<Arc<io::Error>>().map(|shared| &**shared);
    let boxed = || error.downcast_ref::<Box<io::Error>>().map(|boxed| &**boxed);
    shared.or_else(boxed).map_or_else(|| error.source(), |error| Some(error))
}

/// Whether `text` is the whole text of an error.
fn reads(error: &dyn Error, text: &str) -> bool {
    /// The part of the text that the error has not written yet.
    struct Rest<'a>(&'a str);

    impl Write for Rest<'_> {
        fn write_str(&mut self, written: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(written).ok_or(fmt::Error)?;
            Ok(())
        }
    }

    let mut rest = Rest(text);
    write!(rest, "{error}").is_ok() && rest.0.is_empty()
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
