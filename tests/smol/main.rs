//! Programs in the style of smol's documentation, with one line changed: `use netpoll_smol as smol`.
#![cfg(not(netpoll_loom))]

mod addresses;
mod chat;
mod net;
mod shape;
mod watch;
