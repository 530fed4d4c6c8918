//! TCP: connecting, listening and socket options.

mod connect;
mod dialer;
mod listen;
mod options;

use std::net;

use crate::listener::Listener;
use crate::stream::Stream;

pub use dialer::{DialError, Dialer};
pub use listen::ListenConfig;

/// A TCP connection. [`Stream`] has the methods that read and write.
pub type TcpStream = Stream<net::TcpStream>;

/// A TCP socket that accepts connections. [`bind`](TcpListener::bind) creates one; [`Listener`] has the
/// other methods.
pub type TcpListener = Listener<net::TcpListener>;
