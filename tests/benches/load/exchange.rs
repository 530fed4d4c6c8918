//! The exchange: a request, and how its answer is known.

use std::io;

use crate::args::Args;

const MESSAGE: usize = 64;
const LARGE_MESSAGE: usize = 16 * 1024;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\n";
const HELLO: &[u8] = b"\r\n\r\nhello, world";

/// A kind of conversation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// A message over TCP, and the same back, byte for byte.
    Echo,
    /// The same with a long message.
    Large,
    /// The same over a Unix stream, and over UDP.
    Unix,
    Udp,
    /// A greeting over HTTP/1: by hyper, by axum, and by hyper over TLS.
    Http,
    Axum,
    Tls,
    /// A mebibyte over QUIC.
    Quic,
}

impl Exchange {
    const FLAGS: [(Self, &'static str); 7] = [
        (Self::Large, "--large"),
        (Self::Unix, "--unix"),
        (Self::Udp, "--udp"),
        (Self::Http, "--http"),
        (Self::Axum, "--axum"),
        (Self::Tls, "--tls"),
        (Self::Quic, "--quic"),
    ];

    pub(crate) fn of(args: &Args) -> Self {
        let wanted = Self::FLAGS.iter().find(|(_, flag)| args.flag(flag));
        wanted.map_or(Self::Echo, |(exchange, _)| *exchange)
    }

    /// The word for it on a command line. An echo has none.
    pub(crate) fn flag(self) -> Option<&'static str> {
        Self::FLAGS.iter().find(|(exchange, _)| *exchange == self).map(|(_, flag)| *flag)
    }

    /// How long a message of an echo is.
    pub(crate) fn message(self) -> usize {
        if self == Self::Large { LARGE_MESSAGE } else { MESSAGE }
    }

    /// What to send; no other request, and no other connection, has the same message.
    pub(super) fn request(self, request: u64, connection: usize) -> Vec<u8> {
        match self {
            Self::Http | Self::Axum | Self::Tls => REQUEST.to_vec(),
            _ => message(self.message(), request, connection),
        }
    }

    /// How long the first answer among these bytes is, if all of it is there and it is right.
    pub(super) fn answer(
        self,
        bytes: &[u8],
        request: u64,
        connection: usize,
    ) -> io::Result<Option<usize>> {
        let wrong = |what| {
            let error = format!("connection {connection}, request {request}: {what}");
            io::Error::new(io::ErrorKind::InvalidData, error)
        };
        let answer = match self {
            Self::Http | Self::Axum | Self::Tls => greeting(bytes),
            _ => echo(bytes, &message(self.message(), request, connection)),
        };
        answer.map_err(wrong)
    }
}

/// A message that no other request and no other connection sends.
fn message(len: usize, request: u64, connection: usize) -> Vec<u8> {
    let mut message = vec![request as u8 ^ connection as u8; len];
    message[..8].copy_from_slice(&request.to_le_bytes());
    message[8..16].copy_from_slice(&(connection as u64).to_le_bytes());
    message
}

/// Bytes are compared as they come, also those of an echo that is not complete.
fn echo(bytes: &[u8], message: &[u8]) -> Result<Option<usize>, String> {
    let len = bytes.len().min(message.len());
    if bytes[..len] != message[..len] {
        let at = bytes.iter().zip(message).take_while(|(byte, right)| byte == right).count();
        return Err(format!(
            "a wrong byte at {at}: {:#04x} and not {:#04x}",
            bytes[at], message[at]
        ));
    }
    Ok((len == message.len()).then_some(len))
}

fn greeting(bytes: &[u8]) -> Result<Option<usize>, String> {
    let head = bytes.len().min(OK.len());
    if bytes[..head] != OK[..head] {
        return Err(format!("not a greeting: {}", bytes.escape_ascii()));
    }
    let end = bytes.windows(HELLO.len()).position(|end| end == HELLO);
    Ok(end.map(|start| start + HELLO.len()))
}
