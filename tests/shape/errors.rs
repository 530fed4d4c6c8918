//! In a peer's shape an error of the system stays one: each call that fails returns the `raw_os_error()` and the
//! `kind()` that the peer's own call returns.
#![allow(unused_braces)] // Without them, the arguments of `row!` are laid out one word a line.

use std::fs::File;
use std::future::Future;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net as unix;
use std::path::PathBuf;

use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::Folder;
use netpoll_tests::fixtures::os::no_more_descriptors;
use netpoll_tests::watched;

/// A way to fail, tried with the peer and with us.
type Failure = (&'static str, Result<(), io::Error>, Result<(), io::Error>);

/// One row: a name, and the same expression with the peer's names and with ours.
macro_rules! row {
    ($rows:ident, $name:expr, $peer:expr, $ours:expr) => {
        $rows.push(($name, async { $peer }.await.map(drop), async { $ours }.await.map(drop)))
    };
}

fn judge(rows: &[Failure]) {
    let mut offences = Vec::new();
    for (name, peer, ours) in rows {
        match (peer, ours) {
            (Err(peer), Err(ours))
                if (peer.kind(), peer.raw_os_error()) == (ours.kind(), ours.raw_os_error()) => {}
            _ => offences.push(format!("{name}: {ours:?}, the peer: {peer:?}")),
        }
    }
    assert!(offences.is_empty(), "{} of {}:\n{}", offences.len(), rows.len(), offences.join("\n"));
}

fn in_tokio(test: impl Future<Output = Result<Vec<Failure>, io::Error>> + Send + 'static) {
    watched(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        judge(&runtime.expect("a runtime").block_on(test).expect("no other error"));
    });
}

/// Addresses at which something cannot be done.
struct Bad {
    /// A listener has it.
    taken: SocketAddr,
    /// No socket has it.
    refusing: SocketAddr,
    /// It is of no interface here.
    foreign: SocketAddr,
    /// A Unix socket has it, and listens.
    taken_path: PathBuf,
    /// A Unix socket had it.
    refusing_path: PathBuf,
    /// Its folder is not there.
    missing: PathBuf,
    /// No address holds so long a path.
    too_long: PathBuf,
    file: PathBuf,
    _held: (net::TcpListener, unix::UnixListener, Folder),
}

/// A name that is looked up in vain, and without a name server: it is too long for one.
fn unknown() -> String {
    format!("{}:80", "a".repeat(300))
}

impl Bad {
    fn new() -> io::Result<Self> {
        let folder = Folder::new()?;
        let taken = net::TcpListener::bind("127.0.0.1:0")?;
        // Bound and not listening, a socket keeps its port, and the kernel refuses connections to it.
        let refusing = net::UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
        let taken_path = folder.join("taken");
        let refusing_path = folder.join("refusing");
        drop(unix::UnixListener::bind(&refusing_path)?);
        let file = folder.join("file");
        File::create(&file)?;
        Ok(Self {
            taken: taken.local_addr()?,
            refusing,
            foreign: "192.0.2.1:0".parse().expect("an address"),
            missing: folder.join("missing/socket"),
            too_long: folder.join("a".repeat(200)),
            refusing_path,
            file,
            _held: (taken, unix::UnixListener::bind(&taken_path)?, folder),
            taken_path,
        })
    }

    /// A descriptor that epoll refuses.
    fn file(&self) -> io::Result<OwnedFd> {
        let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&self.file);
        file.map(OwnedFd::from)
    }
}

#[test]
fn tcp_fails_as_in_tokio() {
    in_tokio(async {
        use netpoll_tokio::net as ours;
        use tokio::net as peer;

        let bad = Bad::new()?;
        let mut rows = Vec::new();
        row!(rows, "bind, taken", peer::TcpListener::bind(bad.taken).await, {
            ours::TcpListener::bind(bad.taken).await
        });
        row!(rows, "bind, foreign", peer::TcpListener::bind(bad.foreign).await, {
            ours::TcpListener::bind(bad.foreign).await
        });
        row!(rows, "bind, unknown name", peer::TcpListener::bind(unknown()).await, {
            ours::TcpListener::bind(unknown()).await
        });
        row!(rows, "bind, no port", peer::TcpListener::bind("here").await, {
            ours::TcpListener::bind("here").await
        });
        row!(rows, "bind, no address", peer::TcpListener::bind(&[][..]).await, {
            ours::TcpListener::bind(&[][..]).await
        });
        row!(rows, "connect, refused", peer::TcpStream::connect(bad.refusing).await, {
            ours::TcpStream::connect(bad.refusing).await
        });
        row!(rows, "connect, broadcast", peer::TcpStream::connect("255.255.255.255:1").await, {
            ours::TcpStream::connect("255.255.255.255:1").await
        });
        row!(rows, "connect, unknown name", peer::TcpStream::connect(unknown()).await, {
            ours::TcpStream::connect(unknown()).await
        });
        row!(rows, "connect, no address", peer::TcpStream::connect(&[][..]).await, {
            ours::TcpStream::connect(&[][..]).await
        });
        row!(rows, "lookup_host, unknown name", peer::lookup_host(unknown()).await, {
            ours::lookup_host(unknown()).await
        });
        row!(rows, "lookup_host, no port", peer::lookup_host("here").await, {
            ours::lookup_host("here").await
        });
        row!(rows, "listener from a file", peer::TcpListener::from_std(bad.file()?.into()), {
            ours::TcpListener::from_std(bad.file()?.into())
        });
        row!(rows, "stream from a file", peer::TcpStream::from_std(bad.file()?.into()), {
            ours::TcpStream::from_std(bad.file()?.into())
        });
        row!(rows, "socket: bind, taken", peer::TcpSocket::new_v4()?.bind(bad.taken), {
            ours::TcpSocket::new_v4()?.bind(bad.taken)
        });
        row!(
            rows,
            "socket: bind, IPv6",
            peer::TcpSocket::new_v4()?.bind("[::1]:0".parse().unwrap()),
            { ours::TcpSocket::new_v4()?.bind("[::1]:0".parse().unwrap()) }
        );
        row!(
            rows,
            "socket: connect, refused",
            { peer::TcpSocket::new_v4()?.connect(bad.refusing).await },
            ours::TcpSocket::new_v4()?.connect(bad.refusing).await
        );
        row!(
            rows,
            "socket: listen, taken",
            {
                let socket = peer::TcpSocket::new_v4()?;
                socket.set_reuseport(true)?;
                connect_first(socket.as_fd())?;
                socket.listen(1)
            },
            {
                let socket = ours::TcpSocket::new_v4()?;
                socket.set_reuseport(true)?;
                connect_first(socket.as_fd())?;
                socket.listen(1)
            }
        );
        Ok(rows)
    });
}

/// Connects a socket, which then cannot listen.
fn connect_first(socket: BorrowedFd<'_>) -> io::Result<()> {
    let listener = net::TcpListener::bind("127.0.0.1:0")?;
    let blocking = net::TcpStream::from(socket.try_clone_to_owned()?);
    blocking.set_nonblocking(false)?;
    netpoll_futures::sys::connect(socket, &listener.local_addr()?)
}

#[test]
fn unix_sockets_fail_as_in_tokio() {
    in_tokio(async {
        use netpoll_tokio::net as ours;
        use tokio::net as peer;

        let bad = Bad::new()?;
        let mut rows = Vec::new();
        for (name, path) in [
            ("listener, taken", &bad.taken_path),
            ("listener, missing", &bad.missing),
            ("listener, too long", &bad.too_long),
        ] {
            row!(rows, name, peer::UnixListener::bind(path), ours::UnixListener::bind(path));
        }
        for (name, path) in [
            ("stream, refused", &bad.refusing_path),
            ("stream, missing", &bad.missing),
            ("stream, too long", &bad.too_long),
        ] {
            row!(rows, name, peer::UnixStream::connect(path).await, {
                ours::UnixStream::connect(path).await
            });
        }
        for (name, path) in [
            ("datagram bind, taken", &bad.taken_path),
            ("datagram bind, missing", &bad.missing),
            ("datagram bind, too long", &bad.too_long),
        ] {
            row!(rows, name, peer::UnixDatagram::bind(path), ours::UnixDatagram::bind(path));
        }
        for (name, path) in [
            ("datagram, refused", &bad.refusing_path),
            ("datagram, missing", &bad.missing),
            ("datagram, another kind", &bad.taken_path),
            ("datagram, too long", &bad.too_long),
        ] {
            let (peer, ours) = (peer::UnixDatagram::unbound()?, ours::UnixDatagram::unbound()?);
            row!(rows, name, peer.connect(path), ours.connect(path));
            row!(rows, name, peer.send_to(b"a", path).await, ours.send_to(b"a", path).await);
            row!(rows, name, peer.try_send_to(b"a", path), ours.try_send_to(b"a", path));
            row!(rows, name, peer.send(b"a").await, ours.send(b"a").await);
            row!(rows, name, peer.try_send(b"a"), ours.try_send(b"a"));
            row!(rows, name, peer.peer_addr(), ours.peer_addr());
        }
        row!(rows, "listener from a file", peer::UnixListener::from_std(bad.file()?.into()), {
            ours::UnixListener::from_std(bad.file()?.into())
        });
        row!(rows, "stream from a file", peer::UnixStream::from_std(bad.file()?.into()), {
            ours::UnixStream::from_std(bad.file()?.into())
        });
        row!(rows, "datagram from a file", peer::UnixDatagram::from_std(bad.file()?.into()), {
            ours::UnixDatagram::from_std(bad.file()?.into())
        });
        Ok(rows)
    });
}

#[test]
fn udp_fails_as_in_tokio() {
    in_tokio(async {
        use netpoll_tokio::net as ours;
        use tokio::net as peer;

        let bad = Bad::new()?;
        let taken = net::UdpSocket::bind("127.0.0.1:0")?;
        let mut rows = Vec::new();
        row!(rows, "bind, taken", peer::UdpSocket::bind(taken.local_addr()?).await, {
            ours::UdpSocket::bind(taken.local_addr()?).await
        });
        row!(rows, "bind, foreign", peer::UdpSocket::bind(bad.foreign).await, {
            ours::UdpSocket::bind(bad.foreign).await
        });
        row!(rows, "bind, unknown name", peer::UdpSocket::bind(unknown()).await, {
            ours::UdpSocket::bind(unknown()).await
        });
        row!(rows, "from a file", peer::UdpSocket::from_std(bad.file()?.into()), {
            ours::UdpSocket::from_std(bad.file()?.into())
        });
        let (peer, ours) = (
            peer::UdpSocket::bind("127.0.0.1:0").await?,
            ours::UdpSocket::bind("127.0.0.1:0").await?,
        );
        let mut room = [0; 8];
        row!(rows, "send, not connected", peer.send(b"a").await, ours.send(b"a").await);
        row!(rows, "try_send, not connected", peer.try_send(b"a"), ours.try_send(b"a"));
        row!(rows, "peer_addr, not connected", peer.peer_addr(), ours.peer_addr());
        row!(rows, "connect, broadcast", peer.connect("255.255.255.255:1").await, {
            ours.connect("255.255.255.255:1").await
        });
        let much = [0; 100_000];
        row!(rows, "send_to, too long", peer.send_to(&much, bad.refusing).await, {
            ours.send_to(&much, bad.refusing).await
        });
        row!(rows, "try_send_to, too long", peer.try_send_to(&much, bad.refusing), {
            ours.try_send_to(&much, bad.refusing)
        });
        row!(rows, "send_to, unknown name", peer.send_to(b"a", unknown()).await, {
            ours.send_to(b"a", unknown()).await
        });
        row!(rows, "send_to, IPv6", peer.send_to(b"a", "[::1]:1").await, {
            ours.send_to(b"a", "[::1]:1").await
        });
        row!(rows, "join", peer.join_multicast_v4([127, 0, 0, 1].into(), [0; 4].into()), {
            ours.join_multicast_v4([127, 0, 0, 1].into(), [0; 4].into())
        });
        row!(rows, "leave", peer.leave_multicast_v4([127, 0, 0, 1].into(), [0; 4].into()), {
            ours.leave_multicast_v4([127, 0, 0, 1].into(), [0; 4].into())
        });
        row!(rows, "join v6", peer.join_multicast_v6(&net::Ipv6Addr::LOCALHOST, 0), {
            ours.join_multicast_v6(&net::Ipv6Addr::LOCALHOST, 0)
        });
        row!(rows, "leave v6", peer.leave_multicast_v6(&net::Ipv6Addr::LOCALHOST, 0), {
            ours.leave_multicast_v6(&net::Ipv6Addr::LOCALHOST, 0)
        });
        // Each send is answered by a refusal, which the next call reports.
        peer.connect(bad.refusing).await?;
        ours.connect(bad.refusing).await?;
        macro_rules! refused {
            ($name:expr, $($call:tt)*) => {
                row!(rows, $name, {
                    peer.send(b"a").await?;
                    peer.$($call)*
                }, {
                    ours.send(b"a").await?;
                    ours.$($call)*
                });
            };
        }
        refused!("recv, refused", recv(&mut room).await);
        refused!("recv_from, refused", recv_from(&mut room).await);
        refused!("recv_buf, refused", recv_buf(&mut Vec::with_capacity(8)).await);
        refused!("recv_buf_from, refused", recv_buf_from(&mut Vec::with_capacity(8)).await);
        refused!("peek, refused", peek(&mut room).await);
        refused!("peek_from, refused", peek_from(&mut room).await);
        refused!("peek_sender, refused", peek_sender().await);
        refused!("send, refused", send(b"a").await);
        Ok(rows)
    });
}

// Programs still call methods that tokio 1.53 deprecates.
#[allow(deprecated)]
#[test]
fn async_fd_fails_as_in_tokio() {
    in_tokio(async {
        use netpoll_tokio::io as ours;
        use tokio::io as peer;

        let bad = Bad::new()?;
        let mut rows = Vec::new();
        row!(rows, "new, a file", peer::unix::AsyncFd::new(bad.file()?), {
            ours::unix::AsyncFd::new(bad.file()?)
        });
        row!(
            rows,
            "with_interest, a file",
            { peer::unix::AsyncFd::with_interest(bad.file()?, peer::Interest::READABLE) },
            ours::unix::AsyncFd::with_interest(bad.file()?, ours::Interest::READABLE)
        );
        row!(
            rows,
            "try_new, a file",
            { peer::unix::AsyncFd::try_new(bad.file()?).map_err(|error| error.into_parts().1) },
            ours::unix::AsyncFd::try_new(bad.file()?).map_err(|error| error.into_parts().1)
        );
        row!(
            rows,
            "try_new, a file, as an io::Error",
            { peer::unix::AsyncFd::try_new(bad.file()?).map_err(io::Error::from) },
            ours::unix::AsyncFd::try_new(bad.file()?).map_err(io::Error::from)
        );
        let (reader, _writer) = io::pipe()?;
        let (one, _other) = unix::UnixStream::pair()?;
        row!(
            rows,
            "new, twice",
            {
                let _first = peer::unix::AsyncFd::new(reader.as_fd())?;
                peer::unix::AsyncFd::new(reader.as_fd())
            },
            {
                let _first = ours::unix::AsyncFd::new(reader.as_fd())?;
                ours::unix::AsyncFd::new(reader.as_fd())
            }
        );
        row!(
            rows,
            "from_std, twice",
            {
                let _first = peer::unix::AsyncFd::new(one.as_fd())?;
                peer::unix::AsyncFd::new(one.as_fd())
            },
            {
                let _first = ours::unix::AsyncFd::new(one.as_fd())?;
                ours::unix::AsyncFd::new(one.as_fd())
            }
        );
        Ok(rows)
    });
}

fn in_smol(test: impl Future<Output = Result<Vec<Failure>, io::Error>> + Send + 'static) {
    watched(|| judge(&smol::block_on(test).expect("no other error")));
}

/// The error of a send that no socket receives, as the next call reports it.
macro_rules! refused {
    ($rows:ident, $peer:ident, $ours:ident, $name:expr, $($call:tt)*) => {
        row!($rows, $name, {
            $peer.send(b"a").await?;
            $peer.$($call)*.await
        }, {
            $ours.send(b"a").await?;
            $ours.$($call)*.await
        });
    };
}

macro_rules! sockets_fail_as_in_async_net {
    ($name:ident, $ours:path) => {
        #[test]
        fn $name() {
            in_smol(async {
                use async_net as peer;
                use $ours as ours;

                let bad = Bad::new()?;
                let mut rows = Vec::new();
                for (name, address) in [("bind, taken", bad.taken), ("bind, foreign", bad.foreign)]
                {
                    row!(rows, name, peer::TcpListener::bind(address).await, {
                        ours::TcpListener::bind(address).await
                    });
                }
                row!(rows, "bind, unknown name", peer::TcpListener::bind(unknown()).await, {
                    ours::TcpListener::bind(unknown()).await
                });
                row!(rows, "bind, no port", peer::TcpListener::bind("here").await, {
                    ours::TcpListener::bind("here").await
                });
                row!(rows, "connect, refused", peer::TcpStream::connect(bad.refusing).await, {
                    ours::TcpStream::connect(bad.refusing).await
                });
                row!(rows, "connect, unknown name", peer::TcpStream::connect(unknown()).await, {
                    ours::TcpStream::connect(unknown()).await
                });
                row!(rows, "resolve, unknown name", peer::resolve(unknown()).await, {
                    ours::resolve(unknown()).await
                });
                row!(
                    rows,
                    "listener from a file",
                    { peer::TcpListener::try_from(net::TcpListener::from(bad.file()?)) },
                    ours::TcpListener::try_from(net::TcpListener::from(bad.file()?))
                );
                row!(
                    rows,
                    "stream from a file",
                    { peer::TcpStream::try_from(net::TcpStream::from(bad.file()?)) },
                    ours::TcpStream::try_from(bad.file()?)
                );

                row!(rows, "udp bind, foreign", peer::UdpSocket::bind(bad.foreign).await, {
                    ours::UdpSocket::bind(bad.foreign).await
                });
                row!(rows, "udp bind, unknown name", peer::UdpSocket::bind(unknown()).await, {
                    ours::UdpSocket::bind(unknown()).await
                });
                row!(
                    rows,
                    "udp from a file",
                    { peer::UdpSocket::try_from(net::UdpSocket::from(bad.file()?)) },
                    ours::UdpSocket::try_from(net::UdpSocket::from(bad.file()?))
                );
                let (peer_socket, our_socket) = (
                    peer::UdpSocket::bind("127.0.0.1:0").await?,
                    ours::UdpSocket::bind("127.0.0.1:0").await?,
                );
                let mut room = [0; 8];
                row!(
                    rows,
                    "send, not connected",
                    peer_socket.send(b"a").await,
                    our_socket.send(b"a").await
                );
                row!(
                    rows,
                    "send_to, too long",
                    { peer_socket.send_to(&[0; 100_000], bad.refusing).await },
                    our_socket.send_to(&[0; 100_000], bad.refusing).await
                );
                row!(rows, "connect, broadcast", peer_socket.connect("255.255.255.255:1").await, {
                    our_socket.connect("255.255.255.255:1").await
                });
                row!(
                    rows,
                    "join",
                    peer_socket.join_multicast_v4([127, 0, 0, 1].into(), [0; 4].into()),
                    { our_socket.join_multicast_v4([127, 0, 0, 1].into(), [0; 4].into()) }
                );
                peer_socket.connect(bad.refusing).await?;
                our_socket.connect(bad.refusing).await?;
                refused!(rows, peer_socket, our_socket, "recv, refused", recv(&mut room));
                refused!(rows, peer_socket, our_socket, "recv_from, refused", recv_from(&mut room));
                refused!(rows, peer_socket, our_socket, "peek, refused", peek(&mut room));
                refused!(rows, peer_socket, our_socket, "peek_from, refused", peek_from(&mut room));
                refused!(rows, peer_socket, our_socket, "send, refused", send(b"a"));

                for (name, path) in [
                    ("unix listener, taken", &bad.taken_path),
                    ("unix listener, missing", &bad.missing),
                    ("unix listener, too long", &bad.too_long),
                ] {
                    row!(
                        rows,
                        name,
                        peer::unix::UnixListener::bind(path),
                        ours::unix::UnixListener::bind(path)
                    );
                }
                for (name, path) in [
                    ("unix, refused", &bad.refusing_path),
                    ("unix, missing", &bad.missing),
                    ("unix, too long", &bad.too_long),
                ] {
                    // async-io says ENAMETOOLONG only here; the standard library and all else say InvalidInput.
                    if path != &bad.too_long {
                        row!(rows, name, peer::unix::UnixStream::connect(path).await, {
                            ours::unix::UnixStream::connect(path).await
                        });
                    }
                    let (peer, ours) = (
                        peer::unix::UnixDatagram::unbound()?,
                        ours::unix::UnixDatagram::unbound()?,
                    );
                    row!(rows, name, peer.connect(path), ours.connect(path));
                    row!(
                        rows,
                        name,
                        peer.send_to(b"a", path).await,
                        ours.send_to(b"a", path).await
                    );
                    row!(rows, name, peer.send(b"a").await, ours.send(b"a").await);
                }
                for (name, path) in [
                    ("unix datagram, taken", &bad.taken_path),
                    ("unix datagram, missing", &bad.missing),
                ] {
                    row!(
                        rows,
                        name,
                        peer::unix::UnixDatagram::bind(path),
                        ours::unix::UnixDatagram::bind(path)
                    );
                }
                Ok(rows)
            });
        }
    };
}
sockets_fail_as_in_async_net!(sockets_of_netpoll_smol_fail_as_in_async_net, netpoll_smol::net);
sockets_fail_as_in_async_net!(sockets_of_async_net_fail_as_in_async_net, netpoll_async_net);

macro_rules! async_fails_as_in_async_io {
    ($name:ident, $ours:ty) => {
        #[test]
        fn $name() {
            in_smol(async {
                use async_io::Async as Peer;
                type Ours<T> = $ours;

                let bad = Bad::new()?;
                let mut rows = Vec::new();
                row!(rows, "new, a file", Peer::new(bad.file()?), Ours::new(bad.file()?));
                row!(rows, "new_nonblocking, a file", Peer::new_nonblocking(bad.file()?), {
                    Ours::new_nonblocking(bad.file()?)
                });
                row!(rows, "try_from, a file", Peer::<net::TcpStream>::try_from(bad.file()?), {
                    Ours::<net::TcpStream>::try_from(bad.file()?)
                });
                let (reader, _writer) = io::pipe()?;
                row!(
                    rows,
                    "new, twice",
                    {
                        let _first = Peer::new(reader.as_fd())?;
                        Peer::new(reader.as_fd())
                    },
                    {
                        let _first = Ours::new(reader.as_fd())?;
                        Ours::new(reader.as_fd())
                    }
                );
                for (name, address) in [("bind, taken", bad.taken), ("bind, foreign", bad.foreign)]
                {
                    row!(rows, name, Peer::<net::TcpListener>::bind(address), {
                        Ours::<net::TcpListener>::bind(address)
                    });
                }
                row!(rows, "udp bind, foreign", Peer::<net::UdpSocket>::bind(bad.foreign), {
                    Ours::<net::UdpSocket>::bind(bad.foreign)
                });
                row!(
                    rows,
                    "connect, refused",
                    Peer::<net::TcpStream>::connect(bad.refusing).await,
                    { Ours::<net::TcpStream>::connect(bad.refusing).await }
                );
                let (peer, ours) = (
                    Peer::<net::UdpSocket>::bind(([127, 0, 0, 1], 0))?,
                    Ours::<net::UdpSocket>::bind(([127, 0, 0, 1], 0))?,
                );
                row!(rows, "send, not connected", peer.send(b"a").await, ours.send(b"a").await);
                row!(rows, "send_to, too long", peer.send_to(&[0; 100_000], bad.refusing).await, {
                    ours.send_to(&[0; 100_000], bad.refusing).await
                });
                for (name, path) in [
                    ("unix listener, taken", &bad.taken_path),
                    ("unix listener, missing", &bad.missing),
                    ("unix listener, too long", &bad.too_long),
                ] {
                    row!(rows, name, Peer::<unix::UnixListener>::bind(path), {
                        Ours::<unix::UnixListener>::bind(path)
                    });
                    row!(rows, name, Peer::<unix::UnixDatagram>::bind(path), {
                        Ours::<unix::UnixDatagram>::bind(path)
                    });
                }
                let (peer, ours) = (
                    Peer::<unix::UnixDatagram>::unbound()?,
                    Ours::<unix::UnixDatagram>::unbound()?,
                );
                for (name, path) in
                    [("unix, refused", &bad.refusing_path), ("unix, missing", &bad.missing)]
                {
                    row!(rows, name, Peer::<unix::UnixStream>::connect(path).await, {
                        Ours::<unix::UnixStream>::connect(path).await
                    });
                    row!(
                        rows,
                        name,
                        peer.send_to(b"a", path).await,
                        ours.send_to(b"a", path).await
                    );
                }
                Ok(rows)
            });
        }
    };
}
async_fails_as_in_async_io!(async_of_netpoll_smol_fails_as_in_async_io, netpoll_smol::Async<T>);
async_fails_as_in_async_io!(async_of_async_io_fails_as_in_async_io, netpoll_async_io::Async<T>);

#[test]
fn a_process_out_of_descriptors_fails_as_with_the_peers() {
    alone("errors::a_process_out_of_descriptors_fails_as_with_the_peers", || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime
            .expect("a runtime")
            .block_on(async {
                use netpoll_tokio::net as ours;
                use tokio::net as peer;

                let mut rows = Vec::new();
                let peer_listener = peer::TcpListener::bind("127.0.0.1:0").await?;
                let our_listener = ours::TcpListener::bind("127.0.0.1:0").await?;
                let smol_peer = async_net::TcpListener::bind("127.0.0.1:0").await?;
                let smol_ours = netpoll_smol::net::TcpListener::bind("127.0.0.1:0").await?;
                let any_peer = async_io::Async::<net::TcpListener>::bind(([127, 0, 0, 1], 0))?;
                let any_ours = netpoll_smol::Async::<net::TcpListener>::bind(([127, 0, 0, 1], 0))?;
                let patched =
                    netpoll_async_io::Async::<net::TcpListener>::bind(([127, 0, 0, 1], 0))?;
                let mut clients = Vec::new();
                for address in [
                    peer_listener.local_addr()?,
                    our_listener.local_addr()?,
                    smol_peer.local_addr()?,
                    smol_ours.local_addr()?,
                    any_peer.get_ref().local_addr()?,
                    any_ours.get_ref().local_addr()?,
                    patched.get_ref().local_addr()?,
                ] {
                    clients.push(net::TcpStream::connect(address)?);
                }
                let address = our_listener.local_addr()?;
                no_more_descriptors();
                row!(rows, "accept", peer_listener.accept().await, our_listener.accept().await);
                row!(rows, "accept, smol", smol_peer.accept().await, smol_ours.accept().await);
                row!(
                    rows,
                    "incoming, smol",
                    {
                        use futures::StreamExt;
                        smol_peer.incoming().next().await.expect("an item")
                    },
                    {
                        use futures::StreamExt;
                        smol_ours.incoming().next().await.expect("an item")
                    }
                );
                row!(rows, "accept, Async", any_peer.accept().await, any_ours.accept().await);
                row!(rows, "accept, async-io", any_peer.accept().await, patched.accept().await);
                row!(
                    rows,
                    "bind, async-io",
                    async_io::Async::<net::TcpListener>::bind(([127, 0, 0, 1], 0)),
                    netpoll_async_io::Async::<net::TcpListener>::bind(([127, 0, 0, 1], 0))
                );
                row!(
                    rows,
                    "connect, async-io",
                    async_io::Async::<net::TcpStream>::connect(address).await,
                    netpoll_async_io::Async::<net::TcpStream>::connect(address).await
                );
                row!(
                    rows,
                    "poll_accept",
                    { std::future::poll_fn(|cx| peer_listener.poll_accept(cx)).await },
                    std::future::poll_fn(|cx| our_listener.poll_accept(cx)).await
                );
                row!(rows, "bind", peer::TcpListener::bind("127.0.0.1:0").await, {
                    ours::TcpListener::bind("127.0.0.1:0").await
                });
                row!(rows, "connect", peer::TcpStream::connect(address).await, {
                    ours::TcpStream::connect(address).await
                });
                row!(rows, "TcpSocket", peer::TcpSocket::new_v4(), ours::TcpSocket::new_v4());
                row!(rows, "unix pair", peer::UnixStream::pair(), ours::UnixStream::pair());
                row!(rows, "datagram pair", peer::UnixDatagram::pair(), ours::UnixDatagram::pair());
                row!(rows, "unix pair, smol", async_net::unix::UnixStream::pair(), {
                    netpoll_smol::net::unix::UnixStream::pair()
                });
                row!(rows, "udp", peer::UdpSocket::bind("127.0.0.1:0").await, {
                    ours::UdpSocket::bind("127.0.0.1:0").await
                });
                judge(&rows);
                assert_eq!(rows[0].2.as_ref().unwrap_err().raw_os_error(), Some(libc::EMFILE));
                io::Result::Ok(())
            })
            .expect("no other error");
    });
}
