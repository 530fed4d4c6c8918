//! A listener that does not answer.

use std::fs;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::AsFd;

use netpoll::{Direction, Interest, Reactor, Registration};
use netpoll_futures::{TcpStream, sys};
use netpoll_tests::fixtures::os;

/// A listener whose queue is full. The kernel drops new clients, whose connects stay pending.
pub(crate) struct Busy {
    listener: Registration<net::TcpListener>,
    _queued: TcpStream,
}

impl Busy {
    pub(crate) async fn at(address: &str) -> io::Result<Self> {
        let socket = sys::stream(&address.parse().expect("an address"))?;
        sys::bind(socket.as_fd(), &address.parse().expect("an address"))?;
        os::listen(&socket, 0)?;
        let listener = Registration::with(Reactor::global()?, socket.into(), Interest::Readable)?;
        let queued = TcpStream::connect(address_of(&listener)?).await?;
        // Connected is one thing, in the queue another.
        listener.ready(Direction::Read).await?;
        Ok(Self { listener, _queued: queued })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        address_of(&self.listener).expect("it is bound")
    }

    /// How many sockets of this machine are calling it in vain.
    pub(crate) fn callers(&self) -> usize {
        const SYN_SENT: &str = "02";
        let port = format!(":{:04X}", self.address().port());
        let table = fs::read_to_string("/proc/net/tcp").expect("procfs");
        let calls = |line: &&str| {
            let mut fields = line.split_ascii_whitespace().skip(2);
            fields.next().is_some_and(|remote| remote.ends_with(&port))
                && fields.next() == Some(SYN_SENT)
        };
        table.lines().filter(calls).count()
    }

    /// Takes away the one that is queued, so that there is room for the next.
    pub(crate) fn make_room(&self) -> io::Result<()> {
        self.listener.get_ref().accept().map(drop)
    }
}

fn address_of(listener: &Registration<net::TcpListener>) -> io::Result<SocketAddr> {
    listener.get_ref().local_addr()
}
