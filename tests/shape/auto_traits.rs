//! Auto traits: each type has those that the peer's type of its name has.

use std::cell::Cell;
use std::net;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net as unix;
use std::panic::{RefUnwindSafe, UnwindSafe};

use netpoll_tests::watched;
use netpoll_tokio::io::{Interest, unix::AsyncFd};

/// Whether a type has a trait: the inherent constant is there only if it has, and then goes before the trait's.
macro_rules! has {
    ($type:ty: $trait:ident) => {{
        #[allow(dead_code)] // Its constant is not used where a type has the trait.
        trait Without {
            const HAS: bool = false;
        }
        impl<T> Without for Probe<T> {}
        struct Probe<T>(std::marker::PhantomData<T>);
        #[allow(dead_code)] // It is not used where a type lacks the trait.
        impl<T: $trait> Probe<T> {
            const HAS: bool = true;
        }
        <Probe<$type>>::HAS
    }};
}

/// `Send`, `Sync`, `Unpin`, `UnwindSafe`, `RefUnwindSafe`.
macro_rules! traits {
    ($type:ty) => {
        [
            ("Send", has!($type: Send)),
            ("Sync", has!($type: Sync)),
            ("Unpin", has!($type: Unpin)),
            ("UnwindSafe", has!($type: UnwindSafe)),
            ("RefUnwindSafe", has!($type: RefUnwindSafe)),
        ]
    };
}

/// A type and the traits that it has not, though the peer's has them.
fn missing(
    name: &'static str,
    ours: [(&'static str, bool); 5],
    peers: [(&'static str, bool); 5],
) -> impl Iterator<Item = String> {
    let pairs = ours.into_iter().zip(peers);
    pairs
        .filter(|(ours, peer)| peer.1 && !ours.1)
        .map(move |(ours, _)| format!("{name}: {}", ours.0))
}

macro_rules! compare {
    ($($ours:ty, $peer:ty;)+) => {{
        let mut offences = Vec::new();
        $(offences.extend(missing(stringify!($ours), traits!($ours), traits!($peer)));)+
        assert!(offences.is_empty(), "{}", offences.join("\n"));
    }};
}

#[test]
fn types_have_the_auto_traits_of_tokios() {
    use netpoll_tokio::io as our_io;
    use netpoll_tokio::net as ours;
    use tokio::io as peer_io;
    use tokio::net as peer;

    compare! {
        ours::TcpListener, peer::TcpListener;
        ours::TcpStream, peer::TcpStream;
        ours::TcpSocket, peer::TcpSocket;
        ours::tcp::ReadHalf<'static>, peer::tcp::ReadHalf<'static>;
        ours::tcp::WriteHalf<'static>, peer::tcp::WriteHalf<'static>;
        ours::tcp::OwnedReadHalf, peer::tcp::OwnedReadHalf;
        ours::tcp::OwnedWriteHalf, peer::tcp::OwnedWriteHalf;
        ours::tcp::ReuniteError, peer::tcp::ReuniteError;
        ours::UdpSocket, peer::UdpSocket;
        ours::UnixListener, peer::UnixListener;
        ours::UnixStream, peer::UnixStream;
        ours::unix::ReadHalf<'static>, peer::unix::ReadHalf<'static>;
        ours::unix::WriteHalf<'static>, peer::unix::WriteHalf<'static>;
        ours::unix::OwnedReadHalf, peer::unix::OwnedReadHalf;
        ours::unix::OwnedWriteHalf, peer::unix::OwnedWriteHalf;
        ours::unix::ReuniteError, peer::unix::ReuniteError;
        ours::unix::UCred, peer::unix::UCred;
        ours::unix::pipe::OpenOptions, peer::unix::pipe::OpenOptions;
        ours::unix::pipe::Sender, peer::unix::pipe::Sender;
        ours::unix::pipe::Receiver, peer::unix::pipe::Receiver;
        ours::UnixDatagram, peer::UnixDatagram;
        ours::UnixSocket, peer::UnixSocket;
        our_io::Interest, peer_io::Interest;
        our_io::Ready, peer_io::Ready;
        our_io::unix::AsyncFd<OwnedFd>, peer_io::unix::AsyncFd<OwnedFd>;
        our_io::unix::AsyncFdReadyGuard<'static, OwnedFd>, peer_io::unix::AsyncFdReadyGuard<'static, OwnedFd>;
        our_io::unix::AsyncFdReadyMutGuard<'static, OwnedFd>, peer_io::unix::AsyncFdReadyMutGuard<'static, OwnedFd>;
        our_io::unix::AsyncFd<NotSync>, peer_io::unix::AsyncFd<NotSync>;
        our_io::unix::AsyncFdReadyGuard<'static, NotSync>, peer_io::unix::AsyncFdReadyGuard<'static, NotSync>;
        our_io::unix::AsyncFdReadyMutGuard<'static, NotSync>, peer_io::unix::AsyncFdReadyMutGuard<'static, NotSync>;
        our_io::unix::TryIoError, peer_io::unix::TryIoError;
    }
}

#[test]
fn types_have_the_auto_traits_of_smols() {
    use async_net as peer;
    use netpoll_smol::net as ours;

    compare! {
        ours::TcpListener, peer::TcpListener;
        ours::TcpStream, peer::TcpStream;
        ours::Incoming<'static, net::TcpListener>, peer::Incoming<'static>;
        ours::UdpSocket, peer::UdpSocket;
        ours::unix::UnixListener, peer::unix::UnixListener;
        ours::unix::UnixStream, peer::unix::UnixStream;
        ours::unix::UnixDatagram, peer::unix::UnixDatagram;
        netpoll_smol::Async<net::TcpStream>, async_io::Async<net::TcpStream>;
        netpoll_smol::Async<NotSync>, async_io::Async<NotSync>;
        netpoll_smol::Readable<'static, net::TcpStream>, async_io::Readable<'static, net::TcpStream>;
        netpoll_smol::Writable<'static, net::TcpStream>, async_io::Writable<'static, net::TcpStream>;
        netpoll_smol::ReadableOwned<net::TcpStream>, async_io::ReadableOwned<net::TcpStream>;
        netpoll_smol::WritableOwned<net::TcpStream>, async_io::WritableOwned<net::TcpStream>;
        netpoll_smol::Timer, async_io::Timer;
    }
}

#[test]
fn types_have_the_auto_traits_of_async_nets() {
    use async_net as peer;
    use netpoll_async_net as ours;

    compare! {
        ours::TcpListener, peer::TcpListener;
        ours::TcpStream, peer::TcpStream;
        ours::Incoming<'static>, peer::Incoming<'static>;
        ours::UdpSocket, peer::UdpSocket;
        ours::unix::UnixListener, peer::unix::UnixListener;
        ours::unix::Incoming<'static>, peer::unix::Incoming<'static>;
        ours::unix::UnixStream, peer::unix::UnixStream;
        ours::unix::UnixDatagram, peer::unix::UnixDatagram;
    }
}

#[test]
fn types_have_the_auto_traits_of_async_ios() {
    use async_io as peer;
    use netpoll_async_io as ours;

    compare! {
        ours::Async<net::TcpStream>, peer::Async<net::TcpStream>;
        ours::Async<NotSync>, peer::Async<NotSync>;
        ours::Readable<'static, net::TcpStream>, peer::Readable<'static, net::TcpStream>;
        ours::Readable<'static, NotSync>, peer::Readable<'static, NotSync>;
        ours::Writable<'static, net::TcpStream>, peer::Writable<'static, net::TcpStream>;
        ours::Writable<'static, NotSync>, peer::Writable<'static, NotSync>;
        ours::ReadableOwned<net::TcpStream>, peer::ReadableOwned<net::TcpStream>;
        ours::ReadableOwned<NotSync>, peer::ReadableOwned<NotSync>;
        ours::WritableOwned<net::TcpStream>, peer::WritableOwned<net::TcpStream>;
        ours::WritableOwned<NotSync>, peer::WritableOwned<NotSync>;
        ours::Timer, peer::Timer;
    }
}

/// A panic that is caught leaves a reactor and its sockets as they are: no transition of theirs runs code of the user
/// halfway.
#[test]
fn types_of_our_own_may_be_used_after_a_panic() {
    type All = [(&'static str, bool); 5];

    const ALL: All = [
        ("Send", true),
        ("Sync", true),
        ("Unpin", true),
        ("UnwindSafe", true),
        ("RefUnwindSafe", true),
    ];
    assert_eq!(traits!(netpoll::Reactor), ALL);
    assert_eq!(traits!(netpoll::Timer), ALL);
    assert_eq!(traits!(netpoll::Driver), ALL);
    assert_eq!(traits!(netpoll::Registration<OwnedFd>), ALL);
    assert_eq!(traits!(netpoll_futures::TcpListener), ALL);
    assert_eq!(traits!(netpoll_futures::TcpStream), ALL);
    assert_eq!(traits!(netpoll_futures::UdpSocket), ALL);
    assert_eq!(traits!(netpoll_futures::UnixListener), ALL);
    assert_eq!(traits!(netpoll_futures::UnixStream), ALL);
    assert_eq!(traits!(netpoll_futures::UnixDatagram), ALL);
    assert_eq!(traits!(netpoll_futures::TimeoutStream<unix::UnixStream>), ALL);
    assert_eq!(traits!(netpoll_futures::Async<OwnedFd>), ALL);
    assert_eq!(traits!(netpoll_futures::Timer), ALL);
    assert_eq!(traits!(netpoll_futures::Timeout<netpoll_futures::Timer>), ALL);
    assert_eq!(traits!(netpoll_futures::Limit), ALL);
    assert_eq!(traits!(netpoll_futures::Dialer), ALL);
    assert_eq!(traits!(netpoll_futures::ListenConfig), ALL);
    assert_eq!(traits!(netpoll_futures::Signals), ALL);
}

/// The fields of a type decide whether a registration of it is safe to use after a panic.
#[test]
fn a_registration_is_unwind_safe_only_if_its_object_is() {
    assert!(!has!(netpoll::Registration<NotSync>: RefUnwindSafe));
    assert!(!has!(netpoll_futures::Async<NotSync>: RefUnwindSafe));
    assert!(!has!(netpoll::Registration<NotSync>: Sync));
}

/// `Send`, and not `Sync`.
struct NotSync(OwnedFd, #[allow(dead_code)] Cell<u32>);

impl AsFd for NotSync {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl std::os::fd::AsRawFd for NotSync {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        std::os::fd::AsRawFd::as_raw_fd(&self.0)
    }
}

/// The `_mut` methods have the object to themselves, so their futures may move to another thread with it.
#[test]
fn futures_of_an_object_that_is_not_sync_are_send() {
    fn is_send<T: Send>(future: T) -> T {
        future
    }

    watched(|| {
        let (one, _other) = unix::UnixStream::pair().expect("a pair of sockets");
        one.set_nonblocking(true).expect("a descriptor");
        let mut fd = AsyncFd::new(NotSync(one.into(), Cell::new(0))).expect("it is registered");
        drop(is_send(fd.readable_mut()));
        drop(is_send(fd.writable_mut()));
        drop(is_send(fd.ready_mut(Interest::READABLE | Interest::WRITABLE)));
        drop(is_send(fd.async_io_mut(Interest::WRITABLE, |_| Ok(()))));
        let write = is_send(fd.async_io_mut(Interest::WRITABLE, |fd| {
            fd.1.set(1);
            Ok(())
        }));
        futures::executor::block_on(write).expect("there is room");
        assert_eq!(fd.get_ref().1.get(), 1);
    });
}
