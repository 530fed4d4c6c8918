//! Unix sockets: connecting, listening, datagrams and descriptors.

pub(crate) mod address;
mod connect;
mod datagram;
mod descriptors;
mod listen;

use std::os::unix::net;

use crate::datagram::Datagram;
use crate::listener::Listener;
use crate::stream::Stream;

pub(crate) use listen::listen_at;

/// A connection over a Unix socket, created by [`connect`](UnixStream::connect) or
/// [`pair`](UnixStream::pair). [`Stream`] has the methods that read and write.
///
/// After the peer has shut down its reading without closing, writes fail. But a write that already
/// waits for room gets no event for that: it waits until its deadline, or until the peer closes.
///
/// ```
/// use netpoll_futures::{UnixListener, UnixStream};
///
/// # fn main() -> std::io::Result<()> { netpoll_futures::block_on(async {
/// let path = std::env::temp_dir().join(format!("netpoll-doc-{}", std::process::id()));
/// let listener = UnixListener::bind(&path)?;
/// let client = UnixStream::connect(&path).await?;
/// let (server, _) = listener.accept().await?;
/// assert_eq!(server.peer_cred()?.pid, std::process::id() as i32);
///
/// client.write_all(b"hello").await?;
/// let mut buffer = [0; 16];
/// assert_eq!(server.read(&mut buffer).await?, 5);
/// listener.close().await?;
/// assert!(!path.exists());
/// # Ok(()) }) }
/// ```
pub type UnixStream = Stream<net::UnixStream>;

/// A Unix socket that accepts connections. [`bind`](UnixListener::bind) creates one; [`Listener`] has
/// the other methods.
pub type UnixListener = Listener<net::UnixListener>;

/// A Unix socket for datagrams. [`Datagram`] has the methods that receive and send.
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use netpoll_futures::UnixDatagram;
///
/// let log = UnixDatagram::bind("/run/example/log")?;
/// let program = UnixDatagram::unbound()?;
/// program.send_to(b"started", "/run/example/log").await?;
/// let mut buffer = [0; 1500];
/// let (len, _) = log.recv_from(&mut buffer).await?;
/// assert_eq!(&buffer[..len], b"started");
/// # Ok(())
/// # }
/// ```
pub type UnixDatagram = Datagram<net::UnixDatagram>;
