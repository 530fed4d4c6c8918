//! Connections to a peer that echoes on a thread of its own, without any reactor.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use futures::channel::oneshot;
use netpoll::{Direction, Interest, Reactor, Registration};

/// A reactor with a thread of its own.
pub(crate) fn with_thread() -> Reactor {
    Reactor::builder().build().expect("a reactor with a thread")
}

/// A reactor that only drivers turn.
pub(crate) fn without_thread() -> Reactor {
    Reactor::builder().embedded().build().expect("a reactor without a thread")
}

/// Both kinds.
pub(crate) fn reactors() -> [Reactor; 2] {
    [with_thread(), without_thread()]
}

/// One end of a connection, in the care of a reactor; a thread echoes at the other until it ends.
pub(crate) struct Echo(Registration<TcpStream>);

impl Echo {
    pub(crate) fn new(reactor: &Reactor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let near = TcpStream::connect(listener.local_addr().expect("bound")).expect("a connection");
        let (mut far, _) = listener.accept().expect("the other end");
        thread::spawn(move || {
            let mut byte = [0];
            while far.read(&mut byte).is_ok_and(|count| count == 1) {
                if far.write_all(&byte).is_err() {
                    return;
                }
            }
        });
        near.set_nonblocking(true).expect("non-blocking");
        near.set_nodelay(true).expect("an option");
        Self(Registration::with(reactor, near, Interest::Both).expect("a registration"))
    }

    /// Sends a byte, and waits for it to come back.
    pub(crate) async fn exchange(&self, byte: u8) {
        self.send(byte).await;
        self.receive(byte).await;
    }

    pub(crate) async fn send(&self, byte: u8) {
        let write = |mut socket: &TcpStream| socket.write(&[byte]);
        assert_eq!(self.0.io(Direction::Write, write).await.expect("a write"), 1);
    }

    pub(crate) async fn receive(&self, byte: u8) {
        let mut received = [0];
        let read = self.0.io(Direction::Read, |mut socket| socket.read(&mut received)).await;
        assert_eq!((read.expect("a read"), received), (1, [byte]));
    }

    pub(crate) async fn exchange_often(&self, times: usize) {
        for number in 0..times {
            self.exchange(number as u8).await;
        }
    }
}

/// A future that another thread ends.
pub(crate) fn ended_by_a_thread() -> oneshot::Receiver<u8> {
    let (send, receive) = oneshot::channel();
    thread::spawn(move || {
        // It may have been dropped.
        let _ = send.send(7);
    });
    receive
}

/// A future that wakes itself so many times.
pub(crate) struct Yields(pub(crate) usize);

impl Future for Yields {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
