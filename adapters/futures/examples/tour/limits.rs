//! The limit of descriptors: the tour holds both ends of every connection.
#![allow(unsafe_code)] // The standard library does not know of resource limits.

use std::io;

use crate::Result;

/// The descriptors besides the connections: the reactor's, listeners', executors'.
const OTHERS: usize = 64;

/// Raises the soft limit of descriptors to the need of so many connections, if it is lower.
pub(crate) fn raise_descriptors(connections: usize) -> Result<()> {
    let needed = (2 * connections + OTHERS) as libc::rlim_t;
    let mut limit = descriptors()?;
    if limit.rlim_cur >= needed {
        return Ok(());
    }
    if limit.rlim_max < needed {
        let most = (limit.rlim_max as usize).saturating_sub(OTHERS) / 2;
        return Err(format!(
            "{connections} connections need {needed} descriptors, and the hard limit is {}: raise \
             it, or try --connections {most}",
            limit.rlim_max
        )
        .into());
    }
    limit.rlim_cur = needed;
    // SAFETY: `limit` outlives the call, which reads it.
    match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } {
        0 => Ok(()),
        _ => Err(explain(needed, &io::Error::last_os_error()).into()),
    }
}

fn descriptors() -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` outlives the call, which fills it.
    match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } {
        0 => Ok(limit),
        _ => Err(io::Error::last_os_error()),
    }
}

fn explain(needed: libc::rlim_t, error: &io::Error) -> String {
    format!(
        "the limit of descriptors could not be raised ({error}): try `ulimit -n {needed}` first"
    )
}
