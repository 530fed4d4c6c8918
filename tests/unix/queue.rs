//! A listener whose queue is full: nothing tells when there is room, so connecting tries again.

use std::io::{self, ErrorKind};
use std::os::unix::net::{self, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::future::{join_all, try_join};
use netpoll_futures::{UnixListener, UnixStream};
use netpoll_tests::fixtures::tcp::read_exactly;
use netpoll_tests::fixtures::{Folder, assert_kind, assert_timed_out, os, poll_once, run};

use crate::fixtures::assert_says;

const MOMENT: Duration = Duration::from_millis(30);

/// A listener with a queue for one, and the client in it.
struct Full {
    directory: Folder,
    listener: UnixListener,
    _first: net::UnixStream,
}

impl Full {
    fn new() -> io::Result<Self> {
        let directory = Folder::new()?;
        let listener = UnixListener::bind(directory.socket())?;
        os::listen(&listener, 0)?;
        let first = net::UnixStream::connect(directory.socket())?;
        Ok(Self { directory, listener, _first: first })
    }

    fn path(&self) -> PathBuf {
        self.directory.socket()
    }
}

#[test]
fn connecting_waits_for_room() {
    run(|| async {
        let full = Full::new()?;
        let address = SocketAddr::from_pathname(full.path())?;
        let mut by_path = pin!(UnixStream::connect(full.path()));
        let mut by_address = pin!(UnixStream::connect_addr(&address));
        let patient = Duration::from_secs(3600);
        let mut for_an_hour = pin!(UnixStream::connect_timeout(full.path(), patient));
        assert!(poll_once(by_path.as_mut()).is_pending());
        assert!(poll_once(by_address.as_mut()).is_pending());
        assert!(poll_once(for_an_hour.as_mut()).is_pending());
        full.listener.accept().await?;
        let one = by_path.await?;
        let (server, _) = full.listener.accept().await?;
        one.write_all(b"hello").await?;
        assert_eq!(read_exactly(&server, 5).await?, b"hello");
        by_address.await?;
        full.listener.accept().await?;
        for_an_hour.await?;
        full.listener.accept().await?;
        Ok(())
    });
}

#[test]
fn a_queue_that_stays_full_is_given_up() {
    run(|| async {
        let full = Full::new()?;
        let path = full.path();
        let text = path.display().to_string();
        let began = Instant::now();
        let error = UnixStream::connect_timeout(&path, MOMENT).await;
        assert!(began.elapsed() >= MOMENT, "not before the time");
        assert_says(error, ErrorKind::TimedOut, "connect", &text);
        let deadline = Instant::now() + MOMENT;
        let late = UnixStream::connect_deadline(&path, deadline).await;
        assert!(Instant::now() >= deadline, "not before the time");
        assert_timed_out(late);
        full.listener.accept().await?;
        assert_kind(full.listener.try_accept(), ErrorKind::WouldBlock);
        Ok(())
    });
}

#[test]
fn no_time_at_all_is_too_little() {
    run(|| async {
        let directory = Folder::new()?;
        let listener = UnixListener::bind(directory.socket())?;
        assert_timed_out(UnixStream::connect_timeout(directory.socket(), Duration::ZERO).await);
        assert_timed_out(UnixStream::connect_deadline(directory.socket(), Instant::now()).await);
        assert_kind(listener.try_accept(), ErrorKind::WouldBlock);
        Ok(())
    });
}

#[test]
fn a_connect_that_is_dropped_comes_to_nothing() {
    run(|| async {
        let full = Full::new()?;
        {
            let mut connect = pin!(UnixStream::connect(full.path()));
            assert!(poll_once(connect.as_mut()).is_pending());
        }
        full.listener.accept().await?;
        let next = UnixStream::connect(full.path()).await?;
        let (server, _) = full.listener.accept().await?;
        drop(next);
        assert_eq!(server.read(&mut [0; 16]).await?, 0, "the next, and not the one before");
        assert_kind(full.listener.try_accept(), ErrorKind::WouldBlock);
        Ok(())
    });
}

/// A client that waits for a listener is refused when the listener goes.
#[test]
fn a_listener_that_closes_refuses_waiting_clients() {
    run(|| async {
        let full = Full::new()?;
        let address = full.listener.local_addr()?;
        let mut connect = pin!(UnixStream::connect_addr(&address));
        assert!(poll_once(connect.as_mut()).is_pending());
        full.listener.set_unlink_on_close(false);
        full.listener.close().await?;
        assert_kind(connect.await, ErrorKind::ConnectionRefused);
        Ok(())
    });
}

#[test]
fn many_waiting_clients_are_all_served() {
    const MANY: usize = 20;
    run(|| async {
        let full = Full::new()?;
        let clients = async {
            let all = (0..MANY).map(|_| UnixStream::connect(full.path()));
            join_all(all).await.into_iter().collect::<io::Result<Vec<_>>>()
        };
        let accepts = async {
            let mut servers = Vec::new();
            while servers.len() <= MANY {
                servers.push(full.listener.accept().await?.0);
            }
            Ok(servers)
        };
        let (clients, servers) = try_join(clients, accepts).await?;
        assert_eq!((clients.len(), servers.len()), (MANY, MANY + 1));
        Ok(())
    });
}
