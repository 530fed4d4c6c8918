//! Sessions that are broken on purpose, each in one way: a harness that does not notice is of no use.
#![allow(unsafe_code)] // One foreign call, the one that is made to fail.

use std::future::pending;
use std::io;
use std::mem::forget;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::task::Poll;
use std::thread;

use futures::future::poll_fn;
use netpoll::{Direction, OpError, Registration, Timer, raw_os_error};

use super::{During, Flaw, Played, Script};

impl Flaw {
    pub(crate) const ALL: [Self; 12] = [
        Self::Nothing,
        Self::KeepsADescriptor,
        Self::KeepsASlot,
        Self::KeepsAWaker,
        Self::KeepsAThread,
        Self::Panics,
        Self::Hangs,
        Self::Dies,
        Self::HidesTheError,
        Self::TellsAnother,
        Self::LeavesOutTheName,
        Self::NeverRecovers,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing_is_wrong",
            Self::KeepsADescriptor => "keeps_a_descriptor",
            Self::KeepsASlot => "keeps_a_slot",
            Self::KeepsAWaker => "keeps_a_waker",
            Self::KeepsAThread => "keeps_a_thread",
            Self::Panics => "panics",
            Self::Hangs => "hangs",
            Self::Dies => "dies",
            Self::HidesTheError => "hides_the_error",
            Self::TellsAnother => "tells_another",
            Self::LeavesOutTheName => "leaves_out_the_name",
            Self::NeverRecovers => "never_recovers",
        }
    }
}

/// Three calls of `listen(2)`, which has no reason to fail, and the first that did.
fn listen() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut said = (1..=3).map(|time| {
        // SAFETY: no pointers.
        match unsafe { libc::listen(listener.as_raw_fd(), 7) } {
            0 => Ok(()),
            _ => Err(OpError::wrap(
                "listen",
                format_args!("time {time}"),
                io::Error::last_os_error(),
            )),
        }
    });
    said.find(Result::is_err).unwrap_or(Ok(()))
}

pub(super) async fn play(script: &Script<'_>, flaw: Flaw) -> Played {
    script.start()?;
    let listened = listen();
    match flaw {
        Flaw::KeepsADescriptor => forget(TcpListener::bind("127.0.0.1:0").during("bind")?),
        Flaw::KeepsASlot => forget(Timer::never(script.start()?).during("timer")?),
        Flaw::KeepsAWaker => keep_a_waker().await?,
        Flaw::KeepsAThread => drop(thread::spawn(thread::park)),
        Flaw::Panics => drop(thread::spawn(|| panic!("on purpose")).join()),
        Flaw::Hangs => pending().await,
        Flaw::Dies => std::process::abort(),
        _ => {}
    }
    match flaw {
        Flaw::HidesTheError => Ok(()),
        Flaw::TellsAnother => Err(io::Error::from_raw_os_error(libc::EIO)).during("shutdown"),
        Flaw::NeverRecovers => Err(io::Error::from_raw_os_error(libc::EBADF)).during("shutdown"),
        Flaw::LeavesOutTheName => listened.map_err(without_a_name).during("bind"),
        _ => listened.during("bind"),
    }
}

fn without_a_name(error: io::Error) -> io::Error {
    raw_os_error(&error).map_or(error, io::Error::from_raw_os_error)
}

/// Waits, and is never heard of again.
async fn keep_a_waker() -> Played {
    let (near, far) = UnixStream::pair().during("pair")?;
    near.set_nonblocking(true).during("set_nonblocking")?;
    let near = Registration::new(near).during("register")?;
    let mut waiting = Box::pin(near.ready(Direction::Read));
    poll_fn(|cx| {
        forget(cx.waker().clone());
        let _ = waiting.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
    drop(far);
    Ok(())
}
