//! Types that hold an `Async<T>` name no bound of `T`, as with async-io's; nor do functions that only use one.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use netpoll::{OwnedReadinessWait, ReadinessWait, Registration};
use netpoll_futures::{Async, Readable, ReadableOwned, Writable, WritableOwned};
use netpoll_tests::watched;

use futures::executor::block_on;

/// The types of the crates that are generic over a descriptor.
struct Holder<T> {
    io: Async<T>,
}

#[allow(dead_code)] // It is enough that it compiles.
struct Futures<'a, T> {
    readable: Readable<'a, T>,
    writable: Writable<'a, T>,
    readable_owned: ReadableOwned<T>,
    writable_owned: WritableOwned<T>,
}

#[allow(dead_code)] // It is enough that it compiles.
struct Core<'a, T> {
    registration: Registration<T>,
    waiting: ReadinessWait<'a, T>,
    closing: netpoll::Closing<'a, T>,
    owned: OwnedReadinessWait,
}

#[allow(dead_code)] // It is enough that it compiles.
#[derive(Debug)]
struct Derived<'a, T> {
    io: Async<T>,
    registration: &'a Registration<T>,
    waiting: ReadinessWait<'a, T>,
}

impl<T> Holder<T> {
    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize>
    where
        for<'a> &'a T: Read,
    {
        self.io.writable().await?;
        self.io.read_with(|mut io| io.read(buffer)).await
    }

    fn set_deadline(&self) -> io::Result<()> {
        self.io.set_deadline(None)
    }

    fn descriptor(self) -> io::Result<OwnedFd>
    where
        T: Into<OwnedFd>,
    {
        self.io.try_into()
    }
}

/// async-io's bound for this.
fn number<T: AsRawFd>(io: &Async<T>) -> RawFd {
    io.as_raw_fd()
}

/// The bounds of futures-io's traits.
fn reads_and_writes<T: Read + Write>(
    io: Async<T>,
) -> impl futures::AsyncRead + futures::AsyncWrite {
    io
}

#[test]
fn a_type_that_holds_an_async_names_no_bound() {
    watched(|| {
        let (near, mut far) = UnixStream::pair().expect("a pair of sockets");
        let expected = near.as_raw_fd();
        let holder = Holder { io: Async::new(near).expect("it is registered") };
        assert_eq!(number(&holder.io), expected);
        far.write_all(b"x").expect("there is room");
        holder.set_deadline().expect("it is open");
        assert_eq!(block_on(holder.read(&mut [0; 8])).expect("a byte"), 1);
        let descriptor = holder.descriptor().expect("it is open");
        assert_eq!(descriptor.as_raw_fd(), expected);
        let again = Arc::new(Async::new(UnixStream::from(descriptor)).expect("it has left epoll"));
        block_on(again.clone().writable_owned()).expect("there is room");
        drop(reads_and_writes(Arc::into_inner(again).expect("one handle")));
        assert_eq!(far.read(&mut [0; 8]).expect("the end"), 0);
    });
}
