//! The options of sockets that the standard library lacks, or has for fewer types.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use super::check;

/// The size of a device's name with its zero (`net/if.h`).
const DEVICE_NAME: usize = libc::IFNAMSIZ;

/// Keep-alive probes, which detect a dead peer: after `idle` without a byte, the kernel sends `count`
/// probes, `interval` apart. `None` leaves a value unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// `TCP_KEEPIDLE`, rounded up to seconds.
    pub idle: Option<Duration>,
    /// `TCP_KEEPINTVL`, rounded up to seconds.
    pub interval: Option<Duration>,
    /// `TCP_KEEPCNT`.
    pub count: Option<u32>,
}

impl Default for KeepAlive {
    /// Go's: 15 seconds, 15 seconds, 9 (`net/dial.go`, `net/tcpsockopt_unix.go`).
    fn default() -> Self {
        let period = Some(Duration::from_secs(15));
        Self { idle: period, interval: period, count: Some(9) }
    }
}

/// `SO_REUSEADDR`
pub fn reuse_address(fd: BorrowedFd<'_>) -> io::Result<bool> {
    is_on(fd, libc::SO_REUSEADDR)
}

/// `SO_REUSEADDR`
pub fn set_reuse_address(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    set_option(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, &libc::c_int::from(on))
}

/// `SO_REUSEPORT`
pub fn reuse_port(fd: BorrowedFd<'_>) -> io::Result<bool> {
    is_on(fd, libc::SO_REUSEPORT)
}

/// `SO_REUSEPORT`
pub fn set_reuse_port(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    set_option(fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, &libc::c_int::from(on))
}

/// `SO_SNDBUF`, in bytes: twice the value that was set.
pub fn send_buffer_size(fd: BorrowedFd<'_>) -> io::Result<u32> {
    number(fd, libc::SOL_SOCKET, libc::SO_SNDBUF)
}

/// `SO_SNDBUF`, in bytes.
pub fn set_send_buffer_size(fd: BorrowedFd<'_>, bytes: u32) -> io::Result<()> {
    set_number(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, bytes)
}

/// `SO_RCVBUF`, in bytes: twice the value that was set.
pub fn recv_buffer_size(fd: BorrowedFd<'_>) -> io::Result<u32> {
    number(fd, libc::SOL_SOCKET, libc::SO_RCVBUF)
}

/// `SO_RCVBUF`, in bytes.
pub fn set_recv_buffer_size(fd: BorrowedFd<'_>, bytes: u32) -> io::Result<()> {
    set_number(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, bytes)
}

/// `IP_TOS`
pub fn tos(fd: BorrowedFd<'_>) -> io::Result<u32> {
    number(fd, libc::IPPROTO_IP, libc::IP_TOS)
}

/// `IP_TOS`
pub fn set_tos(fd: BorrowedFd<'_>, tos: u32) -> io::Result<()> {
    set_number(fd, libc::IPPROTO_IP, libc::IP_TOS, tos)
}

/// `IPV6_TCLASS`
pub fn traffic_class(fd: BorrowedFd<'_>) -> io::Result<u32> {
    number(fd, libc::IPPROTO_IPV6, libc::IPV6_TCLASS)
}

/// `IPV6_TCLASS`
pub fn set_traffic_class(fd: BorrowedFd<'_>, class: u32) -> io::Result<()> {
    set_number(fd, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, class)
}

/// `IPV6_V6ONLY`: whether an IPv6 socket excludes IPv4. If it is not set, the system decides
/// (`net.ipv6.bindv6only`).
pub fn set_only_v6(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    set_number(fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, on.into())
}

/// `SO_LINGER`
pub fn linger(fd: BorrowedFd<'_>) -> io::Result<Option<Duration>> {
    let off = libc::linger { l_onoff: 0, l_linger: 0 };
    let linger = option(fd, libc::SOL_SOCKET, libc::SO_LINGER, off)?;
    Ok((linger.l_onoff != 0).then(|| Duration::from_secs(linger.l_linger as u64)))
}

/// `SO_LINGER`, rounded up to seconds. With zero, closing resets the connection.
pub fn set_linger(fd: BorrowedFd<'_>, linger: Option<Duration>) -> io::Result<()> {
    let value = libc::linger {
        l_onoff: linger.is_some().into(),
        l_linger: linger.map_or(0, seconds_rounded_up),
    };
    set_option(fd, libc::SOL_SOCKET, libc::SO_LINGER, &value)
}

/// The settings of keep-alive probes, or `None` if they are off.
pub fn keepalive(fd: BorrowedFd<'_>) -> io::Result<Option<KeepAlive>> {
    if option(fd, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 0)? == 0 {
        return Ok(None);
    }
    let tcp = |name| option::<libc::c_int>(fd, libc::IPPROTO_TCP, name, 0);
    let seconds = |name| tcp(name).map(|seconds| Some(Duration::from_secs(seconds as u64)));
    Ok(Some(KeepAlive {
        idle: seconds(libc::TCP_KEEPIDLE)?,
        interval: seconds(libc::TCP_KEEPINTVL)?,
        count: Some(tcp(libc::TCP_KEEPCNT)? as u32),
    }))
}

/// Turns keep-alive probes on or off.
pub fn set_keepalive(fd: BorrowedFd<'_>, keepalive: Option<KeepAlive>) -> io::Result<()> {
    let on = libc::c_int::from(keepalive.is_some());
    set_option(fd, libc::SOL_SOCKET, libc::SO_KEEPALIVE, &on)?;
    let Some(KeepAlive { idle, interval, count }) = keepalive else { return Ok(()) };
    let count = count.map(|count| libc::c_int::try_from(count).unwrap_or(libc::c_int::MAX));
    let values = [
        (libc::TCP_KEEPIDLE, idle.map(seconds_rounded_up)),
        (libc::TCP_KEEPINTVL, interval.map(seconds_rounded_up)),
        (libc::TCP_KEEPCNT, count),
    ];
    for (name, value) in values {
        if let Some(value) = value {
            set_option(fd, libc::IPPROTO_TCP, name, &value)?;
        }
    }
    Ok(())
}

/// `TCP_NODELAY`
pub fn nodelay(fd: BorrowedFd<'_>) -> io::Result<bool> {
    number(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY).map(|on| on != 0)
}

/// `TCP_NODELAY`
pub fn set_nodelay(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    set_option(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, &libc::c_int::from(on))
}

/// `TCP_QUICKACK`
pub fn quick_ack(fd: BorrowedFd<'_>) -> io::Result<bool> {
    number(fd, libc::IPPROTO_TCP, libc::TCP_QUICKACK).map(|on| on != 0)
}

/// `TCP_QUICKACK`. The kernel may reset it later (`tcp(7)`).
pub fn set_quick_ack(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    set_number(fd, libc::IPPROTO_TCP, libc::TCP_QUICKACK, on.into())
}

/// `TCP_USER_TIMEOUT`, rounded up to milliseconds: the kernel ends a connection whose sent bytes were not
/// acknowledged for so long. Zero is the system's default.
pub fn set_user_timeout(fd: BorrowedFd<'_>, timeout: Duration) -> io::Result<()> {
    let milliseconds = timeout.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(u32::MAX);
    set_number(fd, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, milliseconds)
}

/// `TCP_FASTOPEN_CONNECT`: where the peer gave a cookie before, `connect(2)` returns at once, and the first
/// write makes the connection.
pub fn set_fast_open_connect(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    set_number(fd, libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT, on.into())
}

/// `TCP_FASTOPEN`: a listener accepts the bytes of a first segment that has its cookie, from at most `queue`
/// clients whose handshake is not complete.
pub fn set_fast_open(fd: BorrowedFd<'_>, queue: u32) -> io::Result<()> {
    set_number(fd, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, queue)
}

/// `SO_MARK`: the mark of the socket's packets, for routes and filters. It takes the capability
/// `CAP_NET_ADMIN`.
pub fn set_mark(fd: BorrowedFd<'_>, mark: u32) -> io::Result<()> {
    set_option(fd, libc::SOL_SOCKET, libc::SO_MARK, &mark)
}

/// `SO_BINDTODEVICE`: the name of the device that the socket is bound to, if any.
pub fn device(fd: BorrowedFd<'_>) -> io::Result<Option<Vec<u8>>> {
    let name = option(fd, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, [0_u8; DEVICE_NAME])?;
    let len = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    Ok((len > 0).then(|| name[..len].to_vec()))
}

/// `SO_BINDTODEVICE`: the socket sends and receives only through the device of this name. `None` and an
/// empty name remove the binding.
///
/// # Errors
///
/// `InvalidInput` for an invalid device name, or an error of `setsockopt(2)`.
pub fn bind_to_device(fd: BorrowedFd<'_>, name: Option<&[u8]>) -> io::Result<()> {
    let name = name.unwrap_or_default();
    if name.len() >= DEVICE_NAME || name.contains(&0) {
        let message = format!("not the name of a device: {:?}", String::from_utf8_lossy(name));
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut padded = [0_u8; DEVICE_NAME];
    padded[..name.len()].copy_from_slice(name);
    set_option(fd, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, &padded)
}

fn is_on(fd: BorrowedFd<'_>, name: libc::c_int) -> io::Result<bool> {
    number(fd, libc::SOL_SOCKET, name).map(|on| on != 0)
}

/// Reads an option that is a number and never negative.
fn number(fd: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int) -> io::Result<u32> {
    option::<libc::c_int>(fd, level, name, 0).map(|value| value as u32)
}

fn set_number(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: u32,
) -> io::Result<()> {
    let value = libc::c_int::try_from(value).unwrap_or(libc::c_int::MAX);
    set_option(fd, level, name, &value)
}

fn seconds_rounded_up(duration: Duration) -> libc::c_int {
    let up = u64::from(duration.subsec_nanos() > 0);
    libc::c_int::try_from(duration.as_secs().saturating_add(up)).unwrap_or(libc::c_int::MAX)
}

pub(super) fn set_option<T>(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let len = size_of::<T>() as libc::socklen_t;
    let pointer = std::ptr::from_ref(value).cast();
    // SAFETY: the kernel reads `len` bytes of `value`.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, pointer, len) }).map(drop)
}

/// The value of an option.
///
/// # Safety
///
/// Any bytes are a value of the type.
pub(super) unsafe trait OptionValue {}

// SAFETY: an integer.
unsafe impl OptionValue for libc::c_int {}
// SAFETY: two integers.
unsafe impl OptionValue for libc::linger {}
// SAFETY: three integers.
unsafe impl OptionValue for libc::ucred {}
// SAFETY: bytes.
unsafe impl<const LEN: usize> OptionValue for [u8; LEN] {}

/// Reads an option into `value`. Bytes that the kernel does not write stay as they are.
pub(super) fn option<T: OptionValue>(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    mut value: T,
) -> io::Result<T> {
    let mut len = size_of::<T>() as libc::socklen_t;
    let pointer = (&raw mut value).cast();
    // SAFETY: the kernel writes at most `len` bytes of `value`, and any bytes are a valid `T` (`OptionValue`).
    check(unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, pointer, &raw mut len) })?;
    Ok(value)
}
