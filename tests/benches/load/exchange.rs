//! The exchange: a request, and how its answer is known.

use std::io;

/// How long a message is.
pub(crate) const MESSAGE: usize = 64;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\n";
const HELLO: &[u8] = b"\r\n\r\nhello, world";

/// A kind of conversation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// A message, and the same back, byte for byte.
    Echo,
    /// A greeting over HTTP/1.
    Http,
}

impl Exchange {
    /// What to send; no other request, and no other connection, has the same message.
    pub(super) fn request(self, request: u64, connection: usize) -> ([u8; MESSAGE], usize) {
        match self {
            Self::Echo => (message(request, connection), MESSAGE),
            Self::Http => {
                let mut bytes = [0; MESSAGE];
                bytes[..REQUEST.len()].copy_from_slice(REQUEST);
                (bytes, REQUEST.len())
            }
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
        match self {
            Self::Echo => echo(bytes, &message(request, connection)).map_err(wrong),
            Self::Http => greeting(bytes).map_err(wrong),
        }
    }
}

/// A message that no other request and no other connection sends.
fn message(request: u64, connection: usize) -> [u8; MESSAGE] {
    let mut message = [0; MESSAGE];
    message[..8].copy_from_slice(&request.to_le_bytes());
    message[8..16].copy_from_slice(&(connection as u64).to_le_bytes());
    message[16..].fill(request as u8 ^ connection as u8);
    message
}

/// Bytes are compared as they come, also those of an echo that is not complete.
fn echo(bytes: &[u8], message: &[u8; MESSAGE]) -> Result<Option<usize>, String> {
    let wrong = bytes.iter().zip(message).position(|(byte, right)| byte != right);
    match wrong {
        Some(at) => {
            Err(format!("a wrong byte at {at}: {:#04x} and not {:#04x}", bytes[at], message[at]))
        }
        None => Ok((bytes.len() >= MESSAGE).then_some(MESSAGE)),
    }
}

fn greeting(bytes: &[u8]) -> Result<Option<usize>, String> {
    let head = bytes.len().min(OK.len());
    if bytes[..head] != OK[..head] {
        return Err(format!("not a greeting: {}", bytes.escape_ascii()));
    }
    let end = bytes.windows(HELLO.len()).position(|end| end == HELLO);
    Ok(end.map(|start| start + HELLO.len()))
}
