//! Which version of HTTP a connection speaks.

use std::io;

use netpoll_futures::{Stream, StreamSocket};

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Version {
    /// HTTP/1.0 and HTTP/1.1.
    #[cfg(feature = "http1")]
    Http1,
    /// HTTP/2 without TLS, with prior knowledge.
    #[cfg(feature = "http2")]
    Http2,
}

/// The version that the peer speaks: told by what it sends first, which is left to be read.
#[cfg(all(feature = "http1", feature = "http2"))]
pub(super) async fn told_by<S: StreamSocket>(stream: &Stream<S>) -> io::Result<Version> {
    let mut heard = [0; PREFACE.len()];
    loop {
        let readiness = stream.registration().readable().await?;
        let peek = |socket: &S| netpoll::socket::peek(socket.as_fd(), &mut heard);
        let count = match stream.registration().while_open(peek) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            heard => Some(heard?),
        };
        // Of who says no more, this is all: a preface that is cut short is for HTTP/1 to refuse.
        let is_all = readiness.ready().intersects(netpoll::Ready::READ_HANGUP);
        let told = count.and_then(|count| {
            version(&heard[..count]).or_else(|| is_all.then_some(Version::Http1))
        });
        match told {
            Some(version) => return Ok(version),
            // What may be either is waited with, for the event of the next bytes, or of their end.
            None => stream.registration().clear_ready(readiness),
        }
    }
}

/// There is only one.
#[cfg(not(all(feature = "http1", feature = "http2")))]
pub(super) async fn told_by<S: StreamSocket>(_: &Stream<S>) -> io::Result<Version> {
    #[cfg(feature = "http1")]
    return Ok(Version::Http1);
    #[cfg(feature = "http2")]
    return Ok(Version::Http2);
}

/// What a connection of HTTP/2 begins with (RFC 9113, section 3.4).
#[cfg(all(feature = "http1", feature = "http2"))]
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// `None` if it may be either. The end of the stream, where nothing is heard, is HTTP/1's to deal with.
#[cfg(all(feature = "http1", feature = "http2"))]
fn version(heard: &[u8]) -> Option<Version> {
    if heard == PREFACE {
        return Some(Version::Http2);
    }
    (heard.is_empty() || !PREFACE.starts_with(heard)).then_some(Version::Http1)
}

#[cfg(test)]
#[cfg(all(feature = "http1", feature = "http2"))]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_told_as_soon_as_it_can_be() {
        assert_eq!(version(b""), Some(Version::Http1));
        assert_eq!(version(b"P"), None);
        assert_eq!(version(b"PO"), Some(Version::Http1));
        assert_eq!(version(&PREFACE[..23]), None);
        assert_eq!(version(PREFACE), Some(Version::Http2));
        assert_eq!(version(b"GET / HTTP/1.1\r\n\r\n123456"), Some(Version::Http1));
    }
}
