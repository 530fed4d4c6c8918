//! Options of a socket before it is bound, listens or connects: those that the standard library lacks.

use std::io;
use std::os::fd::BorrowedFd;

use super::socket::{option, set_option};

/// The size of a device's name with its zero (`net/if.h`).
const DEVICE_NAME: usize = libc::IFNAMSIZ;

/// `SO_REUSEADDR`
pub fn reuse_address(fd: BorrowedFd<'_>) -> io::Result<bool> {
    is_on(fd, libc::SO_REUSEADDR)
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

/// `TCP_QUICKACK`
pub fn quick_ack(fd: BorrowedFd<'_>) -> io::Result<bool> {
    number(fd, libc::IPPROTO_TCP, libc::TCP_QUICKACK).map(|on| on != 0)
}

/// `TCP_QUICKACK`. The kernel may reset it later (`tcp(7)`).
pub fn set_quick_ack(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    set_number(fd, libc::IPPROTO_TCP, libc::TCP_QUICKACK, on.into())
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
