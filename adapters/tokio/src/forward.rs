//! Macros for methods and traits that only call the method of the same name of a field.

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

/// The descriptor of a field, lent and as a number. A parameter of the type follows, with its bound if it has one.
macro_rules! descriptor {
    ($type:ty: $field:ident $(, $parameter:ident $(: $bound:path)?)?) => {
        impl$(<$parameter $(: $bound)?>)? std::os::fd::AsFd for $type {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.$field.as_fd()
            }
        }

        impl$(<$parameter $(: $bound)?>)? std::os::fd::AsRawFd for $type {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.$field.as_fd().as_raw_fd()
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

        crate::forward::descriptor!($type: socket);

        impl IntoRawFd for $type {
            fn into_raw_fd(self) -> RawFd {
                self.socket.into_raw_fd()
            }
        }
    };
}

pub(crate) use {descriptor, forward, forward_async, forward_poll, unregistered};
