//! quinn's smol runtime: its sockets and timers are those of async-io. `.ci/dependents` builds this with quinn.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::rustls::RootCertStore;
use quinn::rustls::pki_types::PrivatePkcs8KeyDer;
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, ServerConfig, SmolRuntime,
    TransportConfig, default_runtime,
};

/// A connection of two endpoints on the loopback, with their endpoints. A connection that is idle for `idle` ends.
async fn connected(idle: Duration) -> [(Endpoint, Connection); 2] {
    let issued =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = issued.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der()).into();
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(idle.try_into().expect("a short time")));
    let transport = Arc::new(transport);

    let mut server = ServerConfig::with_single_cert(vec![certificate.clone()], key).expect("a key");
    server.transport = transport.clone();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let mut client = ClientConfig::with_root_certificates(Arc::new(roots)).expect("a certificate");
    client.transport_config(transport);

    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let near = Endpoint::client(address).expect("a port");
    let far = Endpoint::server(server, address).expect("a port");
    let connecting = near
        .connect_with(client, far.local_addr().expect("an address"), "localhost")
        .expect("valid");
    let accepted = async { far.accept().await.expect("it is open").await };
    let (near_connection, far_connection) =
        smol::future::try_zip(connecting, accepted).await.expect("a handshake");
    [(near, near_connection), (far, far_connection)]
}

#[test]
fn the_runtime_is_smols() {
    let runtime = default_runtime().expect("the only one");
    assert_eq!(format!("{runtime:?}"), format!("{SmolRuntime:?}"));
}

#[test]
fn a_megabyte_there_and_back() {
    smol::block_on(async {
        let [(near, client), (_far, server)] = connected(Duration::from_secs(60)).await;
        let echo = smol::spawn(async move {
            let (mut send, mut receive) = server.accept_bi().await.expect("a stream");
            let bytes = receive.read_to_end(1 << 21).await.expect("the bytes");
            send.write_all(&bytes).await.expect("the stream is open");
            send.finish().expect("it is open");
            server.closed().await;
        });
        let sent: Vec<u8> = (0..1 << 20).map(|index| (index % 251) as u8).collect();
        let (mut send, mut receive) = client.open_bi().await.expect("a stream");
        let write = async {
            send.write_all(&sent).await.expect("the stream is open");
            send.finish().expect("it is open");
        };
        let (received, ()) = smol::future::zip(receive.read_to_end(1 << 21), write).await;
        assert!(received.expect("the echo") == sent);
        client.close(0_u32.into(), b"done");
        echo.await;
        near.wait_idle().await;
    });
}

#[test]
fn an_idle_connection_ends_by_a_timer() {
    smol::block_on(async {
        let idle = Duration::from_millis(50);
        let began = Instant::now();
        let [(_near, client), (_far, _server)] = connected(idle).await;
        assert!(matches!(client.closed().await, ConnectionError::TimedOut));
        assert!(began.elapsed() >= idle);
    });
}
