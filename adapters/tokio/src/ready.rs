//! tokio's `Interest` and `Ready` beside netpoll's.

use tokio::io::{Interest, Ready};

const COUNTERPARTS: [(netpoll::Ready, Ready); 6] = [
    (netpoll::Ready::READABLE, Ready::READABLE),
    (netpoll::Ready::WRITABLE, Ready::WRITABLE),
    (netpoll::Ready::READ_HANGUP, Ready::READ_CLOSED),
    (netpoll::Ready::WRITE_HANGUP, Ready::WRITE_CLOSED),
    (netpoll::Ready::PRIORITY, Ready::PRIORITY),
    (netpoll::Ready::ERROR, Ready::ERROR),
];

/// The reactor's readiness as tokio's.
pub(crate) fn from_reactor(ready: netpoll::Ready) -> Ready {
    let found = COUNTERPARTS.iter().filter(|(ours, _)| ready.contains(*ours));
    found.fold(Ready::EMPTY, |all, (_, theirs)| all | *theirs)
}

/// The directions that epoll reports for `interest`. It reports urgent data with the read direction, and errors always.
pub(crate) fn directions(interest: Interest) -> netpoll::Interest {
    let read = interest.is_readable() || interest.is_priority();
    match (read, interest.is_writable()) {
        (true, true) => netpoll::Interest::Both,
        (false, true) => netpoll::Interest::Writable,
        (_, false) => netpoll::Interest::Readable,
    }
}

/// The parts of readiness that belong to `interest`. tokio reports the end of the peer's bytes with urgent data as well.
pub(crate) fn parts(interest: Interest) -> Ready {
    let parts = [
        (interest.is_readable(), Ready::READABLE | Ready::READ_CLOSED),
        (interest.is_writable(), Ready::WRITABLE | Ready::WRITE_CLOSED),
        (interest.is_priority(), Ready::PRIORITY | Ready::READ_CLOSED),
        (interest.is_error(), Ready::ERROR),
    ];
    let asked = parts.iter().filter(|(is_asked, _)| *is_asked);
    asked.fold(Ready::EMPTY, |all, (_, part)| all | *part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_the_reactors_readiness_has_a_counterpart() {
        let mut all = Ready::EMPTY;
        for (ours, theirs) in COUNTERPARTS {
            assert_eq!(from_reactor(ours), theirs);
            all |= theirs;
        }
        assert_eq!(all, Ready::ALL);
        assert_eq!(from_reactor(netpoll::Ready::EMPTY), Ready::EMPTY);
    }

    #[test]
    fn an_interest_has_its_own_parts() {
        assert_eq!(parts(Interest::READABLE), Ready::READABLE | Ready::READ_CLOSED);
        assert_eq!(parts(Interest::WRITABLE), Ready::WRITABLE | Ready::WRITE_CLOSED);
        assert_eq!(parts(Interest::PRIORITY), Ready::PRIORITY | Ready::READ_CLOSED);
        assert_eq!(parts(Interest::ERROR), Ready::ERROR);
        let all = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY | Interest::ERROR;
        assert_eq!(parts(all), Ready::ALL);
    }

    #[test]
    fn urgent_data_is_reported_with_the_read_direction_and_errors_always() {
        assert_eq!(directions(Interest::PRIORITY), netpoll::Interest::Readable);
        assert_eq!(directions(Interest::ERROR), netpoll::Interest::Readable);
        assert_eq!(directions(Interest::WRITABLE | Interest::ERROR), netpoll::Interest::Writable);
        assert_eq!(directions(Interest::WRITABLE | Interest::PRIORITY), netpoll::Interest::Both);
    }
}
