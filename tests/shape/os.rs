//! What only libc can do.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::AsRawFd;

/// Lets this process have no more descriptors than it has.
pub(crate) fn no_more_descriptors() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: it fills `limit`.
    let asked = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    // The kernel gives out the lowest number that is free: all below it are taken.
    let next = File::open("/dev/null").expect("a descriptor").as_raw_fd();
    limit.rlim_cur = libc::rlim_t::try_from(next).expect("a number");
    // SAFETY: it reads `limit`.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!((asked, set), (0, 0));
}
