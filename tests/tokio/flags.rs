//! Urgent data and errors: `Interest::PRIORITY` and `Interest::ERROR`.

use std::io::{self, ErrorKind, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use netpoll_tests::fixtures::{LOOPBACK, assert_kind, assert_timed_out, in_ms, os, poll_once};
use netpoll_tokio::io::unix::AsyncFd;
use netpoll_tokio::io::{Interest, Ready};

use crate::fixtures::everywhere;

/// More calls than events account for, and a small part of the calls of a loop without end.
const FEW: usize = 30;

/// A connection of which the one end is registered.
fn connected(interest: Interest) -> io::Result<(AsyncFd<TcpStream>, TcpStream)> {
    let listener = TcpListener::bind(LOOPBACK)?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    near.set_nonblocking(true)?;
    let (far, _) = listener.accept()?;
    far.set_nodelay(true)?;
    Ok((AsyncFd::with_interest(near, interest)?, far))
}

/// A socket with an error queue, connected to a port at which no socket is bound: each datagram that it sends
/// puts an error into the queue.
fn refused(interest: Interest) -> io::Result<AsyncFd<UdpSocket>> {
    let gone = UdpSocket::bind(LOOPBACK)?;
    let socket = UdpSocket::bind(LOOPBACK)?;
    os::queue_errors(&socket)?;
    socket.set_nonblocking(true)?;
    socket.connect(gone.local_addr()?)?;
    AsyncFd::with_interest(socket, interest)
}

/// Takes the error of the socket itself, which is reported once, and all of the queue.
fn take_errors(socket: &UdpSocket) -> io::Result<()> {
    socket.take_error()?;
    while os::receive_error(socket).is_ok() {}
    Ok(())
}

#[test]
fn urgent_data_ends_a_wait_for_it_and_ordinary_data_does_not() {
    everywhere(|| async {
        let (near, mut far) = connected(Interest::PRIORITY)?;
        {
            let mut urgent = pin!(near.ready(Interest::PRIORITY));
            assert!(poll_once(urgent.as_mut()).is_pending());
            far.write_all(b"x")?;
            near.readable().await?.retain_ready();
            assert!(poll_once(urgent.as_mut()).is_pending(), "ordinary data is not urgent");
            os::send_urgent(&far, b'!');
            let mut guard = urgent.await?;
            assert_eq!(guard.ready(), Ready::PRIORITY);
            os::receive_urgent(near.get_ref())?;
            guard.clear_ready();
            assert!(guard.ready().is_empty());
        }
        let mut urgent = pin!(near.ready(Interest::PRIORITY));
        assert!(poll_once(urgent.as_mut()).is_pending(), "it was received");
        os::send_urgent(&far, b'!');
        assert_eq!(urgent.await?.ready(), Ready::PRIORITY);
        Ok(())
    });
}

#[test]
fn clearing_readable_keeps_urgent_data() {
    everywhere(|| async {
        let (near, far) = connected(Interest::READABLE | Interest::PRIORITY)?;
        os::send_urgent(&far, b'!');
        near.readable().await?.clear_ready();
        near.async_io(Interest::PRIORITY, os::receive_urgent).await
    });
}

/// Readiness that a guard has cleared counts again after an event, and not before, though the kernel goes on flagging it.
#[test]
fn a_guard_clears_urgent_data_and_errors() {
    everywhere(|| async {
        let (near, far) = connected(Interest::PRIORITY)?;
        os::send_urgent(&far, b'!');
        near.ready(Interest::PRIORITY).await?.clear_ready();
        // The kernel may report one byte more than once, and flags it before it reports it.
        let mut next = Box::pin(near.ready(Interest::PRIORITY));
        for events in 0.. {
            match poll_once(next.as_mut()) {
                Poll::Ready(guard) => guard?.clear_ready(),
                Poll::Pending => break,
            }
            assert!(events < FEW, "it was cleared");
            next = Box::pin(near.ready(Interest::PRIORITY));
        }
        os::send_urgent(&far, b'!');
        assert_eq!(next.await?.ready(), Ready::PRIORITY);
        Ok(())
    });
}

#[test]
fn the_peers_end_ends_a_wait_for_urgent_data() {
    everywhere(|| async {
        let (near, far) = connected(Interest::PRIORITY)?;
        let mut wait = pin!(near.ready(Interest::PRIORITY));
        assert!(poll_once(wait.as_mut()).is_pending());
        drop(far);
        assert_eq!(wait.await?.ready(), Ready::READ_CLOSED);
        Ok(())
    });
}

#[test]
fn a_message_in_the_error_queue_ends_a_wait_for_errors() {
    everywhere(|| async {
        for interest in
            [Interest::ERROR, Interest::READABLE | Interest::WRITABLE, Interest::WRITABLE]
        {
            let socket = refused(interest)?;
            for _ in 0..2 {
                let mut error = pin!(socket.ready(Interest::ERROR));
                assert!(poll_once(error.as_mut()).is_pending(), "{interest:?}");
                socket.get_ref().send(b"to a closed port")?;
                let mut guard = error.await?;
                assert_eq!(guard.ready(), Ready::ERROR);
                take_errors(socket.get_ref())?;
                let again = guard.try_io(|socket| os::receive_error(socket.get_ref()));
                assert!(again.is_err(), "the queue is empty");
            }
            socket.get_ref().send(b"to a closed port")?;
            socket.async_io(Interest::ERROR, os::receive_error).await?;
        }
        Ok(())
    });
}

/// The error of the socket itself is flagged until it is taken, and is not in the queue.
#[test]
fn an_operation_that_finds_no_error_waits_for_the_next() {
    everywhere(|| async {
        let mut socket = refused(Interest::ERROR)?;
        socket.get_ref().send(b"to a closed port")?;
        socket.ready(Interest::ERROR).await?.retain_ready();
        while os::receive_error(socket.get_ref()).is_ok() {}
        socket.set_read_deadline(in_ms(100))?;
        let calls = AtomicUsize::new(0);
        let blocked = || {
            calls.fetch_add(1, Ordering::Relaxed);
            io::Result::<()>::Err(ErrorKind::WouldBlock.into())
        };
        assert_timed_out(socket.async_io(Interest::ERROR, |_| blocked()).await);
        socket.set_read_deadline(in_ms(100))?;
        assert_timed_out(socket.async_io_mut(Interest::ERROR, |_| blocked()).await);
        assert!(calls.into_inner() < FEW);
        Ok(())
    });
}

#[test]
fn urgent_data_is_not_waited_for_where_it_is_not_asked_for() {
    everywhere(|| async {
        let (near, _far) = connected(Interest::WRITABLE)?;
        assert_kind(near.ready(Interest::PRIORITY).await, ErrorKind::InvalidInput);
        Ok(())
    });
}
