//! Pipes and FIFOs, next to tokio's.

use std::fs::{self, File};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::pin::pin;

use futures::future::try_join;
use netpoll_tests::fixtures::{
    KIB, assert_closed, assert_kind, assert_timed_out, in_ms, os, past, pattern, poll_once,
};
use netpoll_tests::watched;
use netpoll_tokio::io::Interest;
use netpoll_tokio::net::unix::pipe;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::unix::pipe as peer;
use tokio::runtime::Builder;

use crate::budget::{OPERATIONS, turns_of_others};
use crate::fixtures::{MUCH, TOO_MUCH, everywhere, on_one_thread};
use crate::unix::path;

/// A FIFO, which is removed with this.
struct Fifo(PathBuf);

impl Fifo {
    fn new() -> io::Result<Self> {
        let path = path();
        os::make_fifo(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        fs::remove_file(&self.0).expect("the file is there");
    }
}

/// Runs a test in a runtime that has tokio's own driver, for tokio's own pipes.
fn beside_tokio<F: Future<Output = io::Result<()>>>(test: impl FnOnce() -> F + Send + 'static) {
    watched(|| {
        let runtime = Builder::new_current_thread().enable_io().build().expect("a runtime");
        runtime.block_on(test()).expect("no error that it does not expect");
    });
}

#[test]
fn bytes_go_through_a_pipe_up_to_its_end() {
    everywhere(|| async {
        let (mut sender, mut receiver) = pipe::pipe()?;
        assert!(os::is_nonblocking(&sender) && os::is_nonblocking(&receiver));
        let sent = pattern(MUCH);
        let send = async {
            sender.write_all(&sent).await?;
            sender.flush().await?;
            drop(sender);
            Ok(())
        };
        let mut received = Vec::new();
        try_join(send, receiver.read_to_end(&mut received)).await?;
        assert!(received == sent);
        assert_eq!(receiver.read(&mut [0]).await?, 0, "the end stays");
        Ok(())
    });
}

#[test]
fn vectored_writes_and_reads_of_a_pipe() {
    everywhere(|| async {
        let (mut sender, receiver) = pipe::pipe()?;
        assert!(sender.is_write_vectored());
        let buffers = [IoSlice::new(b"hel"), IoSlice::new(b"lo")];
        assert_eq!(sender.write_vectored(&buffers).await?, 5);
        assert_eq!(sender.try_write_vectored(&buffers)?, 5);
        receiver.readable().await?;
        let (mut first, mut second) = ([0; 4], [0; 8]);
        let mut into = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(receiver.try_read_vectored(&mut into)?, 10);
        assert_eq!((&first, &second[..6]), (b"hell", &b"ohello"[..]));
        Ok(())
    });
}

#[test]
fn tries_take_the_bytes_that_are_there() {
    everywhere(|| async {
        let (sender, receiver) = pipe::pipe()?;
        assert_kind(receiver.try_read(&mut [0]), ErrorKind::WouldBlock);
        assert_eq!(sender.try_write(b"hello")?, 5, "a new sender has room");
        receiver.readable().await?;
        assert_eq!(receiver.try_read(&mut [0; 2])?, 2);
        let mut buffer = Vec::with_capacity(16);
        assert_eq!(receiver.try_read_buf(&mut buffer)?, 3);
        assert_eq!(buffer, b"llo");
        assert_kind(receiver.try_read_buf(&mut buffer), ErrorKind::WouldBlock);
        while sender.try_write(&[0; KIB]).is_ok() {}
        let mut room = pin!(sender.writable());
        assert!(poll_once(room.as_mut()).is_pending());
        let mut taken = 0;
        while taken < 32 * KIB {
            receiver.readable().await?;
            taken += receiver.try_read(&mut [0; 16 * KIB])?;
        }
        room.await?;
        assert_eq!(sender.try_write(&[0; KIB])?, KIB);
        Ok(())
    });
}

#[test]
fn any_operation_of_a_pipe_can_be_tried() {
    everywhere(|| async {
        let (sender, receiver) = pipe::pipe()?;
        let mut file = File::from(receiver.as_fd().try_clone_to_owned()?);
        let mut read = || receiver.try_io(|| file.read(&mut [0; 8]));
        assert_kind(read(), ErrorKind::WouldBlock);
        sender.writable().await?;
        let mut end = File::from(sender.as_fd().try_clone_to_owned()?);
        assert_eq!(sender.try_io(|| end.write(b"hello"))?, 5);
        receiver.readable().await?;
        assert_eq!(read()?, 5);
        assert_kind(read(), ErrorKind::WouldBlock);
        assert!(poll_once(pin!(receiver.readable())).is_pending(), "it was cleared");
        Ok(())
    });
}

#[test]
fn the_ends_of_a_pipe_have_deadlines_and_close() {
    everywhere(|| async {
        let (mut sender, mut receiver) = pipe::pipe()?;
        receiver.set_read_deadline(in_ms(10))?;
        assert_timed_out(receiver.read(&mut [0]).await);
        assert_timed_out(receiver.readable().await);
        receiver.set_read_deadline(None)?;
        sender.set_write_deadline(past())?;
        assert_timed_out(sender.write(b"x").await);
        assert_timed_out(sender.try_write(b"x"));
        sender.set_write_deadline(None)?;
        sender.write_all(b"x").await?;
        {
            assert_eq!(receiver.read(&mut [0]).await?, 1);
            assert_kind(receiver.try_read(&mut [0]), ErrorKind::WouldBlock);
            let mut wait = pin!(receiver.readable());
            assert!(poll_once(wait.as_mut()).is_pending());
            receiver.close().await?;
            assert_closed(wait.await);
        }
        assert_closed(receiver.close().await);
        assert_closed(receiver.read(&mut [0]).await);
        assert_closed(receiver.into_blocking_fd());
        // The descriptor is closed: the other end finds that, once no child that another test starts has a copy.
        let error = loop {
            if let Err(error) = sender.write(b"x").await {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        sender.close().await?;
        assert_closed(sender.flush().await);
        assert_closed(sender.shutdown().await);
        assert_closed(sender.into_nonblocking_fd());
        Ok(())
    });
}

/// As in tokio, of which a sender that is shut down can write on.
#[test]
fn shutting_a_sender_down_changes_nothing() {
    macro_rules! shut_down {
        ($pipe:ident) => {{
            let (mut sender, mut receiver) = $pipe::pipe()?;
            sender.shutdown().await?;
            sender.write_all(b"x").await?;
            receiver.read(&mut [0; 8]).await?
        }};
    }
    beside_tokio(|| async {
        assert_eq!((shut_down!(pipe), shut_down!(peer)), (1, 1));
        Ok(())
    });
}

#[test]
fn readiness_of_a_pipe_is_told_as_in_tokio() {
    macro_rules! flags {
        ($ready:expr) => {{
            let ready = $ready;
            let (readable, writable) = (ready.is_readable(), ready.is_writable());
            (readable, writable, ready.is_read_closed(), ready.is_write_closed())
        }};
    }
    // The event of a close may come after an older one was told.
    macro_rules! until {
        ($ready:expr, |$told:ident| $is_closed:expr) => {
            loop {
                let $told = flags!($ready.await?);
                if $is_closed {
                    break $told;
                }
                tokio::task::yield_now().await;
            }
        };
    }
    macro_rules! told {
        ($pipe:ident) => {{
            let (mut sender, mut receiver) = $pipe::pipe()?;
            let both = Interest::READABLE | Interest::WRITABLE;
            let room = flags!(sender.ready(both).await?);
            sender.write_all(b"x").await?;
            let bytes = flags!(receiver.ready(both).await?);
            assert_eq!(receiver.read(&mut [0; 8]).await?, 1);
            drop(sender);
            assert_eq!(receiver.read(&mut [0; 8]).await?, 0);
            let end = until!(receiver.ready(Interest::READABLE), |told| told.2);
            let (sender, receiver) = $pipe::pipe()?;
            drop(receiver);
            let broken = until!(sender.ready(Interest::WRITABLE), |told| told.3);
            [room, bytes, end, broken]
        }};
    }
    beside_tokio(|| async {
        assert_eq!(told!(pipe), told!(peer));
        Ok(())
    });
}

#[test]
fn waiting_for_the_other_direction_fails() {
    everywhere(|| async {
        let (sender, receiver) = pipe::pipe()?;
        assert_kind(sender.ready(Interest::READABLE).await, ErrorKind::InvalidInput);
        assert_kind(receiver.ready(Interest::WRITABLE).await, ErrorKind::InvalidInput);
        Ok(())
    });
}

/// A read that fills less than its buffer has not emptied such a pipe.
#[test]
fn every_packet_of_a_packet_pipe_is_read() {
    everywhere(|| async {
        let (receiver, sender) = os::packet_pipe()?;
        let mut receiver = pipe::Receiver::from_owned_fd(receiver)?;
        let mut sender = pipe::Sender::from_owned_fd(sender)?;
        for packet in [&b"a"[..], b"bc", b"def"] {
            sender.write_all(packet).await?;
        }
        let mut buffer = [0; 8];
        for len in 1..=3 {
            assert_eq!(receiver.read(&mut buffer).await?, len);
        }
        assert_kind(receiver.try_read(&mut buffer), ErrorKind::WouldBlock);
        Ok(())
    });
}

#[test]
fn a_pipe_that_is_never_empty_or_full_lets_other_tasks_run() {
    on_one_thread(|| async {
        let (mut sender, mut receiver) = pipe::pipe()?;
        let busy = async move {
            for _ in 0..OPERATIONS {
                sender.write_all(b"xy").await?;
            }
            for _ in 0..OPERATIONS {
                receiver.read_exact(&mut [0]).await?;
            }
            Ok(())
        };
        let turns = turns_of_others(busy).await?;
        assert!(turns >= 2 * OPERATIONS / 128, "others had {turns} turns");
        Ok(())
    });
}

#[test]
fn writing_without_a_receiver_fails() {
    everywhere(|| async {
        let (mut sender, receiver) = pipe::pipe()?;
        {
            let much = vec![0; TOO_MUCH];
            let mut write = pin!(sender.write_all(&much));
            assert!(poll_once(write.as_mut()).is_pending());
            drop(receiver);
            assert_kind(write.await, ErrorKind::BrokenPipe);
        }
        assert_kind(sender.try_write(b"x"), ErrorKind::BrokenPipe);
        Ok(())
    });
}

#[test]
fn a_fifo_outlives_its_senders() {
    everywhere(|| async {
        let fifo = Fifo::new()?;
        let open = pipe::OpenOptions::new();
        let error = open.open_sender(&fifo.0).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENXIO), "there is no receiver");
        let mut receiver = open.open_receiver(&fifo.0)?;
        let mut buffer = [0; 8];
        assert!(poll_once(pin!(receiver.read(&mut buffer))).is_pending(), "no sender came yet");
        for _ in 0..3 {
            let mut sender = open.open_sender(&fifo.0)?;
            sender.write_all(b"hello").await?;
            assert_eq!(receiver.read(&mut buffer).await?, 5);
            drop(sender);
            assert_eq!(receiver.read(&mut buffer).await?, 0);
        }
        // After an end, a sender that writes nothing yet is waited for.
        let mut sender = open.open_sender(&fifo.0)?;
        {
            let mut read = pin!(receiver.read(&mut buffer));
            assert!(poll_once(read.as_mut()).is_pending());
            sender.write_all(b"more").await?;
            assert_eq!(read.await?, 4);
        }
        Ok(())
    });
}

#[test]
fn a_fifo_that_is_open_for_both_directions_has_no_end() {
    everywhere(|| async {
        let fifo = Fifo::new()?;
        let mut both = pipe::OpenOptions::new();
        both.read_write(true);
        let mut sender = both.open_sender(&fifo.0)?;
        sender.write_all(b"early").await?;
        let mut receiver = both.open_receiver(&fifo.0)?;
        let mut buffer = [0; 8];
        assert_eq!(receiver.read(&mut buffer).await?, 5);
        drop(sender);
        assert!(poll_once(pin!(receiver.read(&mut buffer))).is_pending());
        Ok(())
    });
}

#[test]
fn descriptors_become_pipes_and_pipes_descriptors() {
    everywhere(|| async {
        let (receiver, sender) = io::pipe()?;
        let mut sender = pipe::Sender::from_owned_fd(sender.into())?;
        let number = receiver.as_raw_fd();
        let mut receiver = pipe::Receiver::from_file(File::from(OwnedFd::from(receiver)))?;
        assert_eq!((receiver.as_raw_fd(), receiver.as_fd().as_raw_fd()), (number, number));
        assert!(os::is_nonblocking(&receiver) && os::is_nonblocking(&sender));
        sender.write_all(b"hello").await?;
        assert_eq!(receiver.read(&mut [0; 2]).await?, 2);
        let fd = receiver.into_nonblocking_fd()?;
        assert!(os::is_nonblocking(&fd));
        let receiver = pipe::Receiver::from_owned_fd_unchecked(fd)?;
        receiver.readable().await?;
        assert_eq!(receiver.try_read(&mut [0; 2])?, 2);
        let fd = receiver.into_blocking_fd()?;
        assert!(!os::is_nonblocking(&fd));
        assert_eq!(File::from(fd).read(&mut [0; 8])?, 1);
        let fd = sender.into_nonblocking_fd()?;
        let sender = pipe::Sender::from_file_unchecked(File::from(fd))?;
        assert!(!os::is_nonblocking(&sender.into_blocking_fd()?));
        Ok(())
    });
}

/// Beside tokio's: which call fails, with which kind, and with which number of the system.
#[test]
fn pipes_refuse_the_files_that_tokio_refuses() {
    macro_rules! failures {
        ($pipe:ident) => {{
            let fifo = Fifo::new()?;
            let file = path();
            let regular = || File::create(&file);
            let (receiver, sender) = io::pipe()?;
            let (receiver, sender) = (OwnedFd::from(receiver), OwnedFd::from(sender));
            let open = $pipe::OpenOptions::new();
            let mut unchecked = $pipe::OpenOptions::new();
            unchecked.unchecked(true);
            drop(regular()?);
            let failures = [
                ("sender, no receiver", open.open_sender(&fifo.0).err()),
                ("sender, missing", open.open_sender("/no/such/fifo").err()),
                ("receiver, missing", open.open_receiver("/no/such/fifo").err()),
                ("sender, a file", open.open_sender(&file).err()),
                ("receiver, a file", open.open_receiver(&file).err()),
                ("sender, a file unchecked", unchecked.open_sender(&file).err()),
                ("receiver, a file unchecked", unchecked.open_receiver(&file).err()),
                ("sender from a file", $pipe::Sender::from_file(regular()?).err()),
                ("receiver from a file", $pipe::Receiver::from_file(regular()?).err()),
                ("unchecked from a file", $pipe::Sender::from_file_unchecked(regular()?).err()),
                ("sender, other", $pipe::Sender::from_owned_fd(receiver.try_clone()?).err()),
                ("receiver, other", $pipe::Receiver::from_owned_fd(sender.try_clone()?).err()),
                ("sender", $pipe::Sender::from_owned_fd(sender).err()),
                ("receiver", $pipe::Receiver::from_owned_fd(receiver).err()),
            ];
            fs::remove_file(file)?;
            failures.map(|(name, error)| (name, error.map(|e| (e.kind(), e.raw_os_error()))))
        }};
    }
    beside_tokio(|| async {
        let (ours, theirs) = (failures!(pipe), failures!(peer));
        assert_eq!(ours, theirs);
        assert_eq!(ours.iter().filter(|(_, error)| error.is_some()).count(), 12, "{ours:?}");
        Ok(())
    });
}
