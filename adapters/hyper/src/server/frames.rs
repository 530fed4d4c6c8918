//! Parses the frames of an HTTP/2 peer just far enough to distinguish a body from a ping.

/// The length of the connection preface (RFC 9113, section 3.4), which precedes all frames.
const PREFACE_LEN: usize = 24;

/// The length of a frame's header (RFC 9113, section 4.1): payload length, type, flags, stream.
const HEADER_LEN: usize = 9;

/// The type of DATA frames.
const DATA: u8 = 0;

/// The position in the peer's frames. A read may end anywhere in a frame.
#[derive(Debug)]
pub(super) struct Frames {
    /// The bytes of the preface that have not been read.
    preface_left: usize,
    header: [u8; HEADER_LEN],
    header_filled: usize,
    /// The bytes of the payload, of the frame with `header`, that have not been read.
    payload_left: usize,
}

impl Frames {
    pub(super) fn new() -> Self {
        let header = [0; HEADER_LEN];
        Self { preface_left: PREFACE_LEN, header, header_filled: 0, payload_left: 0 }
    }

    /// Returns whether the peer has sent the whole preface.
    pub(super) fn have_begun(&self) -> bool {
        self.preface_left == 0
    }

    /// Parses the next bytes. Returns whether the payload of a DATA frame is among them.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> bool {
        let mut has_data = false;
        skip(&mut self.preface_left, &mut bytes);
        while let Some((&first, rest)) = bytes.split_first() {
            if self.payload_left > 0 {
                has_data |= self.header[3] == DATA;
                skip(&mut self.payload_left, &mut bytes);
                continue;
            }
            self.header[self.header_filled] = first;
            self.header_filled += 1;
            bytes = rest;
            if self.header_filled == HEADER_LEN {
                let [high, middle, low, ..] = self.header;
                self.payload_left = u32::from_be_bytes([0, high, middle, low]) as usize;
                self.header_filled = 0;
            }
        }
        has_data
    }
}

/// Removes up to `left` bytes from the front of `bytes`, and counts `left` down by them.
fn skip(left: &mut usize, bytes: &mut &[u8]) {
    let count = bytes.len().min(*left);
    *left -= count;
    *bytes = &bytes[count..];
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: &[u8] = b"\x00\x00\x08\x06\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    const DATA_OF_3: &[u8] = b"\x00\x00\x03\x00\x01\x00\x00\x00\x01abc";
    const EMPTY_DATA: &[u8] = b"\x00\x00\x00\x00\x00\x00\x00\x00\x01";

    fn begun() -> Frames {
        let mut frames = Frames::new();
        assert!(!frames.read(&[b'x'; PREFACE_LEN - 1]));
        assert!(!frames.have_begun());
        assert!(!frames.read(b"x"));
        assert!(frames.have_begun());
        frames
    }

    #[test]
    fn only_the_payload_of_a_data_frame_is_data() {
        let mut frames = begun();
        assert!(!frames.read(PING));
        assert!(!frames.read(EMPTY_DATA));
        assert!(frames.read(DATA_OF_3));
        assert!(frames.read(&[PING, DATA_OF_3, PING].concat()));
        assert!(!frames.read(PING));
    }

    #[test]
    fn a_read_may_end_anywhere_in_a_frame() {
        let stream = [PING, EMPTY_DATA, DATA_OF_3, PING].concat();
        let mut frames = begun();
        let data: usize = stream.iter().map(|byte| usize::from(frames.read(&[*byte]))).sum();
        assert_eq!(data, 3);
    }
}
