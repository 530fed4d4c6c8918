//! Functions of one system.

/// Functions of Unix systems.
pub mod unix {
    use std::os::fd::BorrowedFd;

    /// A descriptor that is readable when the reactor has something to do, for an event loop that turns it. The reactor's
    /// own thread goes on besides.
    ///
    /// `None`: the reactor has no such descriptor yet.
    #[must_use]
    pub fn reactor_fd() -> Option<BorrowedFd<'static>> {
        None
    }
}
