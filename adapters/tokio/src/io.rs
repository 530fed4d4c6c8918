//! As `tokio::io`: what descriptors are ready for, and any descriptor. tokio's own traits are what the
//! sockets have, and here under the same names.

pub use crate::ready::{Interest, Ready};
pub use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// As `tokio::io::unix`: any descriptor.
pub mod unix {
    pub use crate::async_fd::{
        AsyncFd, AsyncFdReadyGuard, AsyncFdReadyMutGuard, AsyncFdRegisterError, TryIoError,
    };
}
