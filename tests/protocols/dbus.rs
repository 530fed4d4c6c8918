//! D-Bus by zbus on a private bus: the connection is our `UnixStream`, and descriptors pass through its `send_with_fds` and
//! `recv_with_fds`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{self, AsFd, BorrowedFd};
use std::process::{Child, Command, Stdio};

use async_trait::async_trait;
use netpoll_futures::UnixStream;
use netpoll_tests::fixtures::{Folder, pattern};
use netpoll_tests::watched;
use smol::unblock;
use zbus::connection::socket::{ReadHalf, Socket, Split, WriteHalf};
use zbus::connection::{Builder, Connection};
use zbus::zvariant::{Fd, OwnedFd};

/// A stream for zbus. Both halves are the same socket.
#[derive(Clone, Debug)]
struct BusStream(UnixStream);

impl Socket for BusStream {
    type ReadHalf = Self;
    type WriteHalf = Self;

    fn split(self) -> Split<Self, Self> {
        Split::new(self.clone(), self)
    }
}

#[async_trait]
impl ReadHalf for BusStream {
    async fn recvmsg(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Vec<fd::OwnedFd>)> {
        let mut fds = Vec::new();
        let len = self.0.recv_with_fds(buffer, &mut fds).await?;
        Ok((len, fds))
    }

    fn can_pass_unix_fd(&self) -> bool {
        true
    }
}

#[async_trait]
impl WriteHalf for BusStream {
    async fn sendmsg(&mut self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        self.0.send_with_fds(bytes, fds).await
    }

    async fn close(&mut self) -> io::Result<()> {
        self.0.close().await
    }

    fn can_pass_unix_fd(&self) -> bool {
        true
    }
}

/// The private bus. It ends when this is dropped.
struct Bus {
    daemon: Child,
    folder: Folder,
}

impl Bus {
    /// Starts the bus, or says that it is not there.
    fn start() -> Option<Self> {
        let folder = Folder::new().expect("a folder");
        let mut daemon = Command::new("dbus-daemon");
        daemon.args(["--session", "--nofork", "--nopidfile", "--nosyslog", "--print-address"]);
        daemon.arg(format!("--address=unix:path={}", folder.socket().display()));
        let mut daemon = match daemon.stdout(Stdio::piped()).spawn() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                println!("not run: no dbus-daemon (Debian: dbus)");
                return None;
            }
            daemon => daemon.expect("a process"),
        };
        let mut address = String::new();
        let mut output = BufReader::new(daemon.stdout.take().expect("a pipe"));
        output.read_line(&mut address).expect("the bus prints its address when it listens");
        Some(Self { daemon, folder })
    }

    /// A connection whose tasks run on smol's executor.
    async fn connect(&self) -> Connection {
        let stream = UnixStream::connect(self.folder.socket()).await.expect("the bus listens");
        let builder = Builder::socket(BusStream(stream)).internal_executor(false);
        let connection = builder.build().await.expect("a connection");
        let executor = connection.executor().clone();
        smol::spawn(async move {
            while !executor.is_empty() {
                executor.tick().await;
            }
        })
        .detach();
        connection
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

const NAME: &str = "org.netpoll.Test";
const PATH: &str = "/org/netpoll/Test";

struct Service;

#[zbus::interface(name = "org.netpoll.Test")]
impl Service {
    fn echo(&self, bytes: Vec<u8>) -> Vec<u8> {
        bytes
    }

    fn greet(&self, name: &str) -> String {
        format!("hello {name}")
    }

    /// Writes to the caller's descriptor.
    fn write_to(&self, text: &str, to: OwnedFd) -> u32 {
        let mut to = File::from(fd::OwnedFd::from(to));
        to.write_all(text.as_bytes()).expect("the caller reads");
        u32::try_from(text.len()).expect("a short text")
    }

    /// Returns a descriptor from which the caller reads.
    fn open(&self, text: &str) -> OwnedFd {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        writer.write_all(text.as_bytes()).expect("it is empty");
        fd::OwnedFd::from(reader).into()
    }
}

#[test]
fn descriptors_pass_both_ways_and_dbus_send_has_its_answer() {
    watched(|| {
        let Some(bus) = Bus::start() else { return };
        smol::block_on(async {
            let serving = bus.connect().await;
            serving.object_server().at(PATH, Service).await.expect("a path that is free");
            serving.request_name(NAME).await.expect("a name that is free");
            let client = bus.connect().await;

            let bytes = pattern(1 << 20);
            let reply = client.call_method(Some(NAME), PATH, Some(NAME), "Echo", &(&bytes)).await;
            let echoed: Vec<u8> = reply.expect("an answer").body().deserialize().expect("bytes");
            assert!(echoed == bytes);

            let (mut reader, writer) = io::pipe().expect("a pipe");
            let arguments = ("through a pipe", Fd::from(writer.as_fd()));
            let reply =
                client.call_method(Some(NAME), PATH, Some(NAME), "WriteTo", &arguments).await;
            let written: u32 = reply.expect("an answer").body().deserialize().expect("a number");
            assert_eq!(written, 14);
            drop(writer);
            // To the end: no copy of the other end is left open.
            let read = move || reader.read_to_string(&mut String::new());
            let read = unblock(read).await;
            assert_eq!(read.expect("a text"), 14);

            let reply =
                client.call_method(Some(NAME), PATH, Some(NAME), "Open", &("a descriptor")).await;
            let opened: OwnedFd =
                reply.expect("an answer").body().deserialize().expect("a descriptor");
            let mut text = String::new();
            File::from(fd::OwnedFd::from(opened)).read_to_string(&mut text).expect("a text");
            assert_eq!(text, "a descriptor");

            let mut send = Command::new("dbus-send");
            send.arg(format!("--bus=unix:path={}", bus.folder.socket().display()));
            send.args(["--print-reply=literal", &format!("--dest={NAME}"), PATH]);
            send.args([&format!("{NAME}.Greet"), "string:bus"]);
            match unblock(move || send.output()).await {
                Ok(output) => {
                    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "hello bus");
                }
                Err(error) => println!("dbus-send was not run: {error}"),
            }
        });
    });
}
