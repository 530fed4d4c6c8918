//! Unix sockets: how a connection is made, and what is told of it.

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

/// A connection over a Unix socket: [`connect`](UnixStream::connect), [`pair`](UnixStream::pair). What
/// it can do with its bytes is in [`Stream`].
///
/// A peer that ends its reading, and does not close, breaks our writes; but where there is no room,
/// the system has no event for that, and a write waits for its deadline, or for the peer to close.
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

/// A Unix socket that accepts connections: [`bind`](UnixListener::bind), and see [`Listener`].
pub type UnixListener = Listener<net::UnixListener>;

/// A Unix socket for datagrams. What it can do with them is in [`Datagram`].
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
