//! tokio, with the sockets of `netpoll-tokio`, for tokio's own tests.
#![doc = include_str!("documentation.md")]
pub use subject::*;

pub use netpoll_tokio::net;

pub mod io {
    pub use netpoll_tokio::io::unix;
    pub use subject::io::*;
}
