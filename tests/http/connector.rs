//! The connector of hyper-util's pooled client: over TCP and TLS, one deadline for lookup, connect and handshake, and a
//! pool whose connections cost nothing while they are idle.

use std::sync::Arc;
use std::time::Instant;

use futures_rustls::TlsConnector;
use futures_rustls::rustls::ClientConfig;
use futures_rustls::rustls::pki_types::ServerName;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::Connect;
use netpoll::{Direction, Reactor};
use netpoll_futures::{Dialer, TcpListener, deadline_in};
use netpoll_hyper::{Connector, Deadlines, Executor, Version};
use netpoll_tests::watched;

use crate::fixtures::{Outcome, ms, run};
use crate::site::{Body, Site, whole};
use crate::tls::{Certificate, HTTP, Library};

fn client(executor: &Executor, connector: Connector) -> Client<Connector, Body> {
    Client::builder(executor.clone()).build(connector)
}

async fn get<C>(client: &Client<C, Body>, address: String) -> Outcome<Bytes>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let request = Request::get(address).body(whole(Vec::new()))?;
    let answer = client.request(request).await?;
    assert_eq!(answer.status(), 200);
    Ok(answer.into_body().collect().await?.to_bytes())
}

/// A connector that trusts the certificate, and offers these protocols.
fn secure(config: Arc<ClientConfig>) -> Connector {
    let tls = TlsConnector::from(config);
    Connector::new().tls(move |tcp, host| {
        let tls = tls.clone();
        async move {
            let name = ServerName::try_from(host).map_err(std::io::Error::other)?;
            let tls = tls.connect(name, tcp).await?;
            let version = Version::of_alpn(tls.get_ref().1.alpn_protocol())?;
            Ok((tls, version))
        }
    })
}

#[test]
fn a_connection_serves_one_request_after_the_other() {
    run(|executor| async move {
        let site = Site::open(&executor, Deadlines::none()).await?;
        let client = client(&executor, Connector::new());
        for host in ["127.0.0.1", "localhost"] {
            for _ in 0..10 {
                let address = format!("http://{host}:{}/hello", site.address.port());
                assert_eq!(get(&client, address).await?, "hello");
            }
        }
        // A request may come before the pool has the connection of the one before back.
        assert!(site.server.connections() < 20, "the pool has kept connections");
        Ok(())
    });
}

/// In a runtime of tokio, which turns the reactor of the connections.
#[test]
fn in_a_runtime_of_tokio() {
    watched(|| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let fetch = async {
            let executor = Executor::new(|task| drop(tokio::spawn(task)));
            let site = Site::open(&executor, Deadlines::none()).await?;
            let client = client(&executor, Connector::new().reactor(netpoll_tokio::reactor()?));
            let hello = get(&client, format!("http://{}/hello", site.address)).await?;
            assert_eq!(hello, "hello");
            Outcome::Ok(())
        };
        runtime.expect("a runtime").block_on(fetch).expect("an answer");
    });
}

#[test]
fn tls_negotiates_the_version() {
    run(|executor| async move {
        let certificate = Certificate::new();
        let tls = certificate.server(Library::FuturesRustls, &HTTP);
        let site = Site::secure(&executor, tls, |server| server).await?;
        let address = format!("https://localhost:{}/hello", site.address.port());
        for (protocol, version) in
            [("h2", hyper::Version::HTTP_2), ("http/1.1", hyper::Version::HTTP_11)]
        {
            let client = client(&executor, secure(certificate.client(&[protocol])));
            let request = Request::get(&address).body(whole(Vec::new()))?;
            assert_eq!(client.request(request).await?.version(), version);
        }
        Ok(())
    });
}

/// The kernel accepts the connection, and no byte of the handshake comes.
#[test]
fn one_deadline_covers_the_handshake() {
    run(|executor| async move {
        let silent = TcpListener::bind("127.0.0.1:0").await?;
        let connector = secure(Certificate::new().client(&HTTP)).connect_timeout(ms(50));
        let client = client(&executor, connector);
        let began = Instant::now();
        let address = format!("https://localhost:{}/", silent.local_addr()?.port());
        let error = get(&client, address).await.expect_err("no handshake");
        assert!(deadline_in(&*error), "{error:?}");
        assert!(began.elapsed() >= ms(50), "not early");
        Ok(())
    });
}

/// With TLS, the deadline of the handshake is the socket's, and is cleared after it.
#[test]
fn idle_connections_have_no_deadline() {
    run(|executor| async move {
        let certificate = Certificate::new();
        let tls = certificate.server(Library::FuturesRustls, &HTTP);
        let site = Site::secure(&executor, tls, |server| server).await?;
        let reactor = Reactor::builder().build()?;
        let connector = secure(certificate.client(&["http/1.1"]))
            .dialer(Dialer::new().user_timeout(ms(10_000)))
            .connect_timeout(ms(10_000))
            .reactor(reactor.clone());
        let client = client(&executor, connector);
        let address = format!("https://localhost:{}/hello", site.address.port());
        assert_eq!(get(&client, address).await?, "hello");
        let snapshot = reactor.snapshot()?;
        let [row] = snapshot.rows() else { panic!("one connection in the pool: {snapshot}") };
        for direction in [Direction::Read, Direction::Write] {
            assert_eq!(row.direction(direction).deadline_in, None, "{snapshot}");
        }
        assert_eq!(snapshot.timers(), 0);
        drop(client);
        Ok(())
    });
}

#[test]
fn an_address_that_cannot_be_connected_to_has_an_error_with_it() {
    run(|executor| async move {
        let client = client(&executor, Connector::new());
        for (address, reason) in [
            ("https://localhost/", "https needs Connector::tls"),
            ("ftp://localhost/", "the scheme is neither http nor https"),
        ] {
            let error =
                get(&client, address.to_owned()).await.expect_err("an address of that kind");
            let source = error.source().expect("the connector's error").to_string();
            assert_eq!(source, format!("connect {address}: {reason}"));
        }
        Ok(())
    });
}
