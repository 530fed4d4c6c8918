//! Names of Unix sockets: paths, and names in the abstract namespace.

use std::io;
#[cfg(target_os = "android")]
use std::os::android::net::SocketAddrExt;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::path::Path;

use netpoll::OpError;

use crate::sys;

/// The address of `path`, as [`sys::unix_address`] has it. An error names `operation`.
pub(super) fn of(operation: &'static str, path: &Path) -> io::Result<SocketAddr> {
    sys::unix_address(path).map_err(|error| {
        let name = match path.as_os_str().as_bytes().strip_prefix(b"\0") {
            Some(name) => abstract_name(name),
            None => path.display().to_string(),
        };
        OpError::wrap(operation, name, error)
    })
}

/// The text form of an address, as in Go: an abstract name follows an `@`.
pub(crate) fn name(address: &SocketAddr) -> String {
    match (address.as_pathname(), address.as_abstract_name()) {
        (Some(path), _) => path.display().to_string(),
        (_, Some(name)) => abstract_name(name),
        _ => "(unnamed)".to_owned(),
    }
}

fn abstract_name(name: &[u8]) -> String {
    format!("@{}", name.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_people_do() {
        for (path, text) in
            [("/a b", "/a b"), ("c", "c"), ("\0d\0\n", "@d\\x00\\n"), ("", "(unnamed)")]
        {
            assert_eq!(name(&of("bind", Path::new(path)).unwrap()), text);
        }
    }

    #[test]
    fn a_name_has_its_longest() {
        const LONGEST: usize = 107;
        for start in ["/", "\0"] {
            let longest = format!("{start}{}", "a".repeat(LONGEST - usize::from(start == "/")));
            of("bind", Path::new(&longest)).unwrap();
            let error = of("bind", Path::new(&format!("{longest}a"))).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains("aaa: a name of 108 bytes"), "{error}");
        }
    }
}
