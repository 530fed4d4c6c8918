//! `UdpFramed`. The first three are tokio-util's own tests.

use std::io;
use std::pin::pin;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use futures::future::try_join;
use futures::{FutureExt, SinkExt, StreamExt};
use netpoll_tests::fixtures::{LOOPBACK, assert_closed, assert_timed_out, in_ms, poll_once};
use netpoll_tokio::UdpFramed;
use netpoll_tokio::net::UdpSocket;
use tokio_util::codec::{BytesCodec, Decoder, Encoder, LinesCodec};

use crate::fixtures::on_tokio;

struct ByteCodec;

impl Decoder for ByteCodec {
    type Item = Vec<u8>;
    type Error = io::Error;

    fn decode(&mut self, buf: &mut BytesMut) -> Result<Option<Vec<u8>>, io::Error> {
        let len = buf.len();
        Ok(Some(buf.split_to(len).to_vec()))
    }
}

impl Encoder<&[u8]> for ByteCodec {
    type Error = io::Error;

    fn encode(&mut self, data: &[u8], buf: &mut BytesMut) -> Result<(), io::Error> {
        buf.reserve(data.len());
        buf.put_slice(data);
        Ok(())
    }
}

#[test]
fn send_framed_byte_codec() {
    on_tokio(|| async {
        let mut a_soc = UdpSocket::bind("127.0.0.1:0").await?;
        let mut b_soc = UdpSocket::bind("127.0.0.1:0").await?;
        let a_addr = a_soc.local_addr()?;
        let b_addr = b_soc.local_addr()?;
        for msg in [&b"4567"[..], b""] {
            let mut a = UdpFramed::new(a_soc, ByteCodec);
            let mut b = UdpFramed::new(b_soc, ByteCodec);
            let send = a.send((msg, b_addr));
            let recv = b.next().map(|e| e.unwrap());
            let (_, received) = try_join(send, recv).await.unwrap();
            let (data, addr) = received;
            assert_eq!(msg, &*data);
            assert_eq!(a_addr, addr);
            a_soc = a.into_inner();
            b_soc = b.into_inner();
        }
        Ok(())
    });
}

#[test]
fn send_framed_lines_codec() {
    on_tokio(|| async {
        let a_soc = UdpSocket::bind("127.0.0.1:0").await?;
        let b_soc = UdpSocket::bind("127.0.0.1:0").await?;
        let a_addr = a_soc.local_addr()?;
        let b_addr = b_soc.local_addr()?;
        let mut a = UdpFramed::new(a_soc, ByteCodec);
        let mut b = UdpFramed::new(b_soc, LinesCodec::new());
        let msg = b"1\r\n2\r\n3\r\n".to_vec();
        a.send((&msg, b_addr)).await?;
        for line in ["1", "2", "3"] {
            assert_eq!(b.next().await.unwrap().unwrap(), (line.to_string(), a_addr));
        }
        Ok(())
    });
}

#[test]
fn framed_half() {
    on_tokio(|| async {
        let a_soc = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
        let b_soc = a_soc.clone();
        let a_addr = a_soc.local_addr()?;
        let b_addr = b_soc.local_addr()?;
        let mut a = UdpFramed::new(a_soc, ByteCodec);
        let mut b = UdpFramed::new(b_soc, LinesCodec::new());
        a.send((b"1\r\n2\r\n3\r\n", b_addr)).await?;
        a.send((b"4\r\n5\r\n6\r\n", b_addr)).await?;
        for line in ["1", "2", "3", "4", "5", "6"] {
            assert_eq!(b.next().await.unwrap().unwrap(), (line.to_string(), a_addr));
        }
        Ok(())
    });
}

/// The longest datagram arrives whole. One that is too long stays, as in tokio-util.
#[test]
fn the_longest_datagram_arrives_whole() {
    on_tokio(|| async {
        let mut near = UdpFramed::new(UdpSocket::bind(LOOPBACK).await?, BytesCodec::new());
        let mut far = UdpFramed::new(UdpSocket::bind(LOOPBACK).await?, BytesCodec::new());
        let near_address = near.get_ref().local_addr()?;
        let far_address = far.get_mut().local_addr()?;
        let longest = Bytes::from(vec![7; 65_507]);
        for _ in 0..3 {
            near.send((longest.clone(), far_address)).await?;
            let (received, from) = far.next().await.expect("a frame")?;
            assert!(received == longest && from == near_address);
        }
        for _ in 0..2 {
            assert!(near.send((Bytes::from(vec![7; 65_508]), far_address)).await.is_err());
        }
        Ok(())
    });
}

#[test]
fn deadlines_and_close_end_a_wait() {
    on_tokio(|| async {
        let mut framed = UdpFramed::new(UdpSocket::bind(LOOPBACK).await?, BytesCodec::new());
        assert!(framed.read_buffer().is_empty() && framed.read_buffer_mut().is_empty());
        let deadlines = framed.get_ref().deadlines();
        deadlines.set_read_deadline(in_ms(10))?;
        assert_timed_out(framed.next().await.expect("an item"));
        deadlines.set_read_deadline(None)?;
        assert!(poll_once(pin!(framed.next())).is_pending());
        framed.get_ref().close().await?;
        assert_closed(framed.next().await.expect("an item"));
        Ok(())
    });
}
