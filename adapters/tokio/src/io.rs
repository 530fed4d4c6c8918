//! Readiness and any descriptor, as in `tokio::io`. The traits are tokio's own.

pub use crate::ready::{Interest, Ready};
pub use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Any descriptor, as in `tokio::io::unix`.
pub mod unix {
    pub use crate::async_fd::{
        AsyncFd, AsyncFdReadyGuard, AsyncFdReadyMutGuard, AsyncFdRegisterError, TryIoError,
    };
}
