//! TCP sockets with Go's deadlines, for any executor.
