//! Closing against pending operations. Sends that wait are in `full`.

use std::io;

use futures::FutureExt;
use netpoll_futures::{Datagram, UdpSocket};
use netpoll_tests::CountingWaker;
use netpoll_tests::conformance::Stage;
use netpoll_tests::fixtures::{LOOPBACK, assert_closed, assert_pending, in_an_hour, past, run};

use crate::fixtures::{Family, for_both_families, pair, take};

for_both_families!(
    it_ends_all_receives_of_all_clones,
    everything_fails_on_a_closed_socket,
    of_many_closes_one_succeeds,
    it_ends_waiting_tasks,
);

async fn it_ends_all_receives_of_all_clones<S: Family>(stage: Stage) -> io::Result<()> {
    let (near, _far) = pair::<S>(&stage)?;
    let clone = near.clone();
    let (waker, second_waker) = (CountingWaker::new(), CountingWaker::new());
    let mut first = take(&near).boxed();
    let mut second = take(&clone).boxed();
    let mut ready = clone.readable().boxed();
    assert_pending(&mut first, &waker);
    assert_pending(&mut second, &second_waker);
    assert_pending(&mut ready, &waker);
    clone.close().await?;
    assert!(waker.wakes() > 0 && second_waker.wakes() > 0, "by closing itself");
    assert_closed(first.await);
    assert_closed(second.await);
    assert_closed(ready.await);
    Ok(())
}

async fn everything_fails_on_a_closed_socket<S: Family>(stage: Stage) -> io::Result<()> {
    let (near, far) = pair::<S>(&stage)?;
    far.send(b"there is something").await?;
    near.readable().await?;
    let (to, clone) = (far.local_addr()?, near.clone());
    near.close().await?;
    let (mut buffer, mut vec) = ([0; 16], Vec::new());
    for socket in [&near, &clone] {
        assert_closed(socket.close().await);
        assert_closed(socket.recv(&mut buffer).await);
        assert_closed(socket.recv(&mut []).await);
        assert_closed(socket.recv_from(&mut buffer).await);
        assert_closed(socket.recv_msg(&mut buffer).await);
        assert_closed(socket.recv_buf(&mut vec).await);
        assert_closed(socket.recv_buf_from(&mut vec).await);
        assert_closed(socket.peek(&mut buffer).await);
        assert_closed(socket.peek_from(&mut buffer).await);
        assert_closed(socket.send(b"more").await);
        assert_closed(socket.send(b"").await);
        assert_closed(socket.send_to_addr(b"more", &to).await);
        assert_closed(socket.try_recv(&mut buffer));
        assert_closed(socket.try_send(b"more"));
        assert_closed(socket.readable().await);
        assert_closed(socket.writable().await);
        assert_closed(socket.set_deadline(None));
        assert_closed(socket.set_read_deadline(past()));
        assert_closed(socket.set_write_deadline(in_an_hour()));
        assert_closed(socket.local_addr());
        assert_closed(socket.peer_addr());
    }
    Ok(())
}

async fn of_many_closes_one_succeeds<S: Family>(stage: Stage) -> io::Result<()> {
    for _ in 0..20 {
        let (near, _far) = pair::<S>(&stage)?;
        let close = |socket: Datagram<S>| stage.spawn(async move { socket.close().await });
        let tasks = [(); 4].map(|()| close(near.clone()));
        let mut closed = 0;
        for task in tasks {
            match task.await {
                Ok(()) => closed += 1,
                error => assert_closed(error),
            }
        }
        assert_eq!(closed, 1);
    }
    Ok(())
}

async fn it_ends_waiting_tasks<S: Family>(stage: Stage) -> io::Result<()> {
    for _ in 0..20 {
        let (near, far) = pair::<S>(&stage)?;
        let receive = |socket: Datagram<S>| {
            stage.spawn(async move {
                let mut count = 0;
                loop {
                    match take(&socket).await {
                        Ok(_) => count += 1,
                        end => return (count, end),
                    }
                }
            })
        };
        let tasks = [(); 8].map(|()| receive(near.clone()));
        for _ in 0..10 {
            far.send(b"hello").await?;
        }
        near.close().await?;
        let mut received = 0;
        for task in tasks {
            let (count, end) = task.await;
            assert_closed(end);
            received += count;
        }
        assert!(received <= 10, "{received} of 10");
    }
    Ok(())
}

#[test]
fn a_port_is_free_again_when_closing_is_done() {
    run(|| async {
        for _ in 0..20 {
            let socket = UdpSocket::bind(LOOPBACK).await?;
            let at = socket.local_addr()?;
            let mut receive = take(&socket).boxed();
            assert_pending(&mut receive, &CountingWaker::new());
            socket.close().await?;
            let next = UdpSocket::bind(at).await?;
            assert_eq!(next.local_addr()?, at, "though there is the number, and a waiter");
            assert_closed(receive.await);
        }
        Ok(())
    });
}
