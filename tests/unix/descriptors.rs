//! Descriptors that travel with bytes.

use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::future::try_join;
use netpoll_futures::UnixStream;
use netpoll_tests::fixtures::tcp::read_exactly;
use netpoll_tests::fixtures::{assert_closed, assert_kind, assert_timed_out, os, poll_once, run};

/// More than a stream takes before it blocks.
const TOO_MUCH: usize = 4 * 1024 * 1024;

async fn receive(stream: &UnixStream) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let (mut buffer, mut fds) = ([0; 64], Vec::new());
    let count = stream.recv_with_fds(&mut buffer, &mut fds).await?;
    Ok((buffer[..count].to_vec(), fds))
}

/// Whether the other end is still open; it must not be full.
fn has_a_reader(mut writer: &PipeWriter) -> bool {
    match writer.write_all(b"x") {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            false
        }
    }
}

#[test]
fn a_pipe_travels_and_works() {
    run(|| async {
        let (near, far) = UnixStream::pair()?;
        let (reader, mut writer) = io::pipe()?;
        assert_eq!(near.send_with_fds(b"a pipe", &[reader.as_fd()]).await?, 6);
        drop(reader);
        let (bytes, mut fds) = receive(&far).await?;
        assert_eq!((&*bytes, fds.len()), (&b"a pipe"[..], 1));
        assert!(os::is_close_on_exec(&fds[0]));
        writer.write_all(b"through it")?;
        drop(writer);
        let mut said = String::new();
        PipeReader::from(fds.remove(0)).read_to_string(&mut said)?;
        assert_eq!(said, "through it");
        Ok(())
    });
}

/// In order, and appended to those that are there. Earlier bytes may be received along with them,
/// but no later ones.
#[test]
fn a_message_with_them_ends_the_receive() {
    run(|| async {
        let (near, far) = UnixStream::pair()?;
        let (reader, _writer) = io::pipe()?;
        let reader = reader.as_fd();
        near.send_with_fds(b"two", &[reader; 2]).await?;
        near.send_with_fds(b"none", &[]).await?;
        near.send_with_fds(b"three", &[reader; 3]).await?;
        near.write_all(b"at last").await?;
        let (mut buffer, mut fds) = ([0; 64], Vec::new());
        for (bytes, count) in [(&b"two"[..], 2), (b"nonethree", 5), (b"at last", 5)] {
            let received = far.recv_with_fds(&mut buffer, &mut fds).await?;
            assert_eq!((&buffer[..received], fds.len()), (bytes, count));
        }
        Ok(())
    });
}

/// They come with the first of the bytes.
#[test]
fn a_message_in_pieces_has_them_first() {
    run(|| async {
        let (near, far) = UnixStream::pair()?;
        let (reader, _writer) = io::pipe()?;
        near.send_with_fds(b"abc", &[reader.as_fd()]).await?;
        let mut fds = Vec::new();
        for byte in b"abc" {
            let mut buffer = [0];
            assert_eq!(far.recv_with_fds(&mut buffer, &mut fds).await?, 1);
            assert_eq!((buffer, fds.len()), ([*byte], 1));
        }
        Ok(())
    });
}

/// The rest that does not fit is to be written without them: they have been sent.
#[test]
fn the_rest_follows_without_them() {
    run(|| async {
        let (near, far) = UnixStream::pair()?;
        let (reader, _writer) = io::pipe()?;
        let block = vec![0x5a; TOO_MUCH];
        let sent = near.send_with_fds(&block, &[reader.as_fd()]).await?;
        assert!(sent > 0 && sent < TOO_MUCH, "{sent}");
        let write = async {
            near.write_all(&block[sent..]).await?;
            near.close().await
        };
        let read = async {
            let (mut buffer, mut fds, mut total) = (vec![0; 65536], Vec::new(), 0);
            loop {
                match far.recv_with_fds(&mut buffer, &mut fds).await? {
                    0 => return Ok((total, fds.len())),
                    count => total += count,
                }
            }
        };
        assert_eq!(try_join(write, read).await?.1, (TOO_MUCH, 1));
        Ok(())
    });
}

#[test]
fn receiving_waits() {
    run(|| async {
        let (near, far) = UnixStream::pair()?;
        let (reader, _writer) = io::pipe()?;
        let mut receiving = pin!(receive(&far));
        assert!(poll_once(receiving.as_mut()).is_pending());
        near.send_with_fds(b"hello", &[reader.as_fd()]).await?;
        let (bytes, fds) = receiving.await?;
        assert_eq!((&*bytes, fds.len()), (&b"hello"[..], 1));
        near.close().await?;
        let (bytes, fds) = receive(&far).await?;
        assert!(bytes.is_empty() && fds.is_empty(), "the end");
        Ok(())
    });
}

#[test]
fn sending_waits_for_room_and_for_its_turn() {
    run(|| async {
        let (near, far) = UnixStream::pair()?;
        let (reader, _writer) = io::pipe()?;
        let block = vec![0x5a; TOO_MUCH];
        let fds = [reader.as_fd()];
        let mut write = pin!(near.write_all(&block));
        let mut send = pin!(near.send_with_fds(b"!", &fds));
        assert!(poll_once(write.as_mut()).is_pending());
        assert!(poll_once(send.as_mut()).is_pending());
        let read = async {
            let (mut buffer, mut fds, mut total) = (vec![0; 65536], Vec::new(), 0);
            while fds.is_empty() {
                let count = far.recv_with_fds(&mut buffer, &mut fds).await?;
                let mark = buffer[..count].iter().position(|byte| *byte == b'!');
                assert_eq!(mark, (!fds.is_empty()).then(|| count - 1));
                total += count;
            }
            Ok(total)
        };
        let both = try_join(write, send);
        assert_eq!(try_join(both, read).await?, (((), 1), TOO_MUCH + 1));
        Ok(())
    });
}

#[test]
fn deadlines_and_close_end_both() {
    run(|| async {
        let (near, _far) = UnixStream::pair()?;
        let (reader, _writer) = io::pipe()?;
        let fds = [reader.as_fd()];
        let soon = Instant::now() + Duration::from_millis(5);
        near.set_deadline(Some(soon))?;
        assert_timed_out(receive(&near).await);
        assert!(Instant::now() >= soon);
        assert_timed_out(near.send_with_fds(b"late", &fds).await);
        assert_timed_out(near.send_with_fds(b"", &[]).await);
        near.set_deadline(None)?;
        let mut receiving = pin!(receive(&near));
        assert!(poll_once(receiving.as_mut()).is_pending());
        near.close().await?;
        assert_closed(receiving.await);
        assert_closed(near.send_with_fds(b"more", &fds).await);
        assert_closed(near.recv_with_fds(&mut [], &mut Vec::new()).await);
        Ok(())
    });
}

#[test]
fn descriptors_that_cannot_be_sent_are_an_error() {
    run(|| async {
        let (near, far) = UnixStream::pair()?;
        let (reader, _writer) = io::pipe()?;
        let reader = reader.as_fd();
        let error = near.send_with_fds(b"", &[reader]).await.expect_err("without a byte");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("byte"), "{error}");
        let error = near.send_with_fds(b"x", &[reader; 254]).await.expect_err("too many");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("254"), "{error}");
        assert_eq!(near.send_with_fds(b"", &[]).await?, 0);
        assert_eq!(near.send_with_fds(b"x", &[reader; 253]).await?, 1);
        assert_eq!(receive(&far).await?.1.len(), 253);
        Ok(())
    });
}

#[test]
fn a_peer_that_is_gone_is_an_error() {
    run(|| async {
        let (near, far) = UnixStream::pair()?;
        let (reader, writer) = io::pipe()?;
        drop(far);
        assert_kind(near.send_with_fds(b"x", &[reader.as_fd()]).await, ErrorKind::BrokenPipe);
        drop(reader);
        assert!(!has_a_reader(&writer), "nothing is on its way");
        Ok(())
    });
}

/// A receiver that does not ask for them does not get them, and they stay open nowhere.
#[test]
fn other_reads_close_them() {
    run(|| async {
        let (near, far) = UnixStream::pair()?;
        let (reader, writer) = io::pipe()?;
        near.send_with_fds(b"hello", &[reader.as_fd()]).await?;
        drop(reader);
        assert!(has_a_reader(&writer), "it is on its way");
        assert_eq!(read_exactly(&far, 5).await?, b"hello");
        assert!(!has_a_reader(&writer));
        Ok(())
    });
}

/// They are on their way until a receiver takes them, or none can.
#[test]
fn descriptors_never_received_are_closed_with_the_stream() {
    run(|| async {
        let (near, far) = UnixStream::pair()?;
        let (reader, writer) = io::pipe()?;
        near.send_with_fds(b"hello", &[reader.as_fd()]).await?;
        drop(reader);
        far.close().await?;
        assert!(!has_a_reader(&writer));
        Ok(())
    });
}

/// `SO_PASSPIDFD` has the kernel add a descriptor of the sending process to every message. It is not
/// among those that the peer sent, and it does not stay open.
#[test]
fn a_descriptor_that_the_kernel_adds_is_closed() {
    run(|| async {
        const MESSAGES: usize = 100;
        let (near, far) = UnixStream::pair()?;
        os::set_option(&far, libc::SO_PASSCRED, 1)?;
        if let Err(error) = os::set_option(&far, os::SO_PASSPIDFD, 1) {
            assert_eq!(error.raw_os_error(), Some(libc::ENOPROTOOPT), "{error}");
            println!("not run: this kernel has no SO_PASSPIDFD");
            return Ok(());
        }
        let (reader, _writer) = io::pipe()?;
        for _ in 0..MESSAGES {
            near.send_with_fds(b"none", &[]).await?;
            let (bytes, fds) = receive(&far).await?;
            assert_eq!((&*bytes, fds.len()), (&b"none"[..], 0));
            near.send_with_fds(b"two", &[reader.as_fd(); 2]).await?;
            let (bytes, fds) = receive(&far).await?;
            assert_eq!((&*bytes, fds.len()), (&b"two"[..], 2));
            assert!(fds.iter().all(|fd| !os::is_pidfd(fd)));
            near.send_with_fds(b"to a plain read", &[]).await?;
            far.read(&mut [0; 64]).await?;
        }
        assert_eq!(os::open_pidfds(), 0, "of {} messages", 3 * MESSAGES);
        Ok(())
    });
}
