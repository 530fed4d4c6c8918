//! The names of errors, as manual pages write them.

use libc::c_int;

macro_rules! errors {
    ($($name:ident)*) => { &[$((stringify!($name), libc::$name)),*] };
}

#[rustfmt::skip]
const ERRORS: &[(&str, c_int)] = errors! {
    EACCES EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EALREADY EBADF EBUSY ECONNABORTED
    ECONNREFUSED ECONNRESET EDEADLK EDESTADDRREQ EDQUOT EEXIST EFAULT EFBIG EHOSTDOWN EHOSTUNREACH
    EINPROGRESS EINTR EINVAL EIO EISCONN EISDIR ELOOP EMFILE EMSGSIZE ENAMETOOLONG ENETDOWN
    ENETUNREACH ENFILE ENOBUFS ENODEV ENOENT ENOLCK ENOMEM ENONET ENOPKG ENOPROTOOPT ENOSPC ENOSR ENOSYS
    ENOTCONN ENOTDIR ENOTSOCK ENOTTY ENXIO EOPNOTSUPP EOVERFLOW EPERM EPIPE EPROTO EPROTONOSUPPORT
    EPROTOTYPE ERANGE EROFS ESOCKTNOSUPPORT ESRCH ETIMEDOUT ETOOMANYREFS ETXTBSY EUSERS
};

/// The number of an error.
pub(crate) fn number(name: &str) -> Option<c_int> {
    ERRORS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

/// The name of an error.
pub(crate) fn name(number: c_int) -> &'static str {
    ERRORS.iter().find(|(_, known)| *known == number).map_or("an unknown error", |(name, _)| name)
}
