//! Deadlines of Redis commands that share a connection of redis-rs. It takes a list of its own in the server and removes it.
//!
//! ```text
//! cargo run -p netpoll-tests --example commands -- 127.0.0.1:6379
//! ```
//!
//! The program is in `tests/src/commands.rs`.

use std::error::Error;

use netpoll_tests::commands;

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:6379".to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(commands::show(address.parse()?, |line| println!("{line}")))
}
