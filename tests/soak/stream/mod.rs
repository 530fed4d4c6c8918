//! Streams: what is done with them, and what must come of it.

mod connect;
mod ends;
mod model;
mod pair;
mod socket;
mod steps;
mod verdict;

pub(crate) use pair::Pair;
pub(crate) use socket::Socket;
