//! How bytes get to hyper and from it.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures::future::{join, poll_fn};
use http_body_util::BodyExt;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use netpoll_futures::{TcpListener, TcpStream, is_deadline_exceeded};
use netpoll_hyper::{Io, Version};

use crate::client::Client;
use crate::fixtures::{ms, run};
use crate::site::{KIB, pattern, pieces, whole};

async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    Ok((client, listener.accept().await?.0))
}

#[test]
fn only_the_bytes_read_are_initialised() {
    run(|_| async {
        let (near, far) = pair().await?;
        far.write_all(b"hello").await?;
        let mut io = Io::new(near);
        let mut memory = [MaybeUninit::uninit(); 64 * KIB];
        let mut buffer = ReadBuf::uninit(&mut memory);
        poll_fn(|cx| Pin::new(&mut io).poll_read(cx, buffer.unfilled())).await?;
        assert_eq!(buffer.filled(), b"hello");
        assert_eq!(format!("{buffer:?}"), "ReadBuf { filled: 5, init: 5, capacity: 65536 }");
        // The next goes behind it, and the end is told by nothing.
        far.write_all(b", world").await?;
        poll_fn(|cx| Pin::new(&mut io).poll_read(cx, buffer.unfilled())).await?;
        assert_eq!(buffer.filled(), b"hello, world");
        far.close().await?;
        poll_fn(|cx| Pin::new(&mut io).poll_read(cx, buffer.unfilled())).await?;
        assert_eq!(buffer.filled(), b"hello, world");
        Ok(())
    });
}

#[test]
fn a_full_buffer_reads_nothing() {
    run(|_| async {
        let (near, far) = pair().await?;
        far.write_all(b"hello").await?;
        let mut io = Io::new(near);
        let mut buffer = [0; 2];
        let mut buffer = ReadBuf::new(&mut buffer);
        for _ in 0..2 {
            poll_fn(|cx| Pin::new(&mut io).poll_read(cx, buffer.unfilled())).await?;
            assert_eq!(buffer.filled(), b"he");
        }
        let mut rest = [0; 8];
        assert_eq!(io.into_inner().read(&mut rest).await?, 3, "nothing was lost");
        Ok(())
    });
}

#[test]
fn a_deadline_of_the_stream_holds_for_hyper() {
    run(|executor| async move {
        let (near, far) = pair().await?;
        let setter = near.clone();
        let mut client = Client::over(&executor, Version::Http1, Io::new(near)).await?;
        let began = std::time::Instant::now();
        let expire = async {
            assert!(far.read(&mut [0; 1024]).await? > 0, "the request is sent");
            setter.set_read_deadline(Some(began + ms(20)))
        };
        let (answer, set) = join(client.get("/"), expire).await;
        set?;
        let error = answer.expect_err("there is no answer");
        assert!(began.elapsed() >= ms(20));
        let cause = error.downcast_ref::<hyper::Error>().and_then(std::error::Error::source);
        let cause = cause.and_then(<dyn std::error::Error>::downcast_ref::<io::Error>);
        assert!(is_deadline_exceeded(cause.expect("an error of the stream")), "{error:?}");
        Ok(())
    });
}

#[test]
fn shutting_down_ends_writing_once() {
    run(|_| async {
        let (near, far) = pair().await?;
        let mut io = Io::new(near);
        for _ in 0..2 {
            poll_fn(|cx| Pin::new(&mut io).poll_shutdown(cx)).await?;
        }
        assert_eq!(far.read(&mut [0; 8]).await?, 0);
        far.write_all(b"still").await?;
        assert_eq!(io.get_ref().read(&mut [0; 8]).await?, 5);
        Ok(())
    });
}

/// Counts hyper's calls.
struct Counting {
    io: Io<netpoll_futures::TcpStream>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    single: AtomicUsize,
    vectored: AtomicUsize,
    /// The vectored ones that are of more than one buffer.
    several: AtomicUsize,
}

impl Read for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for Counting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.counts.single.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.io).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // Before it is done, after which the peer may have read it.
        self.counts.vectored.fetch_add(1, Ordering::Relaxed);
        let full = buffers.iter().filter(|buffer| !buffer.is_empty()).count();
        self.counts.several.fetch_add(usize::from(full > 1), Ordering::Relaxed);
        Pin::new(&mut self.io).poll_write_vectored(cx, buffers)
    }
}

#[test]
fn head_and_body_are_one_write() {
    run(|executor| async move {
        let (near, far) = pair().await?;
        let counts = Arc::new(Counts::default());
        let io = Counting { io: Io::new(far), counts: counts.clone() };
        let page = |_: Request<Incoming>| async {
            Ok::<_, std::convert::Infallible>(Response::new(whole(pattern(8 * KIB))))
        };
        let connection =
            http1::Builder::new().header_read_timeout(None).serve_connection(io, service_fn(page));
        executor.spawn(async { drop(connection.await) });
        let mut client = Client::over(&executor, Version::Http1, Io::new(near)).await?;
        for _ in 0..10 {
            assert_eq!(client.get("/").await?, pattern(8 * KIB));
        }
        assert_eq!(counts.single.load(Ordering::Relaxed), 0);
        assert_eq!(counts.vectored.load(Ordering::Relaxed), 10, "one for each answer");
        assert_eq!(counts.several.load(Ordering::Relaxed), 10, "from several buffers");
        Ok(())
    });
}

/// The buffers that hyper queues are written as they are, however the socket divides them.
#[test]
fn many_buffers_through_a_narrow_socket() {
    run(|executor| async move {
        let (near, far) = pair().await?;
        let page = |request: Request<Incoming>| async {
            Ok::<_, std::convert::Infallible>(Response::new(request.into_body()))
        };
        let connection = http1::Builder::new()
            .header_read_timeout(None)
            .serve_connection(Io::new(far), service_fn(page));
        executor.spawn(async { drop(connection.await) });
        let mut client = Client::over(&executor, Version::Http1, Io::new(near)).await?;
        let all = pattern(2048 * KIB);
        let answer = client.send(crate::client::post("/", pieces(&all))).await?;
        assert!(answer.into_body().collect().await?.to_bytes() == all);
        Ok(())
    });
}
