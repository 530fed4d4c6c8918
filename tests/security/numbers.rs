//! The number of a descriptor stands for no other object while a call may still use it, nor while a caller can ask
//! for it: every call holds a reference to the descriptor (`reactor/src/fd_mutex.rs`), the last one closes
//! it (loom: `fd_mutex`), and the number itself is free only
//! when the registration goes, which a call has borrowed.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::pin::pin;
use std::sync::mpsc::channel;
use std::thread;

use netpoll::{Direction, Registration};
use netpoll_tests::{CountingWaker, watched};

fn connection() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    near.set_nonblocking(true)?;
    Ok((near, listener.accept()?.0))
}

/// Makes descriptors, which have the lowest numbers that are free.
#[track_caller]
fn assert_not_free(number: RawFd) {
    let others: Vec<_> = (0..64).map(|_| io::pipe().expect("a pipe")).collect();
    for (reader, writer) in &others {
        assert!(![reader.as_raw_fd(), writer.as_raw_fd()].contains(&number), "it is reused");
    }
}

#[test]
fn no_number_is_reused_under_a_running_call() {
    watched(|| {
        let (near, mut far) = connection().expect("a connection");
        let near = Registration::new(near).expect("registered");
        let number = near.as_fd().as_raw_fd();
        let waker = CountingWaker::new();
        let mut closing = pin!(near.close());
        thread::scope(|scope| {
            let ((enter, entered), (leave, left)) = (channel(), channel::<()>());
            let near = &near;
            near.assume_ready(Direction::Write);
            let call = scope.spawn(move || {
                near.try_io(Direction::Write, |mut socket| {
                    enter.send(()).expect("it waits");
                    left.recv().expect("it is told");
                    socket.write(b"mine")
                })
            });
            entered.recv().expect("it is inside");
            assert!(waker.poll(closing.as_mut()).is_pending());
            assert_not_free(number);
            leave.send(()).expect("it waits");
            assert_eq!(call.join().expect("no panic").expect("its own descriptor"), 4);
        });
        assert!(waker.poll(closing).is_ready());
        let mut said = Vec::new();
        far.read_to_end(&mut said).expect("the end");
        assert_eq!(said, b"mine");
        // Closed, it is still not another's: a borrower of the number reaches nothing.
        assert_not_free(number);
        assert_eq!(near.as_fd().as_raw_fd(), number);
        let stray = near.get_ref().take_error();
        assert!(stray.is_err(), "it stands for no socket");
    });
}
