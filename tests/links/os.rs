//! Namespaces and TUN devices.
#![allow(unsafe_code)] // Foreign calls. The other modules of the tests have none.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::null;
use std::time::Duration;

use netpoll_tests::fixtures::Folder;

/// The name of the link's device in each namespace.
const DEVICE: &str = "link0";

/// The space behind the name of an interface, at least as long as the kernel reads.
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

/// Gives the link's device in this thread's namespace an IPv6 address, in a network of 64 bits.
pub(crate) fn add_v6(address: Ipv6Addr) -> io::Result<()> {
    let socket = std::net::UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
    let index = netpoll_futures::sys::interface_index(DEVICE)?;
    let mut request = libc::in6_ifreq {
        ifr6_addr: libc::in6_addr { s6_addr: address.octets() },
        ifr6_prefixlen: 64,
        ifr6_ifindex: index.try_into().expect("a small number"),
    };
    let fd = socket.as_raw_fd();
    // SAFETY: the kernel reads one `in6_ifreq`.
    check(unsafe { libc::ioctl(fd, SIOCSIFADDR as libc::Ioctl, &raw mut request) })?;
    // A worker of the kernel decides that no other host has the address. Until then, no socket can be bound to it.
    while let Err(error) = std::net::UdpSocket::bind((address, 0)) {
        if error.kind() != io::ErrorKind::AddrNotAvailable {
            return Err(error);
        }
        std::thread::yield_now();
    }
    Ok(())
}

/// Gives the calling thread, and those that it begins, a mount namespace of their own, in which each file of these names has
/// this text.
pub(crate) fn replace_files(files: &[(&str, &str)]) -> io::Result<()> {
    let mount = |source: Option<&CString>, target: &str, flags| {
        let target = CString::new(target).expect("a path");
        let source = source.map_or(null(), |source| source.as_ptr());
        // SAFETY: the source, if there is one, and the target are C strings, and the flags need no file system and no data.
        check(unsafe { libc::mount(source, target.as_ptr(), null(), flags, null()) }).map(drop)
    };
    // SAFETY: no pointers. It concerns this thread alone.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    // Otherwise the machine would see the new files as well.
    mount(None, "/", libc::MS_REC | libc::MS_PRIVATE)?;
    let folder = Folder::new()?;
    for (number, (path, text)) in files.iter().enumerate() {
        let file = folder.join(number.to_string());
        fs::write(&file, text)?;
        let file = CString::new(file.into_os_string().into_encoded_bytes()).expect("a path");
        mount(Some(&file), path, libc::MS_BIND)?;
    }
    Ok(())
}

/// Waits until one of the files can be read, or the time is over.
pub(crate) fn wait_for_one(files: [&File; 2], timeout: Duration) {
    let mut asked =
        files.map(|file| libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    let timeout = libc::c_int::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(100);
    // SAFETY: two `pollfd`s, which outlive the call.
    unsafe { libc::poll(asked.as_mut_ptr(), 2, timeout) };
}
