//! The end of a server.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use http_body_util::BodyExt;
use netpoll::is_closed;
use netpoll_futures::{TcpListener, TcpStream};
use netpoll_hyper::{Deadlines, End, Version};

use crate::client::{Client, get, read_to_the_end};
use crate::fixtures::{has_ended, run, until};
use crate::site::Site;

const VERSIONS: [Version; 2] = [Version::Http1, Version::Http2];

/// Sends a request to `/wait`, until it waits there.
pub(crate) async fn is_in_flight<F: Future>(site: &Site, mut request: Pin<&mut F>) {
    poll_fn(|cx| {
        assert!(request.as_mut().poll(cx).is_pending(), "it waits for the gate");
        if site.waiting() > 0 {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[test]
fn requests_in_flight_are_finished() {
    run(|executor| async move {
        for version in VERSIONS {
            let mut site = Site::open(&executor, Deadlines::default()).await?;
            let mut idle = Client::connect(&executor, version, site.address).await?;
            assert_eq!(idle.get("/hello").await?, "hello");
            let silent = TcpStream::connect(site.address).await?;
            let mut busy = Client::connect(&executor, version, site.address).await?;
            let mut waiting = pin!(busy.send(get("/wait")));
            is_in_flight(&site, waiting.as_mut()).await;
            until(|| site.server.connections() == 3).await;

            site.server.shutdown();
            assert_eq!(read_to_the_end(&silent).await, b"");
            until(|| site.server.connections() == 1).await;
            idle.is_gone().await;
            let mut finished = pin!(site.server.finished());
            assert!(!has_ended(finished.as_mut()).await, "one is in flight");
            assert!(!has_ended(waiting.as_mut()).await);

            site.open_the_gate();
            let answer = waiting.await?;
            assert_eq!(answer.into_body().collect().await?.to_bytes(), "at last");
            finished.await;
            (&mut site.served).await??;
            assert_eq!(site.ended(|end| matches!(end, End::Finished)), 3);
            assert!(TcpStream::connect(site.address).await.is_err(), "no socket listens");
        }
        Ok(())
    });
}

#[test]
fn closing_cuts_off_requests_in_flight() {
    run(|executor| async move {
        for version in VERSIONS {
            let mut site = Site::open(&executor, Deadlines::default()).await?;
            let mut busy = Client::connect(&executor, version, site.address).await?;
            let mut waiting = pin!(busy.send(get("/wait")));
            is_in_flight(&site, waiting.as_mut()).await;
            site.server.shutdown();
            site.server.close();
            assert!(waiting.await.is_err(), "it was cut off");
            (&mut site.served).await??;
            assert_eq!(site.ended(|end| matches!(end, End::Closed)), 1);
        }
        Ok(())
    });
}

#[test]
fn a_server_that_was_shut_down_serves_no_client() {
    run(|executor| async move {
        let mut site = Site::with(&executor, |server| {
            server.shutdown();
            server
        })
        .await?;
        (&mut site.served).await??;
        assert!(TcpStream::connect(site.address).await.is_err(), "no socket listens");
        site.server.finished().await;
        Ok(())
    });
}

#[test]
fn one_server_and_several_listeners() {
    run(|executor| async move {
        let mut site = Site::open(&executor, Deadlines::default()).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let server = site.server.clone();
        let mut other = Site::listening(&executor, listener.clone(), |_| server)?;
        let mut clients = Vec::new();
        for address in [site.address, other.address] {
            let mut client = Client::connect(&executor, Version::Http1, address).await?;
            assert_eq!(client.get("/hello").await?, "hello");
            clients.push(client);
        }
        assert_eq!(site.server.connections(), 2);
        site.server.shutdown();
        (&mut site.served).await??;
        (&mut other.served).await??;
        assert_eq!(other.server.connections(), 0);
        assert!(is_closed(&listener.accept().await.expect_err("it was closed")));
        Ok(())
    });
}

#[test]
fn a_listener_that_is_closed_ends_serving_but_no_connection() {
    run(|executor| async move {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut site = Site::listening(&executor, listener.clone(), |server| server)?;
        let mut client = Client::connect(&executor, Version::Http1, site.address).await?;
        assert_eq!(client.get("/hello").await?, "hello");
        listener.close().await?;
        let error = (&mut site.served).await?.expect_err("it cannot accept");
        assert!(is_closed(&error), "{error:?}");
        assert_eq!(client.get("/hello").await?, "hello");
        Ok(())
    });
}
