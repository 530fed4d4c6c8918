//! TCP: how a connection is made, and what is told of it.

mod connect;
mod listen;
mod options;

use std::net;

use crate::listener::Listener;
use crate::stream::Stream;

/// A TCP connection. What it can do with its bytes is in [`Stream`].
pub type TcpStream = Stream<net::TcpStream>;

/// A TCP socket that accepts connections: [`bind`](TcpListener::bind), and see [`Listener`].
pub type TcpListener = Listener<net::TcpListener>;
