//! The bystander: a pair of sockets on the same reactor, whose own calls never fail, as it is outside
//! of the filter. Whatever happens to the others, it goes on echoing, and its deadlines fire.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use netpoll::{Direction, Interest, Reactor, Registration, is_deadline_exceeded};

/// How many rounds it makes after all else is over.
const ROUNDS_AFTER: u64 = 2;

const SOON: Duration = Duration::from_millis(1);

/// The session's side of it.
pub(crate) struct Starter {
    begin: Sender<()>,
    begun: Receiver<()>,
}

impl Starter {
    /// There is a reactor now: the bystander begins, if it has not, and has made its first round when
    /// this returns.
    pub(crate) fn start(&self) {
        // It has begun before, or is over.
        let _ = self.begin.send(());
        let _ = self.begun.recv();
    }
}

pub(crate) struct Bystander {
    thread: JoinHandle<Option<io::Result<u64>>>,
    end: Sender<()>,
}

impl Bystander {
    pub(crate) fn new() -> (Self, Starter) {
        let (begin, told_to_begin) = channel();
        let (tell, begun) = channel();
        let (end, told_to_end) = channel();
        let body = move || {
            let told = told_to_begin.recv();
            let done = told.is_ok().then(|| stand_by(&tell, &told_to_end));
            drop(told_to_begin);
            done
        };
        let thread = thread::Builder::new().name("bystander".into()).spawn(body);
        let bystander = Self { thread: thread.expect("a thread"), end };
        (bystander, Starter { begin, begun })
    }

    /// Its rounds, or why it could not go on; `None` if there was never a reactor. The session must
    /// have dropped its starter.
    pub(crate) fn end(self) -> Option<io::Result<u64>> {
        drop(self.end);
        self.thread.join().expect("it does not panic")
    }
}

fn stand_by(tell: &Sender<()>, told_to_end: &Receiver<()>) -> io::Result<u64> {
    let reactor = Reactor::global()?;
    let (near, far) = UnixStream::pair()?;
    let [near, far] = [near, far].map(|end| {
        end.set_nonblocking(true)?;
        Registration::with(reactor, end, Interest::Both)
    });
    let (near, far) = (near?, far?);
    let mut rounds = 0;
    let mut left = ROUNDS_AFTER;
    while left > 0 {
        block_on(round(&near, &far))?;
        rounds += 1;
        // The receiver may be gone.
        let _ = tell.send(());
        if told_to_end.try_recv() != Err(std::sync::mpsc::TryRecvError::Empty) {
            left -= 1;
        }
    }
    Ok(rounds)
}

type End = Registration<UnixStream>;

/// An echo, a deadline to come, and one that has passed.
async fn round(near: &End, far: &End) -> io::Result<()> {
    for (from, to) in [(near, far), (far, near)] {
        from.io(Direction::Write, |mut from| from.write(b"x")).await?;
        to.set_read_deadline(None)?;
        read(to).await?;
    }
    for deadline in [Instant::now() + SOON, Instant::now()] {
        near.set_read_deadline(Some(deadline))?;
        match read(near).await {
            Err(error) if is_deadline_exceeded(&error) => {}
            other => return other.and(Err(io::Error::other("no byte was written"))),
        }
    }
    Ok(())
}

async fn read(end: &End) -> io::Result<usize> {
    end.io(Direction::Read, |mut end| end.read(&mut [0])).await
}
