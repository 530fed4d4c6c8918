//! The shape of the public types: the output of their `Debug`, their auto traits, their sizes, and the errors and
//! names they share with the crates whose shape they take.
#![cfg(not(netpoll_loom))]

mod auto_traits;
mod debug;
mod errors;
mod sizes;
