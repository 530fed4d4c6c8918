//! The peers of a behaviour: the parts that several have in common.

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

/// Sends each byte back, until the stream fails or ends.
pub(super) async fn echo(stream: Arc<impl Stream>) {
    let mut buffer = [0; CHUNK];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// Reads until the stream fails or ends, and drops the bytes.
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

/// Clears the deadlines, and reads the bytes that a peer that echoes still has, to the mark that we send
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

/// Connects to a listener, and sends its own number.
pub(super) async fn call<T: super::Listening>(
    stage: &Stage,
    listener: &T::Listener,
    who: u8,
) -> io::Result<Arc<T::Stream>> {
    let stream = stage.share(T::connect(stage, listener, None).await?);
    stream.write_all(&[who]).await?;
    Ok(stream)
}

/// The number that a client has sent.
pub(super) async fn caller(accepted: &impl Stream) -> io::Result<u8> {
    read_exactly(accepted, 1).await.map(|who| who[0])
}

/// Accepts until it is this client. Clients before it must have ended without a byte.
pub(super) async fn accept_from<L: super::Listener>(
    listener: &L,
    expected: u8,
) -> io::Result<L::Stream> {
    loop {
        let stream = listener.accept().await?;
        let mut who = [0];
        match stream.read(&mut who).await {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            read => {
                assert_eq!((read?, who), (1, [expected]));
                return Ok(stream);
            }
        }
    }
}

/// Writes until nothing more fits, and returns how much did. A new stream is not known to have room
/// before something was written to it.
pub(super) async fn fill_up(stream: &impl Stream) -> io::Result<usize> {
    stream.write_all(&[0x5a]).await?;
    Ok(1 + fill(stream).await?)
}

/// Has a task read once where there is nothing, and returns when it waits.
pub(super) async fn pending_read(
    stage: &Stage,
    stream: &Arc<impl Stream>,
) -> super::Task<io::Result<usize>> {
    let (tell, waits) = futures::channel::oneshot::channel();
    let stream = stream.clone();
    let task = stage.spawn(async move {
        let mut buffer = [0; CHUNK];
        let mut read = pin!(stream.read(&mut buffer));
        assert!(poll!(read.as_mut()).is_pending(), "there is nothing to read");
        tell.send(()).expect("we wait for it");
        read.await
    });
    waits.await.expect("it comes to wait");
    task
}

/// Has a task write until that fails, and returns when it waits for room, or for its turn.
pub(super) async fn pending_write(
    stage: &Stage,
    stream: &Arc<impl Stream>,
) -> super::Task<io::Result<()>> {
    let (tell, waits) = futures::channel::oneshot::channel();
    let task = stage.spawn(write_on(stream.clone(), tell));
    waits.await.expect("it comes to wait");
    task
}

/// Writes until that fails, and tells when it has to wait for the first time. It may have to do so
/// more than once: the system finds more room than there was, and makes some in passing.
async fn write_on(
    stream: Arc<impl Stream>,
    tell: futures::channel::oneshot::Sender<()>,
) -> io::Result<()> {
    let mut tell = Some(tell);
    loop {
        let mut write = pin!(stream.write(&[0x5a; CHUNK]));
        if poll!(write.as_mut())?.is_pending() {
            tell.take().map_or(Ok(()), |tell| tell.send(())).expect("it is waited for");
            write.await?;
        }
    }
}

/// Writes on from where `written` bytes of a pattern have been, until its deadline passes, and
/// returns how many have been then. While the peer does not read, it is a write that waits.
pub(super) async fn write_to_the_deadline(
    stream: &impl Stream,
    mut written: usize,
) -> io::Result<usize> {
    const BLOCK: usize = 64 * CHUNK;
    let block = pattern(BLOCK + 251);
    loop {
        match stream.write(&block[written % 251..][..BLOCK]).await {
            Ok(count) => written += count,
            Err(error) if netpoll::is_deadline_exceeded(&error) => return Ok(written),
            Err(error) => return Err(error),
        }
    }
}

/// Waits until a waker has been woken.
pub(super) async fn woken(stage: &Stage, waker: &crate::CountingWaker) -> io::Result<()> {
    while waker.wakes() == 0 {
        stage.sleep(std::time::Duration::from_micros(200)).await?;
    }
    Ok(())
}

/// A pattern that is longer than all that the buffers of two ends hold.
pub(super) fn more_than_fits() -> Vec<u8> {
    // Put together from pieces that go on where the one before ends: that is much faster.
    pattern(251 * 1024).repeat(64)
}

/// Whether these are the first bytes of the pattern. Quicker than to make as much of it.
pub(super) fn is_pattern(bytes: &[u8]) -> bool {
    let period = pattern(251);
    bytes.chunks(period.len()).all(|chunk| chunk == &period[..chunk.len()])
}
