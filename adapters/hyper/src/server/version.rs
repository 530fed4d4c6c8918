//! Which version of HTTP a connection speaks.

use std::io;

#[cfg(all(feature = "http1", feature = "http2"))]
use netpoll_futures::is_deadline_exceeded;
use netpoll_futures::{Stream, StreamSocket};

use super::watch::Watch;
#[cfg(all(feature = "http1", feature = "http2"))]
use super::watch::{Expiry, Verdict};

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

/// Waits until the peer's first bytes tell its version, and leaves them to be read. `None` if they did not tell
/// it in time.
#[cfg(all(feature = "http1", feature = "http2"))]
pub(super) async fn detect<S: StreamSocket>(
    stream: &Stream<S>,
    watch: &Watch<S>,
) -> io::Result<Option<Version>> {
    loop {
        match stream.registration().readable().await {
            Ok(readiness) => {
                // From a peer that has ended, this is all: HTTP/1 refuses a preface that is cut short.
                let is_all = readiness.ready().intersects(netpoll::Ready::READ_HANGUP);
                let told = look(stream)?.or_else(|| is_all.then_some(Version::Http1));
                match told {
                    Some(version) => return Ok(Some(version)),
                    // The event of the next bytes, or of their end, makes it ready again.
                    None => stream.registration().clear_ready(readiness),
                }
            }
            Err(error) if is_deadline_exceeded(&error) => match watch.read_expired() {
                Expiry::Moved => {}
                Expiry::Foreign => return Err(error),
                Expiry::Passed => match look(stream)? {
                    Some(version) => return Ok(Some(version)),
                    None if watch.judge() == Verdict::Wait => {}
                    None => return Ok(None),
                },
            },
            Err(error) => return Err(error),
        }
    }
}

/// With one version there is nothing to tell.
#[cfg(not(all(feature = "http1", feature = "http2")))]
pub(super) async fn detect<S: StreamSocket>(
    stream: &Stream<S>,
    _: &Watch<S>,
) -> io::Result<Option<Version>> {
    look(stream)
}

/// The version that the bytes tell which have come by now.
#[cfg(all(feature = "http1", feature = "http2"))]
pub(super) fn look<S: StreamSocket>(stream: &Stream<S>) -> io::Result<Option<Version>> {
    let mut heard = [0; PREFACE.len()];
    let peek = |socket: &S| netpoll::socket::peek(socket.as_fd(), &mut heard);
    match stream.registration().while_open(peek) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        count => count.map(|count| version(&heard[..count])),
    }
}

#[cfg(not(all(feature = "http1", feature = "http2")))]
#[expect(clippy::unnecessary_wraps, reason = "with both versions it may fail")]
pub(super) fn look<S: StreamSocket>(_: &Stream<S>) -> io::Result<Option<Version>> {
    #[cfg(feature = "http1")]
    return Ok(Some(Version::Http1));
    #[cfg(feature = "http2")]
    return Ok(Some(Version::Http2));
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
