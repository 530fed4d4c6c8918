//! The end of one direction is passed on, and the other goes on.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use netpoll_tests::programs::with_programs;
use netpoll_tests::proxy::{Ending, Event};

use crate::fixtures::{LONG, Proxy};
use crate::own;

/// More than all buffers on the way hold.
const MUCH: usize = 32 << 20;

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

fn read_all(mut stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).map(|_| all)
}

/// Answers when it has read everything, which takes an end.
fn answer_at_the_end(mut stream: TcpStream) -> io::Result<()> {
    let all = read_all(&stream)?;
    stream.write_all(&all)
}

#[test]
fn a_client_that_has_sent_its_last_gets_its_answer() {
    with_programs(|_| {
        let proxy = Proxy::to(own::serve(answer_at_the_end), LONG);
        for len in [0, 1, MUCH] {
            let client = proxy.connect();
            let all = pattern(len);
            (&client).write_all(&all).expect("it is read");
            client.shutdown(Shutdown::Write).expect("it is connected");
            assert!(read_all(&client).expect("the answer") == all, "{len} bytes");
            let Event::Ended { sent, received, ending: Ending::Finished, .. } = proxy.next_event()
            else {
                panic!("it ends as it should");
            };
            assert_eq!((sent, received), (len as u64, len as u64));
        }
    });
}

#[test]
fn a_backend_that_has_sent_its_last_goes_on_reading() {
    with_programs(|_| {
        let (tell, told) = std::sync::mpsc::channel();
        let backend = own::serve(move |mut stream| {
            stream.write_all(b"go on")?;
            stream.shutdown(Shutdown::Write)?;
            tell.send(read_all(&stream)?).map_err(io::Error::other)
        });
        let proxy = Proxy::to(backend, LONG);
        let client = proxy.connect();
        assert_eq!(read_all(&client).expect("the end"), b"go on");
        let all = pattern(MUCH);
        (&client).write_all(&all).expect("it is read");
        drop(client);
        assert!(told.recv().expect("it reads") == all);
        assert!(matches!(proxy.next_ending(), Ending::Finished));
    });
}

/// Both directions at once, with more than there is room for.
#[test]
fn much_goes_both_ways() {
    with_programs(|_| {
        let proxy = Proxy::to(own::serve(own::echo), LONG);
        let client = proxy.connect();
        let all = pattern(MUCH);
        thread::scope(|scope| {
            scope.spawn(|| {
                (&client).write_all(&all).expect("it is read");
                client.shutdown(Shutdown::Write).expect("it is connected");
            });
            assert!(read_all(&client).expect("the echo") == all);
        });
        assert!(matches!(proxy.next_ending(), Ending::Finished));
    });
}
