//! Calls on processes that the standard library lacks.
#![allow(unsafe_code)] // Foreign calls, each with the argument for its arguments.

use std::io;
use std::mem;
use std::time::Duration;

/// The processor time of a process so far, its own and the kernel's on its behalf, of all its
/// threads, by the scheduler's accounting. It need not be our child.
pub(crate) fn processor_time(process: u32) -> io::Result<Duration> {
    let mut clock = 0;
    // SAFETY: the clock outlives the call.
    let error = unsafe { libc::clock_getcpuclockid(process as libc::pid_t, &raw mut clock) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time outlives the call.
    check(unsafe { libc::clock_gettime(clock, &raw mut time) })?;
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// Keeps this thread, and those that it starts, on one of the processors that it may use, of which
/// the first is 0.
pub(crate) fn pin(number: usize) -> io::Result<()> {
    let mut allowed = no_processors();
    // SAFETY: the set outlives the call, and is as long as is said.
    check(unsafe { libc::sched_getaffinity(0, size_of_val(&allowed), &raw mut allowed) })?;
    // SAFETY: these are the numbers that a set has bits for.
    let is_allowed = |number: &usize| unsafe { libc::CPU_ISSET(*number, &allowed) };
    let processor = (0..libc::CPU_SETSIZE as usize).filter(is_allowed).nth(number);
    let mut one = no_processors();
    let processor = processor.ok_or(io::ErrorKind::NotFound)?;
    // SAFETY: the same.
    unsafe { libc::CPU_SET(processor, &mut one) };
    // SAFETY: the set outlives the call, and is as long as is said.
    check(unsafe { libc::sched_setaffinity(0, size_of_val(&one), &raw const one) })
}

fn no_processors() -> libc::cpu_set_t {
    // SAFETY: it is an array of bits, and may be empty.
    unsafe { mem::zeroed() }
}

/// Lets the kernel end this process when the thread that has started it is gone.
pub(crate) fn end_with_parent() -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })
}

/// Asks a process of ours to end.
pub(crate) fn terminate(process: u32) -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::kill(process as libc::pid_t, libc::SIGTERM) })
}

/// The bytes that this process has on the heap. 0 where the C library does not count them.
pub(crate) fn heap_bytes() -> u64 {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: no pointers.
        let heap = unsafe { libc::mallinfo2() };
        (heap.uordblks + heap.hblkhd) as u64
    }
    #[cfg(not(target_env = "gnu"))]
    0
}

pub(crate) fn page_size() -> u64 {
    // SAFETY: no pointers.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).expect("every system has a page size")
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
