//! TCP: the listener, the stream, and how a connection is made.

mod connect;
mod convert;
mod io_traits;
mod listener;
mod options;
mod poll;
mod stream;

pub use listener::{Incoming, TcpListener};
pub use stream::TcpStream;
