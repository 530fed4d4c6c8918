//! Datagrams, of both families: receives, sends, tries and polls.

use std::fmt::Debug;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net;
use std::os::fd::AsFd;
use std::os::unix::net as unix;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::{BufMut, BytesMut};
use futures::future::{BoxFuture, FutureExt};
use netpoll::{Interest as Watched, Reactor, Registration};
use netpoll_futures::sys;
use netpoll_tests::CountingWaker;
use netpoll_tests::fixtures::{LOOPBACK, assert_kind, os, poll_once};
use netpoll_tokio::io::{Interest, ReadBuf, Ready};
use netpoll_tokio::net::{UdpSocket, UnixDatagram};
use netpoll_tokio::{Datagram, DatagramSocket};

pub(crate) const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

type Pair<S> = (Datagram<S>, Datagram<S>);

/// A family of datagram sockets, by the standard library's type.
pub(crate) trait Family: DatagramSocket {
    /// Two that are connected to each other.
    fn pair() -> BoxFuture<'static, io::Result<Pair<Self>>>;

    /// `poll_peek`, which each family has for itself.
    fn poll_peek(
        socket: &Datagram<Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>>;
}

impl Family for net::UdpSocket {
    fn pair() -> BoxFuture<'static, io::Result<Pair<Self>>> {
        let pair = async {
            let (near, far) = (UdpSocket::bind(LOOPBACK).await?, UdpSocket::bind(LOOPBACK).await?);
            near.connect(far.local_addr()?).await?;
            far.connect(near.local_addr()?).await?;
            Ok((near, far))
        };
        pair.boxed()
    }

    fn poll_peek(
        socket: &Datagram<Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        socket.poll_peek(cx, buffer)
    }
}

impl Family for unix::UnixDatagram {
    fn pair() -> BoxFuture<'static, io::Result<Pair<Self>>> {
        async { UnixDatagram::pair() }.boxed()
    }

    fn poll_peek(
        socket: &Datagram<Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        socket.poll_peek(cx, buffer)
    }
}

macro_rules! for_both_families {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            #[test]
            fn udp() {
                crate::fixtures::everywhere(super::$name::<std::net::UdpSocket>);
            }

            #[test]
            fn unix() {
                crate::fixtures::everywhere(super::$name::<std::os::unix::net::UnixDatagram>);
            }
        })+
    };
}
pub(crate) use for_both_families;

/// Tries to receive, whenever there may be something: of two that were sent one after the other, the
/// second may still be on its way.
async fn tried<S: DatagramSocket, R>(
    socket: &Datagram<S>,
    mut receive: impl FnMut() -> io::Result<R>,
) -> io::Result<R> {
    loop {
        socket.readable().await?;
        match receive() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
}

for_both_families!(
    each_is_received_whole_and_in_order,
    spare_room_is_filled,
    room_is_filled_by_a_poll,
    a_peeked_datagram_stays,
    nothing_to_receive_would_block,
    a_try_is_done,
    readiness_has_the_right_flags,
    a_poll_for_readiness_is_woken_by_it,
    operations_of_ones_own,
    receives_do_not_wait_for_each_other,
    a_dropped_receive_takes_nothing,
    in_the_care_of_another_reactor,
);

/// Addresses of Unix sockets cannot be compared.
fn name(address: &impl Debug) -> String {
    format!("{address:?}")
}

async fn each_is_received_whole_and_in_order<S: Family>() -> io::Result<()> {
    let (near, far) = S::pair().await?;
    let sent = [&b"one"[..], b"", b"four", b"longer", b"last"];
    for datagram in sent {
        assert_eq!(far.send(datagram).await?, datagram.len());
    }
    let own = name(&far.local_addr()?);
    for datagram in sent {
        let mut buffer = [0; 4];
        let len = datagram.len().min(4);
        if datagram == b"four" {
            let (received, from) = near.recv_from(&mut buffer).await?;
            assert_eq!((received, name(&from)), (len, own.clone()));
        } else {
            assert_eq!(near.recv(&mut buffer).await?, len);
        }
        assert_eq!(buffer[..len], datagram[..len]);
    }
    Ok(())
}

async fn spare_room_is_filled<S: Family>() -> io::Result<()> {
    let (near, far) = S::pair().await?;
    let own = name(&far.local_addr()?);
    let mut vec = Vec::with_capacity(16);
    vec.put_slice(b"> ");
    let mut bytes = BytesMut::with_capacity(4);
    for _ in 0..2 {
        far.send(b"hello").await?;
        far.send(b"hello").await?;
    }
    assert_eq!(near.recv_buf(&mut vec).await?, 5);
    let (len, from) = near.recv_buf_from(&mut vec).await?;
    assert_eq!((len, name(&from)), (5, own.clone()));
    assert_eq!(vec, b"> hellohello");
    let received = tried(&near, || near.try_recv_buf(&mut bytes)).await?;
    assert_eq!(received, 4, "there is no more room");
    let mut room = [b'?'; 8];
    let mut rest = &mut room[1..];
    let (len, from) = tried(&near, || near.try_recv_buf_from(&mut rest)).await?;
    assert_eq!((len, name(&from), rest.len()), (5, own, 2));
    assert_eq!((&bytes[..], &room), (&b"hell"[..], b"?hello??"));
    assert_kind(near.try_recv_buf(&mut bytes), ErrorKind::WouldBlock);
    assert_kind(near.try_recv_buf_from(&mut bytes), ErrorKind::WouldBlock);
    assert_eq!(&bytes[..], b"hell");
    far.send(&[b'x'; 100]).await?;
    let mut full = Vec::new();
    assert_eq!(near.recv_buf(&mut full).await?, 64, "it reserves 64 when it is full");
    assert_eq!(full, [b'x'; 64]);
    Ok(())
}

async fn room_is_filled_by_a_poll<S: Family>() -> io::Result<()> {
    let (near, far) = S::pair().await?;
    let own = name(&far.local_addr()?);
    let mut memory = Box::new_uninit_slice(24);
    let mut buffer = ReadBuf::uninit(&mut memory);
    buffer.put_slice(b"> ");
    assert!(poll_once(pin!(poll_fn(|cx| near.poll_recv(cx, &mut buffer)))).is_pending());
    assert!(poll_once(pin!(poll_fn(|cx| near.poll_recv_from(cx, &mut buffer)))).is_pending());
    assert!(poll_once(pin!(poll_fn(|cx| near.poll_peek_sender(cx)))).is_pending());
    assert_eq!((buffer.filled(), buffer.initialized().len()), (&b"> "[..], 2), "it clears nothing");
    assert_eq!(poll_fn(|cx| far.poll_send(cx, b"first")).await?, 5);
    assert_eq!(poll_fn(|cx| far.poll_send(cx, b"second")).await?, 6);
    assert_eq!(name(&poll_fn(|cx| near.poll_peek_sender(cx)).await?), own);
    poll_fn(|cx| near.poll_recv(cx, &mut buffer)).await?;
    assert_eq!(name(&poll_fn(|cx| near.poll_recv_from(cx, &mut buffer)).await?), own);
    assert_eq!(buffer.filled(), b"> firstsecond");
    far.send(b"third").await?;
    poll_fn(|cx| S::poll_peek(&near, cx, &mut buffer)).await?;
    assert_eq!(name(&poll_fn(|cx| near.poll_peek_from(cx, &mut buffer)).await?), own);
    assert_eq!(buffer.filled(), b"> firstsecondthirdthird");
    poll_fn(|cx| near.poll_recv(cx, &mut buffer)).await?;
    assert_eq!(buffer.filled(), b"> firstsecondthirdthirdt", "there is no more room");
    assert_kind(near.try_recv(&mut [0; 8]), ErrorKind::WouldBlock);
    Ok(())
}

async fn a_peeked_datagram_stays<S: Family>() -> io::Result<()> {
    let (near, far) = S::pair().await?;
    let own = name(&far.local_addr()?);
    let mut buffer = [0; 8];
    far.send(b"first").await?;
    far.send(b"second").await?;
    for _ in 0..3 {
        assert_eq!(near.peek(&mut buffer).await?, 5);
        assert_eq!(near.try_peek(&mut buffer)?, 5);
        let (len, from) = near.peek_from(&mut buffer).await?;
        assert_eq!((len, name(&from)), (5, own.clone()));
        assert_eq!(near.try_peek_from(&mut buffer)?.0, 5);
        assert_eq!(name(&near.peek_sender().await?), own);
        assert_eq!(name(&near.try_peek_sender()?), own);
        assert_eq!(&buffer[..5], b"first");
    }
    assert_eq!(near.recv(&mut buffer).await?, 5);
    assert_eq!(near.recv(&mut buffer).await?, 6);
    Ok(())
}

async fn nothing_to_receive_would_block<S: Family>() -> io::Result<()> {
    let (near, _far) = S::pair().await?;
    let mut buffer = [0; 8];
    assert_kind(near.try_recv(&mut buffer), ErrorKind::WouldBlock);
    assert_kind(near.try_recv_from(&mut buffer), ErrorKind::WouldBlock);
    assert_kind(near.try_peek(&mut buffer), ErrorKind::WouldBlock);
    assert_kind(near.try_peek_from(&mut buffer), ErrorKind::WouldBlock);
    assert_kind(near.try_peek_sender(), ErrorKind::WouldBlock);
    Ok(())
}

async fn a_try_is_done<S: Family>() -> io::Result<()> {
    let (near, far) = S::pair().await?;
    far.writable().await?;
    for _ in 0..3 {
        assert_eq!(far.try_send(b"first")?, 5);
        assert_eq!(far.try_send(b"")?, 0);
        let mut buffer = [0; 8];
        assert_eq!(tried(&near, || near.try_recv(&mut buffer)).await?, 5);
        assert_eq!(&buffer[..5], b"first");
        let (len, from) = tried(&near, || near.try_recv_from(&mut buffer)).await?;
        assert_eq!((len, name(&from)), (0, name(&far.local_addr()?)));
    }
    Ok(())
}

async fn readiness_has_the_right_flags<S: Family>() -> io::Result<()> {
    let (near, far) = S::pair().await?;
    assert_eq!(near.ready(Interest::WRITABLE).await?, Ready::WRITABLE);
    assert_eq!(near.ready(BOTH).await?, Ready::WRITABLE, "nothing came yet");
    far.send(b"x").await?;
    assert_eq!(near.ready(Interest::READABLE).await?, Ready::READABLE);
    assert_eq!(near.ready(BOTH).await?, Ready::READABLE | Ready::WRITABLE);
    assert_eq!(near.try_recv(&mut [0; 8])?, 1);
    assert_kind(near.try_recv(&mut [0; 8]), ErrorKind::WouldBlock);
    assert_eq!(near.ready(BOTH).await?, Ready::WRITABLE, "there is no more");
    Ok(())
}

async fn a_poll_for_readiness_is_woken_by_it<S: Family>() -> io::Result<()> {
    let (near, far) = S::pair().await?;
    poll_fn(|cx| near.poll_send_ready(cx)).await?;
    let (first, second) = (CountingWaker::new(), CountingWaker::new());
    for waker in [&first, &second] {
        let mut wait = pin!(poll_fn(|cx| near.poll_recv_ready(cx)));
        assert!(waker.poll(wait.as_mut()).is_pending());
    }
    far.send(b"x").await?;
    near.readable().await?;
    while first.wakes() == 0 || second.wakes() == 0 {
        std::thread::yield_now();
    }
    poll_fn(|cx| near.poll_recv_ready(cx)).await?;
    assert_eq!(near.try_recv(&mut [0])?, 1);
    Ok(())
}

async fn operations_of_ones_own<S: Family>() -> io::Result<()> {
    let (near, far) = S::pair().await?;
    let receive = || sys::recv(near.as_fd(), &mut [0; 8]);
    assert_kind(near.try_io(Interest::READABLE, receive), ErrorKind::WouldBlock);
    {
        let mut waits = pin!(near.async_io(Interest::READABLE, receive));
        assert!(poll_once(waits.as_mut()).is_pending());
        far.send(b"hello").await?;
        assert_eq!(waits.await?, 5);
    }
    far.send(b"hello").await?;
    assert_eq!(tried(&near, || near.try_io(Interest::READABLE, receive)).await?, 5);
    let send = || sys::send(near.as_fd(), b"back");
    assert_eq!(near.try_io(Interest::WRITABLE, send)?, 4);
    assert_eq!(near.async_io(Interest::WRITABLE, send).await?, 4);
    for _ in 0..2 {
        assert_eq!(far.recv(&mut [0; 8]).await?, 4);
    }
    Ok(())
}

async fn receives_do_not_wait_for_each_other<S: Family>() -> io::Result<()> {
    let (near, far) = S::pair().await?;
    let (mut one, mut two) = ([0; 8], [0; 8]);
    {
        let mut first = pin!(near.recv(&mut one));
        let mut second = pin!(near.recv(&mut two));
        assert!(poll_once(first.as_mut()).is_pending());
        assert!(poll_once(second.as_mut()).is_pending());
        far.send(b"first").await?;
        far.send(b"second").await?;
        assert_eq!((second.await?, first.await?), (5, 6));
    }
    assert_eq!((&two[..5], &one[..6]), (&b"first"[..], &b"second"[..]));
    Ok(())
}

async fn a_dropped_receive_takes_nothing<S: Family>() -> io::Result<()> {
    let (near, far) = S::pair().await?;
    let mut vec = Vec::with_capacity(8);
    {
        let mut receive = pin!(near.recv_buf(&mut vec));
        assert!(poll_once(receive.as_mut()).is_pending());
        far.send(b"hello").await?;
    }
    assert!(vec.is_empty());
    assert_eq!(near.recv_buf(&mut vec).await?, 5);
    assert_eq!(vec, b"hello");
    Ok(())
}

async fn in_the_care_of_another_reactor<S: Family>() -> io::Result<()> {
    let reactor = Reactor::builder().build()?;
    let (near, far) = S::pair().await?;
    let socket = S::from(near.as_fd().try_clone_to_owned()?);
    let registration = Registration::with(&reactor, socket, Watched::WriteOnDemand)?;
    let near = Datagram::from(netpoll_futures::Datagram::from(registration));
    assert!(os::is_nonblocking(&near));
    far.send(b"hello").await?;
    assert_eq!(near.get_ref().recv_msg(&mut [0; 2]).await?.len, 5);
    let underneath = netpoll_futures::Datagram::from(near);
    underneath.close().await?;
    reactor.shutdown();
    Ok(())
}
