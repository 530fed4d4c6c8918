//! Several buffers at once, and more of them than one system call takes.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};

use futures::try_join;
use netpoll_futures::TcpStream;
use netpoll_tests::fixtures::tcp::{fill, pair, read_exactly, tight_pair};
use netpoll_tests::fixtures::{assert_kind, pattern, run, yield_now};

/// The most buffers of one call (`IOV_MAX`).
const MOST: usize = 1024;

/// As many bytes as buffers in the tests that have too many.
const MANY: usize = 2500;

/// A slice of one byte for each.
fn one_by_one(bytes: &[u8]) -> Vec<IoSlice<'_>> {
    bytes.chunks(1).map(IoSlice::new).collect()
}

fn one_by_one_mut(bytes: &mut [u8]) -> Vec<IoSliceMut<'_>> {
    bytes.chunks_mut(1).map(IoSliceMut::new).collect()
}

/// Writes all of it, each byte from a buffer of its own.
async fn write_one_by_one(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = stream.write_vectored(&one_by_one(bytes)).await?;
        assert!(written > 0 && written <= MOST);
        bytes = &bytes[written..];
    }
    Ok(())
}

#[test]
fn buffers_are_filled_in_order() {
    run(|| async {
        let (client, server) = pair().await?;
        let pieces = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cdef")];
        assert_eq!(client.write_vectored(&pieces).await?, 6);
        let (mut first, mut second, mut third) = ([0; 1], [0; 3], [0; 9]);
        let mut room = [&mut first[..], &mut [], &mut second, &mut third].map(IoSliceMut::new);
        assert_eq!(server.read_vectored(&mut room).await?, 6);
        assert_eq!((&first[..], &second[..], &third[..2]), (&b"a"[..], &b"bcd"[..], &b"ef"[..]));
        Ok(())
    });
}

#[test]
fn no_room_reads_nothing() {
    run(|| async {
        let (client, server) = pair().await?;
        assert_eq!(server.read_vectored(&mut []).await?, 0);
        client.write_all(b"hello").await?;
        server.readable().await?;
        assert_eq!(server.read_vectored(&mut [IoSliceMut::new(&mut [])]).await?, 0);
        assert_eq!(server.try_read_vectored(&mut [IoSliceMut::new(&mut [])])?, 0);
        assert_eq!(client.write_vectored(&[]).await?, 0);
        assert_eq!(read_exactly(&server, 5).await?, b"hello");
        Ok(())
    });
}

#[test]
fn trying_says_would_block() {
    run(|| async {
        let (client, server) = tight_pair().await?;
        let mut buffer = [0; 8];
        let mut room = [IoSliceMut::new(&mut buffer)];
        assert_kind(server.try_read_vectored(&mut room), ErrorKind::WouldBlock);
        assert_eq!(client.try_write_vectored(&[IoSlice::new(b"a"), IoSlice::new(b"b")])?, 2);
        while server.try_read_vectored(&mut room).is_err() {
            server.readable().await?;
        }
        fill(&client)?;
        assert_kind(client.try_write_vectored(&[IoSlice::new(b"c")]), ErrorKind::WouldBlock);
        Ok(())
    });
}

/// The call takes the first 1,024, and the rest is not a sign that there is no more.
#[test]
fn more_buffers_than_a_call_takes_are_written_by_several() {
    run(|| async {
        let (client, server) = pair().await?;
        let sent = pattern(MANY);
        let write = write_one_by_one(&client, &sent);
        let ((), received) = try_join!(write, read_exactly(&server, MANY))?;
        assert!(received == sent);
        Ok(())
    });
}

/// As above.
#[test]
fn more_buffers_than_a_call_takes_are_read_by_several() {
    run(|| async {
        let (client, server) = pair().await?;
        let sent = pattern(MANY);
        client.write_all(&sent).await?;
        // All of it is there before the first read, and no event follows it.
        while server.peek(&mut vec![0; MANY]).await? < MANY {
            yield_now().await;
        }
        let mut received = vec![0; MANY];
        let mut filled = 0;
        while filled < MANY {
            filled += server.read_vectored(&mut one_by_one_mut(&mut received[filled..])).await?;
        }
        assert!(received == sent);
        Ok(())
    });
}

#[test]
fn too_many_buffers_leave_the_stream_ready_for_tries() {
    run(|| async {
        let (client, server) = pair().await?;
        let sent = pattern(MANY);
        assert_eq!(client.try_write_vectored(&one_by_one(&sent))?, MOST);
        assert_eq!(client.try_write_vectored(&one_by_one(&sent[MOST..]))?, MOST);
        while server.peek(&mut [0; 2 * MOST]).await? < 2 * MOST {
            yield_now().await;
        }
        let mut received = vec![0; MANY];
        assert_eq!(server.try_read_vectored(&mut one_by_one_mut(&mut received))?, MOST);
        assert_eq!(server.try_read_vectored(&mut one_by_one_mut(&mut received))?, MOST);
        Ok(())
    });
}

/// A call that is given nothing but empty buffers reads nothing, which is not the end.
#[test]
fn empty_buffers_in_front_are_not_the_end_of_the_stream() {
    run(|| async {
        let (client, server) = pair().await?;
        client.write_all(b"hello").await?;
        let mut empty: [[u8; 0]; MOST] = [[]; MOST];
        let mut buffer = [0; 5];
        let mut room: Vec<_> = empty.iter_mut().map(|empty| IoSliceMut::new(empty)).collect();
        room.push(IoSliceMut::new(&mut buffer));
        assert_eq!(server.read_vectored(&mut room).await?, 5);
        assert_eq!(&buffer, b"hello");
        Ok(())
    });
}
