//! quinn (QUIC) over the netpoll reactor, under any executor.
//!
//! quinn has no I/O, timers or tasks of its own: its traits name the ones that it needs. [`Runtime`] implements them over
//! a reactor, without a runtime: a registration for the socket of each endpoint, a timer of the reactor's wheel for each
//! connection, and the tasks by a closure. GSO, GRO and ECN are those of quinn-udp, which quinn's own runtimes use.
//!
//! # Example
//!
//! ```
//! use std::net::UdpSocket;
//! use std::sync::Arc;
//!
//! use netpoll_quinn::Runtime;
//! use quinn::{Endpoint, EndpointConfig};
//! # use quinn::rustls::{RootCertStore, pki_types::PrivatePkcs8KeyDer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> { smol::block_on(async {
//! # let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
//! # let key = PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der()).into();
//! # let mut roots = RootCertStore::empty();
//! # roots.add(issued.cert.der().clone())?;
//! # let server_config = quinn::ServerConfig::with_single_cert(vec![issued.cert.der().clone()], key)?;
//! # let client_config = quinn::ClientConfig::with_root_certificates(Arc::new(roots))?;
//! let runtime = Arc::new(Runtime::new(|task| smol::spawn(task).detach())?);
//!
//! let socket = UdpSocket::bind("127.0.0.1:0")?;
//! let server = Endpoint::new(EndpointConfig::default(), Some(server_config), socket, runtime.clone())?;
//! let address = server.local_addr()?;
//! smol::spawn(async move {
//!     let connection = server.accept().await.expect("the endpoint is open").await?;
//!     let mut stream = connection.open_uni().await?;
//!     stream.write_all(b"hello").await?;
//!     stream.finish()?;
//!     connection.closed().await;
//! #   Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
//! }).detach();
//!
//! let socket = UdpSocket::bind("127.0.0.1:0")?;
//! let client = Endpoint::new(EndpointConfig::default(), None, socket, runtime)?;
//! let connection = client.connect_with(client_config, address, "localhost")?.await?;
//! let mut stream = connection.accept_uni().await?;
//! assert_eq!(stream.read_to_end(5).await?, b"hello");
//! # Ok(()) }) }
//! ```
//!
//! Without a feature for a runtime, quinn has no default one. So instead of `Endpoint::client` and `Endpoint::server`, a
//! program calls `Endpoint::new`, as above, and names the runtime; `Endpoint::rebind` keeps it.
//!
//! # tokio
//!
//! quinn's channels are those of `tokio::sync`, under every runtime. Neither tokio's runtime nor its
//! I/O and timers are compiled, unless another crate of the program, or quinn's default features, ask for them:
//!
//! ```sh
//! cargo add netpoll-quinn
//! cargo add quinn --no-default-features --features rustls-ring
//! ```
//!
//! # The end of a reactor
//!
//! After a shutdown of the reactor, endpoints and connections end with an error, and no new ones begin. So it is in a forked child.
//!
//! # On other executors
//!
//! See [`Runtime`], which has an example for smol, for the thread pool of futures, and for executors whose tasks stay on
//! one thread.

mod runtime;
mod socket;
mod timer;

pub use runtime::{Runtime, Task};

/// The programs of the README, which run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
