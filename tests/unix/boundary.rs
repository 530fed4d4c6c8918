//! Where the bytes that descriptors came with begin and end, a read stops short, though there is more
//! (`unix(7)`). A reader that took this short read for the last one would wait for an event that has been. After any other
//! short read there is nothing, and the read that would say so is one system call of three for each message.

use std::future::poll_fn;
use std::io::{self, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net;
use std::task::Poll;

use futures::AsyncReadExt;
use netpoll::Direction;
use netpoll_futures::sys;
use netpoll_futures::{TimeoutStream, Timeouts, UnixStream};
use netpoll_tests::fixtures::{os, poll_once, run, would_block};

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
fn poll_read_goes_on_after_it() {
    run(|| {
        read_both(async |near: UnixStream| {
            let mut buffer = [0; 16];
            let count = poll_fn(|cx| near.poll_read(cx, &mut buffer)).await?;
            Ok(buffer[..count].to_vec())
        })
    });
}

/// The lengths of two reads: safe code does not see the bytes.
#[test]
fn reads_into_uninitialised_memory_go_on_after_it() {
    run(|| async {
        let mut room = [MaybeUninit::uninit(); 16];
        let (near, _far) = with_a_boundary().await?;
        for _ in 0..2 {
            assert_eq!(poll_fn(|cx| near.poll_read_uninit(cx, &mut room)).await?, 3);
        }
        let (near, _far) = with_a_boundary().await?;
        for _ in 0..2 {
            assert_eq!(near.try_read_uninit(&mut room)?, 3);
        }
        Ok(())
    });
}

#[test]
fn read_of_a_timeout_stream_goes_on_after_it() {
    run(|| {
        read_both(async |near: UnixStream| {
            let mut buffer = [0; 16];
            let count = TimeoutStream::new(near, Timeouts::default()).read(&mut buffer).await?;
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

/// A read also stops at the mark of urgent data, and the kernel does not say so with the bytes: the event of the mark does.
#[test]
fn read_goes_on_after_an_urgent_mark() {
    run(|| async {
        let (near, mut far) = net::UnixStream::pair()?;
        let near = UnixStream::try_from(near)?;
        far.write_all(b"one")?;
        os::send_urgent(&far, b'!');
        far.write_all(b"two")?;
        near.readable().await?;
        let mut buffer = [0; 16];
        assert_eq!(near.read(&mut buffer).await?, 3, "the kernel stops here");
        assert_eq!(near.read(&mut buffer).await?, 3);
        assert!(buffer.starts_with(b"two"));
        Ok(())
    });
}

/// Every read that a stream has, into a buffer with more room than there are bytes.
#[test]
fn a_short_read_of_plain_bytes_makes_no_other() {
    run(|| async {
        let (near, mut far) = net::UnixStream::pair()?;
        let near = UnixStream::try_from(near)?;
        let limited = TimeoutStream::new(near.clone(), Timeouts::default());
        let (mut buffer, mut room) = ([0; 16], [MaybeUninit::uninit(); 16]);
        for way in 0..6 {
            far.write_all(b"one")?;
            near.readable().await?;
            let count = match way {
                0 => near.read(&mut buffer).await?,
                1 => near.try_read(&mut buffer)?,
                2 => poll_fn(|cx| near.poll_read(cx, &mut buffer)).await?,
                3 => poll_fn(|cx| near.poll_read_uninit(cx, &mut room)).await?,
                4 => near.try_read_uninit(&mut room)?,
                _ => limited.read(&mut buffer).await?,
            };
            assert_eq!(count, 3);
            let readable = near.registration().try_ready(Direction::Read).map(drop);
            let error = readable.expect_err("a read would be attempted");
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{way}");
        }
        Ok(())
    });
}

/// Where a socket asks for credentials, the kernel ends a read between two senders.
#[test]
fn a_short_read_with_credentials_may_leave_bytes() {
    run(|| async {
        let (near, mut far) = net::UnixStream::pair()?;
        os::set_option(&near, libc::SO_PASSCRED, 1)?;
        let near = UnixStream::try_from(near)?;
        far.write_all(b"one")?;
        near.readable().await?;
        assert_eq!(near.read(&mut [0; 16]).await?, 3);
        let _ = near.registration().try_ready(Direction::Read)?;
        assert!(would_block(&near.try_read(&mut [0; 16])));
        let drained = near.registration().try_ready(Direction::Read).map(drop);
        assert!(would_block(&drained));
        Ok(())
    });
}
