//! Deadlines of commands that share a connection of redis-rs, in front of `redis-server`.

use std::net::SocketAddr;

use netpoll_tests::commands;
use netpoll_tests::programs::{is_installed, with_programs};

use crate::backends;

#[test]
fn a_deadline_ends_a_command_or_its_connection() {
    with_programs(|cast| {
        // Our own server has no command that blocks.
        if is_installed("redis-server") {
            let address: SocketAddr = backends::start(cast, backends::redis).0;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let shown = commands::show(address, |line| println!("{line}"));
            runtime.expect("a runtime").block_on(shown).expect("no errors but those of deadlines");
        }
    });
}
