//! Network namespaces, TUN devices and what else the tests ask of the system.
#![allow(unsafe_code)] // Foreign calls. The other modules of the tests have none.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

pub(crate) use libc::{ECONNREFUSED, ECONNRESET, EHOSTUNREACH, POLLOUT};

/// The name of the link's device in each namespace.
const DEVICE: &str = "link0";

/// What fills the space behind the name of an interface, at least as long as the kernel reads.
const ROOM: usize = 64;

/// `struct ifreq` of netdevice(7): a name, and something of 24 bytes at most.
#[repr(C, align(8))]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    rest: [u8; ROOM],
}

impl Request {
    fn of(name: &str) -> Self {
        let mut request = Self { name: [0; libc::IFNAMSIZ], rest: [0; ROOM] };
        request.name[..name.len()].copy_from_slice(name.as_bytes());
        request
    }

    fn with(mut self, rest: &[u8]) -> Self {
        self.rest[..rest.len()].copy_from_slice(rest);
        self
    }

    fn address(self, address: Ipv4Addr) -> Self {
        let family = u16::try_from(libc::AF_INET).expect("a small number").to_ne_bytes();
        self.with(&[&family[..], &[0, 0], &address.octets()].concat())
    }

    fn ask(mut self, of: &impl AsFd, what: u32) -> io::Result<()> {
        let fd = of.as_fd().as_raw_fd();
        // SAFETY: each of these requests reads and writes one `ifreq`, which this is at least as large as.
        check(unsafe { libc::ioctl(fd, what as libc::Ioctl, &raw mut self) }).map(drop)
    }
}

const TUNSETIFF: u32 = 0x4004_54ca;
const SIOCSIFFLAGS: u32 = 0x8914;
const SIOCSIFADDR: u32 = 0x8916;
const SIOCSIFNETMASK: u32 = 0x891c;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Puts the calling thread into a network namespace of its own, in which the loopback device is up.
pub(crate) fn enter_namespace() -> io::Result<()> {
    // SAFETY: no pointers. It concerns this thread alone.
    check(unsafe { libc::unshare(libc::CLONE_NEWNET) })?;
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    up(&socket, "lo")
}

fn up(socket: &impl AsFd, name: &str) -> io::Result<()> {
    let flags = i16::try_from(libc::IFF_UP | libc::IFF_RUNNING).expect("a small number");
    Request::of(name).with(&flags.to_ne_bytes()).ask(socket, SIOCSIFFLAGS)
}

/// A device in this thread's namespace with this address, whose packets are read from and written to
/// the file, whole and one at a time.
pub(crate) fn device(address: Ipv4Addr) -> io::Result<File> {
    let tun = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
    let kind = i16::try_from(libc::IFF_TUN | libc::IFF_NO_PI).expect("a small number");
    Request::of(DEVICE).with(&kind.to_ne_bytes()).ask(&tun, TUNSETIFF)?;
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    Request::of(DEVICE).address(address).ask(&socket, SIOCSIFADDR)?;
    Request::of(DEVICE).address(Ipv4Addr::new(255, 255, 255, 0)).ask(&socket, SIOCSIFNETMASK)?;
    up(&socket, DEVICE)?;
    // SAFETY: no pointers.
    check(unsafe { libc::fcntl(tun.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) })?;
    Ok(tun)
}

/// Waits until one of the files can be read, or the time is over.
pub(crate) fn wait_for_one(files: [&File; 2], timeout: Duration) {
    let mut asked =
        files.map(|file| libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    let timeout = libc::c_int::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(100);
    // SAFETY: two `pollfd`s, which outlive the call.
    unsafe { libc::poll(asked.as_mut_ptr(), 2, timeout) };
}

/// Whether `poll(2)` reports one of `events` now.
pub(crate) fn is_ready(socket: &impl AsFd, events: libc::c_short) -> bool {
    let mut asked = libc::pollfd { fd: socket.as_fd().as_raw_fd(), events, revents: 0 };
    // SAFETY: one `pollfd`, which outlives the call.
    let found = unsafe { libc::poll(&raw mut asked, 1, 0) };
    found >= 0 && asked.revents & events != 0
}

/// A send buffer of so many bytes (the kernel doubles it), whatever `net.core.wmem_max` says.
pub(crate) fn force_send_buffer(socket: &impl AsFd, bytes: i32) {
    set_option(socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, &bytes);
}

/// A receive buffer of so many bytes (the kernel doubles it).
pub(crate) fn set_receive_buffer(socket: &impl AsFd, bytes: i32) {
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &bytes);
}

/// Dropped, the socket resets its connection.
pub(crate) fn reset_when_dropped(socket: &impl AsFd) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    set_option(socket, libc::SOL_SOCKET, libc::SO_LINGER, &linger);
}

fn set_option<T>(socket: &impl AsFd, level: libc::c_int, name: libc::c_int, value: &T) {
    let (pointer, len) = (std::ptr::from_ref(value).cast(), size_of::<T>() as libc::socklen_t);
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel reads `len` bytes of `value`, which outlives the call.
    let set = unsafe { libc::setsockopt(fd, level, name, pointer, len) };
    assert_eq!(set, 0, "an option of sockets: {}", io::Error::last_os_error());
}

/// Lets this process have as many descriptors as its hard limit allows. Returns how many that is.
pub(crate) fn raise_descriptor_limit() -> libc::rlim_t {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: it fills `limit`.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: it reads `limit`.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    limit.rlim_cur
}
