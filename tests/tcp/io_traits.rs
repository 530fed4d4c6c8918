//! The stream as futures sees it: `AsyncRead` and `AsyncWrite`, for it and for a reference to it.

use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::pin::pin;
use std::time::Duration;

use futures::executor::ThreadPool;
use futures::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use futures::task::SpawnExt;
use futures::{AsyncRead, AsyncWrite, try_join};
use netpoll_tests::fixtures::tcp::{TOO_MUCH, pair, tight_pair};
use netpoll_tests::fixtures::{assert_closed, assert_kind, pattern, run};
use netpoll_tests::watched;

/// Sends and receives by the traits alone, whatever it is that has them.
async fn speak(mut near: impl AsyncRead + AsyncWrite + Unpin, far: impl AsyncRead + AsyncWrite) {
    let mut far = pin!(far);
    near.write_all(b"to the far side").await.unwrap();
    near.flush().await.unwrap();
    let mut buffer = [0; 15];
    far.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"to the far side");
    far.write_all(b"and back").await.unwrap();
    near.close().await.unwrap();
    let mut rest = Vec::new();
    far.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty(), "closing ends the stream, with nothing before the end");
    far.close().await.unwrap();
    near.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"and back");
}

#[test]
fn a_stream_and_a_reference_to_it_read_and_write() {
    run(|| async {
        let (client, server) = pair().await?;
        speak(client, server).await;
        let (client, server) = pair().await?;
        speak(&client, &server).await;
        let (client, server) = pair().await?;
        speak(&client, server.clone()).await;
        Ok(())
    });
}

#[test]
fn two_references_read_and_write_at_once() {
    run(|| async {
        let (client, server) = tight_pair().await?;
        let sent = pattern(TOO_MUCH);
        let write = async {
            let mut writer = &client;
            AsyncWriteExt::write_all(&mut writer, &sent).await?;
            AsyncWriteExt::close(&mut writer).await
        };
        let echo = async {
            let mut writer = &server;
            futures::io::copy(&server, &mut writer).await?;
            AsyncWriteExt::close(&mut writer).await
        };
        let read = async {
            let mut received = Vec::new();
            AsyncReadExt::read_to_end(&mut &client, &mut received).await?;
            Ok(received)
        };
        let ((), (), received) = try_join!(write, echo, read)?;
        assert!(received == sent);
        Ok(())
    });
}

#[test]
fn the_halves_of_a_split_stream_live_on_different_threads() {
    watched(|| {
        let pool = ThreadPool::builder().pool_size(2).create().unwrap();
        let (client, server) = futures::executor::block_on(tight_pair()).unwrap();
        let (mut reader, mut writer) = AsyncReadExt::split(client);
        let write = async move {
            writer.write_all(&pattern(TOO_MUCH)).await?;
            writer.close().await
        };
        let read = async move {
            let mut received = Vec::new();
            reader.read_to_end(&mut received).await.map(|_| received)
        };
        let write = pool.spawn_with_handle(write).unwrap();
        let read = pool.spawn_with_handle(read).unwrap();
        futures::executor::block_on(async {
            futures::io::copy(&server, &mut &server).await.unwrap();
            server.shutdown(Shutdown::Write).unwrap();
            write.await.unwrap();
            assert!(read.await.unwrap() == pattern(TOO_MUCH));
        });
    });
}

#[test]
fn the_adapters_of_futures_fit() {
    run(|| async {
        let (client, server) = pair().await?;
        let mut writer = BufWriter::new(&client);
        writer.write_all(b"one\ntwo\nthree").await?;
        writer.close().await?;
        let mut lines = Vec::new();
        let mut reader = BufReader::new(&server);
        let mut line = String::new();
        while reader.read_line(&mut line).await? > 0 {
            lines.push(std::mem::take(&mut line));
        }
        assert_eq!(lines, ["one\n", "two\n", "three"]);
        Ok(())
    });
}

#[test]
fn vectored_by_the_traits() {
    run(|| async {
        let (mut client, mut server) = pair().await?;
        let pieces = [IoSlice::new(b"one"), IoSlice::new(b""), IoSlice::new(b"two")];
        assert_eq!(AsyncWriteExt::write_vectored(&mut client, &pieces).await?, 6);
        let (mut first, mut second) = ([0; 2], [0; 8]);
        let mut room = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(AsyncReadExt::read_vectored(&mut server, &mut room).await?, 6);
        assert_eq!((&first, &second[..4]), (b"on", &b"etwo"[..]));
        Ok(())
    });
}

#[test]
fn closing_may_be_repeated_and_survives_a_reset() {
    run(|| async {
        let (client, mut server) = pair().await?;
        AsyncWriteExt::close(&mut server).await?;
        AsyncWriteExt::close(&mut server).await?;
        assert_kind(server.write(b"more").await, ErrorKind::BrokenPipe);
        client.set_linger(Some(Duration::ZERO))?;
        drop(client);
        assert_kind(server.read(&mut [0; 16]).await, ErrorKind::ConnectionReset);
        AsyncWriteExt::close(&mut server).await?;
        assert!(server.local_addr().is_ok(), "the descriptor is still there");
        Ok(())
    });
}

#[test]
fn everything_fails_on_a_closed_stream() {
    run(|| async {
        let (mut client, _server) = pair().await?;
        client.close().await?;
        assert_closed(AsyncReadExt::read(&mut client, &mut [0; 16]).await);
        assert_closed(AsyncReadExt::read(&mut client, &mut []).await);
        assert_closed(AsyncWriteExt::write(&mut client, b"more").await);
        assert_closed(AsyncWriteExt::flush(&mut client).await);
        assert_closed(AsyncWriteExt::close(&mut client).await);
        Ok(())
    });
}
