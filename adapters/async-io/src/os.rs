//! Functions of one system.

/// Functions of Unix systems.
pub mod unix {
    use std::os::fd::{AsFd, BorrowedFd};

    use netpoll::Reactor;

    /// The descriptor of the reactor, its epoll. `None` if no reactor can be made.
    ///
    /// The global reactor has a thread, which takes the events, as async-io's does. An event loop that turns the reactor
    /// itself makes the global one without a thread, before its first use: [`Builder::embedded`](netpoll::Builder::embedded)
    /// with [`build_global`](netpoll::Builder::build_global).
    #[must_use]
    pub fn reactor_fd() -> Option<BorrowedFd<'static>> {
        Reactor::global().ok().map(AsFd::as_fd)
    }
}
