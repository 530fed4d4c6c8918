//! russh's client over a stream of netpoll-tokio, which the client owns: the handle of the stream limits the handshake and the
//! session. `.ci/dependents` builds this with russh.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use netpoll_tokio::net::{TcpListener, TcpStream};
use netpoll_tokio::{Deadlines, deadline_in};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::ssh_key::private::{Ed25519Keypair, PrivateKey};
use russh::{Error, client, server};

struct Client;

impl client::Handler for Client {
    type Error = Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Error> {
        Ok(true)
    }
}

struct Server;

impl server::Handler for Server {
    type Error = Error;

    async fn auth_none(&mut self, _: &str) -> Result<server::Auth, Error> {
        Ok(server::Auth::Accept)
    }
}

/// A connection: the side of the client, and that of the server.
async fn connected() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    Ok((client, listener.accept().await?.0))
}

fn runs<T>(test: impl Future<Output = Result<T, Error>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(test).expect("no error but those");
}

/// Another thread sets the deadline.
fn set_deadline(deadlines: &Deadlines) {
    let deadlines = deadlines.clone();
    let setter = thread::spawn(move || deadlines.set_deadline(Duration::from_millis(5)));
    setter.join().expect("no panic").expect("the stream is open");
}

#[test]
fn a_handshake_is_late() {
    runs(async {
        let (client, _silent) = connected().await?;
        let deadlines = client.deadlines();
        let connecting = tokio::spawn(client::connect_stream(Arc::default(), client, Client));
        tokio::task::yield_now().await;
        set_deadline(&deadlines);
        let connected = connecting.await.expect("no panic");
        let Err(error) = connected else { panic!("the server is silent") };
        assert!(deadline_in(&error), "{error:?}");
        Ok(())
    });
}

#[test]
fn a_session_is_late() {
    runs(async {
        let (client, server) = connected().await?;
        let deadlines = client.deadlines();
        let key = PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]));
        let config = server::Config { keys: vec![key], ..Default::default() };
        let serving = tokio::spawn(async {
            // The server sees the end of the connection, and its error is of no interest.
            let session = server::run_stream(Arc::new(config), server, Server).await?;
            session.await
        });
        let mut session = client::connect_stream(Arc::default(), client, Client).await?;
        assert!(session.authenticate_none("user").await?.success());
        set_deadline(&deadlines);
        let error = session.await.expect_err("the server is silent");
        assert!(deadline_in(&error), "{error:?}");
        drop(serving.await.expect("no panic"));
        Ok(())
    });
}
