//! Conditions that keep a descriptor flagged while there is nothing to read and no room to write: an error queue
//! (`IP_RECVERR`, timestamps of sent datagrams), a hang-up, a shutdown for reading. `poll(2)` reports
//! it for as long as it lasts, and a remote peer can cause it. An operation that finds nothing then waits for
//! the next event.
//!
//! Calls are counted. A loop without end makes thousands of them until its deadline ends it.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;

use libc::{POLLERR, POLLHUP, POLLPRI};
use netpoll::Direction;
use netpoll_futures::Async;
use netpoll_tests::CountingWaker;
use netpoll_tests::fixtures::any::read_byte;
use netpoll_tests::fixtures::{
    Folder, assert_kind, assert_timed_out, in_ms, os, run, wait_until_woken,
};

/// More calls than events and second attempts account for, and a small part of the calls that a loop makes.
const FEW: usize = 30;

const LOOPBACK: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// How long an operation is given to make calls in vain, in milliseconds.
const WHILE: u64 = 100;

/// A socket that is connected to a port at which no socket is bound, and whose error queue has the ICMP
/// error that it got for a datagram.
fn refused() -> io::Result<UdpSocket> {
    let gone = UdpSocket::bind(LOOPBACK)?;
    let socket = UdpSocket::bind(LOOPBACK)?;
    os::queue_errors(&socket)?;
    socket.connect(gone.local_addr()?)?;
    drop(gone);
    socket.send(b"to a closed port")?;
    os::wait_for(&socket, POLLERR);
    // The error itself is reported once; its message stays in the queue.
    assert!(socket.take_error()?.is_some());
    Ok(socket)
}

/// The same where another socket can send to it, at the address that is returned.
fn refused_and_reachable() -> io::Result<(UdpSocket, UdpSocket)> {
    let socket = refused()?;
    let far = UdpSocket::bind(LOOPBACK)?;
    socket.connect(far.local_addr()?)?;
    far.connect(socket.local_addr()?)?;
    Ok((socket, far))
}

#[test]
fn receiving_waits_though_the_error_queue_is_not_empty() {
    run(|| async {
        let socket = Async::new(refused()?)?;
        socket.set_read_deadline(in_ms(WHILE))?;
        let calls = Cell::new(0);
        let receive = |socket: &UdpSocket| {
            calls.set(calls.get() + 1);
            socket.recv(&mut [0; 64])
        };
        assert_timed_out(socket.read_with(receive).await);
        assert!((1..FEW).contains(&calls.get()), "{} calls", calls.get());
        Ok(())
    });
}

#[test]
fn receiving_waits_for_the_only_owner() {
    run(|| async {
        let mut socket = Async::new(refused()?)?;
        socket.set_read_deadline(in_ms(WHILE))?;
        let calls = Cell::new(0);
        let receive = |socket: &mut UdpSocket| {
            calls.set(calls.get() + 1);
            socket.recv(&mut [0; 64])
        };
        assert_timed_out(socket.read_with_mut(receive).await);
        assert!((1..FEW).contains(&calls.get()), "{} calls", calls.get());
        Ok(())
    });
}

#[test]
fn a_datagram_that_comes_later_is_received() {
    run(|| async {
        let (socket, far) = refused_and_reachable()?;
        let socket = Async::new(socket)?;
        for message in [b"first", b"later"] {
            let mut receive = pin!(socket.read_with(|socket| {
                let mut buffer = [0; 64];
                socket.recv(&mut buffer).map(|len| buffer[..len].to_vec())
            }));
            let waker = CountingWaker::new();
            // An event of the error queue may come between the polls.
            let mut woken = usize::MAX;
            while woken != waker.wakes() {
                woken = waker.wakes();
                assert!(waker.poll(receive.as_mut()).is_pending());
                assert!(woken < FEW, "woken {woken} times for nothing");
            }
            far.send(message)?;
            assert_eq!(receive.await?, message);
        }
        Ok(())
    });
}

/// Readiness is reported once for each event, and the task finds nothing to receive.
#[test]
fn waiting_for_readiness_and_receiving_does_not_spin() {
    run(|| async {
        let (socket, far) = refused_and_reachable()?;
        let socket = Async::new(socket)?;
        socket.set_read_deadline(in_ms(WHILE))?;
        let mut rounds = 0;
        let late = loop {
            match socket.readable().await {
                Ok(()) => rounds += 1,
                late => break late,
            }
            assert_kind(socket.get_ref().recv(&mut [0; 64]), ErrorKind::WouldBlock);
        };
        assert_timed_out(late);
        assert!(rounds < FEW, "{rounds} rounds");
        socket.set_read_deadline(None)?;
        far.send(b"later")?;
        loop {
            socket.readable().await?;
            match socket.try_io(Direction::Read, |socket| socket.recv(&mut [0; 64])) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                received => return received.map(|len| assert_eq!(len, 5)),
            }
        }
    });
}

/// The error queue is for a program that asks for it: at once, or after it has received in vain.
#[test]
fn the_error_queue_can_be_read() {
    run(|| async {
        for receive_first in [false, true] {
            let socket = Async::new(refused()?)?;
            if receive_first {
                socket.set_read_deadline(in_ms(10))?;
                assert_timed_out(socket.read_with(|socket| socket.recv(&mut [0; 64])).await);
                socket.set_read_deadline(None)?;
            }
            let errno = socket.read_with(os::receive_error).await?;
            assert_eq!(errno, libc::ECONNREFUSED);
            // And the next one, when it comes.
            let waker = CountingWaker::new();
            let mut next = pin!(socket.read_with(os::receive_error));
            assert!(waker.poll(next.as_mut()).is_pending());
            // The error of the first one may be reported by the call that sends.
            while socket.get_ref().send(b"again").is_err() {}
            assert_eq!(next.await?, libc::ECONNREFUSED);
        }
        Ok(())
    });
}

/// An error that is pending, and not in the queue, is found after a wait for readiness by any operation.
#[test]
fn a_pending_error_is_found_after_a_wait_for_readiness() {
    run(|| async {
        let gone = UdpSocket::bind(LOOPBACK)?;
        let socket = UdpSocket::bind(LOOPBACK)?;
        socket.connect(gone.local_addr()?)?;
        drop(gone);
        let socket = Async::new(socket)?;
        for how in 0..3 {
            socket.get_ref().send(b"to a closed port")?;
            socket.readable().await?;
            let mut buffer = [0; 64];
            let error = match how {
                0 => socket.recv(&mut buffer).await,
                1 => socket.read_with(|socket| socket.recv(&mut buffer)).await,
                _ => socket.try_io(Direction::Read, |socket| socket.recv(&mut buffer)),
            };
            assert_kind(error, ErrorKind::ConnectionRefused);
        }
        Ok(())
    });
}

/// Every datagram that is sent leaves a timestamp in the error queue, which this program does not read.
#[test]
fn timestamps_of_sent_datagrams_do_not_spin() {
    run(|| async {
        let (near, far) = (UdpSocket::bind(LOOPBACK)?, UdpSocket::bind(LOOPBACK)?);
        near.connect(far.local_addr()?)?;
        os::stamp_sent(&near)?;
        near.send(b"hello")?;
        os::wait_for(&near, POLLERR);
        let near = Async::new(near)?;
        near.set_read_deadline(in_ms(WHILE))?;
        let mut calls = 0;
        let receive = |near: &UdpSocket| {
            calls += 1;
            near.recv(&mut [0; 64])
        };
        assert_timed_out(near.read_with(receive).await);
        assert!(calls < FEW, "{calls} calls");
        Ok(())
    });
}

/// The same for a writer that has filled the connection: it waits for room.
#[test]
fn a_writer_waits_for_room_though_the_error_queue_is_not_empty() {
    run(|| async {
        let listener = TcpListener::bind(LOOPBACK)?;
        let near = TcpStream::connect(listener.local_addr()?)?;
        let (mut far, _) = listener.accept()?;
        os::stamp_sent(&near)?;
        let near = Async::new(near)?;
        let mut sent = 0;
        let full = |sent: &mut usize| {
            while let Ok(count) = near.get_ref().write(&[0; 65536]) {
                *sent += count;
            }
        };
        // The peer's kernel takes bytes in its own time, which makes room once more.
        let mut before = usize::MAX;
        while before != sent {
            before = sent;
            full(&mut sent);
            std::thread::yield_now();
        }
        os::wait_for(near.get_ref(), POLLERR);
        near.set_write_deadline(in_ms(WHILE))?;
        let (mut calls, mut rounds) = (0, 0);
        let write = |mut near: &TcpStream| {
            calls += 1;
            near.write(&[0; 65536])
        };
        match near.write_with(write).await {
            // Room came after all.
            Ok(count) => sent += count,
            late => assert_timed_out(late),
        }
        assert!(calls < FEW, "{calls} calls");
        near.set_write_deadline(in_ms(WHILE))?;
        while near.writable().await.is_ok() {
            rounds += 1;
            full(&mut sent);
        }
        assert!(rounds < FEW, "{rounds} rounds");
        near.set_write_deadline(None)?;
        let waker = CountingWaker::new();
        let mut writable = pin!(near.writable());
        assert!(waker.poll(writable.as_mut()).is_pending(), "full");
        std::thread::spawn(move || io::copy(&mut (&mut far).take(sent as u64), &mut io::sink()));
        writable.await
    });
}

/// A mark of urgent data, and nothing else.
#[test]
fn an_urgent_byte_does_not_spin() {
    run(|| async {
        let listener = TcpListener::bind(LOOPBACK)?;
        let near = TcpStream::connect(listener.local_addr()?)?;
        let (mut far, _) = listener.accept()?;
        os::send_urgent(&far, b'!');
        os::wait_for(&near, POLLPRI);
        let near = Async::new(near)?;
        near.set_read_deadline(in_ms(WHILE))?;
        let calls = Cell::new(0);
        let read = |mut near: &TcpStream| {
            calls.set(calls.get() + 1);
            near.read(&mut [0; 64])
        };
        assert_timed_out(near.read_with(read).await);
        assert!(calls.get() < FEW, "{} calls", calls.get());
        near.set_read_deadline(None)?;
        far.write_all(b"ordinary")?;
        assert_eq!(near.read_with(read).await?, 8);
        Ok(())
    });
}

/// Linux reports a datagram socket that was shut down for reading as readable, and lets it receive.
#[test]
fn a_datagram_socket_shut_down_for_reading_does_not_spin() {
    run(|| async {
        let (near, far) = std::os::unix::net::UnixDatagram::pair()?;
        near.shutdown(std::net::Shutdown::Read)?;
        let near = Async::new(near)?;
        near.set_read_deadline(in_ms(WHILE))?;
        let mut calls = 0;
        let receive = |near: &std::os::unix::net::UnixDatagram| {
            calls += 1;
            near.recv(&mut [0; 64])
        };
        assert_timed_out(near.read_with(receive).await);
        assert!(calls < FEW, "{calls} calls");
        near.set_read_deadline(in_ms(WHILE))?;
        let mut rounds = 0;
        while near.readable().await.is_ok() {
            rounds += 1;
            assert_kind(near.get_ref().recv(&mut [0; 64]), ErrorKind::WouldBlock);
        }
        assert!(rounds < FEW, "{rounds} rounds");
        drop(far);
        Ok(())
    });
}

/// The end of a pipe is the end however often it is asked for: no read of it blocks.
#[test]
fn a_pipe_whose_writer_has_gone_stays_readable() {
    run(|| async {
        let (reader, mut writer) = io::pipe()?;
        writer.write_all(b"x")?;
        drop(writer);
        os::wait_for(&reader, POLLHUP);
        let reader = Async::new(reader)?;
        for _ in 0..3 {
            reader.readable().await?;
        }
        assert_eq!(reader.read_with(read_byte).await?, b'x');
        for _ in 0..3 {
            reader.readable().await?;
            assert_kind(reader.read_with(read_byte).await, ErrorKind::UnexpectedEof);
        }
        Ok(())
    });
}

/// The last bytes are of no use, and the end follows them: it is found though no event reports it.
#[test]
fn the_end_behind_bytes_of_no_use_is_found() {
    run(|| async {
        let (reader, mut writer) = io::pipe()?;
        writer.write_all(b"xxx")?;
        drop(writer);
        let reader = Async::new(reader)?;
        let useful = |io: &_| match read_byte(io)? {
            b'x' => Err::<u8, _>(ErrorKind::WouldBlock.into()),
            byte => Ok(byte),
        };
        assert_kind(reader.read_with(useful).await, ErrorKind::UnexpectedEof);
        Ok(())
    });
}

/// A reader of a named pipe that takes the end for a pause between two writers.
#[test]
fn a_named_pipe_waits_for_its_next_writer() {
    run(|| async {
        let folder = Folder::new()?;
        let path = folder.join("pipe");
        os::make_fifo(&path)?;
        // Opened for both, it does not wait for the other end.
        let both = std::fs::File::options().read(true).write(true).open(&path)?;
        let reader: Async<OwnedFd> = Async::new(std::fs::File::open(&path)?.into())?;
        drop(both);
        os::wait_for(&reader, POLLHUP);
        let calls = Cell::new(0);
        let byte = |io: &OwnedFd| {
            calls.set(calls.get() + 1);
            match read_byte(io) {
                Err(end) if end.kind() == ErrorKind::UnexpectedEof => {
                    Err(ErrorKind::WouldBlock.into())
                }
                read => read,
            }
        };
        reader.set_read_deadline(in_ms(WHILE))?;
        assert_timed_out(reader.read_with(byte).await);
        assert!(calls.get() < FEW, "{} calls", calls.get());
        reader.set_read_deadline(None)?;
        let waker = CountingWaker::new();
        let mut next = pin!(reader.read_with(byte));
        assert!(waker.poll(next.as_mut()).is_pending());
        let mut writer = std::fs::File::options().write(true).open(&path)?;
        writer.write_all(b"y")?;
        wait_until_woken(&waker);
        assert_eq!(next.await?, b'y');
        Ok(())
    });
}

/// A writer whose pipe is full, and then has no reader.
#[test]
fn a_full_pipe_without_a_reader_stays_writable() {
    run(|| async {
        let (reader, writer) = io::pipe()?;
        let writer = Async::new(writer)?;
        netpoll_tests::fixtures::any::fill(&writer).await?;
        drop(reader);
        for _ in 0..3 {
            writer.writable().await?;
        }
        let write = |io: &io::PipeWriter| os::write(io.as_fd(), b"x");
        assert_kind(writer.write_with(write).await, ErrorKind::BrokenPipe);
        Ok(())
    });
}
