//! Datagrams of no bytes, of as many as the buffer has, and of more.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;

use futures::FutureExt;
use netpoll_futures::{Datagram, DatagramSocket};
use netpoll_tests::CountingWaker;
use netpoll_tests::conformance::Stage;
use netpoll_tests::fixtures::{assert_kind, assert_pending, assert_timed_out, past};

use crate::fixtures::{Family, for_both_families, pair, take};

for_both_families!(
    a_datagram_of_no_bytes_is_no_end,
    an_empty_buffer_waits_for_a_datagram_and_takes_it,
    a_longer_datagram_is_cut_off,
    a_message_says_how_long_it_was,
    a_vec_is_filled_to_its_capacity,
    memory_need_not_be_initialised,
    a_peeked_datagram_stays,
);

async fn a_datagram_of_no_bytes_is_no_end<S: Family>(stage: Stage) -> io::Result<()> {
    let (near, far) = pair::<S>(&stage)?;
    for datagram in [&b""[..], b"", b"more", b"", b"and more"] {
        assert_eq!(far.send(datagram).await?, datagram.len());
    }
    for datagram in [&b""[..], b"", b"more", b"", b"and more"] {
        assert_eq!(take(&near).await?, datagram);
    }
    assert!(take(&near).now_or_never().is_none(), "and there is none more");
    Ok(())
}

async fn an_empty_buffer_waits_for_a_datagram_and_takes_it<S: Family>(
    stage: Stage,
) -> io::Result<()> {
    let (near, far) = pair::<S>(&stage)?;
    let waker = CountingWaker::new();
    let mut nothing = [0; 0];
    let mut receive = near.recv(&mut nothing).boxed();
    assert_pending(&mut receive, &waker);
    far.send(b"lost").await?;
    far.send(b"the next").await?;
    assert_eq!(receive.await?, 0);
    assert_eq!(take(&near).await?, b"the next");
    near.set_read_deadline(past())?;
    assert_timed_out(near.recv(&mut []).await);
    Ok(())
}

async fn a_longer_datagram_is_cut_off<S: Family>(stage: Stage) -> io::Result<()> {
    let (near, far) = pair::<S>(&stage)?;
    let mut buffer = [0; 4];
    for _ in 0..3 {
        far.send(b"longer").await?;
        far.send(b"four").await?;
        assert_eq!((near.recv(&mut buffer).await?, &buffer), (4, b"long"));
        assert_eq!((near.recv(&mut buffer).await?, &buffer), (4, b"four"), "its rest is lost");
    }
    far.send(b"longer").await?;
    far.send(b"four").await?;
    assert_eq!(near.recv_from(&mut buffer).await?.0, 4);
    assert_eq!((near.recv_from(&mut buffer).await?.0, &buffer), (4, b"four"));
    Ok(())
}

async fn a_message_says_how_long_it_was<S: Family>(stage: Stage) -> io::Result<()> {
    let (near, far) = pair::<S>(&stage)?;
    for (datagram, filled) in [(&b"longer"[..], 4), (b"four", 4), (b"one", 3), (b"", 0)] {
        let mut buffer = *b"????";
        far.send(datagram).await?;
        let message = near.recv_msg(&mut buffer).await?;
        assert_eq!((message.filled, message.len), (filled, datagram.len()));
        assert_eq!(message.is_truncated(), datagram.len() > 4);
        assert_eq!(buffer[..filled], datagram[..filled]);
        assert_eq!(buffer[filled..], b"????"[filled..]);
        assert_eq!(name(&message.from), name(&far.local_addr()?));
        far.send(datagram).await?;
        near.readable().await?;
        assert_eq!(near.try_recv_msg(&mut []).map(|message| message.len)?, datagram.len());
    }
    Ok(())
}

async fn a_vec_is_filled_to_its_capacity<S: Family>(stage: Stage) -> io::Result<()> {
    let (near, far) = pair::<S>(&stage)?;
    let mut buffer = Vec::with_capacity(10);
    buffer.extend_from_slice(b"> ");
    assert_eq!(buffer.capacity(), 10, "or the test must count otherwise");
    for datagram in [&b"one"[..], b"", b"two", b"longer", b"gone"] {
        far.send(datagram).await?;
    }
    assert_eq!(near.recv_buf(&mut buffer).await?, 3);
    assert_eq!(near.recv_buf(&mut buffer).await?, 0);
    let (len, from) = near.recv_buf_from(&mut buffer).await?;
    assert_eq!((len, name(&from)), (3, name(&far.local_addr()?)));
    assert_eq!(buffer, b"> onetwo");
    assert_eq!(near.recv_buf(&mut buffer).await?, 2, "there is no more room");
    assert_eq!(near.recv_buf(&mut buffer).await?, 0, "none at all");
    assert_eq!(buffer, b"> onetwolo");
    buffer.clear();
    far.send(b"again").await?;
    near.readable().await?;
    assert_eq!(near.try_recv_buf(&mut buffer)?, 5);
    far.send(b"!").await?;
    near.readable().await?;
    assert_eq!(near.try_recv_buf_from(&mut buffer)?.0, 1);
    assert_eq!(buffer, b"again!");
    Ok(())
}

/// Every way to receive into it, one after the other.
async fn memory_need_not_be_initialised<S: Family>(stage: Stage) -> io::Result<()> {
    let (near, far) = pair::<S>(&stage)?;
    let own = name(&far.local_addr()?);
    for datagram in [&b"four"[..], b"one", b"", b"longer"] {
        let filled = datagram.len().min(4);
        for way in 0..6 {
            let mut room = [MaybeUninit::new(b'?'); 4];
            far.send(datagram).await?;
            near.readable().await?;
            let (len, from) = match way {
                0 => (near.recv_uninit(&mut room).await?, None),
                1 => (near.try_recv_uninit(&mut room)?, None),
                2 => (poll_fn(|cx| near.poll_recv_uninit(cx, &mut room)).await?, None),
                3 => with_name(near.recv_from_uninit(&mut room).await?),
                4 => with_name(near.try_recv_from_uninit(&mut room)?),
                _ => with_name(poll_fn(|cx| near.poll_recv_from_uninit(cx, &mut room)).await?),
            };
            assert_eq!(len, filled, "way {way}");
            assert_eq!(from, (way > 2).then(|| own.clone()), "way {way}");
        }
    }
    let mut room = Box::new_uninit_slice(4);
    assert_kind(near.try_recv_uninit(&mut room), io::ErrorKind::WouldBlock);
    assert_kind(near.try_recv_from_uninit(&mut room), io::ErrorKind::WouldBlock);
    Ok(())
}

fn with_name<A: std::fmt::Debug>((len, from): (usize, A)) -> (usize, Option<String>) {
    (len, Some(name(&from)))
}

async fn a_peeked_datagram_stays<S: Family>(stage: Stage) -> io::Result<()> {
    let (near, far) = pair::<S>(&stage)?;
    let mut buffer = [0; 8];
    let waker = CountingWaker::new();
    let mut peek = near.peek(&mut buffer).boxed();
    assert_pending(&mut peek, &waker);
    far.send(b"first").await?;
    far.send(b"second").await?;
    assert_eq!(peek.await?, 5);
    for _ in 0..3 {
        assert_eq!(near.peek(&mut buffer).await?, 5);
        assert_eq!(near.try_peek(&mut buffer)?, 5);
        let (len, from) = near.peek_from(&mut buffer).await?;
        assert_eq!((len, name(&from)), (5, name(&far.local_addr()?)));
        assert_eq!(near.try_peek_from(&mut [])?.0, 0);
        assert_eq!(&buffer[..5], b"first");
    }
    assert_eq!(take(&near).await?, b"first");
    assert_eq!(take(&near).await?, b"second");
    Ok(())
}

fn name(address: &impl std::fmt::Debug) -> String {
    format!("{address:?}")
}

/// That the type is usable where it is not known which it is.
#[test]
fn sockets_can_be_shared_and_sent() {
    fn check<T: Send + Sync + Unpin + Clone + 'static>() {}
    fn check_both<S: DatagramSocket>() {
        check::<Datagram<S>>();
    }
    check_both::<std::net::UdpSocket>();
    check_both::<std::os::unix::net::UnixDatagram>();
}
