//! The deadline handle of a stream that a library owns: another thread limits a call of the library, which fails with the deadline
//! inside. redis-rs is in `programs`, and russh in `tests/dependents`.

use std::io;

use async_tungstenite::tungstenite;
use async_tungstenite::{accept_async, client_async};
use futures::executor::block_on;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use futures_rustls::{TlsAcceptor, TlsConnector};
use netpoll_futures::deadline_in;
use netpoll_tests::watched;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::fixtures::{connected, late};
use crate::tls::{configs, localhost};

/// The handshake is late; and after one that is not, a read. Then the deadline is taken away, and the connection goes on.
#[test]
fn of_a_stream_inside_futures_rustls() {
    watched(|| {
        block_on(async {
            let (server_config, client_config) = configs();
            let (acceptor, connector) =
                (TlsAcceptor::from(server_config), TlsConnector::from(client_config));
            let (client, _silent) = connected().await?;
            let error = late(client.deadlines(), connector.connect(localhost(), client)).await;
            assert!(deadline_in(&error.expect_err("the server is silent")));

            let (client, server) = connected().await?;
            let deadlines = client.deadlines();
            let (client, server) =
                futures::join!(connector.connect(localhost(), client), acceptor.accept(server));
            let (mut client, mut server, mut buffer) = (client?, server?, [0; 4]);
            let read = AsyncReadExt::read(&mut client, &mut buffer);
            let error = late(deadlines.clone(), read).await.expect_err("the server is silent");
            assert!(deadline_in(&error));
            deadlines.set_deadline(None)?;
            AsyncWriteExt::write_all(&mut server, b"late").await?;
            AsyncWriteExt::flush(&mut server).await?;
            AsyncReadExt::read_exact(&mut client, &mut buffer).await?;
            assert_eq!(&buffer, b"late");
            io::Result::Ok(())
        })
        .expect("no errors but those");
    });
}

/// The same under tokio.
#[test]
fn of_a_stream_inside_tokio_rustls() {
    watched(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let ended: io::Result<()> = runtime.expect("a runtime").block_on(async {
            let (server_config, client_config) = configs();
            let acceptor = tokio_rustls::TlsAcceptor::from(server_config);
            let connector = tokio_rustls::TlsConnector::from(client_config);
            let listener = netpoll_tokio::net::TcpListener::bind("127.0.0.1:0").await?;
            let connect = async || {
                let client = netpoll_tokio::net::TcpStream::connect(listener.local_addr()?);
                io::Result::Ok((client.await?, listener.accept().await?.0))
            };
            let (client, _silent) = connect().await?;
            let error = late(client.deadlines(), connector.connect(localhost(), client)).await;
            assert!(deadline_in(&error.expect_err("the server is silent")));

            let (client, server) = connect().await?;
            let deadlines = client.deadlines();
            let (client, server) =
                futures::join!(connector.connect(localhost(), client), acceptor.accept(server));
            let (mut client, mut server, mut buffer) = (client?, server?, [0; 4]);
            let error = late(deadlines.clone(), client.read(&mut buffer)).await;
            assert!(deadline_in(&error.expect_err("the server is silent")));
            deadlines.set_deadline(None)?;
            server.write_all(b"late").await?;
            server.flush().await?;
            client.read_exact(&mut buffer).await?;
            assert_eq!(&buffer, b"late");
            Ok(())
        });
        ended.expect("no errors but those");
    });
}

#[test]
fn of_a_stream_inside_async_tungstenite() {
    watched(|| {
        block_on(async {
            let (client, server) = connected().await?;
            let deadlines = server.deadlines();
            let (server, client) =
                futures::join!(accept_async(server), client_async("ws://localhost/", client));
            let (mut server, (_client, _)) = (server?, client?);
            let message = late(deadlines, server.next()).await.expect("an item");
            let error = message.expect_err("the client is silent");
            assert!(deadline_in(&error), "{error:?}");
            Ok::<_, tungstenite::Error>(())
        })
        .expect("no errors but that");
    });
}
