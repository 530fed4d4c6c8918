//! tokio's clock, stopped: the sockets of a runtime follow it.

use std::io;
use std::time::Duration;

use netpoll_tokio::is_deadline_exceeded;
use netpoll_tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;
use tokio::time::{Instant, advance, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// Runs a test on a runtime whose clock stands still.
fn paused<T>(test: impl Future<Output = io::Result<T>>) -> T {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(test).expect("no operation fails")
}

/// Where all tasks wait, tokio moves the clock to its next timer: but not while bytes are on their way.
#[test]
fn a_round_trip_takes_no_time() {
    paused(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let mut byte = [0];
                stream.read_exact(&mut byte).await.expect("a byte");
                stream.write_all(&byte).await.expect("room");
            }
        });
        let began = Instant::now();
        for _ in 0..200 {
            let round_trip = async {
                let mut stream = TcpStream::connect(address).await?;
                stream.write_all(b"x").await?;
                stream.read_u8().await
            };
            assert_eq!(timeout(5 * SECOND, round_trip).await.expect("it is not late")?, b'x');
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        Ok(())
    });
}

/// The clock moves to the deadline when all tasks wait.
#[test]
fn a_deadline_passes_by_itself() {
    paused(async {
        let (mut near, _far) = UnixStream::pair()?;
        let began = Instant::now();
        near.set_read_deadline(30 * SECOND)?;
        let error = near.read_u8().await.expect_err("no byte comes");
        assert!(is_deadline_exceeded(&error));
        assert!(began.elapsed() >= 30 * SECOND && began.elapsed() < 31 * SECOND);
        Ok(())
    });
}

/// The clock is moved while a read waits: not far enough, and then to the deadline.
#[test]
fn a_deadline_passes_by_an_advance() {
    paused(async {
        let (mut near, _far) = UnixStream::pair()?;
        near.set_read_deadline(30 * SECOND)?;
        let read = tokio::spawn(async move { near.read_u8().await });
        advance(29 * SECOND).await;
        assert!(!read.is_finished());
        advance(SECOND + Duration::from_millis(1)).await;
        let error = read.await.expect("no panic").expect_err("no byte comes");
        assert!(is_deadline_exceeded(&error));
        Ok(())
    });
}

/// The clock stops after the socket was made and its deadline set.
#[test]
fn a_clock_that_stops_later() {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let failed: io::Result<()> = runtime.block_on(async {
        let (mut near, _far) = UnixStream::pair()?;
        near.set_read_deadline(30 * SECOND)?;
        tokio::task::yield_now().await;
        tokio::time::pause();
        let error = near.read_u8().await.expect_err("no byte comes");
        assert!(is_deadline_exceeded(&error));
        Ok(())
    });
    failed.expect("no operation fails");
}

/// `timeout` of this crate follows the clock, is moved, and works where there is no runtime.
#[test]
fn a_timeout_follows_the_clock() {
    paused(async {
        let began = Instant::now();
        assert!(netpoll_tokio::timeout(30 * SECOND, std::future::pending::<()>()).await.is_err());
        assert!(began.elapsed() >= 30 * SECOND && began.elapsed() < 31 * SECOND);

        let mut limited =
            std::pin::pin!(netpoll_tokio::timeout(30 * SECOND, tokio::time::sleep(50 * SECOND)));
        assert!(timeout(29 * SECOND, limited.as_mut()).await.is_err(), "tokio's is first");
        limited.as_mut().set_deadline(30 * SECOND);
        limited.await.expect("it is not late");
        Ok(())
    });
    let outside = netpoll_tokio::timeout(Duration::from_millis(1), std::future::pending::<()>());
    assert!(netpoll_futures::block_on(outside).is_err());
}

/// A runtime that has I/O and no time: deadlines are those of the system's clock.
#[test]
fn without_time() {
    let runtime = Builder::new_current_thread().enable_io().build().expect("a runtime");
    let failed: io::Result<()> = runtime.block_on(async {
        let (mut near, _far) = UnixStream::pair()?;
        let began = std::time::Instant::now();
        near.set_read_deadline(Duration::from_millis(2))?;
        let error = near.read_u8().await.expect_err("no byte comes");
        assert!(is_deadline_exceeded(&error));
        assert!(began.elapsed() >= Duration::from_millis(2));
        Ok(())
    });
    failed.expect("no operation fails");
}
