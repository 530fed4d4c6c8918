//! A loop around `poll(2)`.
#![allow(unsafe_code)] // The call.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use ::netpoll::Reactor;

use super::{Tasks, turn};

pub(super) fn run(reactor: &Reactor, mut tasks: Tasks) -> io::Result<()> {
    let mut done = tasks.run();
    while !done {
        // A real loop has other descriptors in this list.
        let number = reactor.as_fd().as_raw_fd();
        let mut watched = [libc::pollfd { fd: number, events: libc::POLLIN, revents: 0 }];
        // SAFETY: a list of one structure, which outlives the call.
        if unsafe { libc::poll(watched.as_mut_ptr(), 1, -1) } < 0 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        if watched[0].revents != 0 {
            done = turn(reactor, &mut tasks)?;
        }
    }
    Ok(())
}
