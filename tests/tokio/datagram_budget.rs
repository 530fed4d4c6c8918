//! tokio's cooperative budget, of datagrams: whatever is awaited or polled lets others run, though it
//! never has to wait.
//!
//! Over Unix sockets, since a sent datagram has arrived there.

use std::future::{Future, poll_fn};
use std::io;

use futures::future::{BoxFuture, FutureExt};
use netpoll_tests::fixtures::assert_kind;
use netpoll_tokio::io::{Interest, ReadBuf};
use netpoll_tokio::net::UnixDatagram;
use tokio::task::coop::unconstrained;

use crate::budget::{OPERATIONS, turns_of_others};
use crate::fixtures::on_one_thread;

/// The work that a task repeats with the first of two sockets. It must neither wait, nor change how
/// many datagrams there are; a try takes nothing from the budget.
type Operation = for<'a> fn(&'a UnixDatagram, &'a UnixDatagram) -> BoxFuture<'a, io::Result<()>>;

async fn busy(operation: Operation) -> io::Result<impl Future<Output = io::Result<()>> + Send> {
    let (near, far) = UnixDatagram::pair()?;
    // One is always there, so no receive has to wait.
    far.try_send(b"x")?;
    near.readable().await?;
    near.try_send(b"x")?;
    far.readable().await?;
    Ok(async move {
        for _ in 0..OPERATIONS {
            operation(&near, &far).await?;
        }
        Ok(())
    })
}

/// Sees that others run meanwhile, and that it is the budget's doing: without it they do not.
fn lets_others_run(operation: Operation) {
    on_one_thread(move || async move {
        let turns = turns_of_others(unconstrained(busy(operation).await?)).await?;
        assert_eq!(turns, 0, "it waited");
        let turns = turns_of_others(busy(operation).await?).await?;
        assert!(turns >= OPERATIONS / 128, "others had {turns} turns");
        Ok(())
    });
}

macro_rules! operations {
    ($($name:ident: |$near:ident, $far:ident| $operation:expr;)+) => {$(
        #[test]
        fn $name() {
            lets_others_run(|$near, $far| {
                async move {
                    $operation;
                    Ok(())
                }
                .boxed()
            });
        }
    )+};
}

operations! {
    who_receives: |near, far| {
        far.try_send(b"x")?;
        near.recv(&mut [0]).await?
    };
    who_receives_from: |near, far| {
        far.try_send(b"x")?;
        near.recv_from(&mut [0]).await?
    };
    who_receives_into_spare_room: |near, far| {
        far.try_send(b"x")?;
        near.recv_buf(&mut Vec::with_capacity(1)).await?
    };
    who_receives_from_into_spare_room: |near, far| {
        far.try_send(b"x")?;
        near.recv_buf_from(&mut Vec::with_capacity(1)).await?
    };
    who_polls_to_receive: |near, far| {
        far.try_send(b"x")?;
        poll_fn(|cx| near.poll_recv(cx, &mut ReadBuf::new(&mut [0]))).await?;
    };
    who_polls_to_receive_from: |near, far| {
        far.try_send(b"x")?;
        poll_fn(|cx| near.poll_recv_from(cx, &mut ReadBuf::new(&mut [0]))).await?
    };
    peeks: |near, _far| near.peek(&mut [0]).await?;
    who_peeks_from: |near, _far| near.peek_from(&mut [0]).await?;
    who_peeks_at_the_sender: |near, _far| near.peek_sender().await?;
    polls_to_peek: |near, _far| {
        poll_fn(|cx| near.poll_peek(cx, &mut ReadBuf::new(&mut [0]))).await?;
    };
    who_polls_to_peek_from: |near, _far| {
        poll_fn(|cx| near.poll_peek_from(cx, &mut ReadBuf::new(&mut [0]))).await?
    };
    who_polls_to_peek_at_the_sender: |near, _far| {
        poll_fn(|cx| near.poll_peek_sender(cx)).await?
    };
    who_sends: |near, far| {
        near.send(b"x").await?;
        far.try_recv(&mut [0])?
    };
    who_polls_to_send: |near, far| {
        poll_fn(|cx| near.poll_send(cx, b"x")).await?;
        far.try_recv(&mut [0])?
    };
    who_polls_for_something_to_receive: |near, _far| {
        poll_fn(|cx| near.poll_recv_ready(cx)).await?;
    };
    who_polls_for_room: |near, _far| poll_fn(|cx| near.poll_send_ready(cx)).await?;
    operations_of_its_own: |near, _far| {
        near.async_io(Interest::READABLE, || Ok(())).await?;
    };
}

/// To a path, and to an address, without a receiver: that ends as well.
#[test]
fn sends_to_an_address() {
    use std::os::linux::net::SocketAddrExt;
    lets_others_run(|near, _far| {
        async move {
            let sent = near.send_to(b"x", "/there/is/no/socket").await;
            assert_kind(sent, io::ErrorKind::NotFound);
            Ok(())
        }
        .boxed()
    });
    lets_others_run(|near, _far| {
        async move {
            let sent = poll_fn(|cx| near.poll_send_to(cx, b"x", "/there/is/no/socket")).await;
            assert_kind(sent, io::ErrorKind::NotFound);
            Ok(())
        }
        .boxed()
    });
    lets_others_run(|near, _far| {
        async move {
            let unbound = std::os::unix::net::SocketAddr::from_abstract_name("netpoll: no socket")?;
            let sent = near.send_to_addr(b"x", &unbound).await;
            assert_kind(sent, io::ErrorKind::ConnectionRefused);
            Ok(())
        }
        .boxed()
    });
}
