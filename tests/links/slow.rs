//! Links that lose packets, carry them out of order, or are slow; and peers that are.

use std::io::{Read, Write};
use std::net::TcpStream as StdTcpStream;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use futures::future::{join, join_all};
use netpoll_futures::{TcpStream, TimeoutStream, Timeouts, bytes_written, is_deadline_exceeded};
use netpoll_tests::fixtures::os;

use crate::broken::{connection, far_listener};
use crate::fixtures::Stage;

const KIB: usize = 1024;
const MS: Duration = Duration::from_millis(1);

/// Bytes among which none is like its neighbours, nor like those a packet away.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251) as u8 ^ (index / 251) as u8).collect()
}

/// One packet of twenty is lost, and others overtake each other. Both directions are full, and each
/// operation has a deadline of its own that does not come.
pub(crate) fn no_byte_is_lost_or_out_of_order(stage: &Stage) {
    const LEN: usize = 384 * KIB;
    let (near, far) = connection(stage);
    stage.weather.delay(200, 3000);
    stage.weather.lose(50);
    let sent = pattern(LEN);
    let writer = far.try_clone().expect("a duplicate");
    let (mut reader, mut writer) = (far, writer);
    let echo = thread::spawn(move || {
        let mut buffer = vec![0; 16 * KIB];
        loop {
            let len = reader.read(&mut buffer).expect("bytes");
            if len == 0 {
                return;
            }
            writer.write_all(&buffer[..len]).expect("room");
        }
    });
    let write = async {
        for chunk in sent.chunks(5000) {
            near.set_write_deadline(Some(Instant::now() + 50_000 * MS)).expect("open");
            near.write_all(chunk).await.expect("room");
        }
        near.shutdown(std::net::Shutdown::Write).expect("open");
    };
    let read = async {
        let (mut received, mut buffer) = (Vec::new(), vec![0; 16 * KIB]);
        while received.len() < LEN {
            near.set_read_deadline(Some(Instant::now() + 50_000 * MS)).expect("open");
            let len = near.read(&mut buffer).await.expect("bytes");
            assert!(len > 0, "the end, after {} bytes", received.len());
            received.extend_from_slice(&buffer[..len]);
        }
        received
    };
    let ((), received) = block_on(join(write, read));
    assert!(received == sent, "not the bytes that were sent");
    stage.weather.lose(0);
    echo.join().expect("no panic");
    assert!(stage.weather.lost.load(Ordering::SeqCst) > 10, "nothing was lost");
}

/// A thousand connections wait over the link, each until a deadline of its own, and are as good as new
/// then.
pub(crate) fn a_thousand_wait_and_none_is_early(stage: &Stage) {
    const COUNT: u32 = 1000;
    assert!(os::raise_descriptor_limit() > 3000, "too few descriptors");
    stage.weather.delay(500, 0);
    let listener = far_listener(stage);
    let address = listener.local_addr().expect("an address");
    let connect =
        |number| async move { (number, TcpStream::connect(address).await.expect("a connection")) };
    // In batches, each accepted before the next: the listener drops clients that its queue has no room for.
    let (mut near, mut far) = (Vec::new(), Vec::new());
    for batch in 0..COUNT / 100 {
        near.extend(block_on(join_all((batch * 100..).take(100).map(connect))));
        far.extend((0..100).map(|_| listener.accept().expect("a peer").0));
    }
    let wait = |(number, near): &(u32, TcpStream)| {
        let (wait, near) = (*number % 400, near.clone());
        async move {
            let deadline = Instant::now() + MS * (100 + wait);
            near.set_read_deadline(Some(deadline)).expect("open");
            let error = near.read(&mut [0; 8]).await.expect_err("nothing comes");
            assert!(is_deadline_exceeded(&error), "{error}");
            assert!(Instant::now() >= deadline, "early");
            near.set_read_deadline(None).expect("open");
        }
    };
    block_on(join_all(near.iter().map(wait)));
    far.iter_mut().for_each(|far| far.write_all(b"x").expect("room"));
    let read = |(_, near): &(u32, TcpStream)| {
        let near = near.clone();
        async move { near.read(&mut [0; 8]).await.expect("a byte") }
    };
    let read = block_on(join_all(near.iter().map(read)));
    assert!(read.iter().all(|len| *len == 1));
}

/// As it was found: a slow link, a large buffer, and a fresh deadline before each write. The kernel
/// reports room when a third of the buffer is free, which none of these deadlines lives to see; each
/// write takes the free part, as in Go.
pub(crate) fn each_late_write_makes_progress(stage: &Stage) {
    const BUFFER: i32 = 2 * 1024 * 1024;
    let (near, mut far) = connection(stage);
    os::force_send_buffer(&near, BUFFER);
    stage.weather.rate(512 * 1024);
    let reader = thread::spawn(move || {
        let mut buffer = vec![0; 64 * KIB];
        while far.read(&mut buffer).is_ok_and(|len| len > 0) {}
    });
    let data = vec![0x5a; 16 * 1024 * KIB];
    let (mut taken, mut unreported) = (Vec::new(), 0);
    for _ in 0..5 {
        near.set_write_deadline(Some(Instant::now() + 300 * MS)).expect("open");
        let error = block_on(near.write_all(&data)).expect_err("far too much");
        assert!(is_deadline_exceeded(&error), "{error}");
        taken.push(bytes_written(&error));
        unreported += u32::from(!os::is_ready(&near, libc::POLLOUT));
    }
    assert!(unreported > 0, "the kernel has reported room each time");
    assert!(taken.iter().all(|taken| *taken > 0), "bytes taken by each write: {taken:?}");
    os::reset_on_close(&near);
    drop(near);
    reader.join().expect("no panic");
}

/// How long a peer may take nothing.
const STALL: Duration = Duration::from_secs(2);

/// A peer with a small buffer, and a writer with a large one.
fn stalling(stage: &Stage) -> (TimeoutStream<StdTcpStream>, StdTcpStream) {
    let (near, far) = connection(stage);
    os::force_send_buffer(&near, 1024 * 1024);
    os::set_receive_buffer(&far, 16 * 1024);
    let limits = Timeouts { idle: None, write_stall: Some(STALL) };
    (TimeoutStream::new(near, limits), far)
}

/// The peer reads 64 KiB a second. The kernel has no room to report for longer than the peer may take
/// nothing; but it shows that the peer takes something.
pub(crate) fn a_slow_and_steady_peer_is_not_stalled(stage: &Stage) {
    let (near, mut far) = stalling(stage);
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    let reader = thread::spawn(move || {
        let mut buffer = vec![0; 8 * KIB];
        // The pace: it ends early when the test is done.
        while is_done.recv_timeout(125 * MS).is_err() {
            if far.read(&mut buffer).is_ok_and(|len| len == 0) {
                return;
            }
        }
    });
    let data = vec![0x5a; 64 * KIB];
    // The first fill the buffer, and the others wait until the peer takes bytes.
    let began = Instant::now();
    while began.elapsed() < 3 * STALL {
        block_on(near.write_all(&data)).expect("the peer takes something");
    }
    drop(done);
    os::reset_on_close(near.get_ref());
    drop(near);
    reader.join().expect("no panic");
}

pub(crate) fn a_peer_that_takes_nothing_is_stalled(stage: &Stage) {
    let (near, far) = stalling(stage);
    let data = vec![0x5a; 16 * 1024 * KIB];
    let began = Instant::now();
    let error = block_on(near.write_all(&data)).expect_err("the peer takes nothing");
    assert!(is_deadline_exceeded(&error), "{error}");
    assert!(began.elapsed() >= STALL);
    drop(far);
}
