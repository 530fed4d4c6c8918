//! A fetch returns the page, over either version.

use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::try_join_all;
use hyper::service::service_fn;
use hyper::{Response, body::Incoming};
use netpoll::{Interest, Reactor, Registration};
use netpoll_futures::{Listener, Stream};
use netpoll_hyper::{Deadlines, End, Io, Server, Version};

use crate::client::{Client, get};
use crate::fixtures::{Outcome, run};
use crate::site::{MIB, Site, pattern, pieces, whole};

const VERSIONS: [Version; 2] = [Version::Http1, Version::Http2];

#[test]
fn a_hundred_requests_on_one_connection() {
    run(|executor| async move {
        for version in VERSIONS {
            let site = Site::open(&executor, Deadlines::default()).await?;
            let mut client = Client::connect(&executor, version, site.address).await?;
            for _ in 0..100 {
                assert_eq!(client.get("/hello").await?, "hello");
            }
            assert_eq!(site.server.connections(), 1, "all on the same");
        }
        Ok(())
    });
}

#[test]
fn many_clients_at_once() {
    run(|executor| async move {
        let site = Site::open(&executor, Deadlines::default()).await?;
        let clients = (0..32).map(async |number| -> Outcome {
            let version = VERSIONS[number % 2];
            let mut client = Client::connect(&executor, version, site.address).await?;
            for round in 0..10 {
                let len = 1000 * number + round;
                assert_eq!(client.get(&format!("/full/{len}")).await?, pattern(len));
            }
            Ok(())
        });
        try_join_all(clients).await?;
        assert_eq!(site.late_ones(), 0);
        Ok(())
    });
}

#[test]
fn large_bodies_down() {
    run(|executor| async move {
        let all = pattern(5 * MIB);
        for version in VERSIONS {
            let site = Site::open(&executor, Deadlines::default()).await?;
            let mut client = Client::connect(&executor, version, site.address).await?;
            assert!(client.get(&format!("/full/{}", all.len())).await? == all);
            assert!(client.get(&format!("/pieces/{}", all.len())).await? == all);
        }
        Ok(())
    });
}

#[test]
fn large_bodies_up_and_down_again() {
    run(|executor| async move {
        let all = pattern(5 * MIB);
        for version in VERSIONS {
            let site = Site::open(&executor, Deadlines::default()).await?;
            let mut client = Client::connect(&executor, version, site.address).await?;
            assert!(client.echo(whole(all.clone())).await? == all);
            assert!(client.echo(pieces(&all)).await? == all);
        }
        Ok(())
    });
}

#[test]
fn streams_of_one_connection_do_not_wait_for_each_other() {
    run(|executor| async move {
        let site = Site::open(&executor, Deadlines::default()).await?;
        let mut client = Client::connect(&executor, Version::Http2, site.address).await?;
        let Client::Http2(sender) = &client else { unreachable!("it speaks HTTP/2") };
        let waiting = sender.clone().send_request(get("/wait"));
        for _ in 0..10 {
            assert_eq!(client.get("/hello").await?, "hello");
        }
        site.open_the_gate();
        assert_eq!(waiting.await?.status(), 200);
        Ok(())
    });
}

#[test]
fn a_missing_page_and_a_bad_request() {
    run(|executor| async move {
        let site = Site::open(&executor, Deadlines::default()).await?;
        let mut client = Client::connect(&executor, Version::Http1, site.address).await?;
        assert_eq!(client.send(get("/nothing")).await?.status(), 404);
        let rude = netpoll_futures::TcpStream::connect(site.address).await?;
        rude.write_all(b"this is no request\r\n\r\n").await?;
        let answer = crate::client::read_to_the_end(&rude).await;
        assert!(answer.starts_with(b"HTTP/1.1 400 "), "{:?}", answer.escape_ascii().to_string());
        crate::fixtures::until(|| site.ended(|end| matches!(end, End::Failed(_))) == 1).await;
        assert_eq!(client.get("/hello").await?, "hello", "the server goes on");
        Ok(())
    });
}

/// There is no deadline that would end it.
#[test]
fn a_client_that_ends_before_the_version_is_known_is_not_waited_for() {
    run(|executor| async move {
        for start in [b"P".as_slice(), b"PRI * HTTP/2.0\r\n"] {
            let site = Site::open(&executor, Deadlines::none()).await?;
            let stream = netpoll_futures::TcpStream::connect(site.address).await?;
            stream.write_all(start).await?;
            stream.shutdown(std::net::Shutdown::Write)?;
            crate::client::read_to_the_end(&stream).await;
            crate::fixtures::until(|| site.ended(|end| matches!(end, End::Failed(_))) == 1).await;
        }
        Ok(())
    });
}

#[test]
fn one_version_only() {
    run(|executor| async move {
        for (version, other) in [(0, 1), (1, 0)] {
            let (version, other) = (VERSIONS[version], VERSIONS[other]);
            let site = Site::with(&executor, |server| server.only(version)).await?;
            let mut right = Client::connect(&executor, version, site.address).await?;
            assert_eq!(right.get("/hello").await?, "hello");
            // Each finds that the first bytes of the other are not its version.
            let wrong = Client::connect(&executor, other, site.address).await?;
            wrong.is_gone().await;
        }
        Ok(())
    });
}

#[test]
fn over_unix_sockets() {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    run(|executor| async move {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("netpoll-http-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let listener = UnixListener::bind(&path)?;
        listener.set_nonblocking(true)?;
        let listener = Registration::with(Reactor::global()?, listener, Interest::Readable)?;
        let server = Server::new(executor.clone());
        let serving = server.clone();
        executor.spawn(async move {
            let echo = |request: hyper::Request<Incoming>| async {
                Ok::<_, hyper::Error>(Response::new(request.into_body()))
            };
            let listener = Listener::from(listener);
            serving.serve(&listener, |_| service_fn(echo)).await.expect("it serves");
        });
        for version in VERSIONS {
            let stream = UnixStream::connect(&path)?;
            stream.set_nonblocking(true)?;
            let reactor = Reactor::global()?;
            let stream = Registration::with(reactor, stream, Interest::WriteOnDemand)?;
            let io = Io::from(Stream::from(stream));
            let mut client = Client::over(&executor, version, io).await?;
            assert!(client.echo(pieces(&pattern(MIB))).await? == pattern(MIB));
        }
        std::fs::remove_file(&path)?;
        server.shutdown();
        server.finished().await;
        Ok(())
    });
}
