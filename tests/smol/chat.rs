//! A chat: a server that passes every line on to all other clients, by a channel.

use std::collections::HashMap;
use std::net::SocketAddr;

use netpoll_smol as smol;
use netpoll_tests::watched;
use smol::channel::{Receiver, Sender, bounded};
use smol::net::{TcpListener, TcpStream};
use smol::{io, prelude::*};

enum Event {
    Join(SocketAddr, TcpStream),
    Leave(SocketAddr),
    Line(SocketAddr, String),
}

async fn dispatch(events: Receiver<Event>) -> io::Result<()> {
    let mut everybody = HashMap::<SocketAddr, TcpStream>::new();
    while let Ok(event) = events.recv().await {
        let (of, line) = match event {
            Event::Join(address, stream) => {
                everybody.insert(address, stream);
                (address, "came".to_owned())
            }
            Event::Leave(address) => {
                everybody.remove(&address);
                (address, "left".to_owned())
            }
            Event::Line(address, line) => (address, line),
        };
        for (_, stream) in everybody.iter_mut().filter(|(address, _)| **address != of) {
            // The read of a client that is gone will report it.
            stream.write_all(format!("{line}\n").as_bytes()).await.ok();
        }
    }
    Ok(())
}

async fn listen_to(
    events: Sender<Event>,
    address: SocketAddr,
    stream: TcpStream,
) -> io::Result<()> {
    let mut lines = io::BufReader::new(stream).lines();
    while let Some(line) = lines.next().await {
        events.send(Event::Line(address, line?)).await.ok();
    }
    events.send(Event::Leave(address)).await.ok();
    Ok(())
}

async fn serve(listener: TcpListener) -> io::Result<()> {
    let (send, events) = bounded(100);
    smol::spawn(dispatch(events)).detach();
    loop {
        let (stream, address) = listener.accept().await?;
        send.send(Event::Join(address, stream.clone())).await.ok();
        smol::spawn(listen_to(send.clone(), address, stream)).detach();
    }
}

type Lines = io::Lines<io::BufReader<TcpStream>>;

async fn join(server: SocketAddr) -> io::Result<(TcpStream, Lines)> {
    let stream = TcpStream::connect(server).await?;
    Ok((stream.clone(), io::BufReader::new(stream).lines()))
}

async fn heard(lines: &mut Lines) -> String {
    lines.next().await.expect("not the end").expect("a line")
}

#[test]
fn every_client_hears_every_other() {
    watched(|| {
        smol::block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let server = listener.local_addr()?;
            let serving = smol::spawn(serve(listener));
            let (mut ann, mut ann_hears) = join(server).await?;
            let (mut bob, mut bob_hears) = join(server).await?;
            assert_eq!(heard(&mut ann_hears).await, "came");
            ann.write_all(b"hello\n").await?;
            assert_eq!(heard(&mut bob_hears).await, "hello");
            bob.write_all(b"good bye\n").await?;
            bob.close().await?;
            assert_eq!(heard(&mut ann_hears).await, "good bye");
            assert_eq!(heard(&mut ann_hears).await, "left");
            serving.cancel().await;
            io::Result::Ok(())
        })
        .expect("no errors");
    });
}
