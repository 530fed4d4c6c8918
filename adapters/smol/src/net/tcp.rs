//! How TCP streams and listeners are made.

use std::io;

use netpoll_futures::{OpError, try_each};

use super::{AsyncToSocketAddrs, TcpListener, TcpStream};

impl TcpStream {
    /// Connects to the first address that answers. See [`netpoll_futures::TcpStream::connect`].
    ///
    /// # Errors
    ///
    /// The error for the last address.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, it leaves no socket behind.
    pub async fn connect(addresses: impl AsyncToSocketAddrs) -> io::Result<Self> {
        try_each(addresses, netpoll_futures::TcpStream::connect)
            .await
            .map(Self::from)
            .map_err(OpError::strip)
    }
}

impl TcpListener {
    /// Binds to the first address that can be bound. See [`netpoll_futures::TcpListener::bind`].
    ///
    /// # Errors
    ///
    /// The error for the last address.
    pub async fn bind(addresses: impl AsyncToSocketAddrs) -> io::Result<Self> {
        try_each(addresses, netpoll_futures::TcpListener::bind_as_configured)
            .await
            .map(Self::from)
            .map_err(OpError::strip)
    }
}
