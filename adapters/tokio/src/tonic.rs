//! tonic's trait for the streams: the information on a connection that its services find in a request.

use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;

use ::tonic::transport::server::{Connected, TcpConnectInfo, UdsConnectInfo};
use netpoll_futures::StreamSocket;
use tokio::net::unix::UCred;

use crate::net::{TcpStream, UnixStream};
use crate::runtime;
use crate::stream::Stream;
use crate::timeout::TimeoutStream;

/// tonic's server takes the streams of a listener, by [`into_incoming`](crate::Listener::into_incoming), and `remote_addr`
/// of a request works. Its client takes a stream of netpoll-tokio by a connector.
///
/// ```
/// use hyper_util::rt::TokioIo;
/// use netpoll_tokio::Limit;
/// use netpoll_tokio::net::{TcpListener, TcpStream};
/// use tonic::transport::{Endpoint, Server};
/// use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// listener.set_limit(Some(&Limit::new(10_000)))?;
/// let (_reporter, health) = tonic_health::server::health_reporter();
/// let server = Server::builder().add_service(health);
/// tokio::spawn(server.serve_with_incoming(listener.into_incoming()));
///
/// let connector = tower::service_fn(move |_| async move {
///     std::io::Result::Ok(TokioIo::new(TcpStream::connect(address).await?))
/// });
/// let channel = Endpoint::from_static("http://here").connect_with_connector(connector).await?;
/// HealthClient::new(channel).check(HealthCheckRequest::default()).await?;
/// # Ok(()) }) }
/// ```
///
/// A deadline of a stream ends its connection. `map_ok` of futures' `TryStreamExt` sets one on each stream that is accepted, or
/// wraps the stream in a [`TimeoutStream`], which is a stream for tonic as well.
impl Connected for TcpStream {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        TcpConnectInfo { local_addr: self.local_addr().ok(), remote_addr: self.peer_addr().ok() }
    }
}

/// The credentials are missing in a runtime without I/O: tonic's are a type of tokio's, which only a socket of tokio's
/// gives out. [`peer_cred`](UnixStream::peer_cred) has them.
impl Connected for UnixStream {
    type ConnectInfo = UdsConnectInfo;

    fn connect_info(&self) -> UdsConnectInfo {
        let peer_addr = self.peer_addr().ok().map(|address| Arc::new(address.into()));
        UdsConnectInfo { peer_addr, peer_cred: peer_cred(self) }
    }
}

impl<S: StreamSocket> Connected for TimeoutStream<S>
where
    Stream<S>: Connected,
{
    type ConnectInfo = <Stream<S> as Connected>::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        Stream::from(self.get_ref().get_ref().clone()).connect_info()
    }
}

/// Asks by a duplicate of the descriptor, which a socket of tokio's has for the length of this call.
fn peer_cred(stream: &UnixStream) -> Option<UCred> {
    // Elsewhere tokio panics.
    if !runtime::has_io() {
        return None;
    }
    let duplicate = stream.inner.registration().while_open(StdStream::try_clone).ok()?;
    tokio::net::UnixStream::from_std(duplicate).ok()?.peer_cred().ok()
}
