//! Making a connection, and the state that a failed one leaves.

use std::fs;
use std::io::ErrorKind;
use std::net::{self, SocketAddr};
use std::os::fd::AsFd;
use std::pin::pin;
use std::time::{Duration, Instant};

use netpoll::{Reactor, Timer};
use netpoll_futures::sys;
use netpoll_futures::{
    KeepAlive, OpError, TcpListener, TcpStream, is_deadline_exceeded, raw_os_error,
};
use netpoll_tests::fixtures::tcp::{pair, read_exactly, refusing};
use netpoll_tests::fixtures::{LOOPBACK, assert_kind, assert_timed_out, os, past, poll_once, run};

const MOMENT: Duration = Duration::from_millis(50);

/// A listener that does not answer: its queue is full, and the kernel drops new clients.
struct Deaf {
    listener: net::TcpListener,
    _queue: Vec<TcpStream>,
}

impl Deaf {
    async fn new() -> std::io::Result<Self> {
        let address = LOOPBACK.parse().expect("an address");
        let socket = sys::stream(&address)?;
        sys::bind(socket.as_fd(), &address)?;
        os::listen(&socket, 0)?;
        let listener = net::TcpListener::from(socket);
        let mut queue = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(listener.local_addr()?, 2 * MOMENT).await
        {
            queue.push(stream);
            assert!(queue.len() < 10, "a queue without room fills up");
        }
        Ok(Self { listener, _queue: queue })
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("it is bound")
    }

    /// How many sockets of this machine are calling it in vain.
    fn callers(&self) -> usize {
        const SYN_SENT: &str = "02";
        let port = format!(":{:04X}", self.address().port());
        let table = fs::read_to_string("/proc/net/tcp").expect("procfs");
        let calls = |line: &&str| {
            let mut fields = line.split_ascii_whitespace().skip(2);
            fields.next().is_some_and(|remote| remote.ends_with(&port))
                && fields.next() == Some(SYN_SENT)
        };
        table.lines().filter(calls).count()
    }
}

#[test]
fn an_address_in_any_form_connects() {
    run(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let address = listener.local_addr()?;
        let text = address.to_string();
        let streams = [
            TcpStream::connect(address).await?,
            TcpStream::connect(&[address][..]).await?,
            TcpStream::connect(text.as_str()).await?,
            TcpStream::connect(text).await?,
            TcpStream::connect((address.ip(), address.port())).await?,
            TcpStream::connect(("127.0.0.1", address.port())).await?,
        ];
        for stream in streams {
            let (accepted, peer) = listener.accept().await?;
            assert_eq!(stream.peer_addr()?, address);
            assert_eq!(stream.local_addr()?, peer);
            assert_eq!(accepted.peer_addr()?, peer);
        }
        Ok(())
    });
}

#[test]
fn both_families_of_addresses_work() {
    run(|| async {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = match TcpListener::bind(address).await {
                // Not every machine has the newer one.
                Err(_) if address.starts_with('[') => return Ok(()),
                bound => bound?,
            };
            let client = TcpStream::connect(listener.local_addr()?).await?;
            let (server, peer) = listener.accept().await?;
            assert_eq!((peer, server.local_addr()?), (client.local_addr()?, client.peer_addr()?));
            client.write_all(b"hello").await?;
            assert_eq!(read_exactly(&server, 5).await?, b"hello");
        }
        Ok(())
    });
}

#[test]
fn the_first_address_that_answers_is_taken() {
    run(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let answering = listener.local_addr()?;
        let stream = TcpStream::connect([refusing(1)?, refusing(2)?, answering]).await?;
        assert_eq!(stream.peer_addr()?, answering);
        stream.write_all(b"hello").await?;
        let (accepted, _) = listener.accept().await?;
        assert_eq!(read_exactly(&accepted, 5).await?, b"hello");
        Ok(())
    });
}

#[test]
fn a_refusal_names_operation_and_address() {
    run(|| async {
        let address = refusing(3)?;
        let error = TcpStream::connect(address).await.expect_err("no socket listens");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(raw_os_error(&error), Some(libc::ECONNREFUSED));
        assert!(error.to_string().starts_with(&format!("connect {address}: ")), "{error}");
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<OpError>());
        let inner = inner.expect("an error with its operation");
        assert_eq!((inner.operation(), inner.subject()), ("connect", &*address.to_string()));
        Ok(())
    });
}

#[test]
fn each_of_several_errors_is_reported() {
    run(|| async {
        let (first, second) = (refusing(4)?, refusing(5)?);
        let error = TcpStream::connect([first, second]).await.expect_err("no socket listens");
        let refused = std::io::Error::from_raw_os_error(libc::ECONNREFUSED);
        let each = format!("connect {first}: {refused}; {second}: {refused}");
        assert_eq!(error.to_string(), each);
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(raw_os_error(&error), Some(libc::ECONNREFUSED));
        Ok(())
    });
}

#[test]
fn a_peer_that_does_not_answer_is_given_up() {
    run(|| async {
        let deaf = Deaf::new().await?;
        let began = Instant::now();
        let error = TcpStream::connect_timeout(deaf.address(), MOMENT).await;
        let error = error.expect_err("no listener answers");
        assert!(began.elapsed() >= MOMENT, "not before the time");
        assert!(is_deadline_exceeded(&error), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().contains(&format!("connect {}", deaf.address())), "{error}");
        assert_eq!(deaf.callers(), 0, "the socket is gone");
        Ok(())
    });
}

#[test]
fn a_dropped_connect_leaves_no_socket() {
    run(|| async {
        let deaf = Deaf::new().await?;
        {
            let mut connect = pin!(TcpStream::connect(deaf.address()));
            assert!(poll_once(connect.as_mut()).is_pending());
            assert_eq!(deaf.callers(), 1);
        }
        assert_eq!(deaf.callers(), 0);
        Ok(())
    });
}

/// Nor does the server see any of it.
#[test]
fn no_time_at_all_is_too_little() {
    run(|| async {
        let listener = net::TcpListener::bind(LOOPBACK)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        assert_timed_out(TcpStream::connect_timeout(address, Duration::ZERO).await);
        let past = past().expect("a time");
        assert_timed_out(TcpStream::connect_deadline(address, past).await);
        assert_timed_out(TcpStream::connect_deadline([address, address], past).await);
        assert_kind(listener.accept(), ErrorKind::WouldBlock);
        Ok(())
    });
}

#[test]
fn no_address_is_tried_after_the_deadline() {
    run(|| async {
        let deaf = Deaf::new().await?;
        let listener = net::TcpListener::bind(LOOPBACK)?;
        listener.set_nonblocking(true)?;
        // The second is tried after 250 ms.
        let addresses = [deaf.address(), listener.local_addr()?];
        assert_timed_out(TcpStream::connect_timeout(addresses, MOMENT).await);
        assert_kind(listener.accept(), ErrorKind::WouldBlock);
        Ok(())
    });
}

/// As the second one does to a server that has given out a cookie.
#[test]
fn a_connect_that_is_done_before_there_is_a_peer_is_done() {
    run(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let address = listener.local_addr()?;
        let socket = sys::stream(&address)?;
        if let Err(error) = os::connect_with_the_first_write(&socket) {
            println!("not run: this system has no TCP Fast Open: {error}");
            return Ok(());
        }
        let stream = TcpStream::connect_with(socket, address).await?;
        stream.write_all(b"hello").await?;
        let (accepted, _) = listener.accept().await?;
        assert_eq!(read_exactly(&accepted, 5).await?, b"hello");
        accepted.write_all(b"and back").await?;
        assert_eq!(read_exactly(&stream, 8).await?, b"and back");
        assert_eq!(stream.peer_addr()?, address);
        Ok(())
    });
}

/// The one that does not answer leaves time for the next.
#[test]
fn a_deaf_address_does_not_eat_all_the_time() {
    run(|| async {
        let deaf = Deaf::new().await?;
        let listener = TcpListener::bind(LOOPBACK).await?;
        let answering = listener.local_addr()?;
        let addresses = [deaf.address(), answering];
        let stream = TcpStream::connect_timeout(addresses, Duration::from_secs(60)).await?;
        assert_eq!(stream.peer_addr()?, answering);
        Ok(())
    });
}

#[test]
fn all_the_time_in_the_world_is_no_limit() {
    run(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        for timeout in [Duration::MAX, Duration::from_secs(u64::MAX / 4)] {
            let stream = TcpStream::connect_timeout(listener.local_addr()?, timeout).await?;
            stream.write_all(b"hello").await?;
        }
        Ok(())
    });
}

/// The limit is that of connecting, not of the connection.
#[test]
fn a_connection_outlives_the_time_it_was_given_to_connect() {
    run(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        // On a machine so busy that this is missed, another time will do.
        let (stream, deadline) = loop {
            let deadline = Instant::now() + MOMENT;
            let address = listener.local_addr()?;
            match TcpStream::connect_deadline(address, deadline).await {
                Ok(stream) => break (stream, deadline),
                Err(error) => assert!(is_deadline_exceeded(&error), "{error:?}"),
            }
        };
        Timer::at(Reactor::global()?, deadline + MOMENT)?.await?;
        stream.write_all(b"hello").await?;
        assert_kind(stream.try_read(&mut [0; 16]), ErrorKind::WouldBlock);
        Ok(())
    });
}

#[test]
fn both_ends_have_the_defaults_of_go() {
    run(|| async {
        let quarter = Some(Duration::from_secs(15));
        let probes = KeepAlive { idle: quarter, interval: quarter, count: Some(9) };
        let (client, server) = pair().await?;
        for stream in [client, server] {
            assert!(stream.nodelay()?);
            assert_eq!(stream.keepalive()?, Some(probes));
            assert_eq!(stream.linger()?, None);
            assert!(os::is_nonblocking(&stream));
        }
        Ok(())
    });
}

#[test]
fn options_are_set_and_read_back() {
    run(|| async {
        let (stream, _server) = pair().await?;
        stream.set_nodelay(false)?;
        assert!(!stream.nodelay()?);
        stream.set_ttl(42)?;
        assert_eq!(stream.ttl()?, 42);
        stream.set_linger(Some(Duration::from_millis(1500)))?;
        assert_eq!(stream.linger()?, Some(Duration::from_secs(2)), "rounded up");
        stream.set_linger(None)?;
        assert_eq!(stream.linger()?, None);
        let idle = Some(Duration::from_millis(6500));
        stream.set_keepalive(Some(KeepAlive { idle, interval: None, count: Some(3) }))?;
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let (idle, interval) = (seconds(7), seconds(15));
        assert_eq!(stream.keepalive()?, Some(KeepAlive { idle, interval, count: Some(3) }));
        stream.set_keepalive(None)?;
        assert_eq!(stream.keepalive()?, None);
        assert!(stream.take_error()?.is_none());
        Ok(())
    });
}
