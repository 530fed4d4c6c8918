//! Sockets on reactors that the test names, and whose turns it makes. Each test runs in a process of its own, in which
//! the global reactor must never be made: not for a connect, its deadline, its pauses or its lookup, and not for a close.

use std::fmt::Debug;
use std::fs;
use std::future::Future;
use std::io::{self, ErrorKind, PipeReader, Read, Write};
use std::net;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net as unix;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use netpoll::Reactor;
use netpoll_futures::{
    Async, Datagram, DatagramSocket, Stream, StreamSocket, TcpListener, TcpStream, UdpSocket,
    UnixDatagram, UnixListener, UnixStream, sys,
};
use netpoll_tests::CountingWaker;
use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::{Folder, LOOPBACK, assert_kind, assert_timed_out, os};

const HOUR: Duration = Duration::from_secs(3600);

/// More than a tick of the wheel.
const TICKS: Duration = Duration::from_millis(1);

/// Runs a test with a reactor that has no thread, and whose clock stands still.
fn alone_with(name: &'static str, test: impl FnOnce(&Reactor) -> io::Result<()> + Send + 'static) {
    alone(name, move || {
        let reactor = embedded();
        assert_eq!(epolls(), 1, "the test's own");
        test(&reactor).expect("no error but those that the test expects");
        assert_eq!(reactor.metrics().registrations, 0, "each socket has ended");
        assert_eq!(epolls(), 1, "the global reactor was made");
    });
}

fn embedded() -> Reactor {
    Reactor::builder().embedded().manual_clock().build().expect("a reactor")
}

/// The reactors of this process, each of which has one epoll.
fn epolls() -> usize {
    let descriptors = fs::read_dir("/proc/self/fd").expect("procfs");
    let is_epoll = |entry: &fs::DirEntry| {
        fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().contains("eventpoll"))
    };
    descriptors.filter_map(Result::ok).filter(is_epoll).count()
}

fn turn(reactor: &Reactor) {
    reactor.turn(Some(Duration::ZERO)).expect("no other thread turns it");
}

/// Runs a future to its end. It is polled again only when it was woken.
fn turning<F: Future>(reactor: &Reactor, future: F) -> F::Output {
    let waker = CountingWaker::new();
    let mut future = pin!(future);
    loop {
        let wakes = waker.wakes();
        if let Poll::Ready(output) = waker.poll(future.as_mut()) {
            return output;
        }
        turn_until_woken(reactor, &waker, wakes);
    }
}

fn turn_until_woken(reactor: &Reactor, waker: &CountingWaker, wakes: usize) {
    while waker.wakes() == wakes {
        turn(reactor);
        thread::yield_now();
    }
}

/// The future waits until its deadline is over on the reactor's clock, and no shorter.
fn assert_late<T: Debug>(
    reactor: &Reactor,
    time: Duration,
    mut future: Pin<&mut impl Future<Output = io::Result<T>>>,
) {
    let waker = CountingWaker::new();
    for before in [Duration::ZERO, time - TICKS] {
        reactor.advance(before);
        turn(reactor);
        assert!(waker.poll(future.as_mut()).is_pending(), "{before:?} of {time:?}");
    }
    let wakes = waker.wakes();
    reactor.advance(2 * TICKS);
    turn_until_woken(reactor, &waker, wakes);
    let Poll::Ready(late) = waker.poll(future) else { panic!("its deadline has passed") };
    assert_timed_out(late);
}

async fn exchange<S: StreamSocket>(one: &Stream<S>, other: &Stream<S>) -> io::Result<()> {
    for (from, to) in [(one, other), (other, one)] {
        from.write_all(b"hello").await?;
        let mut received = [0; 8];
        assert_eq!(to.read(&mut received).await?, 5);
        assert_eq!(&received[..5], b"hello");
    }
    Ok(())
}

async fn send<S: DatagramSocket>(from: &Datagram<S>, to: &Datagram<S>) -> io::Result<()> {
    from.send(b"hello").await?;
    let mut received = [0; 8];
    assert_eq!(to.recv(&mut received).await?, 5);
    Ok(())
}

#[test]
fn tcp_connections() {
    alone_with("named::tcp_connections", |reactor| {
        turning(reactor, async {
            let listener = TcpListener::bind_on(reactor, "localhost:0").await?;
            let address = listener.local_addr()?;
            let client = TcpStream::connect_on(reactor, ("localhost", address.port())).await?;
            let (server, _) = listener.accept().await?;
            assert_eq!(reactor.metrics().registrations, 3, "the accepted one too");
            exchange(&client, &server).await?;
            // A lingering close waits with the reactor until the peer has all bytes.
            client.set_linger(Some(Duration::from_secs(60)))?;
            client.close().await?;

            let in_time = TcpStream::connect_deadline_on(reactor, address, HOUR).await?;
            let own = TcpStream::connect_with_on(reactor, sys::stream(&address)?, address).await?;
            for client in [in_time, own] {
                let (server, peer) = listener.accept().await?;
                assert_eq!(peer, client.local_addr()?);
                exchange(&client, &server).await?;
            }
            let configured = TcpListener::bind_as_configured_on(reactor, LOOPBACK).await?;
            configured.set_deadline(Duration::ZERO)?;
            assert_timed_out(configured.accept().await);
            Ok(())
        })
    });
}

#[test]
fn unix_connections() {
    alone_with("named::unix_connections", |reactor| {
        let folder = Folder::new()?;
        let address = unix::SocketAddr::from_pathname(folder.socket())?;
        turning(reactor, async {
            let listener = UnixListener::bind_on(reactor, folder.socket())?;
            let clients = [
                UnixStream::connect_on(reactor, folder.socket()).await?,
                UnixStream::connect_addr_on(reactor, &address).await?,
                UnixStream::connect_deadline_on(reactor, folder.socket(), HOUR).await?,
                UnixStream::connect_with_on(reactor, sys::unix_stream()?, &address).await?,
            ];
            for client in &clients {
                let (server, _) = listener.accept().await?;
                exchange(client, &server).await?;
            }
            listener.close().await?;
            let again = UnixListener::bind_addr_on(reactor, &address)?;
            again.set_deadline(Duration::ZERO)?;
            assert_timed_out(again.accept().await);
            let (one, other) = UnixStream::pair_on(reactor)?;
            exchange(&one, &other).await
        })
    });
}

#[test]
fn datagrams() {
    alone_with("named::datagrams", |reactor| {
        let folder = Folder::new()?;
        let address = unix::SocketAddr::from_pathname(folder.join("other"))?;
        turning(reactor, async {
            let near = UdpSocket::bind_on(reactor, "localhost:0").await?;
            let far =
                UdpSocket::bind_as_configured_on(reactor, (near.local_addr()?.ip(), 0)).await?;
            near.connect(("localhost", far.local_addr()?.port())).await?;
            send(&near, &far).await?;

            let bound = UnixDatagram::bind_on(reactor, folder.socket())?;
            let other = UnixDatagram::bind_addr_on(reactor, &address)?;
            let unbound = UnixDatagram::unbound_on(reactor)?;
            unbound.connect(folder.socket())?;
            send(&unbound, &bound).await?;
            unbound.connect_addr(&address)?;
            send(&unbound, &other).await?;
            let (one, two) = UnixDatagram::pair_on(reactor)?;
            send(&one, &two).await
        })
    });
}

/// Sockets that another library has made are blocking, and become non-blocking.
#[test]
fn sockets_of_the_standard_library_and_other_descriptors() {
    alone_with("named::sockets_of_the_standard_library_and_other_descriptors", |reactor| {
        let (one, other) = unix::UnixStream::pair()?;
        let one = UnixStream::register_on(reactor, one)?;
        let other = UnixStream::register_on(reactor, OwnedFd::from(other))?;
        turning(reactor, exchange(&one, &other))?;
        let (receiver, mut sender) = io::pipe()?;
        let receiver: Async<PipeReader> = Async::new_on(reactor, receiver)?;
        assert!(
            [&one, &other].into_iter().all(os::is_nonblocking) && os::is_nonblocking(&receiver)
        );
        assert_eq!(reactor.metrics().registrations, 3);
        let mut byte = [0];
        let mut read = pin!(receiver.read_with(|mut pipe| pipe.read(&mut byte)));
        let waker = CountingWaker::new();
        assert!(waker.poll(read.as_mut()).is_pending());
        sender.write_all(b"x")?;
        assert_eq!(turning(reactor, read)?, 1);
        Ok(())
    });
}

#[test]
fn a_connect_without_an_answer_ends_by_the_reactors_clock() {
    alone_with("named::a_connect_without_an_answer_ends_by_the_reactors_clock", |reactor| {
        // The queue has room for one connection. The kernel drops further clients.
        let address = LOOPBACK.parse().expect("an address");
        let busy = sys::stream(&address)?;
        sys::bind(busy.as_fd(), &address)?;
        os::listen(&busy, 0)?;
        let busy = net::TcpListener::from(busy);
        let _queued = net::TcpStream::connect(busy.local_addr()?)?;
        os::wait_for(&busy, libc::POLLIN);
        let address = busy.local_addr()?;
        let at = pin!(TcpStream::connect_deadline_on(reactor, address, reactor.now() + HOUR));
        assert_late(reactor, HOUR, at);
        let after = pin!(TcpStream::connect_deadline_on(reactor, address, HOUR));
        assert_late(reactor, HOUR, after);
        // Of two addresses, the first has half of the time.
        let mut both = pin!(TcpStream::connect_deadline_on(reactor, [address; 2], HOUR));
        let waker = CountingWaker::new();
        assert!(waker.poll(both.as_mut()).is_pending());
        reactor.advance(HOUR / 2 + TICKS);
        turn_until_woken(reactor, &waker, 0);
        assert!(waker.poll(both.as_mut()).is_pending(), "the second address");
        assert_late(reactor, HOUR / 2 - TICKS, both);
        Ok(())
    });
}

/// The system's clock is hours behind the deadline.
#[test]
fn no_connect_is_tried_after_its_deadline_on_the_reactors_clock() {
    alone_with("named::no_connect_is_tried_after_its_deadline_on_the_reactors_clock", |reactor| {
        let listener = net::TcpListener::bind(LOOPBACK)?;
        listener.set_nonblocking(true)?;
        reactor.advance(2 * HOUR);
        let address = listener.local_addr()?;
        let late = TcpStream::connect_deadline_on(reactor, address, reactor.now());
        assert_timed_out(turning(reactor, late));
        assert_kind(listener.accept(), ErrorKind::WouldBlock);
        let in_time = TcpStream::connect_deadline_on(reactor, address, reactor.now() + HOUR);
        turning(reactor, in_time).map(drop)
    });
}

/// The lookup may end before the reactor's turn: the deadline has passed all the same.
#[test]
fn a_lookup_ends_by_the_reactors_clock() {
    alone_with("named::a_lookup_ends_by_the_reactors_clock", |reactor| {
        let mut connect = pin!(TcpStream::connect_deadline_on(reactor, "localhost:1", HOUR));
        let waker = CountingWaker::new();
        assert!(waker.poll(connect.as_mut()).is_pending());
        reactor.advance(HOUR + TICKS);
        turn(reactor);
        assert!(waker.wakes() > 0);
        let Poll::Ready(late) = waker.poll(connect) else { panic!("its deadline has passed") };
        assert_timed_out(late);
        Ok(())
    });
}

/// The pauses between the tries follow the reactor's clock too.
#[test]
fn a_connect_to_a_full_queue_tries_again_by_the_reactors_clock() {
    alone_with("named::a_connect_to_a_full_queue_tries_again_by_the_reactors_clock", |reactor| {
        let folder = Folder::new()?;
        let busy = unix::UnixListener::bind(folder.socket())?;
        os::listen(&busy, 0)?;
        let _queued = unix::UnixStream::connect(folder.socket())?;
        let mut connect = pin!(UnixStream::connect_on(reactor, folder.socket()));
        let waker = CountingWaker::new();
        assert!(waker.poll(connect.as_mut()).is_pending());
        busy.accept()?;
        turn(reactor);
        assert_eq!(waker.wakes(), 0, "the clock stands still");
        reactor.advance(Duration::from_millis(2));
        turn_until_woken(reactor, &waker, 0);
        let Poll::Ready(connected) = waker.poll(connect) else { panic!("there is room") };
        let _queued = connected?;
        let late = pin!(UnixStream::connect_deadline_on(reactor, folder.socket(), HOUR));
        assert_late(reactor, HOUR, late);
        Ok(())
    });
}

#[test]
fn sockets_of_two_reactors_talk_to_each_other() {
    alone_with("named::sockets_of_two_reactors_talk_to_each_other", |one| {
        let other = embedded();
        let listener = turning(one, TcpListener::bind_on(one, LOOPBACK))?;
        let client = turning(&other, TcpStream::connect_on(&other, listener.local_addr()?))?;
        let (server, _) = turning(one, listener.accept())?;
        assert_eq!(one.metrics().registrations, 2);
        assert_eq!(other.metrics().registrations, 1);
        assert_woken_by(&other, one, &client, &server)?;
        assert_woken_by(one, &other, &server, &client)
    });
}

/// A task that reads is woken by the turns of the reader's reactor alone.
fn assert_woken_by(
    readers: &Reactor,
    writers: &Reactor,
    reader: &TcpStream,
    writer: &TcpStream,
) -> io::Result<()> {
    let waker = CountingWaker::new();
    let mut received = [0; 8];
    let mut read = pin!(reader.read(&mut received));
    assert!(waker.poll(read.as_mut()).is_pending());
    turning(writers, writer.write_all(b"hello"))?;
    os::wait_for(reader, libc::POLLIN);
    turn(writers);
    assert_eq!(waker.wakes(), 0);
    assert_eq!(turning(readers, read)?, 5);
    Ok(())
}
