//! The behaviour of async-io, which is ours as well: `.ci/dependents` runs this suite with both.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use async_io::{Async, Readable, ReadableOwned, Timer, Writable, WritableOwned, block_on};
use futures_lite::future::{self, poll_once};
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWriteExt, FutureExt, Stream, StreamExt};

/// More operations than the budget of a thread has.
const MANY: usize = 1000;

/// A path in a folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("async-io-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn tcp_pair() -> io::Result<(Async<TcpStream>, Async<TcpStream>)> {
    let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
    let address = listener.get_ref().local_addr()?;
    let (accepted, client) =
        future::try_zip(listener.accept(), Async::<TcpStream>::connect(address)).await?;
    Ok((client, accepted.0))
}

fn read_byte(mut io: impl Read) -> io::Result<u8> {
    let mut byte = [0];
    io.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// Fills the sending side until it blocks.
fn fill(mut socket: &UnixStream) {
    let full = loop {
        if let Err(error) = socket.write(&[0; 4096]) {
            break error;
        }
    };
    assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
}

/// A waker that wakes a thread which waits for it.
#[derive(Default)]
struct Woken(Mutex<bool>, std::sync::Condvar);

impl Woken {
    fn wait(&self) {
        let mut woken = self.0.lock().expect("no panic under the lock");
        while !*woken {
            woken = self.1.wait(woken).expect("no panic under the lock");
        }
        *woken = false;
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        *self.0.lock().expect("no panic under the lock") = true;
        self.1.notify_all();
    }
}

/// A socket with buffers of its own: for one byte that is read, and for one that is written.
struct Buffered {
    byte: Cell<Option<u8>>,
    unsent: Cell<Option<u8>>,
    socket: UnixStream,
}

impl Buffered {
    fn pair() -> io::Result<(Async<Self>, UnixStream)> {
        let (socket, peer) = UnixStream::pair()?;
        let buffered = Self { byte: Cell::new(None), unsent: Cell::new(None), socket };
        Ok((Async::new(buffered)?, peer))
    }
}

impl AsFd for Buffered {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Read for &Buffered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.byte.take() {
            Some(byte) => {
                buffer[0] = byte;
                Ok(1)
            }
            None => (&self.socket).read(buffer),
        }
    }
}

impl Write for &Buffered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.unsent.set(bytes.first().copied());
        Ok(bytes.len().min(1))
    }

    fn flush(&mut self) -> io::Result<()> {
        let unsent = self.unsent.get();
        unsent.map_or(Ok(()), |byte| (&self.socket).write_all(&[byte]))?;
        self.unsent.set(None);
        Ok(())
    }
}

#[test]
fn an_operation_is_tried_first_whatever_the_readiness() -> io::Result<()> {
    block_on(async {
        let (buffered, mut peer) = Buffered::pair()?;
        let mut byte = [0];
        assert!(poll_once((&buffered).read(&mut byte)).await.is_none(), "the socket is drained");
        buffered.get_ref().byte.set(Some(b'a'));
        let read = poll_once((&buffered).read(&mut byte)).await;
        assert_eq!(read.expect("the buffered byte")?, 1);
        assert_eq!(byte, *b"a");

        let mut read = pin!(buffered.read_with(|io| read_byte(io)));
        assert!(poll_once(read.as_mut()).await.is_none());
        buffered.get_ref().byte.set(Some(b'b'));
        assert_eq!(poll_once(read).await.expect("each poll is an attempt")?, b'b');

        peer.write_all(b"c")?;
        assert_eq!((&buffered).read(&mut byte).await?, 1);
        assert_eq!(byte, *b"c");
        Ok(())
    })
}

#[test]
fn a_would_block_with_more_to_come_is_tried_again() -> io::Result<()> {
    block_on(async {
        let (near, mut far) = Async::<UnixStream>::pair()?;
        far.write_all(b"xxxy").await?;
        let wanted = near.read_with(|socket| match read_byte(socket)? {
            b'y' => Ok(()),
            _ => Err(io::ErrorKind::WouldBlock.into()),
        });
        wanted.await
    })
}

#[test]
fn a_future_that_is_kept_aside_blocks_no_other() -> io::Result<()> {
    block_on(async {
        let (near, mut far) = Async::<UnixStream>::pair()?;
        let mut aside = pin!(near.read_with(|socket| read_byte(socket)));
        assert!(poll_once(aside.as_mut()).await.is_none());
        let mut readable = near.readable();
        assert!(poll_once(&mut readable).await.is_none());

        let read = near.read_with(|socket| read_byte(socket));
        let (read, sent) = future::zip(read, far.write_all(b"a")).await;
        sent?;
        assert_eq!(read?, b'a');

        far.write_all(b"b").await?;
        readable.await?;
        assert_eq!(aside.await?, b'b');
        Ok(())
    })
}

#[test]
fn an_event_wakes_the_tasks_of_other_executors() -> io::Result<()> {
    let (mut near, mut far) = Async::<UnixStream>::pair()?;
    let (mut buffer, woken) = ([0], Arc::new(Woken::default()));
    let waker = Waker::from(woken.clone());
    let cx = &mut Context::from_waker(&waker);
    assert!(Pin::new(&mut near).poll_read(cx, &mut buffer).is_pending());
    future::block_on(far.write_all(b"x"))?;
    woken.wait();
    assert!(matches!(Pin::new(&mut near).poll_read(cx, &mut buffer), Poll::Ready(Ok(1))));
    Ok(())
}

#[test]
fn no_operation_and_no_due_timer_is_put_off() -> io::Result<()> {
    block_on(async {
        let (mut near, mut far) = Async::<UnixStream>::pair()?;
        for turn in 0..MANY {
            let sent = poll_once(near.write(b"x")).await;
            assert_eq!(sent.unwrap_or_else(|| panic!("write {turn} is put off"))?, 1);
            let read = poll_once(far.read(&mut [0])).await;
            assert_eq!(read.unwrap_or_else(|| panic!("read {turn} is put off"))?, 1);
            let due = poll_once(Timer::after(Duration::ZERO)).await;
            assert!(due.is_some(), "timer {turn} is put off");
        }
        Ok(())
    })
}

#[test]
fn closing_a_writer_only_flushes() -> io::Result<()> {
    block_on(async {
        let (near, far) = Buffered::pair()?;
        let mut far = Async::new(far)?;
        (&near).write_all(b"x").await?;
        let mut buffer = [0; 8];
        assert!(poll_once(far.read(&mut buffer)).await.is_none(), "the byte is in the buffer");
        fill(&near.get_ref().socket);
        let (mut writer, mut rest) = (&near, vec![0; 1 << 20]);
        let mut closed = pin!(writer.close());
        assert!(poll_once(closed.as_mut()).await.is_none(), "there is no room");
        while poll_once(far.read(&mut rest)).await.is_some() {}
        closed.await?;
        assert_eq!(far.read(&mut buffer).await?, 1);
        assert_eq!(buffer[0], b'x');
        assert!(poll_once(far.read(&mut buffer)).await.is_none(), "the stream has not ended");

        let (mut near, mut far) = Async::<UnixStream>::pair()?;
        near.close().await?;
        far.write_all(b"x").await?;
        assert_eq!(near.read(&mut buffer).await?, 1, "close as a method is the one of futures-io");
        Ok(())
    })
}

#[test]
fn errors_are_those_of_the_system() -> io::Result<()> {
    let code = |error: io::Error| error.raw_os_error();
    let folder = Folder::new("errors");
    block_on(async {
        let file = File::create(folder.join("file"))?;
        assert_eq!(code(Async::new(file).expect_err("a file")), Some(libc::EPERM));

        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
        let twice = Async::new(listener.as_ref()).expect_err("it is registered");
        assert_eq!(code(twice), Some(libc::EEXIST));
        let address = listener.get_ref().local_addr()?;
        let taken = Async::<TcpListener>::bind(address).expect_err("the port is taken");
        assert_eq!(code(taken), Some(libc::EADDRINUSE));
        drop(listener);
        let refused = Async::<TcpStream>::connect(address).await.expect_err("no listener");
        assert_eq!(code(refused), Some(libc::ECONNREFUSED));

        let socket = Async::<UdpSocket>::bind(([127, 0, 0, 1], 0))?;
        let alone = socket.send(b"x").await.expect_err("it is not connected");
        assert_eq!(code(alone), Some(libc::EDESTADDRREQ));

        for (path, expected) in [
            (folder.join("missing"), libc::ENOENT),
            (PathBuf::from("x".repeat(109)), libc::ENAMETOOLONG),
            (PathBuf::from("a\0b"), libc::EINVAL),
        ] {
            let error = Async::<UnixStream>::connect(path).await.expect_err("no listener");
            assert_eq!(code(error), Some(expected));
        }
        Ok(())
    })
}

#[test]
fn a_full_queue_of_a_unix_listener_is_an_error() -> io::Result<()> {
    let folder = Folder::new("queue");
    let path = folder.join("socket");
    let _listener = Async::<UnixListener>::bind(&path)?;
    block_on(async {
        let mut connected = Vec::new();
        let full = loop {
            match Async::<UnixStream>::connect(&path).await {
                Ok(stream) => connected.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(full.raw_os_error(), Some(libc::ENOTCONN));
        assert!(!connected.is_empty(), "the queue has room for some");
        Ok(())
    })
}

#[test]
fn a_connection_has_no_option_that_a_reactor_set() -> io::Result<()> {
    block_on(async {
        let (client, server) = tcp_pair().await?;
        for stream in [client, server] {
            assert!(!stream.get_ref().nodelay()?);
        }
        Ok(())
    })
}

#[test]
fn streams_and_listeners() -> io::Result<()> {
    let folder = Folder::new("listener");
    block_on(async {
        let (mut client, mut server) = tcp_pair().await?;
        client.write_all(b"hello").await?;
        let mut buffer = [0; 8];
        assert_eq!(server.peek(&mut buffer).await?, 5);
        assert_eq!(server.read(&mut buffer).await?, 5);
        client.get_ref().shutdown(Shutdown::Write)?;
        assert_eq!(server.read(&mut buffer).await?, 0);

        let listener = Async::<UnixListener>::bind(folder.join("socket"))?;
        let mut near = Async::<UnixStream>::connect(folder.join("socket")).await?;
        let mut far = pin!(listener.incoming()).next().await.expect("it does not end")?;
        near.write_all(b"unix").await?;
        assert_eq!(far.read(&mut buffer).await?, 4);
        assert_eq!(&buffer[..4], b"unix");

        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
        let address = listener.get_ref().local_addr()?;
        let mut incoming = pin!(listener.incoming());
        for _ in 0..2 {
            let _client = Async::<TcpStream>::connect(address).await?;
            incoming.next().await.expect("it does not end")?;
        }
        Ok(())
    })
}

#[test]
fn datagrams() -> io::Result<()> {
    let folder = Folder::new("datagrams");
    block_on(async {
        let loopback = ([127, 0, 0, 1], 0);
        let (near, far) =
            (Async::<UdpSocket>::bind(loopback)?, Async::<UdpSocket>::bind(loopback)?);
        let (from, to) = (near.get_ref().local_addr()?, far.get_ref().local_addr()?);
        let mut buffer = [0; 8];
        assert_eq!(near.send_to(b"hello", to).await?, 5);
        assert_eq!(far.peek_from(&mut buffer).await?, (5, from));
        assert_eq!(far.recv_from(&mut buffer).await?, (5, from));
        near.get_ref().connect(to)?;
        assert_eq!(near.send(b"again").await?, 5);
        assert_eq!(far.peek(&mut buffer).await?, 5);
        assert_eq!(far.recv(&mut buffer).await?, 5);

        let (path, unbound) = (folder.join("socket"), Async::<UnixDatagram>::unbound()?);
        let bound = Async::<UnixDatagram>::bind(&path)?;
        assert_eq!(unbound.send_to(b"hello", &path).await?, 5);
        let (len, sender) = bound.recv_from(&mut buffer).await?;
        assert!(len == 5 && sender.is_unnamed());
        let (near, far) = Async::<UnixDatagram>::pair()?;
        assert_eq!(near.send(b"pair").await?, 4);
        assert_eq!(far.recv(&mut buffer).await?, 4);
        Ok(())
    })
}

#[test]
fn waits_for_readiness_have_names_and_may_be_moved() -> io::Result<()> {
    fn unpin<F: Unpin>(future: F) -> F {
        future
    }
    block_on(async {
        let (near, far) = Async::<UnixStream>::pair()?;
        let (near, mut far) = (Arc::new(near), far);
        let mut readable: Readable<'_, UnixStream> = unpin(near.readable());
        let mut owned: ReadableOwned<UnixStream> = unpin(near.clone().readable_owned());
        assert!(poll_once(&mut readable).await.is_none());
        assert!(poll_once(&mut owned).await.is_none());
        far.write_all(b"x").await?;
        readable.await?;
        owned.await?;
        future::poll_fn(|cx| near.poll_readable(cx)).await?;

        fill(near.get_ref());
        let mut writable: Writable<'_, UnixStream> = unpin(near.writable());
        let mut owned: WritableOwned<UnixStream> = unpin(near.clone().writable_owned());
        assert!(poll_once(&mut writable).await.is_none());
        assert!(poll_once(&mut owned).await.is_none());
        let mut rest = vec![0; 1 << 20];
        while poll_once(far.read(&mut rest)).await.is_some() {}
        writable.await?;
        owned.await?;
        future::poll_fn(|cx| near.poll_writable(cx)).await?;
        let only = Arc::into_inner(near).expect("the owned futures are gone");
        assert!(OwnedFd::try_from(only).is_ok());
        Ok(())
    })
}

#[test]
fn a_wait_for_the_other_direction_reports_the_end_of_the_peer() -> io::Result<()> {
    block_on(async {
        let (reader, writer) = io::pipe()?;
        let writer = Async::new(writer)?;
        let mut ended = writer.readable();
        assert!(poll_once(&mut ended).await.is_none());
        drop(reader);
        ended.await
    })
}

#[test]
fn a_reset_is_the_error_of_the_system() -> io::Result<()> {
    block_on(async {
        let (client, mut server) = tcp_pair().await?;
        server.write_all(b"x").await?;
        client.readable().await?;
        // The system resets a connection that is closed with unread bytes.
        drop(client);
        let reset = server.read(&mut [0]).await.expect_err("the client is gone");
        assert_eq!(reset.raw_os_error(), Some(libc::ECONNRESET));
        Ok(())
    })
}

#[test]
fn an_object_is_given_back_and_registered_again() -> io::Result<()> {
    block_on(async {
        let (near, mut far) = Async::<UnixStream>::pair()?;
        assert!(poll_once(near.readable()).await.is_none());
        let mut near = near.into_inner()?;
        let blocks = near.read(&mut [0]).expect_err("it stays in non-blocking mode");
        assert_eq!(blocks.kind(), io::ErrorKind::WouldBlock);

        let near = Async::new_nonblocking(near)?;
        let near: Async<UnixStream> = OwnedFd::try_from(near)?.try_into()?;
        let mut near = Async::try_from(near.into_inner()?)?;
        far.write_all(b"x").await?;
        assert_eq!(near.read(&mut [0]).await?, 1);
        Ok(())
    })
}

#[test]
fn an_event_wakes_every_task_that_waits() -> io::Result<()> {
    let listener = Arc::new(Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?);
    let address = listener.get_ref().local_addr()?;
    let accepting: Vec<_> = (0..4)
        .map(|_| {
            let listener = listener.clone();
            thread::spawn(move || block_on(listener.accept()).map(drop))
        })
        .collect();
    let clients: io::Result<Vec<_>> =
        accepting.iter().map(|_| TcpStream::connect(address)).collect();
    for accepted in accepting {
        accepted.join().expect("no panic")?;
    }
    clients.map(drop)
}

#[test]
fn a_reader_and_a_writer_share_an_object() -> io::Result<()> {
    const LEN: usize = 1 << 20;
    block_on(async {
        let (near, far) = tcp_pair().await?;
        let echo = async {
            futures_lite::io::copy(&far, &far).await?;
            far.get_ref().shutdown(Shutdown::Write)
        };
        let sent: Vec<u8> = (0..LEN).map(|index| (index % 251) as u8).collect();
        let write = async {
            (&near).write_all(&sent).await?;
            near.get_ref().shutdown(Shutdown::Write)
        };
        let (mut reader, mut received) = (&near, Vec::new());
        let both = future::try_zip(write, reader.read_to_end(&mut received));
        future::try_zip(echo, both).await?;
        assert!(received == sent);
        Ok(())
    })
}

#[test]
fn a_connect_that_is_dropped_closes_its_socket() -> io::Result<()> {
    block_on(async {
        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
        let address = listener.get_ref().local_addr()?;
        let _ = poll_once(Async::<TcpStream>::connect(address)).await;
        let (mut server, _) = listener.accept().await?;
        assert_eq!(server.read(&mut [0]).await?, 0);
        Ok(())
    })
}

#[test]
fn a_timer_fires_once_or_at_each_period() {
    block_on(async {
        let period = Duration::from_millis(2);
        let start = Instant::now() + period;
        let mut ticks = Timer::interval_at(start, period);
        assert_eq!(ticks.next().await, Some(start));
        assert_eq!(ticks.next().await, Some(start + period));

        let mut once = Timer::at(start);
        assert_eq!((&mut once).await, start);
        assert!(!once.will_fire());
        assert!(poll_once(&mut once).await.is_none());
        once.set_after(Duration::ZERO);
        assert!(once.will_fire());
        once.await;
    });
}

#[test]
fn setting_the_next_time_keeps_the_period() {
    block_on(async {
        let period = Duration::from_millis(3);
        let mut ticks = Timer::interval(Duration::from_secs(3600));
        ticks.set_interval(period);
        ticks.set_after(Duration::ZERO);
        let first = ticks.next().await.expect("it does not end");
        assert_eq!(ticks.next().await, Some(first + period));
        let later = Instant::now();
        ticks.set_at(later);
        assert_eq!(ticks.next().await, Some(later));
        assert_eq!(ticks.next().await, Some(later + period));
    });
}

#[test]
fn a_due_timer_is_ready_at_its_first_poll() {
    block_on(async {
        let past = Instant::now();
        assert_eq!(poll_once(Timer::at(past)).await, Some(past));
        // Each tick that has passed comes at once, also in a period of zero.
        let mut ticks = Timer::interval_at(past, Duration::ZERO);
        for _ in 0..MANY {
            assert_eq!(poll_once(ticks.next()).await, Some(Some(past)));
        }
    });
}

#[test]
fn a_timer_without_a_time() {
    block_on(async {
        for mut timer in
            [Timer::never(), Timer::after(Duration::MAX), Timer::interval(Duration::MAX), {
                let mut cleared = Timer::after(Duration::ZERO);
                cleared.clear();
                cleared
            }]
        {
            assert!(!timer.will_fire());
            assert!(poll_once(&mut timer).await.is_none());
            timer.set_interval(Duration::MAX);
            assert!(!timer.will_fire());
        }
    });
}

#[test]
fn a_timer_that_another_thread_sets_wakes_its_task() {
    let timer = Arc::new(Mutex::new(Timer::after(Duration::from_secs(3600))));
    let mut setter = None;
    let fired = block_on(future::poll_fn(|cx| {
        let polled = timer.lock().expect("no panic under the lock").poll(cx);
        if setter.is_none() {
            assert!(polled.is_pending());
            let timer = timer.clone();
            setter = Some(thread::spawn(move || {
                let now = Instant::now();
                timer.lock().expect("no panic under the lock").set_at(now);
                now
            }));
        }
        polled
    }));
    assert_eq!(fired, setter.expect("it was started").join().expect("no panic"));
}

#[test]
fn a_timer_is_a_stream() {
    fn assert_stream<S: Stream<Item = Instant> + Unpin + Send + Sync>(_: &S) {}
    assert_stream(&Timer::never());
}
