//! The idle deadline.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use netpoll_tests::programs::{is_installed, with_programs};
use netpoll_tests::proxy::{Ending, Event};

use crate::backends;
use crate::fixtures::{Proxy, assert_was_idle, exchange};
use crate::own;

const IDLE: Duration = Duration::from_millis(600);
/// The pauses of a client that is not idle.
const PAUSE: Duration = Duration::from_millis(50);
/// As long as its answer.
const PING: &[u8] = b"PING \r\n";

/// One that says nothing more is cut, and never early; one that talks all the time is served for
/// longer than that.
#[test]
fn an_idle_client_is_cut_and_a_busy_one_is_served() {
    with_programs(|cast| {
        let backend = match is_installed("redis-server") {
            true => backends::start(cast, backends::redis).0,
            false => own::serve(own::redis),
        };
        let proxy = Proxy::to(backend, IDLE);
        thread::scope(|scope| {
            let busy = scope.spawn(|| while !is_served_throughout(&proxy) {});
            let mut idle = proxy.connect();
            let began = Instant::now();
            assert_eq!(exchange(&mut idle, PING).expect("an answer"), b"+PONG\r\n");
            assert_eq!(idle.read(&mut [0]).expect("the end, and no reset"), 0);
            assert_was_idle(began, IDLE);
            let address = idle.local_addr().expect("its address");
            while !is_cut(&proxy.next_event(), address) {}
            busy.join().expect("it is served");
        });
    });
}

/// Whether it is the one at `address` that was idle.
fn is_cut(event: &Event, address: SocketAddr) -> bool {
    matches!(event, Event::Ended { client, ending: Ending::Idle, .. } if *client == address)
}

/// Talks for three times as long as it may be silent. `false` if it was cut, because it was kept from
/// talking for so long.
fn is_served_throughout(proxy: &Proxy) -> bool {
    let mut stream = proxy.connect();
    let began = Instant::now();
    let mut last = began;
    while began.elapsed() < 3 * IDLE {
        let asked = Instant::now();
        match exchange(&mut stream, PING) {
            Ok(answer) => assert_eq!(answer, b"+PONG\r\n"),
            Err(_) => {
                assert_was_idle(last, IDLE);
                return false;
            }
        }
        last = asked;
        thread::sleep(PAUSE);
    }
    true
}

/// A client that only listens is not idle while its backend talks.
#[test]
fn bytes_in_one_direction_keep_both() {
    with_programs(|_| {
        let (tell, told) = channel();
        let backend = own::serve(move |stream| talk(stream, &tell));
        let proxy = Proxy::to(backend, IDLE);
        while !is_told_throughout(&proxy, &told) {}
    });
}

/// Sends a byte from time to time, and tells each client when it began to send which. The proxy passes
/// it on later than that.
fn talk(mut stream: TcpStream, tell: &Sender<Receiver<Instant>>) -> io::Result<()> {
    let (sending, sent) = channel();
    tell.send(sent).map_err(|_| io::ErrorKind::BrokenPipe)?;
    loop {
        sending.send(Instant::now()).map_err(io::Error::other)?;
        stream.write_all(b".")?;
        thread::sleep(PAUSE);
    }
}

/// Listens for three times as long as it may be silent. `false` if it was cut, because its backend
/// was kept from talking for so long.
fn is_told_throughout(proxy: &Proxy, told: &Receiver<Receiver<Instant>>) -> bool {
    let began = Instant::now();
    let mut stream = proxy.connect();
    let sent = told.recv().expect("it is connected");
    let mut last = began;
    while began.elapsed() < 3 * IDLE {
        if stream.read(&mut [0]).expect("the end, and no reset") == 0 {
            assert_was_idle(last, IDLE);
            return false;
        }
        last = sent.recv().expect("as many times as bytes");
    }
    true
}
