//! The parts that the three socket types have in common.

/// Deadlines, conversions and the standard traits of a newtype over a socket of `netpoll-futures`.
macro_rules! wrapper {
    ($type:ident<$kind:ident>) => {
        /// The deadlines that smol's sockets do not have.
        ///
        /// Each setter fails with [`Closed`](netpoll_futures::Closed) after the socket was closed.
        impl<S: $kind> $type<S> {
            /// Sets or clears the deadline of reading and writing.
            pub fn set_deadline(
                &self,
                deadline: impl Into<netpoll_futures::Deadline>,
            ) -> io::Result<()> {
                self.0.set_deadline(deadline)
            }

            /// Sets or clears the deadline of reading: from then on, pending and later operations fail with
            /// [`DeadlineExceeded`](netpoll_futures::DeadlineExceeded), until the deadline is moved.
            pub fn set_read_deadline(
                &self,
                deadline: impl Into<netpoll_futures::Deadline>,
            ) -> io::Result<()> {
                self.0.set_read_deadline(deadline)
            }

            /// Sets or clears the deadline of writing, as
            /// [`set_read_deadline`](Self::set_read_deadline) does for reading.
            pub fn set_write_deadline(
                &self,
                deadline: impl Into<netpoll_futures::Deadline>,
            ) -> io::Result<()> {
                self.0.set_write_deadline(deadline)
            }

            /// A handle that sets these deadlines and does not keep the socket open: for the owner of a socket
            /// that a library has taken.
            #[must_use]
            pub fn deadlines(&self) -> netpoll_futures::Deadlines {
                self.0.deadlines()
            }

            /// The socket of `netpoll-futures`, with the methods that smol's sockets do not have.
            #[must_use]
            pub fn get_ref(&self) -> &netpoll_futures::$type<S> {
                &self.0
            }
        }

        /// Prints the descriptor and the addresses, as the standard library does.
        impl<S: $kind> fmt::Debug for $type<S> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        /// A clone is the same socket.
        impl<S: $kind> Clone for $type<S> {
            fn clone(&self) -> Self {
                Self(self.0.clone())
            }
        }

        impl<S: $kind> From<netpoll_futures::$type<S>> for $type<S> {
            fn from(socket: netpoll_futures::$type<S>) -> Self {
                Self(socket)
            }
        }

        impl<S: $kind> From<$type<S>> for netpoll_futures::$type<S> {
            fn from(socket: $type<S>) -> Self {
                socket.0
            }
        }

        impl<S: $kind> AsFd for $type<S> {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl<S: $kind> AsRawFd for $type<S> {
            fn as_raw_fd(&self) -> RawFd {
                self.0.as_raw_fd()
            }
        }
    };
}

/// Conversions between a socket and the socket of the standard library.
macro_rules! convert {
    ($type:ident<$std:ty>) => {
        impl TryFrom<$std> for $type<$std> {
            type Error = io::Error;

            fn try_from(socket: $std) -> io::Result<Self> {
                netpoll_futures::$type::try_from(socket).map(Self).map_err(OpError::strip)
            }
        }

        impl TryFrom<OwnedFd> for $type<$std> {
            type Error = io::Error;

            fn try_from(fd: OwnedFd) -> io::Result<Self> {
                <$std>::from(fd).try_into()
            }
        }

        /// The socket itself if this is the last clone, otherwise a duplicate. It stays non-blocking.
        impl TryFrom<$type<$std>> for $std {
            type Error = io::Error;

            fn try_from(socket: $type<$std>) -> io::Result<Self> {
                socket.0.try_into()
            }
        }

        /// The socket itself if this is the last clone, otherwise a duplicate. It stays non-blocking.
        impl TryFrom<$type<$std>> for OwnedFd {
            type Error = io::Error;

            fn try_from(socket: $type<$std>) -> io::Result<Self> {
                socket.0.try_into()
            }
        }
    };
}

pub(super) use {convert, wrapper};
