//! An HTTP/2 client by hand, which breaks the rules of libraries: it pings and sends no more, keeps its windows
//! closed, sends half a frame.

use netpoll_futures::TcpStream;

use crate::fixtures::Outcome;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames (RFC 9113, section 6).
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// A frame as it was received.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    pub(crate) fn is_ping(&self) -> bool {
        self.kind == PING && self.flags & ACK == 0
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    let mut frame = vec![len[1], len[2], len[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The preface, and settings that set nothing.
pub(crate) fn hello() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

pub(crate) fn ping() -> Vec<u8> {
    frame(PING, 0, 0, b"are you?")
}

/// The head of a request without a body.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &head(0x82, path))
}

/// The head of a request whose body follows.
pub(crate) fn post(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &head(0x83, path))
}

pub(crate) fn data(stream: u32, bytes: &[u8], is_last: bool) -> Vec<u8> {
    frame(DATA, u8::from(is_last), stream, bytes)
}

/// Opens the windows of the stream and of the connection.
pub(crate) fn windows(stream: u32, bytes: u32) -> Vec<u8> {
    let bytes = bytes.to_be_bytes();
    [frame(WINDOW_UPDATE, 0, stream, &bytes), frame(WINDOW_UPDATE, 0, 0, &bytes)].concat()
}

/// The fields of a head: method from the static table, scheme http, path and authority as literals
/// (RFC 7541, section 6 and appendix A).
fn head(method: u8, path: &str) -> Vec<u8> {
    let mut head = vec![method, 0x86, 0x04];
    head.push(u8::try_from(path.len()).expect("a short path"));
    head.extend_from_slice(path.as_bytes());
    head.extend_from_slice(b"\x01\x09localhost");
    head
}

/// A connection, read frame by frame.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Raw {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// The next frame, or `None` at the end of the connection, however it ends.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            let mut bytes = [0; 16 * 1024];
            match self.stream.read(&mut bytes).await {
                Ok(count @ 1..) => self.buffer.extend_from_slice(&bytes[..count]),
                _ => return None,
            }
        }
    }

    /// The next frame of this type. Pings are answered.
    pub(crate) async fn next_of(&mut self, kind: u8) -> Outcome<Frame> {
        loop {
            let frame = self.next().await.ok_or("the connection has ended")?;
            if frame.kind == kind {
                return Ok(frame);
            }
            if frame.is_ping() {
                self.pong(&frame).await?;
            }
        }
    }

    pub(crate) async fn pong(&mut self, ping: &Frame) -> Outcome {
        Ok(self.stream.write_all(&frame(PING, ACK, 0, &ping.payload)).await?)
    }

    /// Sends a request without a body, and reads its answer.
    pub(crate) async fn fetch(&mut self, stream: u32, path: &str) -> Outcome<Vec<u8>> {
        self.stream.write_all(&get(stream, path)).await?;
        self.answer(stream).await
    }

    /// Reads the answer of a stream to its end.
    pub(crate) async fn answer(&mut self, stream: u32) -> Outcome<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let frame = self.next().await.ok_or("the connection ended before the answer")?;
            if frame.is_ping() {
                self.pong(&frame).await?;
            }
            if frame.stream == stream && frame.kind == DATA {
                body.extend_from_slice(&frame.payload);
            }
            if frame.stream == stream && frame.ends_stream() {
                return Ok(body);
            }
        }
    }

    /// Reads to the end. Returns the types of the frames.
    pub(crate) async fn read_to_the_end(&mut self) -> Vec<u8> {
        let mut kinds = Vec::new();
        while let Some(frame) = self.next().await {
            kinds.push(frame.kind);
        }
        kinds
    }

    fn take(&mut self) -> Option<Frame> {
        let &[high, middle, low, kind, flags, a, b, c, d] = self.buffer.first_chunk()?;
        let len = u32::from_be_bytes([0, high, middle, low]) as usize;
        if self.buffer.len() < 9 + len {
            return None;
        }
        let payload = self.buffer[9..9 + len].to_vec();
        self.buffer.drain(..9 + len);
        Some(Frame { kind, flags, stream: u32::from_be_bytes([a, b, c, d]), payload })
    }
}
