//! Polling, which keeps no place, and trying, which does not wait.

use std::fmt::Debug;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::task::{Context, Poll, Waker};

use futures::FutureExt;
use netpoll::Direction;
use netpoll_futures::Datagram;
use netpoll_futures::sys;
use netpoll_tests::CountingWaker;
use netpoll_tests::conformance::Stage;
use netpoll_tests::fixtures::{assert_kind, assert_pending, assert_timed_out, past};

use crate::fixtures::{Family, for_both_families, pair, take};

for_both_families!(
    every_way_to_poll_a_receive,
    every_way_to_poll_a_send,
    every_task_that_polls_is_woken,
    a_poll_is_served_beside_a_receive,
    trying_says_that_there_is_nothing,
    any_operation_can_be_made,
);

fn assert_unready<T: Debug>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) {
    let polled = poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending(), "{polled:?}");
}

async fn every_way_to_poll_a_receive<S: Family>(stage: Stage) -> io::Result<()> {
    let (near, far) = pair::<S>(&stage)?;
    let mut buffer = [0; 4];
    let mut other = [0; 4];
    assert_unready(|cx| near.poll_recv(cx, &mut buffer));
    assert_unready(|cx| near.poll_recv_from(cx, &mut buffer));
    assert_unready(|cx| near.poll_recv_msg(cx, &mut buffer));
    let mut vec = Vec::with_capacity(8);
    assert_unready(|cx| near.poll_recv_buf(cx, &mut vec));
    assert_unready(|cx| near.poll_recv_buf_from(cx, &mut vec));
    assert_unready(|cx| near.poll_peek(cx, &mut buffer));
    assert_unready(|cx| near.poll_peek_from(cx, &mut buffer));
    assert_unready(|cx| near.poll_recv_ready(cx));
    for datagram in [b"one", b"two", b"six", b"ten", b"cut"] {
        far.send(datagram).await?;
    }
    poll_fn(|cx| near.poll_recv_ready(cx)).await?;
    assert_eq!(poll_fn(|cx| near.poll_peek(cx, &mut buffer)).await?, 3);
    assert_eq!(poll_fn(|cx| near.poll_peek_from(cx, &mut other)).await?.0, 3);
    assert_eq!((&buffer[..3], &other[..3]), (&b"one"[..], &b"one"[..]));
    assert_eq!(poll_fn(|cx| near.poll_recv(cx, &mut buffer)).await?, 3);
    assert_eq!(poll_fn(|cx| near.poll_recv_from(cx, &mut other)).await?.0, 3);
    assert_eq!((&buffer[..3], &other[..3]), (&b"one"[..], &b"two"[..]));
    let message = poll_fn(|cx| near.poll_recv_msg(cx, &mut buffer[..1])).await?;
    assert_eq!((message.filled, message.len, buffer[0]), (1, 3, b's'));
    assert_eq!(poll_fn(|cx| near.poll_recv_buf(cx, &mut vec)).await?, 3);
    assert_eq!(poll_fn(|cx| near.poll_recv_buf_from(cx, &mut vec)).await?.0, 3);
    assert_eq!(vec, b"tencut");
    Ok(())
}

async fn every_way_to_poll_a_send<S: Family>(stage: Stage) -> io::Result<()> {
    let (near, far) = pair::<S>(&stage)?;
    poll_fn(|cx| near.poll_send_ready(cx)).await?;
    assert_eq!(poll_fn(|cx| near.poll_send(cx, b"one")).await?, 3);
    assert_eq!(near.try_send(b"two")?, 3);
    assert_eq!(take(&far).await?, b"one");
    assert_eq!(take(&far).await?, b"two");
    near.set_write_deadline(past())?;
    assert_timed_out(poll_fn(|cx| near.poll_send(cx, b"late")).await);
    assert_timed_out(poll_fn(|cx| near.poll_send_to_addr(cx, b"late", &far.local_addr()?)).await);
    assert_timed_out(poll_fn(|cx| near.poll_send_ready(cx)).await);
    Ok(())
}

async fn every_task_that_polls_is_woken<S: Family>(stage: Stage) -> io::Result<()> {
    const TASKS: usize = 10;
    let (near, far) = pair::<S>(&stage)?;
    let receive = |socket: Datagram<S>| {
        stage.spawn(async move {
            let mut buffer = [0; 4];
            poll_fn(|cx| socket.poll_recv(cx, &mut buffer)).await
        })
    };
    let tasks = [(); TASKS].map(|()| receive(near.clone()));
    for _ in 0..TASKS {
        far.send(b"one").await?;
    }
    for task in tasks {
        assert_eq!(task.await?, 3);
    }
    Ok(())
}

/// A poll takes a datagram beside a receive that waits, and the receive takes the next one.
async fn a_poll_is_served_beside_a_receive<S: Family>(stage: Stage) -> io::Result<()> {
    let (near, far) = pair::<S>(&stage)?;
    let mut receive = take(&near).boxed();
    assert_pending(&mut receive, &CountingWaker::new());
    let mut buffer = [0; 4];
    let mut polled = poll_fn(|cx| near.poll_recv(cx, &mut buffer)).boxed();
    assert_pending(&mut polled, &CountingWaker::new());
    far.send(b"one").await?;
    assert_eq!(polled.await?, 3);
    far.send(b"two").await?;
    assert_eq!(receive.await?, b"two");
    Ok(())
}

async fn trying_says_that_there_is_nothing<S: Family>(stage: Stage) -> io::Result<()> {
    let (near, far) = pair::<S>(&stage)?;
    let (mut buffer, mut vec) = ([0; 4], Vec::with_capacity(4));
    assert_kind(near.try_recv(&mut buffer), ErrorKind::WouldBlock);
    far.send(b"one").await?;
    assert_eq!(take(&near).await?, b"one");
    // Readiness is a hint: whichever comes first, the kernel says no.
    assert_kind(near.try_recv(&mut buffer), ErrorKind::WouldBlock);
    assert_kind(near.try_recv_from(&mut buffer), ErrorKind::WouldBlock);
    assert_kind(near.try_recv_msg(&mut buffer), ErrorKind::WouldBlock);
    assert_kind(near.try_recv_buf(&mut vec), ErrorKind::WouldBlock);
    assert_kind(near.try_recv_buf_from(&mut vec), ErrorKind::WouldBlock);
    assert_kind(near.try_peek(&mut buffer), ErrorKind::WouldBlock);
    assert_kind(near.try_peek_from(&mut buffer), ErrorKind::WouldBlock);
    assert_kind(
        near.try_io(Direction::Read, |near| sys::recv(near.as_fd(), &mut [0; 4])),
        ErrorKind::WouldBlock,
    );
    Ok(())
}

async fn any_operation_can_be_made<S: Family>(stage: Stage) -> io::Result<()> {
    let (near, far) = pair::<S>(&stage)?;
    far.io(Direction::Write, |far| sys::send(far.as_fd(), b"by hand")).await?;
    let mut buffer = [0; 16];
    let receive = near.io(Direction::Read, |near| sys::recv(near.as_fd(), &mut buffer));
    assert_eq!(receive.await?, 7);
    far.send(b"uninitialised").await?;
    near.readable().await?;
    let mut room = [std::mem::MaybeUninit::uninit(); 16];
    let receive =
        |near: &S| sys::recv_uninit(near.as_fd(), &mut room).map(|filled| filled.to_vec());
    assert_eq!(near.try_io(Direction::Read, receive)?, b"uninitialised");
    Ok(())
}
