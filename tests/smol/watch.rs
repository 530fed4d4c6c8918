//! Descriptors of other kinds: a signal that comes through a Unix socket, a folder that is watched.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use netpoll_smol as smol;
use netpoll_tests::watched;
use smol::{Async, io, prelude::*};

/// The work of a handler of ctrl-c: it writes a byte to one end, and the program waits at the other.
#[test]
fn a_byte_from_elsewhere_ends_the_program() {
    watched(|| {
        let (mut handler, program) = UnixStream::pair().expect("a pair");
        let signal = std::thread::spawn(move || handler.write_all(&[0]));
        smol::block_on(async {
            let mut program = Async::new(program)?;
            let mut byte = [1];
            program.read_exact(&mut byte).await?;
            assert_eq!(byte, [0]);
            io::Result::Ok(())
        })
        .expect("no errors");
        signal.join().expect("no panic").expect("no error");
    });
}

/// A folder's inotify, as a stream of bytes.
#[test]
fn a_file_that_is_written_is_seen() {
    watched(|| {
        let folder = std::env::temp_dir().join(format!("netpoll-watch-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let watcher = inotify::Inotify::init().expect("inotify");
        watcher.watches().add(&folder, inotify::WatchMask::CREATE).expect("a watch");
        let seen = smol::block_on(async {
            let mut watcher = Async::new(watcher)?;
            let write = smol::unblock({
                let file = folder.join("hello");
                move || fs::write(file, b"hello")
            });
            let mut buffer = [0; 1024];
            let names: Vec<_> = watcher
                .read_with_mut(|watcher| {
                    let events = watcher.read_events(&mut buffer)?;
                    Ok(events.filter_map(|event| event.name.map(ToOwned::to_owned)).collect())
                })
                .await?;
            write.await?;
            io::Result::Ok(names)
        });
        fs::remove_dir_all(&folder).expect("it is ours");
        assert_eq!(seen.expect("no error"), ["hello"]);
    });
}

/// `Async` over a pipe of the standard library, in both of its directions.
#[test]
fn a_pipe_is_read_as_it_is_written() {
    watched(|| {
        smol::block_on(async {
            let (receiver, sender) = std::io::pipe()?;
            let (mut receiver, mut sender) = (Async::new(receiver)?, Async::new(sender)?);
            let block = vec![7; 1 << 20];
            let write = smol::spawn(async move { sender.write_all(&block).await });
            let mut received = vec![0; 1 << 20];
            receiver.read_exact(&mut received).await?;
            assert!(received.iter().all(|byte| *byte == 7));
            write.await?;
            let ended = receiver.read_with_mut(|receiver| receiver.read(&mut [0; 1])).await?;
            assert_eq!(ended, 0);
            io::Result::Ok(())
        })
        .expect("no errors");
    });
}
