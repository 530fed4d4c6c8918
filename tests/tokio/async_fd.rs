//! Any descriptor, and its guards.

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, ErrorKind, PipeReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use netpoll_tests::CountingWaker;
use netpoll_tests::fixtures::{
    assert_closed, assert_kind, assert_timed_out, in_ms, os, past, poll_once,
};
use netpoll_tokio::io::unix::AsyncFd;
use netpoll_tokio::io::{Interest, Ready};
use tokio::sync::Barrier;

use crate::fixtures::{everywhere, on_many_threads, on_one_thread};

/// A stream that is registered, and its peer. The event of room to write has been reported: the next bytes
/// are an event of their own, and one only. Otherwise both may be reported twice, and an earlier
/// guard has seen is then not the last of it.
async fn registered() -> io::Result<(AsyncFd<UnixStream>, UnixStream)> {
    let (near, far) = UnixStream::pair()?;
    near.set_nonblocking(true)?;
    let near = AsyncFd::new(near)?;
    near.writable().await?.retain_ready();
    Ok((near, far))
}

fn receive(stream: &AsyncFd<UnixStream>) -> io::Result<usize> {
    stream.get_ref().read(&mut [0; 8])
}

#[test]
fn a_guard_clears_readiness_after_would_block() {
    everywhere(|| async {
        let (near, mut far) = registered().await?;
        far.write_all(b"hello")?;
        let mut guard = near.readable().await?;
        assert!(guard.ready().is_readable() && !guard.ready().is_writable());
        assert_eq!(guard.try_io(receive).expect("it is there")?, 5);
        let error = guard.try_io(receive).expect_err("there is no more");
        assert_eq!(error.to_string(), "the descriptor is not ready");
        assert_eq!(guard.ready(), Ready::EMPTY);
        {
            let mut next = pin!(near.readable());
            assert!(poll_once(next.as_mut()).is_pending(), "it was cleared");
            far.write_all(b"more")?;
            assert_eq!(next.await?.try_io(receive).expect("it is there")?, 4);
        }
        Ok(())
    });
}

/// An error of the operation is its result, and clears nothing.
#[test]
fn other_errors_are_the_callers() {
    everywhere(|| async {
        let (near, mut far) = registered().await?;
        far.write_all(b"x")?;
        let mut guard = near.readable().await?;
        let failed = guard.try_io(|_| io::Result::<()>::Err(ErrorKind::InvalidData.into()));
        assert_kind(failed.expect("not for want of readiness"), ErrorKind::InvalidData);
        assert!(guard.ready().is_readable());
        assert_eq!(guard.get_inner().as_raw_fd(), guard.get_ref().as_raw_fd());
        Ok(())
    });
}

#[test]
fn readiness_is_kept_unless_it_is_cleared() {
    everywhere(|| async {
        let (near, mut far) = registered().await?;
        far.write_all(b"x")?;
        for _ in 0..3 {
            near.readable().await?.retain_ready();
        }
        assert_eq!(receive(&near)?, 1);
        let mut guard = near.readable().await?;
        guard.clear_ready();
        drop(guard);
        let mut next = pin!(near.readable());
        assert!(poll_once(next.as_mut()).is_pending());
        Ok(())
    });
}

/// An event that came after the guard is not cleared with it.
#[test]
fn a_guard_clears_only_the_readiness_it_has_seen() {
    everywhere(|| async {
        let (near, mut far) = registered().await?;
        far.write_all(b"x")?;
        let mut guard = near.readable().await?;
        assert_eq!(receive(&near)?, 1);
        let waker = CountingWaker::new();
        let mut cleared = near.readable().await?;
        cleared.clear_ready();
        {
            let mut next = pin!(near.readable());
            assert!(waker.poll(next.as_mut()).is_pending());
            far.write_all(b"y")?;
            next.await?.retain_ready();
        }
        guard.clear_ready();
        near.readable().await?.retain_ready();
        assert_eq!(receive(&near)?, 1);
        Ok(())
    });
}

/// An event ends every wait that had begun, as in tokio: also one that is polled only after another task has
/// cleared the readiness. Nothing is left then, and the guard says so.
#[test]
fn an_event_ends_every_wait_though_another_clears_it() {
    everywhere(|| async {
        let (near, mut far) = registered().await?;
        let wakers = [(); 3].map(|()| CountingWaker::new());
        let mut waits = [(); 3].map(|()| Box::pin(near.readable()));
        for (waker, wait) in wakers.iter().zip(&mut waits) {
            assert!(waker.poll(wait.as_mut()).is_pending());
        }
        far.write_all(b"x")?;
        let [first, others @ ..] = &mut waits;
        first.as_mut().await?.clear_ready();
        for wait in others {
            let Poll::Ready(guard) = poll_once(wait.as_mut()) else {
                panic!("the event came while it waited");
            };
            let mut guard = guard?;
            assert!(guard.ready().is_empty());
            guard.clear_ready();
        }
        assert!(poll_once(pin!(near.readable())).is_pending(), "no event came since it began");
        assert_eq!(receive(&near)?, 1);
        Ok(())
    });
}

/// Ten tasks that each clear their readiness, one after the other, on threads that take turns with
/// the reactor's in any order.
#[test]
fn tasks_that_clear_readiness_others_wait_for_all_end() {
    async fn rounds() -> io::Result<()> {
        for _ in 0..ROUNDS {
            let (near, mut far) = registered().await?;
            let near = Arc::new(near);
            let waiting = Arc::new(Barrier::new(TASKS + 1));
            let tasks: Vec<_> = (0..TASKS)
                .map(|_| tokio::spawn(wait_and_clear(near.clone(), waiting.clone())))
                .collect();
            waiting.wait().await;
            far.write_all(b"x")?;
            for task in tasks {
                task.await??;
            }
        }
        Ok(())
    }

    async fn wait_and_clear(
        near: Arc<AsyncFd<UnixStream>>,
        waiting: Arc<Barrier>,
    ) -> io::Result<()> {
        let mut wait = pin!(near.readable());
        assert!(poll_once(wait.as_mut()).is_pending());
        waiting.wait().await;
        let mut guard = wait.await?;
        tokio::task::yield_now().await;
        guard.clear_ready();
        Ok(())
    }

    const ROUNDS: usize = 100;
    const TASKS: usize = 10;
    on_one_thread(rounds);
    on_many_threads(rounds);
}

#[test]
fn a_guard_of_both_directions_clears_each() {
    everywhere(|| async {
        let (near, mut far) = registered().await?;
        far.write_all(b"x")?;
        near.readable().await?.retain_ready();
        near.writable().await?.retain_ready();
        let mut guard = near.ready(Interest::READABLE | Interest::WRITABLE).await?;
        assert_eq!(guard.ready(), Ready::READABLE | Ready::WRITABLE);
        guard.clear_ready_matching(Ready::READABLE);
        assert_eq!(guard.ready(), Ready::WRITABLE);
        let mut read = pin!(near.readable());
        assert!(poll_once(read.as_mut()).is_pending());
        assert!(near.writable().await?.ready().is_writable());
        guard.clear_ready();
        assert!(guard.ready().is_empty());
        let mut write = pin!(near.writable());
        assert!(poll_once(write.as_mut()).is_pending());
        Ok(())
    });
}

#[test]
fn the_end_is_readable() {
    everywhere(|| async {
        let (near, far) = registered().await?;
        drop(far);
        let mut guard = near.readable().await?;
        while !guard.ready().is_read_closed() {
            guard.clear_ready();
            guard = near.readable().await?;
        }
        assert_eq!(guard.try_io(receive).expect("the end is there")?, 0);
        Ok(())
    });
}

#[test]
fn operations_wait_and_try() {
    everywhere(|| async {
        let (near, mut far) = registered().await?;
        let read = |mut stream: &UnixStream| stream.read(&mut [0; 8]);
        assert_kind(near.try_io(Interest::READABLE, read), ErrorKind::WouldBlock);
        {
            let mut io = pin!(near.async_io(Interest::READABLE, read));
            assert!(poll_once(io.as_mut()).is_pending());
            far.write_all(b"hello")?;
            assert_eq!(io.await?, 5);
        }
        let write = |mut stream: &UnixStream| stream.write(b"back");
        assert_eq!(near.async_io(Interest::WRITABLE, write).await?, 4);
        let mut guard = poll_fn(|cx| near.poll_write_ready(cx)).await?;
        guard.retain_ready();
        let mut buffer = [0; 4];
        far.read_exact(&mut buffer)?;
        assert_eq!(&buffer, b"back");
        Ok(())
    });
}

#[test]
fn a_pipe_has_one_direction() {
    everywhere(|| async {
        let (receiver, mut sender) = io::pipe()?;
        os::set_nonblocking(&receiver);
        let receiver = AsyncFd::with_interest(receiver, Interest::READABLE)?;
        assert_kind(receiver.writable().await, ErrorKind::InvalidInput);
        {
            let mut wait = pin!(receiver.readable());
            assert!(poll_once(wait.as_mut()).is_pending());
            sender.write_all(b"hello")?;
            let read = |pipe: &AsyncFd<PipeReader>| pipe.get_ref().read(&mut [0; 8]);
            assert_eq!(wait.await?.try_io(read).expect("it is there")?, 5);
        }
        drop(sender);
        let read = |mut pipe: &PipeReader| pipe.read(&mut [0; 8]);
        assert_eq!(receiver.async_io(Interest::READABLE, read).await?, 0);
        Ok(())
    });
}

#[test]
fn a_descriptor_that_epoll_refuses_is_given_back() {
    everywhere(|| async {
        let file = File::open("/proc/self/exe")?;
        let number = file.as_raw_fd();
        let error = AsyncFd::try_new(file).expect_err("epoll takes no files");
        let (file, cause) = error.into_parts();
        assert_kind(io::Result::<()>::Err(cause), ErrorKind::PermissionDenied);
        assert_eq!(file.as_raw_fd(), number);
        assert_kind(AsyncFd::new(file), ErrorKind::PermissionDenied);
        Ok(())
    });
}

#[test]
fn a_descriptor_that_is_registered_is_not_registered_again() {
    everywhere(|| async {
        let (near, mut far) = registered().await?;
        let again = AsyncFd::try_with_interest(near.as_fd(), Interest::READABLE);
        assert_kind(again.map_err(Into::into), ErrorKind::AlreadyExists);
        far.write_all(b"x")?;
        near.readable().await?.retain_ready();
        let stream = near.into_inner();
        let near = AsyncFd::try_new(stream)?;
        near.readable().await?.retain_ready();
        assert_eq!(receive(&near)?, 1);
        Ok(())
    });
}

/// An object that is known by the number of its descriptor alone.
#[derive(Debug)]
struct Numbered(Option<UnixStream>);

impl AsRawFd for Numbered {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_ref().map_or(-1, UnixStream::as_raw_fd)
    }
}

#[test]
#[allow(unsafe_code)]
fn an_object_is_registered_by_the_number_of_its_descriptor() {
    everywhere(|| async {
        let (near, mut far) = UnixStream::pair()?;
        near.set_nonblocking(true)?;
        let near = Numbered(Some(near));
        // SAFETY: the object keeps its stream.
        let near = unsafe { AsyncFd::register_with_interest(near, Interest::READABLE) }?;
        far.write_all(b"x")?;
        near.readable().await?.retain_ready();
        assert_kind(near.writable().await, ErrorKind::InvalidInput);
        let near = near.into_inner();
        // SAFETY: as above.
        let near = unsafe { AsyncFd::register(near) }?;
        near.writable().await?.retain_ready();
        let mut stream = near.get_ref().0.as_ref().expect("it has one");
        near.readable().await?.retain_ready();
        assert_eq!(stream.read(&mut [0; 8])?, 1);

        // SAFETY: there is no descriptor, which is an error.
        let error = unsafe { AsyncFd::register(Numbered(None)) }.expect_err("-1 is no descriptor");
        let (object, cause) = error.into_parts();
        assert!(object.0.is_none());
        assert_eq!(cause.raw_os_error(), Some(libc::EBADF));
        Ok(())
    });
}

#[test]
fn it_has_deadlines() {
    everywhere(|| async {
        let (near, mut far) = registered().await?;
        near.set_read_deadline(in_ms(10))?;
        assert_timed_out(near.readable().await);
        assert_timed_out(near.ready(Interest::READABLE | Interest::WRITABLE).await);
        near.writable().await?.retain_ready();
        near.set_write_deadline(past())?;
        assert_timed_out(near.writable().await);
        near.set_deadline(None)?;
        far.write_all(b"x")?;
        near.readable().await?.retain_ready();
        assert_eq!(receive(&near)?, 1);
        Ok(())
    });
}

#[test]
fn it_closes() {
    everywhere(|| async {
        let (near, mut far) = registered().await?;
        {
            let mut wait = pin!(near.readable());
            assert!(poll_once(wait.as_mut()).is_pending());
            near.close().await?;
            assert_closed(wait.await);
        }
        assert_closed(near.close().await);
        assert_closed(near.async_io(Interest::READABLE, |_| Ok(())).await);
        assert_eq!(far.read(&mut [0])?, 0);
        Ok(())
    });
}

/// By `&mut`, for an object that operations change: here `Read` and `Write` of the stream itself.
#[test]
fn its_only_owner_may_change_it() {
    everywhere(|| async {
        let (mut near, mut far) = registered().await?;
        far.write_all(b"hello")?;
        let mut guard = near.readable_mut().await?;
        assert!(guard.ready().is_readable());
        let read = |near: &mut AsyncFd<UnixStream>| near.get_mut().read(&mut [0; 8]);
        assert_eq!(guard.try_io(read).expect("it is there")?, 5);
        assert!(guard.try_io(read).is_err(), "there is no more");
        assert!(guard.ready().is_empty());
        assert_eq!(guard.get_inner_mut().as_raw_fd(), guard.get_ref().as_raw_fd());
        let read = |stream: &mut UnixStream| stream.read(&mut [0; 8]);
        assert_kind(near.try_io_mut(Interest::READABLE, read), ErrorKind::WouldBlock);
        {
            let mut io = pin!(near.async_io_mut(Interest::READABLE, read));
            assert!(poll_once(io.as_mut()).is_pending());
            far.write_all(b"more")?;
            assert_eq!(io.await?, 4);
        }
        near.readable_mut().await?.clear_ready();
        {
            let mut next = pin!(near.readable_mut());
            assert!(poll_once(next.as_mut()).is_pending());
            far.write_all(b"x")?;
            next.await?.retain_ready();
        }
        poll_fn(|cx| near.poll_read_ready_mut(cx).map_ok(drop)).await?;
        poll_fn(|cx| near.poll_write_ready_mut(cx).map_ok(drop)).await?;
        assert_eq!(near.try_io_mut(Interest::READABLE | Interest::WRITABLE, read)?, 1);
        let mut guard = near.writable_mut().await?;
        guard.clear_ready_matching(Ready::READABLE);
        assert!(guard.ready().is_writable());
        guard.get_mut().set_write_deadline(past())?;
        assert_timed_out(near.writable_mut().await);
        Ok(())
    });
}
