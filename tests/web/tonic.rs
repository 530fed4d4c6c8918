//! tonic's server over our listeners, and its client over our streams: the health service of gRPC.

use std::future::ready;
use std::io;
use std::iter::{once, repeat};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use futures::{Stream, TryStreamExt};
use hyper_util::rt::TokioIo;
use netpoll_tests::fixtures::{Folder, LOOPBACK};
use netpoll_tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use netpoll_tokio::{TimeoutStream, Timeouts};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tonic::service::InterceptorLayer;
use tonic::transport::server::{Connected, TcpConnectInfo, UdsConnectInfo};
use tonic::transport::{Channel, Endpoint, Error, Server};
use tonic::{Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::health_reporter;
use tower::service_fn;

use crate::fixtures::{Outcome, SHORT, assert_not_early, on_tokio, read_to_end};

const LONG: Duration = Duration::from_secs(60);

/// The addresses of a connection, as a service sees them.
#[derive(Clone, Debug, Default)]
struct Seen {
    remote: Option<SocketAddr>,
    tcp: Option<TcpConnectInfo>,
    uds: Option<UdsConnectInfo>,
}

/// A server of the health service, until the signal.
struct Served {
    serving: JoinHandle<Result<(), Error>>,
    seen: Arc<Mutex<Seen>>,
    shut_down: oneshot::Sender<()>,
}

fn serve<T>(incoming: impl Stream<Item = io::Result<T>> + Send + 'static) -> Served
where
    T: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    let seen = Arc::new(Mutex::new(Seen::default()));
    let sees = seen.clone();
    let look = move |request: Request<()>| -> Result<Request<()>, Status> {
        *sees.lock().unwrap() = Seen {
            remote: request.remote_addr(),
            tcp: request.extensions().get().cloned(),
            uds: request.extensions().get().cloned(),
        };
        Ok(request)
    };
    let (shut_down, signal) = oneshot::channel();
    let (_reporter, health) = health_reporter();
    let server = Server::builder().layer(InterceptorLayer::new(look)).add_service(health);
    let serving = tokio::spawn(server.serve_with_incoming_shutdown(incoming, async {
        let _ = signal.await;
    }));
    Served { serving, seen, shut_down }
}

/// A channel over a stream of ours. tonic asks for another when the connection has ended.
async fn over_tcp(server: SocketAddr) -> Result<Channel, Error> {
    let connector = service_fn(move |_| async move {
        io::Result::Ok(TokioIo::new(TcpStream::connect(server).await?))
    });
    Endpoint::from_static("http://here").connect_with_connector(connector).await
}

async fn over_unix(path: PathBuf) -> Result<Channel, Error> {
    let connector = service_fn(move |_| {
        let path = path.clone();
        async move { io::Result::Ok(TokioIo::new(UnixStream::connect(path).await?)) }
    });
    Endpoint::from_static("http://here").connect_with_connector(connector).await
}

/// The server is healthy.
async fn check(channel: Channel) -> Outcome {
    let request = HealthCheckRequest { service: String::new() };
    let answer = HealthClient::new(channel).check(request).await?.into_inner();
    assert_eq!(answer.status(), ServingStatus::Serving);
    Ok(())
}

#[test]
fn the_health_service_answers_over_tcp() {
    on_tokio(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let address = listener.local_addr()?;
        let served = serve(listener.into_incoming());
        let channel = over_tcp(address).await?;
        for _ in 0..3 {
            check(channel.clone()).await?;
        }
        let seen = served.seen.lock().unwrap().clone();
        let tcp = seen.tcp.expect("the information on the connection");
        assert_eq!(tcp.local_addr(), Some(address));
        assert_eq!(tcp.remote_addr(), seen.remote);
        assert!(seen.remote.expect("a peer").ip().is_loopback());
        assert!(seen.uds.is_none());
        Ok(())
    });
}

#[test]
fn the_health_service_answers_over_unix_sockets() {
    on_tokio(|| async {
        let folder = Folder::new()?;
        let path = folder.join("socket");
        let served = serve(UnixListener::bind(&path)?.into_incoming());
        check(over_unix(path.clone()).await?).await?;
        let uds = served.seen.lock().unwrap().uds.clone();
        let uds = uds.expect("the information on the connection");
        assert!(uds.peer_addr.expect("an address").is_unnamed());
        let peer = uds.peer_cred.expect("the credentials of this process");
        assert_eq!(peer.pid(), i32::try_from(std::process::id()).ok());
        Ok(())
    });
}

/// The first client sends nothing: the deadline of its socket ends it, or a `TimeoutStream`. Others are served meanwhile.
#[test]
fn a_silent_client_is_ended() {
    on_tokio(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let by_deadline = listener.local_addr()?;
        let mut limits = once(SHORT).chain(repeat(LONG));
        let incoming = listener.into_incoming().and_then(move |stream| {
            let limited = stream.set_read_deadline(limits.next().expect("a limit"));
            ready(limited.map(|()| stream))
        });
        let _first = serve(incoming);

        let listener = TcpListener::bind(LOOPBACK).await?;
        let by_timeout = listener.local_addr()?;
        let mut limits = once(SHORT).chain(repeat(LONG));
        let incoming = listener.into_incoming().map_ok(move |stream| {
            TimeoutStream::new(stream, Timeouts { idle: limits.next(), write_stall: None })
        });
        let _second = serve(incoming);

        for address in [by_deadline, by_timeout] {
            let began = Instant::now();
            let mut silent = TcpStream::connect(address).await?;
            let (ended, checked) = futures::join!(read_to_end(&mut silent), async {
                check(over_tcp(address).await?).await
            });
            checked?;
            ended?;
            assert_not_early(began);
        }
        Ok(())
    });
}

#[test]
fn a_graceful_shutdown_ends_the_server() {
    on_tokio(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let address = listener.local_addr()?;
        let Served { serving, shut_down, .. } = serve(listener.into_incoming());
        let channel = over_tcp(address).await?;
        check(channel.clone()).await?;
        shut_down.send(()).expect("it serves");
        serving.await??;
        assert!(
            check(channel).await.is_err(),
            "the connection is closed, and no other is accepted"
        );
        assert!(TcpStream::connect(address).await.is_err());
        Ok(())
    });
}

/// A listener that is closed, or comes to its deadline, ends the server: it serves the requests of its connections and accepts no more.
#[test]
fn the_end_of_the_listener_ends_the_server() {
    on_tokio(|| async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        let handle = listener.get_ref().clone();
        let served = serve(listener.into_incoming());
        check(over_tcp(handle.local_addr()?).await?).await?;
        handle.close().await?;
        served.serving.await??;

        let listener = TcpListener::bind(LOOPBACK).await?;
        listener.set_read_deadline(SHORT)?;
        let began = Instant::now();
        serve(listener.into_incoming()).serving.await??;
        assert_not_early(began);
        Ok(())
    });
}
