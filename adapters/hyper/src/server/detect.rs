//! Detects the version of HTTP that a connection speaks.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::io::AsyncRead;

use super::io::ServedIo;
use crate::Version;

/// Reads the peer's first bytes until they determine the version. hyper reads them again.
pub(super) fn poll_version<T: AsyncRead + Unpin>(
    io: &mut ServedIo<T>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Version>> {
    loop {
        let mut bytes = [0; PREFACE.len()];
        let room = &mut bytes[io.prefix.len()..];
        let count = ready!(Pin::new(&mut io.stream).poll_read(cx, room))?.min(room.len());
        io.prefix.extend_from_slice(&room[..count]);
        // After the end of the stream no byte follows: HTTP/1 refuses an incomplete preface.
        let version = version_of(&io.prefix).or_else(|| (count == 0).then_some(Version::Http1));
        if let Some(version) = version {
            return Poll::Ready(Ok(version));
        }
    }
}

/// The first bytes of an HTTP/2 connection (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The version of a connection that begins with `bytes`. `None` if both versions may begin so. A stream that ends
/// without a byte counts as HTTP/1, which handles it.
fn version_of(bytes: &[u8]) -> Option<Version> {
    if bytes == PREFACE {
        return Some(Version::Http2);
    }
    (bytes.is_empty() || !PREFACE.starts_with(bytes)).then_some(Version::Http1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_detected_with_the_first_byte_that_decides() {
        assert_eq!(version_of(b""), Some(Version::Http1));
        assert_eq!(version_of(b"P"), None);
        assert_eq!(version_of(b"PO"), Some(Version::Http1));
        assert_eq!(version_of(&PREFACE[..23]), None);
        assert_eq!(version_of(PREFACE), Some(Version::Http2));
        assert_eq!(version_of(b"GET / HTTP/1.1\r\n\r\n123456"), Some(Version::Http1));
    }
}
