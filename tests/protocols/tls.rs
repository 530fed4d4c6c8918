//! TLS: an echo, deadlines underneath, and a peer that stops in the middle of a handshake.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::executor::ThreadPool;
use futures::task::SpawnExt;
use futures::{AsyncReadExt, AsyncWriteExt};
use futures_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use futures_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use futures_rustls::{TlsAcceptor, TlsConnector};
use netpoll_futures::{TcpListener, TcpStream, is_deadline_exceeded};
use netpoll_tests::watched;

/// Both sides of a name that vouches for itself.
pub(crate) fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = own.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(own.signing_key.serialize_der().into());
    let server = ServerConfig::builder().with_no_client_auth();
    let server = server.with_single_cert(vec![certificate.clone()], key).expect("a key for it");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

fn sides() -> (TlsAcceptor, TlsConnector) {
    let (server, client) = configs();
    (TlsAcceptor::from(server), TlsConnector::from(client))
}

pub(crate) fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("a name")
}

/// Echoes to the end, which it passes on.
async fn echo(acceptor: TlsAcceptor, stream: TcpStream) -> io::Result<()> {
    let mut tls = acceptor.accept(stream).await?;
    let mut buffer = [0; 4096];
    loop {
        let count = tls.read(&mut buffer).await?;
        if count == 0 {
            return tls.close().await;
        }
        tls.write_all(&buffer[..count]).await?;
        tls.flush().await?;
    }
}

async fn converse(connector: TlsConnector, stream: TcpStream, len: usize) -> io::Result<()> {
    let tls = connector.connect(localhost(), stream).await?;
    let (mut reader, mut writer) = tls.split();
    let sent: Vec<u8> = (0..len).map(|index| (index % 251) as u8).collect();
    let write = async {
        writer.write_all(&sent).await?;
        writer.close().await
    };
    let mut received = Vec::new();
    let (wrote, read) = futures::join!(write, reader.read_to_end(&mut received));
    wrote?;
    read?;
    assert!(received == sent, "{} bytes came back", received.len());
    Ok(())
}

#[test]
fn twenty_at_once_have_their_bytes_back() {
    watched(|| {
        let pool = ThreadPool::builder().pool_size(2).create().expect("threads");
        let spawner = pool.clone();
        let everybody = pool.spawn_with_handle(async move {
            let (acceptor, connector) = sides();
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let mut clients = Vec::new();
            for _ in 0..20 {
                let client = TcpStream::connect(listener.local_addr()?).await?;
                let (server, _) = listener.accept().await?;
                let served = spawner.spawn_with_handle(echo(acceptor.clone(), server));
                let client =
                    spawner.spawn_with_handle(converse(connector.clone(), client, 200_000));
                clients.push((served.expect("it runs"), client.expect("it runs")));
            }
            for (server, client) in clients {
                client.await?;
                server.await?;
            }
            io::Result::Ok(())
        });
        futures::executor::block_on(everybody.expect("it runs")).expect("no errors");
    });
}

/// The deadline is of the stream underneath, and TLS passes its error on.
#[test]
fn a_silent_peer_is_late_for_its_handshake_and_afterwards() {
    watched(|| {
        futures::executor::block_on(async {
            let (acceptor, connector) = sides();
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let _silent = TcpStream::connect(listener.local_addr()?).await?;
            let (server, _) = listener.accept().await?;
            let soon = || Some(Instant::now() + Duration::from_millis(20));
            server.set_read_deadline(soon())?;
            let late = acceptor.accept(server).await.expect_err("the client sends no handshake");
            assert!(is_deadline_exceeded(&late) && late.kind() == ErrorKind::TimedOut);

            let client = TcpStream::connect(listener.local_addr()?).await?;
            let (server, _) = listener.accept().await?;
            let deadlines = server.clone();
            let (server, client) =
                futures::join!(acceptor.accept(server), connector.connect(localhost(), client));
            let (mut server, mut client) = (server?, client?);
            deadlines.set_read_deadline(soon())?;
            let mut buffer = [0; 16];
            let late = server.read(&mut buffer).await.expect_err("the client is silent");
            assert!(is_deadline_exceeded(&late));
            // Nothing is lost by it, and the connection goes on.
            deadlines.set_read_deadline(None)?;
            client.write_all(b"at last").await?;
            client.flush().await?;
            assert_eq!(server.read(&mut buffer).await?, 7);
            io::Result::Ok(())
        })
        .expect("no errors but those");
    });
}
