//! The filter: calls of chosen numbers by this thread, and by those that it starts, wait for a
//! [supervisor](crate::supervisor)'s word.
#![allow(unsafe_code)] // Foreign calls.

use std::io;
use std::mem::offset_of;
use std::os::fd::{FromRawFd, OwnedFd};

use libc::{c_int, c_long, c_ulong, sock_filter};

fn instruction(code: u32, then: usize, operand: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: then as u8, jf: 0, k: operand }
}

/// A filter that is not installed yet.
pub(crate) struct Filter(Vec<sock_filter>);

impl Filter {
    /// Which architecture it is for need not be asked: the caller is no stranger.
    pub(crate) fn of(numbers: &[c_long]) -> Self {
        let number = offset_of!(libc::seccomp_data, nr) as u32;
        let mut program = vec![instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, number)];
        for (at, number) in numbers.iter().enumerate() {
            let to_the_end = numbers.len() - at;
            let is = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
            program.push(instruction(is, to_the_end, *number as u32));
        }
        for end in [libc::SECCOMP_RET_ALLOW, libc::SECCOMP_RET_USER_NOTIF] {
            program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, end));
        }
        Self(program)
    }

    /// From now on, and for good, this thread's calls of the numbers are the supervisor's to answer, which
    /// listens on the descriptor that is returned. Until it does, the thread must make none of them. That
    /// includes the allocator's: so this neither allocates nor frees, and the filter outlives it.
    pub(crate) fn install(&mut self) -> io::Result<OwnedFd> {
        let program = libc::sock_fprog { len: self.0.len() as u16, filter: self.0.as_mut_ptr() };
        let (on, none): (c_ulong, c_ulong) = (1, 0);
        // SAFETY: no pointers.
        if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, on, none, none, none) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let (mode, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER);
        // SAFETY: it reads `program`, and the instructions that it points to and counts.
        match unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program) } {
            error if error < 0 => Err(io::Error::last_os_error()),
            // SAFETY: it has just been made, and it has no other owner.
            listener => Ok(unsafe { OwnedFd::from_raw_fd(listener as c_int) }),
        }
    }
}
