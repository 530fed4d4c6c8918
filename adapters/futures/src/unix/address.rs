//! Names of Unix sockets: paths, and names in the abstract namespace.

use std::ffi::OsStr;
use std::io;
#[cfg(target_os = "android")]
use std::os::android::net::SocketAddrExt;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::path::Path;

use netpoll::OpError;

/// The longest path, and the longest abstract name (`unix(7)`: 108 bytes with its zero).
const LONGEST: usize = 107;

/// The address of `path`; if it begins with a zero byte, an abstract name (as in tokio and async-net).
/// An error names `operation`.
pub(super) fn of(operation: &'static str, path: &Path) -> io::Result<SocketAddr> {
    let bytes = path.as_os_str().as_bytes();
    let (name, is_abstract) = match bytes.strip_prefix(b"\0") {
        Some(name) => (name, true),
        None => (bytes, false),
    };
    let address = if name.len() > LONGEST {
        let message = format!("a name of {} bytes, where {LONGEST} are the most", name.len());
        Err(io::Error::new(io::ErrorKind::InvalidInput, message))
    } else if is_abstract {
        SocketAddr::from_abstract_name(name)
    } else {
        SocketAddr::from_pathname(path)
    };
    address.map_err(|error| OpError::wrap(operation, written(name, is_abstract), error))
}

/// The text form of an address, as in Go: an abstract name follows an `@`.
pub(crate) fn name(address: &SocketAddr) -> String {
    match (address.as_pathname(), address.as_abstract_name()) {
        (Some(path), _) => written(path.as_os_str().as_bytes(), false),
        (_, Some(name)) => written(name, true),
        _ => "(unnamed)".to_owned(),
    }
}

fn written(name: &[u8], is_abstract: bool) -> String {
    if is_abstract {
        format!("@{}", name.escape_ascii())
    } else {
        Path::new(OsStr::from_bytes(name)).display().to_string()
    }
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
        for start in ["/", "\0"] {
            let longest = format!("{start}{}", "a".repeat(LONGEST - usize::from(start == "/")));
            of("bind", Path::new(&longest)).unwrap();
            let error = of("bind", Path::new(&format!("{longest}a"))).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains("aaa: a name of 108 bytes"), "{error}");
        }
    }
}
