//! Signals that interrupt every system call: no caller gets `EINTR`.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::ThreadPool;
use futures::task::SpawnExt;
use netpoll_futures::{TcpListener, TcpStream, Timer, is_deadline_exceeded};
use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::LOOPBACK;
use netpoll_tests::fixtures::os::{HANDLED, alarm_every, handle_signals, interrupt_all};

const CONNECTIONS: usize = 40;
const EXCHANGES: usize = 50;

/// How many signals are to be handled meanwhile, at least: the exchanges go on until then.
const SIGNALS: u64 = 20_000;

/// Echoes each byte until the connection ends.
async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 512];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return stream.close().await;
        }
        stream.write_all(&buffer[..read]).await?;
    }
}

/// Sends, has it echoed, and is late once.
async fn exchange(number: usize, address: std::net::SocketAddr) -> io::Result<()> {
    let stream = TcpStream::connect_timeout(address, Duration::from_secs(60)).await?;
    for round in 0..EXCHANGES {
        let sent = [(number + round) as u8; 300];
        stream.write_all(&sent).await?;
        let (mut received, mut filled) = ([0; 300], 0);
        while filled < received.len() {
            filled += stream.read(&mut received[filled..]).await?;
        }
        assert_eq!(received, sent);
    }
    stream.set_read_deadline(Some(Instant::now() + Duration::from_millis(1)))?;
    let late = stream.read(&mut [0]).await.expect_err("nothing comes");
    assert!(is_deadline_exceeded(&late), "{late:?}");
    Timer::after(Duration::from_millis(1)).await;
    stream.set_read_deadline(None)?;
    stream.shutdown(Shutdown::Write)?;
    assert_eq!(stream.read(&mut [0]).await?, 0);
    stream.close().await
}

async fn exchange_until(over: Arc<AtomicBool>, pool: ThreadPool) -> io::Result<usize> {
    let listener = TcpListener::bind(LOOPBACK).await?;
    let address = listener.local_addr()?;
    let server = listener.clone();
    let spawner = pool.clone();
    pool.spawn(async move {
        while let Ok((stream, _)) = server.accept().await {
            spawner.spawn(async { echo(stream).await.expect("an echo") }).expect("it runs");
        }
    })
    .expect("it runs");
    let mut exchanged = 0;
    while !over.load(Ordering::Relaxed) || exchanged == 0 {
        let clients = (0..CONNECTIONS)
            .map(|number| pool.spawn_with_handle(exchange(number, address)).expect("it runs"));
        let clients: Vec<_> = clients.collect();
        for client in clients {
            client.await?;
            exchanged += EXCHANGES;
        }
    }
    listener.close().await?;
    Ok(exchanged)
}

/// `SIGUSR1` to every thread, as fast as it goes, and `SIGALRM` to whichever the kernel likes, while
/// tasks on four threads and on one that turns the reactor connect, accept, read, write, are late and
/// close.
#[test]
fn a_storm_of_signals() {
    alone("signals::a_storm_of_signals", || {
        handle_signals();
        let over = Arc::new(AtomicBool::new(false));
        let told = over.clone();
        let pool = ThreadPool::builder().pool_size(4).create().expect("threads");
        let serving = thread::spawn(move || netpoll::block_on(exchange_until(told, pool)));
        alarm_every(500);
        while HANDLED.load(Ordering::Relaxed) < SIGNALS && !serving.is_finished() {
            interrupt_all();
            thread::yield_now();
        }
        over.store(true, Ordering::Relaxed);
        let exchanged = serving.join().expect("no panic").expect("no error, EINTR least of all");
        alarm_every(0);
        let handled = HANDLED.load(Ordering::Relaxed);
        assert!(handled >= SIGNALS);
        println!("shown: {handled} signals during {exchanged} exchanges");
    });
}
