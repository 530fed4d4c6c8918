//! Where the bytes that descriptors came with begin and end, a read stops short, though there is more
//! (`unix(7)`). A reader that took a short read for the last one would wait for an event that has been.

use std::io::{self, IoSliceMut};
use std::os::fd::AsFd;
use std::os::unix::net;
use std::task::Poll;

use futures::AsyncReadExt;
use netpoll_futures::UnixStream;
use netpoll_futures::sys;
use netpoll_tests::fixtures::{poll_once, run};

/// A stream that has been sent `one` with a descriptor and then `two` without, and knows it.
async fn with_a_boundary() -> io::Result<(UnixStream, net::UnixStream)> {
    let (near, far) = net::UnixStream::pair()?;
    let (near, far) = (UnixStream::try_from(near)?, far);
    sys::send_with_fds(far.as_fd(), b"one", &[far.as_fd()])?;
    sys::send(far.as_fd(), b"two")?;
    near.readable().await?;
    Ok((near, far))
}

/// Reads the two pieces. A second read that waits would wait for ever.
async fn read_both<F>(mut read: impl FnMut(UnixStream) -> F) -> io::Result<()>
where
    F: Future<Output = io::Result<Vec<u8>>>,
{
    let (near, far) = with_a_boundary().await?;
    assert_eq!(read(near.clone()).await?, b"one", "the kernel stops here");
    let mut second = Box::pin(read(near));
    match poll_once(second.as_mut()) {
        Poll::Ready(read) => assert_eq!(read?, b"two"),
        Poll::Pending => panic!("it waits, though there is something to read"),
    }
    drop(far);
    Ok(())
}

#[test]
fn read_goes_on_after_it() {
    run(|| {
        read_both(async |near: UnixStream| {
            let mut buffer = [0; 16];
            let count = near.read(&mut buffer).await?;
            Ok(buffer[..count].to_vec())
        })
    });
}

#[test]
fn read_vectored_goes_on_after_it() {
    run(|| {
        read_both(async |near: UnixStream| {
            let (mut first, mut second) = ([0; 2], [0; 16]);
            let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
            let count = near.read_vectored(&mut buffers).await?;
            Ok([&first[..], &second[..]].concat()[..count].to_vec())
        })
    });
}

#[test]
fn try_read_goes_on_after_it() {
    run(|| {
        read_both(async |near: UnixStream| {
            let mut buffer = [0; 16];
            let count = near.try_read(&mut buffer)?;
            Ok(buffer[..count].to_vec())
        })
    });
}

#[test]
fn try_read_vectored_goes_on_after_it() {
    run(|| {
        read_both(async |near: UnixStream| {
            let mut buffer = [0; 16];
            let count = near.try_read_vectored(&mut [IoSliceMut::new(&mut buffer)])?;
            Ok(buffer[..count].to_vec())
        })
    });
}

#[test]
fn the_traits_go_on_after_it() {
    run(|| {
        read_both(async |mut near: UnixStream| {
            let mut buffer = [0; 16];
            let count = AsyncReadExt::read(&mut near, &mut buffer).await?;
            Ok(buffer[..count].to_vec())
        })
    });
}

#[test]
fn the_traits_vectored_go_on_after_it() {
    run(|| {
        read_both(async |mut near: UnixStream| {
            let mut buffer = [0; 16];
            let mut buffers = [IoSliceMut::new(&mut buffer)];
            let count = AsyncReadExt::read_vectored(&mut near, &mut buffers).await?;
            Ok(buffer[..count].to_vec())
        })
    });
}

#[test]
fn recv_with_fds_goes_on_after_it() {
    run(|| {
        read_both(async |near: UnixStream| {
            let mut buffer = [0; 16];
            let mut fds = Vec::new();
            let count = near.recv_with_fds(&mut buffer, &mut fds).await?;
            assert_eq!(fds.len(), usize::from(buffer.starts_with(b"one")));
            Ok(buffer[..count].to_vec())
        })
    });
}
