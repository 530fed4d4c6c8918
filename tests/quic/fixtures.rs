//! Executors, and two endpoints on the loopback with a connection between them.

use std::net::UdpSocket;
use std::sync::Arc;

use futures::StreamExt;
use futures::channel::mpsc;
use futures::executor::{LocalPool, ThreadPool};
use futures::future::{Either, select};
use futures::task::LocalSpawnExt;
use netpoll_quinn::{Runtime, Task};
use netpoll_tests::fixtures::LOOPBACK;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::rustls::pki_types::PrivatePkcs8KeyDer;
use quinn::rustls::{self, RootCertStore};
use quinn::{ClientConfig, Connection, Endpoint, EndpointConfig, ServerConfig, TransportConfig};

pub(crate) type AnyRuntime = Arc<dyn quinn::Runtime>;

/// Runs a test with smol's executor.
pub(crate) fn on_smol<F: Future<Output = ()>>(test: impl FnOnce(AnyRuntime) -> F) {
    let runtime = Runtime::new(|task| smol::spawn(task).detach()).expect("a reactor");
    smol::block_on(test(Arc::new(runtime)));
}

/// Runs a test with two threads of the pool of futures.
pub(crate) fn on_thread_pool<F: Future<Output = ()>>(test: impl FnOnce(AnyRuntime) -> F) {
    let pool = ThreadPool::builder().pool_size(2).create().expect("threads");
    let runtime = Runtime::new(move |task| pool.spawn_ok(task)).expect("a reactor");
    futures::executor::block_on(test(Arc::new(runtime)));
}

/// Runs a test on this thread, in the pool of futures that keeps its tasks there.
pub(crate) fn on_local_pool<F: Future<Output = ()>>(test: impl FnOnce(AnyRuntime) -> F) {
    let (runtime, tasks) = with_channel();
    let mut pool = LocalPool::new();
    pool.spawner().spawn_local(run_each(tasks)).expect("the pool is there");
    pool.run_until(test(runtime));
}

/// Runs a test on this thread, which runs the reactor as well.
pub(crate) fn on_driver<F: Future<Output = ()>>(test: impl FnOnce(AnyRuntime) -> F) {
    let (runtime, tasks) = with_channel();
    let (test, tasks) = (Box::pin(test(runtime)), Box::pin(run_each(tasks)));
    let ended = netpoll::block_on(select(test, tasks));
    assert!(matches!(ended, Either::Left(_)), "the tasks end before the test");
}

/// A runtime that hands its tasks over.
fn with_channel() -> (AnyRuntime, mpsc::UnboundedReceiver<Task>) {
    let (sender, tasks) = mpsc::unbounded();
    let runtime = Runtime::new(move |task| drop(sender.unbounded_send(task))).expect("a reactor");
    (Arc::new(runtime), tasks)
}

async fn run_each(tasks: mpsc::UnboundedReceiver<Task>) {
    tasks.for_each_concurrent(None, |task| task).await;
}

/// One end of a connection.
pub(crate) struct Side {
    pub(crate) endpoint: Endpoint,
    pub(crate) connection: Connection,
}

/// A connection over the loopback: the client's end, and the server's.
pub(crate) async fn connected(runtime: &AnyRuntime, transport: TransportConfig) -> [Side; 2] {
    let (client_config, server_config) = configs(transport);
    let server = endpoint(runtime, Some(server_config));
    let client = endpoint(runtime, None);
    let address = server.local_addr().expect("an address");
    let connecting = client.connect_with(client_config, address, "localhost").expect("valid");
    let accepted = async { server.accept().await.expect("the endpoint is open").await };
    let (near, far) = futures::try_join!(connecting, accepted).expect("a handshake");
    [Side { endpoint: client, connection: near }, Side { endpoint: server, connection: far }]
}

/// An endpoint on the loopback; with a configuration, a server.
pub(crate) fn endpoint(runtime: &AnyRuntime, server: Option<ServerConfig>) -> Endpoint {
    let socket = UdpSocket::bind(LOOPBACK).expect("a port");
    Endpoint::new(EndpointConfig::default(), server, socket, runtime.clone()).expect("an endpoint")
}

/// Both sides of a name that vouches for itself, for HTTP/3.
pub(crate) fn configs(transport: TransportConfig) -> (ClientConfig, ServerConfig) {
    let transport = Arc::new(transport);
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = own.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()).into();

    let mut server = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("a key for it");
    server.alpn_protocols = vec![b"h3".to_vec()];
    let server = QuicServerConfig::try_from(server).expect("TLS 1.3");
    let mut server = ServerConfig::with_crypto(Arc::new(server));
    server.transport_config(transport.clone());

    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let mut client =
        rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    client.alpn_protocols = vec![b"h3".to_vec()];
    let client = QuicClientConfig::try_from(client).expect("TLS 1.3");
    let mut client = ClientConfig::new(Arc::new(client));
    client.transport_config(transport);
    (client, server)
}
