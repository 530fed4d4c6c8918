//! Macros for the types that wrap a socket of `netpoll-futures`: methods and traits that only call the method of
//! the same name of that socket.

/// Methods that call the method of a field. An error of the system is returned as tokio returns it, without the
/// operation and the address around it.
macro_rules! forward {
    ($self:ident.$field:ident: $($(#[$attribute:meta])*
        fn $name:ident(&self $(, $arg:ident: $type:ty)*) -> io::Result<$output:ty>;)+
    ) => {$(
        $(#[$attribute])*
        pub fn $name(&$self $(, $arg: $type)*) -> io::Result<$output> {
            $self.$field.$name($($arg),*).map_err(netpoll::OpError::strip)
        }
    )+};
}

/// [`forward`] for `async` methods, within the budget of the task.
macro_rules! forward_async {
    ($self:ident.$field:ident: $($(#[$attribute:meta])*
        async fn $name:ident(&self $(, $arg:ident: $type:ty)*) -> io::Result<$output:ty>;)+
    ) => {$(
        $(#[$attribute])*
        pub async fn $name(&$self $(, $arg: $type)*) -> io::Result<$output> {
            let operation = $self.$field.$name($($arg),*);
            crate::budget::spend(operation).await.map_err(netpoll::OpError::strip)
        }
    )+};
}

/// [`forward`] for methods that poll, within the budget of the task.
macro_rules! forward_poll {
    ($self:ident.$field:ident: $($(#[$attribute:meta])*
        fn $name:ident(&self, $cx:ident: &mut Context<'_> $(, $arg:ident: $type:ty)*)
            -> Poll<io::Result<$output:ty>>;)+
    ) => {$(
        $(#[$attribute])*
        pub fn $name(&$self, $cx: &mut Context<'_> $(, $arg: $type)*) -> Poll<io::Result<$output>> {
            let polled = crate::budget::poll($cx, |$cx| $self.$field.$name($cx $(, $arg)*));
            polled.map_err(netpoll::OpError::strip)
        }
    )+};
}

/// Deadlines, the full close, and the traits that all sockets have.
macro_rules! socket {
    ($type:ident<$kind:ident>) => {
        /// Deadlines and the full close, which tokio's sockets do not have.
        impl<S: $kind> $type<S> {
            forward! { self.inner:
                /// Sets or clears the deadline of both directions. See
                /// [`set_read_deadline`](Self::set_read_deadline).
                #[inline]
                fn set_deadline(&self, deadline: impl Into<netpoll_futures::Deadline>) -> io::Result<()>;

                /// Sets or clears the deadline of reading, accepting or receiving. See
                /// [`Registration::set_read_deadline`](netpoll::Registration::set_read_deadline).
                ///
                /// # Errors
                ///
                /// [`Closed`](netpoll::Closed).
                #[inline]
                fn set_read_deadline(&self, deadline: impl Into<netpoll_futures::Deadline>) -> io::Result<()>;

                /// Sets or clears the deadline of writing or sending. It does not affect a listener. See
                /// [`set_read_deadline`](Self::set_read_deadline).
                #[inline]
                fn set_write_deadline(&self, deadline: impl Into<netpoll_futures::Deadline>) -> io::Result<()>;
            }

            /// A handle that sets these deadlines and does not keep the socket open: for the owner of a socket that
            /// a library has taken.
            #[must_use]
            pub fn deadlines(&self) -> netpoll_futures::Deadlines {
                self.inner.deadlines()
            }

            /// Closes the socket, as Go's `Close` does: pending operations fail with [`Closed`](netpoll::Closed),
            /// and the future resolves when the descriptor is closed.
            ///
            /// # Errors
            ///
            /// [`Closed`](netpoll::Closed) if it was closed before.
            pub async fn close(&self) -> io::Result<()> {
                self.inner.close().await
            }

            /// The socket of `netpoll-futures`, with the methods that tokio's sockets do not have. Its `async` methods
            /// take no part in tokio's cooperative budget.
            #[must_use]
            pub fn get_ref(&self) -> &netpoll_futures::$type<S> {
                &self.inner
            }
        }

        /// For example a socket of another reactor than the global one.
        impl<S: $kind> From<netpoll_futures::$type<S>> for $type<S> {
            fn from(inner: netpoll_futures::$type<S>) -> Self {
                Self { inner }
            }
        }

        impl<S: $kind> From<$type<S>> for netpoll_futures::$type<S> {
            fn from(socket: $type<S>) -> Self {
                socket.inner
            }
        }

        /// Prints the descriptor and the addresses, as the standard library does.
        impl<S: $kind> fmt::Debug for $type<S> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.inner.fmt(f)
            }
        }

        impl<S: $kind> AsFd for $type<S> {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.inner.as_fd()
            }
        }

        impl<S: $kind> AsRawFd for $type<S> {
            fn as_raw_fd(&self) -> RawFd {
                self.inner.as_raw_fd()
            }
        }
    };
}

/// Conversions between a socket and the socket of the standard library.
macro_rules! convert {
    ($type:ident<$std:ty>) => {
        impl $type<$std> {
            /// Registers a socket of the standard library, and makes it non-blocking.
            ///
            /// # Errors
            ///
            /// The error of `ioctl(2)` or `epoll_ctl(2)`.
            pub fn from_std(socket: $std) -> io::Result<Self> {
                let registered = netpoll_futures::$type::try_from(socket);
                registered.map(Self::from).map_err(netpoll::OpError::strip)
            }

            /// Ends the registration and returns the socket of the standard library, which stays non-blocking.
            ///
            /// # Errors
            ///
            /// [`Closed`](netpoll::Closed).
            pub fn into_std(self) -> io::Result<$std> {
                self.inner.try_into()
            }
        }

        impl TryFrom<$std> for $type<$std> {
            type Error = io::Error;

            fn try_from(socket: $std) -> io::Result<Self> {
                Self::from_std(socket)
            }
        }
    };
}

/// Readiness, and operations that this crate does not know.
macro_rules! readiness {
    ($type:ident<$kind:ident>) => {
        impl<S: $kind> $type<S> {
            /// Waits until the socket is ready for a part of `interest`, and returns these parts. They are a hint: an
            /// attempt that finds otherwise clears them, for example [`try_io`](Self::try_io). Room to send or write
            /// counts until an attempt has found none.
            ///
            /// # Errors
            ///
            /// [`Closed`](netpoll::Closed), or [`DeadlineExceeded`](netpoll::DeadlineExceeded) as soon as the deadline
            /// of one of the directions has passed.
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped, nothing changes.
            pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                let cleared = ClearedFlags::default();
                let found = select_ready::ready(self.inner.registration(), &cleared, interest);
                found.await.map(|found| found.ready())
            }

            /// Waits until a read or a receive may succeed, or must fail.
            ///
            /// # Errors
            ///
            /// As for [`ready`](Self::ready).
            pub async fn readable(&self) -> io::Result<()> {
                self.ready(Interest::READABLE).await.map(drop)
            }

            /// Waits until a write or a send may succeed, or must fail.
            ///
            /// # Errors
            ///
            /// As for [`ready`](Self::ready).
            pub async fn writable(&self) -> io::Result<()> {
                self.ready(Interest::WRITABLE).await.map(drop)
            }

            /// Makes `operation` on the socket if a part of `interest` is ready. `operation` must return `WouldBlock` if
            /// and only if the socket did.
            ///
            /// With two directions, `WouldBlock` must mean both: the direction that was ready is not ready
            /// until the next event.
            ///
            /// # Errors
            ///
            /// `WouldBlock` if none is ready, [`Closed`](netpoll::Closed),
            /// [`DeadlineExceeded`](netpoll::DeadlineExceeded), or the error of `operation`.
            pub fn try_io<R>(
                &self,
                interest: Interest,
                operation: impl FnOnce() -> io::Result<R>,
            ) -> io::Result<R> {
                let cleared = ClearedFlags::default();
                select_ready::try_io(self.inner.registration(), &cleared, interest, |_| operation())
            }

            /// Makes `operation` on the socket as soon as a part of `interest` is ready, and repeats it while it returns
            /// `WouldBlock`.
            ///
            /// # Errors
            ///
            /// [`Closed`](netpoll::Closed), [`DeadlineExceeded`](netpoll::DeadlineExceeded), or the error of
            /// `operation`.
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped, `operation` has not succeeded.
            pub async fn async_io<R>(
                &self,
                interest: Interest,
                mut operation: impl FnMut() -> io::Result<R>,
            ) -> io::Result<R> {
                let cleared = ClearedFlags::default();
                let registration = self.inner.registration();
                select_ready::io(registration, &cleared, interest, |_| operation()).await
            }
        }
    };
}

/// The traits of a socket that is not registered yet.
macro_rules! unregistered {
    ($type:ident) => {
        /// The socket may be blocking: it becomes non-blocking when it becomes another type.
        impl From<OwnedFd> for $type {
            fn from(socket: OwnedFd) -> Self {
                Self { socket: socket.into() }
            }
        }

        impl From<$type> for OwnedFd {
            fn from(socket: $type) -> Self {
                socket.socket.into()
            }
        }

        impl AsFd for $type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.socket.as_fd()
            }
        }

        impl AsRawFd for $type {
            fn as_raw_fd(&self) -> RawFd {
                self.socket.as_raw_fd()
            }
        }

        impl IntoRawFd for $type {
            fn into_raw_fd(self) -> RawFd {
                self.socket.into_raw_fd()
            }
        }
    };
}

pub(crate) use {convert, forward, forward_async, forward_poll, readiness, socket, unregistered};
