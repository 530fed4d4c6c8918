//! Frames over a UDP socket, in the shape of tokio-util's `UdpFramed`, which takes tokio's own socket only.

use std::borrow::Borrow;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use futures_core::Stream;
use futures_sink::Sink;
use tokio_util::codec::{Decoder, Encoder};

use crate::net::UdpSocket;

/// The longest datagram.
const READ_CAPACITY: usize = 64 * 1024;
const WRITE_CAPACITY: usize = 8 * 1024;

/// A UDP socket as a stream of the frames that a codec decodes, and as a sink of those that it encodes, each with the
/// address of the peer. It has the interface of `tokio_util::udp::UdpFramed`.
///
/// A datagram may hold several frames: the stream calls `Decoder::decode_eof` with the datagram until it
/// returns `None`. A decoder that fails must take the bytes that it could not decode, or it gets them again. Each frame that
/// is sent is one datagram. One that could not be sent stays, and the next flush tries again.
///
/// The `socket` may be shared, for example as an [`Arc`](std::sync::Arc). Its deadlines end the waits of both directions.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use std::time::Duration;
/// use futures_util::{SinkExt, StreamExt};
/// use netpoll_tokio::UdpFramed;
/// use netpoll_tokio::net::UdpSocket;
/// use tokio_util::codec::LinesCodec;
///
/// let server = UdpSocket::bind("127.0.0.1:0").await?;
/// let address = server.local_addr()?;
/// let mut lines = UdpFramed::new(server, LinesCodec::new());
///
/// let mut client = UdpFramed::new(UdpSocket::bind("127.0.0.1:0").await?, LinesCodec::new());
/// client.send(("one\ntwo", address)).await.expect("it is sent");
/// let (line, from) = lines.next().await.expect("a line").expect("no error");
/// assert_eq!((line.as_str(), from), ("one", client.get_ref().local_addr()?));
/// let (line, _) = lines.next().await.expect("a line").expect("no error");
/// assert_eq!(line, "two");
///
/// lines.get_ref().set_read_deadline(Duration::from_millis(10))?;
/// assert!(lines.next().await.expect("an item").is_err());
/// # Ok(()) }) }
/// ```
#[must_use = "a sink does nothing unless it is polled"]
pub struct UdpFramed<C, T = UdpSocket> {
    socket: T,
    codec: C,
    read: BytesMut,
    /// The sender of the bytes in `read`, while there may be frames in them.
    from: Option<SocketAddr>,
    write: BytesMut,
    to: SocketAddr,
    is_flushed: bool,
}

impl<C, T: Borrow<UdpSocket>> UdpFramed<C, T> {
    /// Frames over a socket.
    pub fn new(socket: T, codec: C) -> Self {
        Self {
            socket,
            codec,
            read: BytesMut::with_capacity(READ_CAPACITY),
            from: None,
            write: BytesMut::with_capacity(WRITE_CAPACITY),
            to: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            is_flushed: true,
        }
    }

    /// The socket.
    pub fn get_ref(&self) -> &T {
        &self.socket
    }

    /// The socket.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.socket
    }

    /// The codec.
    pub fn codec(&self) -> &C {
        &self.codec
    }

    /// The codec.
    pub fn codec_mut(&mut self) -> &mut C {
        &mut self.codec
    }

    /// The bytes of the last datagram that are not decoded yet.
    pub fn read_buffer(&self) -> &BytesMut {
        &self.read
    }

    /// The bytes of the last datagram that are not decoded yet.
    pub fn read_buffer_mut(&mut self) -> &mut BytesMut {
        &mut self.read
    }

    /// The socket. Frames that are not decoded yet are lost.
    pub fn into_inner(self) -> T {
        self.socket
    }
}

/// Prints the socket and the codec.
impl<C: fmt::Debug, T: fmt::Debug> fmt::Debug for UdpFramed<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpFramed")
            .field("socket", &self.socket)
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}

impl<C, T> Unpin for UdpFramed<C, T> {}

impl<C: Decoder, T: Borrow<UdpSocket>> Stream for UdpFramed<C, T> {
    type Item = Result<(C::Item, SocketAddr), C::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(from) = this.from {
                if let Some(frame) = this.codec.decode_eof(&mut this.read)? {
                    return Poll::Ready(Some(Ok((frame, from))));
                }
                this.from = None;
                this.read.clear();
            }
            this.read.reserve(READ_CAPACITY);
            let (_, from) = ready!(this.socket.borrow().poll_recv_buf_from(cx, &mut this.read))?;
            this.from = Some(from);
        }
    }
}

impl<I, C: Encoder<I>, T: Borrow<UdpSocket>> Sink<(I, SocketAddr)> for UdpFramed<C, T> {
    type Error = C::Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.poll_flush(cx)
    }

    fn start_send(self: Pin<&mut Self>, (frame, to): (I, SocketAddr)) -> Result<(), C::Error> {
        let this = self.get_mut();
        this.codec.encode(frame, &mut this.write)?;
        this.to = to;
        this.is_flushed = false;
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        let this = self.get_mut();
        if this.is_flushed {
            return Poll::Ready(Ok(()));
        }
        let sent = ready!(this.socket.borrow().poll_send_to(cx, &this.write, this.to))?;
        let is_whole = sent == this.write.len();
        this.write.clear();
        this.is_flushed = true;
        Poll::Ready(if is_whole {
            Ok(())
        } else {
            Err(io::Error::other("the datagram was sent in part").into())
        })
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.poll_flush(cx)
    }
}
