//! The end, of every kind of descriptor.

use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd};
use std::pin::pin;

use netpoll::Direction;
use netpoll_futures::Async;
use netpoll_tests::CountingWaker;
use netpoll_tests::fixtures::any::read_byte;
use netpoll_tests::fixtures::{assert_closed, os, run, wait_for_wakes};

use crate::kinds::{Kind, full, silent};
use crate::pipe::pipe;

#[test]
fn closing_ends_pending_and_later_operations() {
    run(|| async {
        for Kind { name, io, .. } in silent()? {
            let waker = CountingWaker::new();
            let mut read = pin!(io.read_with(read_byte));
            let mut in_line = pin!(io.read_with(read_byte));
            let mut readable = pin!(io.readable());
            assert!(waker.poll(read.as_mut()).is_pending(), "{name}");
            assert!(waker.poll(in_line.as_mut()).is_pending(), "{name}");
            assert!(waker.poll(readable.as_mut()).is_pending(), "{name}");
            io.close().await?;
            assert_eq!(waker.wakes(), 3, "{name}");
            assert_closed(read.await);
            assert_closed(in_line.await);
            assert_closed(readable.await);
            assert_closed(io.read_with(read_byte).await);
            assert_closed(io.write_with(|_| Ok(())).await);
            assert_closed(io.try_io(Direction::Read, |_| Ok(())));
            assert_closed(io.writable().await);
            assert_closed(io.set_deadline(None));
            assert_closed(io.set_read_deadline(None));
            assert_closed(io.set_write_deadline(None));
            assert_closed(io.close().await);
            let left = os::read(io.as_fd(), &mut [0; 16]).expect(name);
            assert_eq!(left, 0, "{name}: all that its number reads is the end");
        }
        Ok(())
    });
}

#[test]
fn a_closed_descriptor_is_not_given_back() {
    run(|| async {
        for Kind { io, .. } in silent()? {
            io.close().await?;
            assert_closed(io.into_inner());
        }
        Ok(())
    });
}

#[test]
fn closing_ends_pending_writes() {
    run(|| async {
        for Kind { name, io, .. } in full().await? {
            let waker = CountingWaker::new();
            let mut write = pin!(io.write_with(|io| os::write(io.as_fd(), &[0; 8])));
            // An eventfd takes a zero.
            if name == "eventfd" {
                continue;
            }
            assert!(waker.poll(write.as_mut()).is_pending(), "{name}");
            io.close().await?;
            wait_for_wakes(&waker, 1);
            assert_closed(write.await);
        }
        Ok(())
    });
}

#[test]
fn the_other_end_finds_the_end_when_closing_resolves() {
    run(|| async {
        let (reader, writer) = pipe()?;
        writer.close().await?;
        let end = reader.try_io(Direction::Read, |io| os::read(io.as_fd(), &mut [0]));
        match end {
            Ok(len) => assert_eq!(len, 0),
            // The reactor has not come to it yet.
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                assert_eq!(os::read(reader.as_fd(), &mut [0])?, 0);
            }
        }
        Ok(())
    });
}

#[test]
fn an_address_is_free_when_closing_resolves() {
    run(|| async {
        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
        let address = listener.get_ref().local_addr()?;
        let taken = Async::<TcpListener>::bind(address);
        netpoll_tests::fixtures::assert_errno(taken, libc::EADDRINUSE);
        listener.close().await?;
        Async::<TcpListener>::bind(address).map(drop)
    });
}

#[test]
fn a_descriptor_given_back_is_no_longer_registered() {
    run(|| async {
        let (one, other) = io::pipe()?;
        let registered = Async::new(one)?;
        let number = registered.as_raw_fd();
        let one = registered.into_inner()?;
        assert_eq!(one.as_raw_fd(), number, "the same descriptor");
        let again = Async::new(one)?;
        drop(other);
        assert_eq!(again.read_with(|io| os::read(io.as_fd(), &mut [0])).await?, 0);
        Ok(())
    });
}
