//! Dials over links that are cut, slow or refuse, to names with many addresses, and by a resolver that does not answer.

use std::fs;
use std::io::{ErrorKind, Read};
use std::net::{
    Ipv6Addr, SocketAddr, TcpListener as StdTcpListener, TcpStream as StdTcpStream, UdpSocket,
};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use netpoll_futures::{
    DialError, Dialer, ListenConfig, TcpStream, is_deadline_exceeded, raw_os_error, resolve,
};

use crate::broken::{LATE, allow_fast_open, far_listener};
use crate::fixtures::{FAR, Stage};
use crate::os;

const MS: Duration = Duration::from_millis(1);

/// The delay of RFC 8305, and the dialer's.
const DELAY: Duration = Duration::from_millis(250);

/// The next address is tried only if one has failed.
const NO_RACE: Duration = Duration::MAX;

const NEAR_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);
const FAR_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2);

/// How many connects of this host are pending.
fn pending() -> usize {
    const SYN_SENT: &str = "02";
    let tables =
        ["tcp", "tcp6"].map(|name| fs::read_to_string(format!("/proc/thread-self/net/{name}")));
    let lines = tables.iter().flatten().flat_map(|table| table.lines());
    lines.filter(|line| line.split_ascii_whitespace().nth(3) == Some(SYN_SENT)).count()
}

/// Both hosts have IPv6 addresses, and the link carries no IPv6 yet.
fn has_v6(stage: &Stage) -> bool {
    let added = os::add_v6(NEAR_V6).and_then(|()| stage.far.run(|| os::add_v6(FAR_V6)));
    if let Err(error) = &added {
        println!("not run, as there is no IPv6 to be had: {error}");
    }
    added.is_ok()
}

/// The address of a listener, and the one in IPv6 with the same port.
fn both_families(listener: &StdTcpListener) -> [SocketAddr; 2] {
    let v4 = listener.local_addr().expect("an address");
    [(FAR_V6, v4.port()).into(), v4]
}

pub(crate) fn a_black_hole_of_ipv6_costs_the_attempt_delay(stage: &Stage) {
    if !has_v6(stage) {
        return;
    }
    let listener = far_listener(stage);
    let addresses = both_families(&listener);
    let began = Instant::now();
    let near = block_on(TcpStream::connect(addresses)).expect("IPv4 works");
    assert!(began.elapsed() >= DELAY && began.elapsed() < DELAY + LATE, "{:?}", began.elapsed());
    assert_eq!(near.peer_addr().expect("a peer"), addresses[1]);
    assert_eq!(pending(), 0, "the loser is closed");

    // With a deadline before that, the error lists both.
    let dialer = Dialer::new().deadline(100 * MS);
    let error = block_on(dialer.connect(addresses)).expect_err("IPv4 was not tried");
    assert!(is_deadline_exceeded(&error));
    let [v6, v4] = addresses;
    let listed = format!("connect {v6}: deadline exceeded; {v4}: deadline exceeded");
    assert_eq!(error.to_string(), listed);
    assert_eq!(pending(), 0);
    drop(listener.accept().expect("the winner"));
    listener.set_nonblocking(true).expect("an option");
    assert_eq!(listener.accept().expect_err("no further one").kind(), ErrorKind::WouldBlock);
}

pub(crate) fn ipv6_that_works_leaves_ipv4_alone(stage: &Stage) {
    if !has_v6(stage) {
        return;
    }
    stage.weather.carry_v6(true);
    let v6 = stage.far.run(|| StdTcpListener::bind((FAR_V6, 0)).expect("a port"));
    let v6_address = v6.local_addr().expect("an address");
    let v4 = stage.far.run(move || StdTcpListener::bind((FAR, v6_address.port())).expect("a port"));
    let v4_address = v4.local_addr().expect("an address");
    let dialer = Dialer::new().attempt_delay(NO_RACE);
    let near = block_on(dialer.connect([v6_address, v4_address])).expect("IPv6 works");
    assert_eq!(near.peer_addr().expect("a peer"), v6_address);
    v4.set_nonblocking(true).expect("an option");
    assert_eq!(v4.accept().expect_err("it was not tried").kind(), ErrorKind::WouldBlock);
    drop(v6.accept().expect("the other end"));
}

/// The attempt that fails at once is followed at once: the delay is far longer than the test.
pub(crate) fn a_family_without_a_route_costs_nothing(stage: &Stage) {
    let listener = far_listener(stage);
    let v4 = listener.local_addr().expect("an address");
    let nowhere = "[2001:db8::1]:80".parse().expect("an address");
    let dialer = Dialer::new().attempt_delay(NO_RACE);
    let near = block_on(dialer.connect([nowhere, v4])).expect("IPv4 works");
    assert_eq!(near.peer_addr().expect("a peer"), v4);
}

pub(crate) fn an_address_that_resets_is_followed_by_the_next(stage: &Stage) {
    let listener = far_listener(stage);
    let address = listener.local_addr().expect("an address");
    let closed = {
        let closed = far_listener(stage);
        closed.local_addr().expect("an address")
    };
    let dialer = Dialer::new().attempt_delay(NO_RACE);
    let near = block_on(dialer.connect([closed, address])).expect("the second listens");
    assert_eq!(near.peer_addr().expect("a peer"), address);
    let error = block_on(dialer.connect([closed, closed])).expect_err("no socket listens");
    assert_eq!(raw_os_error(&error), Some(libc::ECONNREFUSED), "{error}");
}

pub(crate) fn a_dial_of_hosts_that_cannot_be_reached_lists_each(stage: &Stage) {
    let address = far_listener(stage).local_addr().expect("an address");
    stage.weather.unreachable(true);
    let addresses = [address, SocketAddr::new([10, 77, 0, 3].into(), 80)];
    let error = block_on(Dialer::new().connect(addresses)).expect_err("no way there");
    assert_eq!(error.kind(), ErrorKind::HostUnreachable);
    let dial = error.get_ref().and_then(|payload| payload.downcast_ref::<DialError>());
    let failed = dial.expect("a list").failed();
    let failed: Vec<_> = failed.map(|(address, error)| (address, error.raw_os_error())).collect();
    assert_eq!(failed, addresses.map(|address| (address, Some(libc::EHOSTUNREACH))));
}

/// Both connects are under way, and the first, which began earlier, wins. The other is closed before its peer accepts it.
pub(crate) fn a_slow_link_has_one_winner(stage: &Stage) {
    let listeners = [far_listener(stage), far_listener(stage)];
    let addresses = listeners.each_ref().map(|listener| listener.local_addr().expect("an address"));
    stage.weather.delay(400_000, 0);
    let began = Instant::now();
    let near = block_on(TcpStream::connect(addresses)).expect("a connection");
    assert!(began.elapsed() >= 800 * MS, "{:?}", began.elapsed());
    assert_eq!(near.peer_addr().expect("a peer"), addresses[0]);
    assert_eq!(pending(), 0);
    stage.weather.delay(0, 0);
    let [winner, loser] = listeners;
    let (mut far, _) = winner.accept().expect("the other end");
    block_on(near.write_all(b"x")).expect("room");
    far.read_exact(&mut [0]).expect("the byte that was sent");
    loser.set_nonblocking(true).expect("an option");
    assert_eq!(loser.accept().expect_err("no connection").kind(), ErrorKind::WouldBlock);
}

/// `TCP_USER_TIMEOUT` is not a deadline: the kernel ends the connection.
pub(crate) fn a_user_timeout_ends_a_connection_into_a_partition(stage: &Stage) {
    let listener = far_listener(stage);
    let address = listener.local_addr().expect("an address");
    let dialer = Dialer::new().user_timeout(200 * MS).device("link0");
    let near = block_on(dialer.connect(address)).expect("a connection");
    stage.weather.cut(true);
    let began = Instant::now();
    block_on(near.write_all(b"hello?")).expect("room");
    let error = block_on(near.read(&mut [0])).expect_err("no peer acknowledges it");
    assert_eq!(raw_os_error(&error), Some(libc::ETIMEDOUT), "{error}");
    assert!(!is_deadline_exceeded(&error));
    assert!(began.elapsed() >= 200 * MS, "{:?}", began.elapsed());
}

/// As [`connect_with`](TcpStream::connect_with) does with a socket that has the option, on a listener that has its own.
pub(crate) fn a_dialer_and_a_listener_do_fast_open(stage: &Stage) {
    stage.far.run(allow_fast_open);
    allow_fast_open();
    let listener = stage.far.run(|| {
        let listener = block_on(ListenConfig::new().fast_open(16).bind((FAR, 0))).expect("a port");
        StdTcpListener::try_from(listener).expect("a listener")
    });
    listener.set_nonblocking(false).expect("an option");
    let address = listener.local_addr().expect("an address");
    let dialer = Dialer::new().fast_open(true);
    for round in 0..3 {
        // The first connect asks for the cookie; with it, no peer is needed.
        stage.weather.cut(round > 0);
        let near = block_on(dialer.connect(address)).expect("no peer is needed");
        stage.weather.cut(false);
        block_on(near.write_all(b"hello")).expect("room");
        let (mut far, _): (StdTcpStream, _) = listener.accept().expect("the other end");
        far.read_exact(&mut [0; 5]).expect("the bytes that were sent");
        block_on(near.close()).expect("open");
    }
}

/// A name in `/etc/hosts` with 64 addresses, 63 of which belong to no host; and a name that is asked of a server which does
/// not answer.
pub(crate) fn a_name_has_64_addresses_and_another_none(stage: &Stage) {
    let listener = far_listener(stage);
    let port = listener.local_addr().expect("an address").port();
    let hosts: String = (2..66).map(|host| format!("10.77.0.{host} many.test\n")).collect();
    let files = [
        ("/etc/hosts", hosts.as_str()),
        ("/etc/nsswitch.conf", "hosts: files dns\n"),
        ("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"),
    ];
    if let Err(error) = os::replace_files(&files) {
        println!("not run, as there is no mount namespace to be had: {error}");
        return;
    }
    let found = block_on(resolve(("many.test", port))).expect("addresses");
    assert_eq!(found.len(), 64, "{found:?}");
    let dialer = Dialer::new().attempt_delay(2 * MS).deadline(LATE);
    let near = block_on(dialer.connect(("many.test", port))).expect("one answers");
    assert_eq!(near.peer_addr().expect("a peer"), (FAR, port).into());
    assert_eq!(pending(), 0);

    let server = UdpSocket::bind("127.0.0.1:53").expect("the port of the name server");
    let began = Instant::now();
    let error = block_on(Dialer::new().deadline(100 * MS).connect("silent.test:80"));
    let error = error.expect_err("no answer");
    assert!(began.elapsed() >= 100 * MS && began.elapsed() < LATE, "{:?}", began.elapsed());
    assert!(is_deadline_exceeded(&error), "{error}");
    assert_eq!(error.to_string(), "resolve silent.test:80: deadline exceeded");
    server.set_read_timeout(Some(LATE)).expect("an option");
    server.recv(&mut [0; 512]).expect("the resolver asks");
}
