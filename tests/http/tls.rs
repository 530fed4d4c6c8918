//! The server over TLS: the version by ALPN, the limit of the handshake, and every other limit as without TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use futures::future::try_join_all;
use futures::{AsyncReadExt, AsyncWriteExt};
use futures_rustls::client::TlsStream;
use futures_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use futures_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig};
use futures_rustls::{TlsAcceptor, TlsConnector};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::service::Service;
use hyper::{Request, Response};
use netpoll_futures::{TcpListener, TcpStream};
use netpoll_hyper::{BoxError, Deadline, Deadlines, End, Executor, Io, Server, Version};
use tokio_util::compat::{FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};

use crate::client::{Client, get, read_to_the_end};
use crate::fixtures::{Outcome, has_ended, ms, pause, run, under, until};
use crate::raw;
use crate::site::{MIB, Site, pattern};

const VERSIONS: [Version; 2] = [Version::Http1, Version::Http2];
const LIBRARIES: [Library; 2] = [Library::FuturesRustls, Library::TokioRustls];

#[derive(Clone, Copy)]
pub(crate) enum Library {
    FuturesRustls,
    TokioRustls,
}

/// The server's side of TLS, with the library that it uses.
#[derive(Clone)]
pub(crate) struct Tls {
    library: Library,
    config: Arc<ServerConfig>,
}

impl Tls {
    pub(crate) async fn serve<V, B>(
        &self,
        server: &Server,
        listener: &TcpListener,
        page: impl FnMut(&SocketAddr) -> V,
    ) -> io::Result<()>
    where
        V: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>>,
        V: Send + 'static,
        V::Future: Send + 'static,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        match self.library {
            Library::FuturesRustls => {
                let acceptor = TlsAcceptor::from(self.config.clone());
                let handshake = |tcp| {
                    let accepted = acceptor.accept(tcp);
                    async {
                        let tls = accepted.await?;
                        let version = Version::of_alpn(tls.get_ref().1.alpn_protocol())?;
                        Ok((tls, version))
                    }
                };
                server.serve_with(listener, handshake, page).await
            }
            Library::TokioRustls => {
                let acceptor = tokio_rustls::TlsAcceptor::from(self.config.clone());
                let handshake = |tcp: netpoll_hyper::ServedStream<_>| {
                    let accepted = acceptor.accept(tcp.compat());
                    async {
                        let tls = accepted.await?;
                        let version = Version::of_alpn(tls.get_ref().1.alpn_protocol())?;
                        Ok((tls.compat(), version))
                    }
                };
                server.serve_with(listener, handshake, page).await
            }
        }
    }
}

/// A certificate for `localhost` that vouches for itself, and its key.
pub(crate) struct Certificate {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Certificate {
    pub(crate) fn new() -> Self {
        let own =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(own.signing_key.serialize_der().into());
        Self { certificate: own.cert.der().clone(), key }
    }

    /// A server that agrees to these protocols.
    pub(crate) fn server(&self, library: Library, protocols: &[&str]) -> Tls {
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![self.certificate.clone()], self.key.clone_key());
        let mut config = config.expect("a key for it");
        config.alpn_protocols = protocols.iter().map(|&name| name.into()).collect();
        Tls { library, config: Arc::new(config) }
    }

    /// A client that offers these protocols.
    pub(crate) fn client(&self, protocols: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a certificate");
        let mut config =
            ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|&name| name.into()).collect();
        Arc::new(config)
    }
}

fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("a name")
}

async fn connect(
    config: &Arc<ClientConfig>,
    address: SocketAddr,
) -> io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(address).await?;
    TlsConnector::from(config.clone()).connect(localhost(), tcp).await
}

/// A client that speaks `version`, whatever ALPN has negotiated.
async fn client(
    executor: &Executor,
    version: Version,
    config: &Arc<ClientConfig>,
    address: SocketAddr,
) -> Outcome<Client> {
    Client::over(executor, version, Io::new(connect(config, address).await?)).await
}

/// The bytes with which a client begins.
fn client_hello(config: &Arc<ClientConfig>) -> Vec<u8> {
    let mut hello = Vec::new();
    let mut connection = ClientConnection::new(config.clone(), localhost()).expect("a client");
    connection.write_tls(&mut hello).expect("memory");
    hello
}

pub(crate) const HTTP: [&str; 2] = ["h2", "http/1.1"];

fn protocol(version: Version) -> &'static str {
    if version == Version::Http1 { "http/1.1" } else { "h2" }
}

#[test]
fn a_client_is_served_in_the_version_of_alpn() {
    run(|executor| async move {
        let certificate = Certificate::new();
        for library in LIBRARIES {
            let tls = certificate.server(library, &HTTP);
            let site = Site::secure(&executor, tls, |server| server).await?;
            for version in VERSIONS {
                let config = certificate.client(&[protocol(version)]);
                let mut client = client(&executor, version, &config, site.address).await?;
                assert_eq!(client.get("/hello").await?, "hello");
                let all = pattern(MIB);
                assert!(client.get(&format!("/full/{MIB}")).await? == all);
                assert!(client.echo(crate::site::whole(all.clone())).await? == all);
            }
            until(|| site.server.connections() == 0).await;
            assert_eq!(site.ended(|end| matches!(end, End::Finished)), 2);
        }
        Ok(())
    });
}

#[test]
fn without_alpn_the_first_bytes_decide() {
    run(|executor| async move {
        let certificate = Certificate::new();
        let tls = certificate.server(Library::FuturesRustls, &[]);
        let site = Site::secure(&executor, tls, |server| server).await?;
        for version in VERSIONS {
            let config = certificate.client(&[]);
            let mut client = client(&executor, version, &config, site.address).await?;
            assert_eq!(client.get("/hello").await?, "hello");
        }
        Ok(())
    });
}

#[test]
fn a_version_that_the_server_does_not_speak_is_refused() {
    run(|executor| async move {
        let certificate = Certificate::new();
        let tls = certificate.server(Library::FuturesRustls, &HTTP);
        let site = Site::secure(&executor, tls, |server| server.only(Version::Http1)).await?;
        let _refused = connect(&certificate.client(&["h2"]), site.address).await?;
        until(|| site.ended(|end| matches!(end, End::Failed(_))) == 1).await;
        let config = certificate.client(&["http/1.1"]);
        let mut good = client(&executor, Version::Http1, &config, site.address).await?;
        assert_eq!(good.get("/hello").await?, "hello");
        Ok(())
    });
}

#[test]
fn a_handshake_that_fails_is_reported_with_the_address_and_the_server_goes_on() {
    run(|executor| async move {
        let certificate = Certificate::new();
        for library in LIBRARIES {
            // A client without TLS, one that offers another protocol, and one to whose protocol only TLS agrees.
            for case in ["plain", "refused", "foreign"] {
                let protocols = if case == "foreign" { &["foreign"][..] } else { &HTTP };
                let tls = certificate.server(library, protocols);
                let site = Site::secure(&executor, tls, |server| server).await?;
                let stream = TcpStream::connect(site.address).await?;
                let address = stream.local_addr()?;
                let mut good = None;
                if case == "plain" {
                    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
                    read_to_the_end(&stream).await;
                } else {
                    let config = certificate.client(&["foreign"]);
                    let connector = TlsConnector::from(config);
                    let connected = connector.connect(localhost(), stream).await;
                    assert_eq!(connected.is_ok(), case == "foreign");
                    good = connected.ok();
                }
                let error = site.failed_handshake().await;
                let begin = format!("handshake with {address}: ");
                assert!(error.starts_with(&begin), "{error}");
                assert!(case != "foreign" || error.contains(r#"ALPN chose "foreign""#), "{error}");
                drop(good);
                let config = certificate.client(&[]);
                let mut good = client(&executor, Version::Http1, &config, site.address).await?;
                assert_eq!(good.get("/hello").await?, "hello");
            }
        }
        Ok(())
    });
}

#[test]
fn a_handshake_that_is_never_complete_is_cut_off() {
    run(|executor| async move {
        let certificate = Certificate::new();
        let hello = client_hello(&certificate.client(&HTTP));
        for library in LIBRARIES {
            let tls = certificate.server(library, &HTTP);
            let limits = Deadlines::none().handshake(ms(50));
            let site = Site::secure(&executor, tls, |server| server.deadlines(limits)).await?;
            // The last has the server's answer and sends nothing more.
            for (late, start) in [0, 1, hello.len() / 2, hello.len()].into_iter().enumerate() {
                let began = Instant::now();
                let stream = TcpStream::connect(site.address).await?;
                stream.write_all(&hello[..start]).await?;
                read_to_the_end(&stream).await;
                assert!(began.elapsed() >= ms(50), "not early");
                site.late(Deadline::Handshake, late + 1).await;
            }
        }
        Ok(())
    });
}

#[test]
fn a_byte_of_a_handshake_now_and_then_does_not_help() {
    run(|executor| async move {
        let certificate = Certificate::new();
        let tls = certificate.server(Library::FuturesRustls, &HTTP);
        let limits = Deadlines::none().handshake(ms(100));
        let site = Site::secure(&executor, tls, |server| server.deadlines(limits)).await?;
        let began = Instant::now();
        let stream = TcpStream::connect(site.address).await?;
        for byte in client_hello(&certificate.client(&HTTP)) {
            if stream.write_all(&[byte]).await.is_err() {
                break;
            }
            pause(ms(5)).await?;
        }
        assert!(began.elapsed() >= ms(100), "not early");
        site.late(Deadline::Handshake, 1).await;
        Ok(())
    });
}

#[test]
fn five_hundred_handshakes_that_are_never_complete_beside_good_ones() {
    const SLOW: usize = 500;
    netpoll_tests::watched(|| {
        under("smol_4_threads", |executor| async move {
            let certificate = Certificate::new();
            let config = certificate.client(&["http/1.1"]);
            let hello = client_hello(&config);
            let limits = Deadlines::none().handshake(ms(1000));
            let tls = certificate.server(Library::FuturesRustls, &HTTP);
            let site = Site::secure(&executor, tls, |server| server.deadlines(limits)).await?;
            let slow = (0..SLOW).map(async |index| -> Outcome {
                let stream = TcpStream::connect(site.address).await?;
                stream.write_all(&hello[..index % hello.len()]).await?;
                read_to_the_end(&stream).await;
                Ok(())
            });
            let mut slow = pin!(try_join_all(slow));
            let mut served = 0;
            while !has_ended(slow.as_mut()).await {
                let mut good = client(&executor, Version::Http1, &config, site.address).await?;
                assert_eq!(good.get("/hello").await?, "hello");
                served += 1;
            }
            assert!(served > 1, "good clients were served meanwhile");
            site.late(Deadline::Handshake, SLOW).await;
            Ok(())
        });
    });
}

#[test]
fn a_handshake_that_is_not_complete_at_a_shutdown_ends() {
    run(|executor| async move {
        let certificate = Certificate::new();
        let config = certificate.client(&HTTP);
        let tls = certificate.server(Library::FuturesRustls, &HTTP);
        let site = Site::secure(&executor, tls, |server| server).await?;
        let silent = TcpStream::connect(site.address).await?;
        let peer = silent.local_addr()?;
        until(|| site.server.connections() == 1).await;
        site.server.shutdown();
        let cut = site.failed_handshake().await;
        assert_eq!(cut, format!("handshake with {peer}: the server shuts down"));
        until(|| site.server.connections() == 0).await;
        let late = TlsConnector::from(config).connect(localhost(), silent).await;
        assert!(late.is_err(), "the server takes part in no handshake any more");
        let Site { served, server, .. } = site;
        served.await??;
        assert_eq!(server.connections(), 0);
        Ok(())
    });
}

#[test]
fn a_shutdown_finishes_the_request_in_flight() {
    run(|executor| async move {
        let certificate = Certificate::new();
        for version in VERSIONS {
            let tls = certificate.server(Library::FuturesRustls, &HTTP);
            let site = Site::secure(&executor, tls, |server| server).await?;
            let config = certificate.client(&[protocol(version)]);
            let mut client = client(&executor, version, &config, site.address).await?;
            let answer = async {
                until(|| site.waiting() == 1).await;
                site.server.shutdown();
                site.open_the_gate();
                Outcome::Ok(())
            };
            let (answer, told) = futures::join!(client.get("/wait"), answer);
            told?;
            assert_eq!(answer?, "at last");
            client.is_gone().await;
            until(|| site.server.connections() == 0).await;
        }
        Ok(())
    });
}

/// HTTP marks the end of each message, so a client need not say goodbye in TLS.
#[test]
fn a_client_that_leaves_without_close_notify_has_finished() {
    run(|executor| async move {
        let certificate = Certificate::new();
        for library in LIBRARIES {
            let tls = certificate.server(library, &HTTP);
            let site = Site::secure(&executor, tls, |server| server).await?;
            for (count, version) in VERSIONS.into_iter().enumerate() {
                let mut tls =
                    connect(&certificate.client(&[protocol(version)]), site.address).await?;
                let request = if version == Version::Http1 {
                    b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec()
                } else {
                    [raw::hello(), raw::get(1, "/hello")].concat()
                };
                tls.write_all(&request).await?;
                tls.flush().await?;
                let mut answer = Vec::new();
                while !answer.ends_with(b"hello") {
                    let mut byte = [0];
                    tls.read_exact(&mut byte).await?;
                    answer.extend(byte);
                }
                drop(tls);
                until(|| site.ended(|end| matches!(end, End::Finished)) == count + 1).await;
            }
        }
        Ok(())
    });
}

#[test]
fn every_limit_holds_over_tls() {
    run(|executor| async move {
        let certificate = Certificate::new();
        let limits = Deadlines::none().handshake(ms(500)).header(ms(1000)).idle(ms(2000));
        for version in VERSIONS {
            let config = certificate.client(&[protocol(version)]);
            let tls = certificate.server(Library::FuturesRustls, &HTTP);
            let site = Site::secure_by_hand(&executor, tls.clone(), limits)?;

            // No head: the limit begins with the end of the handshake.
            let silent = connect(&config, site.address).await?;
            until(|| site.server.connections() == 1).await;
            let mut passed = 0;
            while site.late_ones() == 0 {
                site.pass(ms(100)).await?;
                passed += 100;
            }
            assert!(passed >= 1000, "{passed}");
            site.late(Deadline::Header, 1).await;
            drop(silent);

            let mut idle = client(&executor, version, &config, site.address).await?;
            assert_eq!(idle.get("/hello").await?, "hello");
            let mut passed = 0;
            while site.late_ones() == 1 {
                site.pass(ms(100)).await?;
                passed += 100;
            }
            assert!(passed >= 2000, "{passed}");
            site.late(Deadline::Idle, 1).await;
            idle.is_gone().await;

            let limits = Deadlines::none().write_stall(ms(100));
            let site = Site::secure(&executor, tls, |server| server.deadlines(limits)).await?;
            let mut stalled = client(&executor, version, &config, site.address).await?;
            let mut answer = stalled.send(get("/endless")).await?.into_body();
            site.late(Deadline::WriteStall, 1).await;
            while let Some(Ok(_)) = answer.frame().await {}
        }
        Ok(())
    });
}
