//! What the streams of a behaviour do: the parts that several have in common.

use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;

use futures::poll;
use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};

use super::{Stage, Stream};

const CHUNK: usize = 1024;

/// Reads to the end.
pub(super) async fn read_to_end(stream: &impl Stream) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut buffer = vec![0; 16 * CHUNK];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(all),
            count => all.extend_from_slice(&buffer[..count]),
        }
    }
}

/// Fills a buffer. False at the end of the stream, if that comes where a buffer would begin.
pub(super) async fn read_full(stream: &impl Stream, buffer: &mut [u8]) -> io::Result<bool> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]).await? {
            0 if filled == 0 => return Ok(false),
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    Ok(true)
}

/// Reads so many bytes and no more.
pub(super) async fn read_exactly(stream: &impl Stream, len: usize) -> io::Result<Vec<u8>> {
    let mut all = vec![0; len];
    match read_full(stream, &mut all).await? {
        true => Ok(all),
        false if len == 0 => Ok(all),
        false => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// Sends back what comes, until the stream fails or ends.
pub(super) async fn echo(stream: Arc<impl Stream>) {
    let mut buffer = [0; CHUNK];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// Reads until the stream fails or ends, and forgets what comes.
pub(super) async fn discard(stream: Arc<impl Stream>) {
    let mut buffer = [0; CHUNK];
    while let Ok(1..) = stream.read(&mut buffer).await {}
}

/// Writes without end, until that fails.
pub(super) async fn send_random(stream: Arc<impl Stream>) {
    let mut random = SmallRng::seed_from_u64(0);
    let mut buffer = [0; CHUNK];
    loop {
        random.fill_bytes(&mut buffer);
        if stream.write_all(&buffer).await.is_err() {
            return;
        }
    }
}

/// Writes until that fails, and returns how much was written before.
pub(super) async fn write_until_it_fails(stream: &impl Stream) -> (usize, io::Error) {
    let mut written = 0;
    loop {
        match stream.write(&[0; CHUNK]).await {
            Ok(count) => written += count,
            Err(error) => return (written, error),
        }
    }
}

/// Writes until that has to wait, and returns how much was written.
pub(super) async fn fill(stream: &impl Stream) -> io::Result<usize> {
    let mut written = 0;
    loop {
        let block = [0x5a; 64 * CHUNK];
        let mut write = pin!(stream.write(&block));
        match poll!(write.as_mut()) {
            std::task::Poll::Ready(count) => written += count?,
            std::task::Poll::Pending => return Ok(written),
        }
    }
}

/// Takes away the deadlines, and sees that a peer that echoes still does.
pub(super) async fn roundtrip(stream: &impl Stream) -> io::Result<()> {
    const GREETING: &[u8] = b"Hello, world!";
    stream.set_deadline(None)?;
    stream.write_all(GREETING).await?;
    assert_eq!(read_exactly(stream, GREETING.len()).await?, GREETING);
    Ok(())
}

/// Takes away the deadlines, and reads what a peer that echoes still has, to the mark that we send
/// now: the only 0xff.
pub(super) async fn resync(stage: &Stage, stream: &Arc<impl Stream>) -> io::Result<()> {
    stream.set_deadline(None)?;
    let mark = {
        let stream = stream.clone();
        stage.spawn(async move { stream.write_all(&[0xff]).await })
    };
    let mut buffer = [0; CHUNK];
    loop {
        let count = stream.read(&mut buffer).await?;
        assert!(count > 0, "the end, before the mark");
        match buffer[..count].iter().position(|byte| *byte == 0xff) {
            Some(at) if at + 1 == count => return mark.await,
            Some(at) => panic!("the mark at {at} of {count} bytes"),
            None => {}
        }
    }
}

/// Bytes among which none is like its neighbours.
pub(super) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251) as u8).collect()
}
