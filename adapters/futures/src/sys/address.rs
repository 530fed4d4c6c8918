//! Addresses in the kernel's form: conversions of internet addresses in both directions, and of the
//! names of Unix sockets from the kernel.

use std::ffi::OsStr;
use std::io;
use std::mem::{MaybeUninit, offset_of};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
#[cfg(target_os = "android")]
use std::os::android::net::SocketAddrExt;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net as unix;

/// The longest path in bytes. The kernel accepts a path of this length without its terminating zero.
const LONGEST_PATH: usize =
    size_of::<libc::sockaddr_un>() - offset_of!(libc::sockaddr_un, sun_path);

#[derive(Debug)]
pub(super) struct Address {
    storage: MaybeUninit<libc::sockaddr_storage>,
    len: libc::socklen_t,
}

impl Address {
    pub(super) fn family_of(address: &SocketAddr) -> libc::c_int {
        if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 }
    }

    /// Room for any address.
    pub(super) fn empty() -> Self {
        let len = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        Self { storage: MaybeUninit::zeroed(), len }
    }

    pub(super) fn as_ptr(&self) -> (*const libc::sockaddr, libc::socklen_t) {
        (self.storage.as_ptr().cast(), self.len)
    }

    pub(super) fn as_mut_ptrs(&mut self) -> (*mut libc::sockaddr, *mut libc::socklen_t) {
        (self.storage.as_mut_ptr().cast(), &raw mut self.len)
    }

    pub(super) fn to_std(&self) -> io::Result<SocketAddr> {
        match self.family() {
            libc::AF_INET => Ok(self.read::<libc::sockaddr_in>().to_std()),
            libc::AF_INET6 => Ok(self.read::<libc::sockaddr_in6>().to_std()),
            other => Err(of_family(other, "an internet address")),
        }
    }

    /// The name of a Unix socket. The name of an unnamed socket is empty.
    pub(super) fn to_unix(&self) -> io::Result<unix::SocketAddr> {
        let family = self.family();
        if self.len > 0 && family != libc::AF_UNIX {
            return Err(of_family(family, "that of a Unix socket"));
        }
        match self.path() {
            [0, name @ ..] => unix::SocketAddr::from_abstract_name(name),
            // A path ends with a zero, unless it fills the whole field.
            path if path.len() == LONGEST_PATH && !path.contains(&0) => Ok(longest_path(path)),
            path => {
                let path = path.split(|byte| *byte == 0).next().unwrap_or_default();
                unix::SocketAddr::from_pathname(OsStr::from_bytes(path))
            }
        }
    }

    fn family(&self) -> libc::c_int {
        // SAFETY: it began as zeroes, which are a valid `sockaddr_storage`, and the kernel wrote
        // integers over them.
        let family = unsafe { self.storage.assume_init_ref() }.ss_family;
        libc::c_int::from(family)
    }

    /// The bytes after the family in the address of a Unix socket.
    fn path(&self) -> &[u8] {
        let len = size_of::<libc::sockaddr_un>().min(self.len as usize);
        let begin = offset_of!(libc::sockaddr_un, sun_path).min(len);
        let pointer = self.storage.as_ptr().cast::<u8>();
        // SAFETY: the storage is larger than any `sockaddr_un`, and initialised.
        let bytes = unsafe { std::slice::from_raw_parts(pointer, len) };
        &bytes[begin..]
    }

    fn holding<T: Internet>(address: T) -> Self {
        let mut this = Self::empty();
        this.len = size_of::<T>() as libc::socklen_t;
        // SAFETY: the storage is larger than any `Internet` address and aligned for all.
        unsafe { this.storage.as_mut_ptr().cast::<T>().write(address) };
        this
    }

    fn read<T: Internet>(&self) -> T {
        // SAFETY: the storage is larger than any `Internet` address, aligned for all, initialised,
        // and such an address is integers only.
        unsafe { self.storage.as_ptr().cast::<T>().read() }
    }
}

/// The address of a path of 108 bytes. The standard library's type can hold such an address when its
/// own calls receive one, with a length that counts a zero beyond the end, but its constructor rejects
/// the path. So this builds the address of the first 107 bytes, then writes the last byte and that
/// length.
///
/// If the layout of the standard library's type has changed, the result is the unnamed address.
fn longest_path(path: &[u8]) -> unix::SocketAddr {
    /// Both fields of the type, in either order.
    const SIZE: usize = 116;
    let unnamed = || unix::SocketAddr::from_pathname("").expect("an empty path is no name");
    let (last, first) = path.split_last().expect("it is 108 bytes long");
    let Ok(mut address) = unix::SocketAddr::from_pathname(OsStr::from_bytes(first)) else {
        return unnamed();
    };
    let begin = (&raw const address).addr();
    let path_offset = address.as_pathname().map(|path| path.as_os_str().as_bytes().as_ptr().addr());
    let (path_offset, len_offset) = match path_offset.map(|path| path.wrapping_sub(begin)) {
        Some(offset @ 2) if size_of_val(&address) == SIZE => (offset, SIZE - 4),
        Some(offset @ 6) if size_of_val(&address) == SIZE => (offset, 0),
        _ => return unnamed(),
    };
    let start = (&raw mut address).cast::<u8>();
    // SAFETY: the address has 116 bytes and holds its path: a `sockaddr_un` of 110 bytes, with the path from
    // byte 2 on, a length of 4 bytes, and 2 bytes of padding. The offset of the path shows their order.
    let len = unsafe { start.add(len_offset) }.cast::<libc::socklen_t>();
    // SAFETY: as above, the integer is there and aligned.
    if unsafe { len.read() } as usize != size_of::<libc::sockaddr_un>() {
        return unnamed();
    }
    // SAFETY: as above. It is the length: its value is the one for a path of 107 bytes and its zero.
    unsafe { len.write(size_of::<libc::sockaddr_un>() as libc::socklen_t + 1) };
    // SAFETY: the field has room for a path of 108 bytes. This is its last byte, the zero after 107 bytes.
    let end = unsafe { start.add(path_offset + LONGEST_PATH - 1) };
    // SAFETY: as above, it is a byte of the path.
    unsafe { end.write(*last) };
    let is_it = address.as_pathname().is_some_and(|is| is.as_os_str().as_bytes() == path);
    if is_it { address } else { unnamed() }
}

fn of_family(family: libc::c_int, wanted: &str) -> io::Error {
    let message = format!("an address of family {family} is not {wanted}");
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// The two C types that an [`Address`] may hold: plain integers, no larger than its storage.
trait Internet: Copy {
    fn to_std(self) -> SocketAddr;
}

impl Internet for libc::sockaddr_in {
    fn to_std(self) -> SocketAddr {
        let ip = Ipv4Addr::from(self.sin_addr.s_addr.to_ne_bytes());
        SocketAddrV4::new(ip, u16::from_be(self.sin_port)).into()
    }
}

impl Internet for libc::sockaddr_in6 {
    fn to_std(self) -> SocketAddr {
        let ip = Ipv6Addr::from(self.sin6_addr.s6_addr);
        let port = u16::from_be(self.sin6_port);
        SocketAddrV6::new(ip, port, self.sin6_flowinfo, self.sin6_scope_id).into()
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => Self::holding(libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                sin_zero: [0; 8],
            }),
            SocketAddr::V6(v6) => Self::holding(libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for text in ["127.0.0.1:80", "[2001:db8::1]:65535", "[fe80::1%3]:7", "0.0.0.0:0"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(Address::from(address).to_std().unwrap(), address);
        }
    }

    #[test]
    fn a_path_may_fill_all_there_is() {
        let path: Vec<u8> = (0..LONGEST_PATH).map(|index| b'a' + index as u8 % 26).collect();
        let address = longest_path(&path);
        assert_eq!(address.as_pathname().map(|path| path.as_os_str().as_bytes()), Some(&*path));
        assert_eq!(address.clone().as_pathname(), address.as_pathname());
    }

    #[test]
    fn another_family_is_an_error() {
        let error = Address::empty().to_std().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let error = Address::from(SocketAddr::from(([127, 0, 0, 1], 80))).to_unix().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
