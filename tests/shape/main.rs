//! The shape of the public types: what their `Debug` prints, which auto traits they have, which errors and
//! names they share with the crates whose shape they take.
#![cfg(not(netpoll_loom))]

mod auto_traits;
mod debug;
mod errors;
