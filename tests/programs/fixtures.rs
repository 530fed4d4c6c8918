//! Where a test takes place: the proxy on async-executor with two threads. The tests themselves block,
//! as their clients do.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use async_executor::Executor;
use futures::FutureExt;
use futures::channel::oneshot;
use futures::executor::block_on;
use netpoll_futures::TcpListener;
use netpoll_tests::proxy::{Ending, Event, Route, proxy};

/// A time that no test waits for.
pub(crate) const LONG: Duration = Duration::from_secs(3600);

/// A proxy that runs until it is dropped.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    events: Mutex<Receiver<Event>>,
    listener: TcpListener,
    over: Option<oneshot::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Proxy {
    /// A proxy that cuts off connections that are idle for so long.
    pub(crate) fn to(backend: SocketAddr, idle: Duration) -> Self {
        Self::with(Route { backend: backend.to_string(), idle, connect: LONG })
    }

    pub(crate) fn with(route: Route) -> Self {
        let listener = block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("its address");
        let (tell, events) = channel();
        let (over, is_over) = oneshot::channel();
        let (is_over, executor) = (is_over.shared(), Arc::new(Executor::new()));
        let proxying = {
            let (listener, executor) = (listener.clone(), executor.clone());
            async move {
                let spawn = |connection| executor.spawn(connection).detach();
                // The receiver may be gone.
                let report = move |event| drop(tell.send(event));
                proxy(&listener, &route, spawn, report)
                    .await
                    .expect("it accepts until it is closed");
            }
        };
        let helping = (executor.clone(), is_over.clone());
        let threads = vec![
            thread::spawn(move || block_on(executor.run(proxying.then(|()| is_over.map(drop))))),
            thread::spawn(move || block_on(helping.0.run(helping.1.map(drop)))),
        ];
        Self { address, events: Mutex::new(events), listener, over: Some(over), threads }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the proxy accepts");
        stream.set_nodelay(true).expect("an option");
        stream
    }

    /// The next thing that it reports.
    pub(crate) fn next_event(&self) -> Event {
        self.events.lock().expect("one test").recv().expect("it runs")
    }

    /// How the next connection that ends has ended.
    pub(crate) fn next_ending(&self) -> Ending {
        loop {
            if let Event::Ended { ending, .. } = self.next_event() {
                return ending;
            }
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It has ended already if it failed, and then its thread says why.
        let _ = block_on(self.listener.close());
        drop(self.over.take());
        let panicked = self.threads.drain(..).map(JoinHandle::join).any(|ended| ended.is_err());
        assert!(!panicked || thread::panicking(), "the proxy has failed");
    }
}

/// Sends something, and reads an answer of the same length.
pub(crate) fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(bytes)?;
    let mut answer = vec![0; bytes.len()];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

/// A connection that was cut off must have been idle for so long.
pub(crate) fn assert_was_idle(since: Instant, idle: Duration) {
    let silence = since.elapsed();
    assert!(silence >= idle, "cut after {silence:?}, which is less than {idle:?}");
}
