//! Any descriptor, as in `tokio::io`. The traits, `Interest` and `Ready` are tokio's own.

pub use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};

/// Any descriptor, as in `tokio::io::unix`.
pub mod unix {
    pub use crate::async_fd::{
        AsyncFd, AsyncFdReadyGuard, AsyncFdReadyMutGuard, AsyncFdRegisterError, TryIoError,
    };
}
