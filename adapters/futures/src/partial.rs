//! The number of bytes that a failed `write_all` had written: the count that Go's `Write` returns with
//! its error.

use std::error::Error;
use std::fmt;
use std::io;

/// A `write_all` that failed midway. It is the payload of an [`io::Error`] of the same kind; see
/// [`bytes_written`].
#[derive(Debug)]
pub struct PartialWrite {
    written: usize,
    source: io::Error,
}

/// The number of bytes that a `write_all` had written before it failed with `error`. Zero for every
/// other error.
///
/// ```
/// # async fn send(stream: &netpoll_futures::TcpStream, message: &[u8]) -> std::io::Result<()> {
/// if let Err(late) = stream.write_all(message).await {
///     let rest = &message[netpoll_futures::bytes_written(&late)..];
///     stream.set_write_deadline(None)?;
///     stream.write_all(rest).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn bytes_written(error: &io::Error) -> usize {
    let partial = error.get_ref().and_then(|payload| payload.downcast_ref::<PartialWrite>());
    partial.map_or(0, |partial| partial.written)
}

/// Wraps an error with the count, unless it is zero.
pub(crate) fn after(written: usize, source: io::Error) -> io::Error {
    match written {
        0 => source,
        _ => io::Error::new(source.kind(), PartialWrite { written, source }),
    }
}

impl fmt::Display for PartialWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, after {} bytes were written", self.source, self.written)
    }
}

impl Error for PartialWrite {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
