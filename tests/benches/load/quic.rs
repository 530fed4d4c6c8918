//! Requests over QUIC, one after the other on one connection. The client is the same for every server.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, EndpointConfig};

use super::meter::{Meter, Reading};
use super::{Plan, tls};
use crate::servers::quic::ANSWER;

pub(super) fn run(plan: &Plan) -> io::Result<Reading> {
    let runtime = Arc::new(netpoll_quinn::Runtime::new(|task| smol::spawn(task).detach())?);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let endpoint = Endpoint::new(EndpointConfig::default(), None, socket, runtime)?;
    let config = QuicClientConfig::try_from(tls::trusting()?).map_err(io::Error::other)?;
    let config = ClientConfig::new(Arc::new(config));
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, plan.port));
    smol::block_on(async {
        let connecting = endpoint.connect_with(config, server, "localhost");
        let connection = connecting.map_err(io::Error::other)?.await?;
        let mut meter = Meter::start(plan);
        loop {
            let asked = Instant::now();
            if meter.is_over(asked)? {
                return meter.read();
            }
            exchange(&connection).await?;
            meter.answered(asked, Instant::now());
        }
    })
}

async fn exchange(connection: &Connection) -> io::Result<()> {
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_all(b"?").await?;
    send.finish()?;
    let answer = receive.read_to_end(ANSWER).await.map_err(io::Error::other)?;
    if answer.len() == ANSWER { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
