//! Detects the version of HTTP that a connection speaks.

use std::io;

use netpoll::{Direction, Ready};
use netpoll_futures::peer::Expiry;
use netpoll_futures::{Stream, StreamSocket, is_deadline_exceeded};

use super::connection::until_shutdown;
use super::connections::ConnectionGuard;
use super::progress::{Decision, ProgressTracker};
use super::version::Version;

/// Waits until the peer's first bytes determine the version. The bytes stay in the socket. `None` if they did not
/// arrive in time, or before the server shut down.
pub(super) async fn detect_version<S: StreamSocket>(
    stream: &Stream<S>,
    tracker: &ProgressTracker<S>,
    guard: &ConnectionGuard,
) -> io::Result<Option<Version>> {
    match until_shutdown(guard, await_version(stream, tracker)).await {
        Some(version) => version,
        // The server still serves a request that has arrived by now.
        None => peek_version(stream),
    }
}

async fn await_version<S: StreamSocket>(
    stream: &Stream<S>,
    tracker: &ProgressTracker<S>,
) -> io::Result<Option<Version>> {
    loop {
        match stream.registration().ready(Direction::Read).await {
            Ok(readiness) => {
                // After the end of the stream no byte follows: HTTP/1 refuses an incomplete preface.
                let has_ended = readiness.ready().intersects(Ready::READ_HANGUP);
                match peek_version(stream)?.or_else(|| has_ended.then_some(Version::Http1)) {
                    Some(version) => return Ok(Some(version)),
                    // The event of the next bytes, or of the end, makes the stream ready again.
                    None => stream.registration().clear_ready(readiness),
                }
            }
            Err(error) if is_deadline_exceeded(&error) => {
                match tracker.peer.expired(Direction::Read) {
                    Expiry::Moved => {}
                    Expiry::Foreign => return Err(error),
                    Expiry::Passed => match peek_version(stream)? {
                        Some(version) => return Ok(Some(version)),
                        None if tracker.decide() == Decision::Wait => {}
                        None => return Ok(None),
                    },
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// The version that the bytes determine which have arrived by now.
fn peek_version<S: StreamSocket>(stream: &Stream<S>) -> io::Result<Option<Version>> {
    let mut bytes = [0; PREFACE.len()];
    let peek = |socket: &S| netpoll_futures::sys::peek(socket.as_fd(), &mut bytes);
    match stream.registration().while_open(peek) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        count => count.map(|count| version_of(&bytes[..count])),
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
