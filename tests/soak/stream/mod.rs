//! Streams: their steps, and the results that these must have.

mod connect;
mod ends;
mod model;
mod pair;
mod socket;
mod steps;
mod verdict;

pub(crate) use pair::Pair;
pub(crate) use socket::Socket;
