//! HTTP/1 over TLS on one blocking socket: many requests on a connection, or one on each, with its handshake.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_rustls::rustls::pki_types::ServerName;
use futures_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, client};

use super::meter::{Meter, Reading};
use super::{Exchange, Plan, SILENCE};
use crate::servers::tls::certificate;

type Stream = StreamOwned<ClientConnection, TcpStream>;

pub(super) fn run(plan: &Plan, churn: bool) -> io::Result<Reading> {
    let config = trusting()?;
    let mut meter = Meter::start(plan);
    let mut stream = connect(plan, &config)?;
    loop {
        let asked = Instant::now();
        if meter.is_over(asked)? {
            return meter.read();
        }
        if churn {
            stream = connect(plan, &config)?;
        }
        exchange(&mut stream)?;
        meter.answered(asked, Instant::now());
    }
}

/// A client that trusts the server, and resumes no session: each handshake is a whole one.
pub(super) fn trusting() -> io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate()?).map_err(io::Error::other)?;
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.resumption = client::Resumption::disabled();
    Ok(Arc::new(config))
}

fn connect(plan: &Plan, config: &Arc<ClientConfig>) -> io::Result<Stream> {
    let name = ServerName::try_from("localhost").expect("a name");
    let tls = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
    let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, plan.port))?;
    tcp.set_nodelay(true)?;
    tcp.set_read_timeout(Some(Duration::from_millis(SILENCE as u64)))?;
    Ok(StreamOwned::new(tls, tcp))
}

fn exchange(stream: &mut Stream) -> io::Result<()> {
    stream.write_all(&Exchange::Tls.request(0, 0))?;
    let mut answer = Vec::new();
    while Exchange::Tls.answer(&answer, 0, 0)?.is_none() {
        let mut buffer = [0; 1024];
        let len = stream.read(&mut buffer)?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&buffer[..len]);
    }
    Ok(())
}
