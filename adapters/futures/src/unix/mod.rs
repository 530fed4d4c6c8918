//! Unix sockets.

mod stream;

use std::os::unix::net;

use crate::listener::Listener;
use crate::stream::Stream;

/// A connection over a Unix socket. What it can do with its bytes is in [`Stream`].
pub type UnixStream = Stream<net::UnixStream>;

/// A Unix socket that accepts connections.
pub type UnixListener = Listener<net::UnixListener>;
