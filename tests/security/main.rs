//! A descriptor of ours must never become another program's, or another socket's.
#![cfg(not(netpoll_loom))]

mod close_on_exec;
mod close_refused;
mod numbers;
mod placeholder;
mod shared_description;
