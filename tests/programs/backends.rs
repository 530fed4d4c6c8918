//! Real servers, each on a port of its own.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU16, Ordering};

/// Ports that no client is given, so that they stay free while their server is down.
const PORTS: u16 = 10_000;

/// A port without a listener just now.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = (process::id() % 200) as u16 * 100;
    let ports =
        std::iter::repeat_with(|| PORTS + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000);
    let mut addresses = ports.take(20_000).map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    addresses.find(|address| TcpListener::bind(address).is_ok()).expect("a free port")
}

/// A server of `kind` on a free port: another process may be faster in taking it, and then there are others.
pub(crate) fn start(cast: &Cast, kind: fn(&Cast, SocketAddr) -> Option<u32>) -> (SocketAddr, u32) {
    let mut tries = (0..10).map(|_| free_address());
    let started = tries.find_map(|address| Some((address, kind(cast, address)?)));
    started.expect("a server that starts")
}

pub(crate) fn redis(cast: &Cast, address: SocketAddr) -> Option<u32> {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &address.port().to_string()]);
    command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
    cast.start(&mut command, "Ready to accept connections")
}

/// With a single process, which is the one that is killed.
pub(crate) fn nginx(cast: &Cast, address: SocketAddr) -> Option<u32> {
    let folder = cast.folder.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path {folder}/{what};"))
        .concat();
    let configuration = format!(
        "daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr notice;
        events {{ worker_connections 256; }}
        http {{ access_log off; {temporary}
            server {{ listen {address}; location / {{ return 200 \"hello\\n\"; }} }} }}"
    );
    let file = cast.folder.join("nginx.conf");
    fs::write(&file, configuration).expect("a file of its own");
    let mut command = Command::new("nginx");
    command.arg("-p").arg(&cast.folder).args(["-e", "stderr", "-c"]).arg(file);
    // Said when it has its sockets.
    cast.start(&mut command, "event method")
}
use netpoll_tests::programs::Cast;
