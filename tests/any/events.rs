//! Descriptors that count: eventfd and timerfd, inotify, and the descriptor of a process.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::process::Command;
use std::time::{Duration, Instant};

use netpoll::Direction;
use netpoll_futures::Async;
use netpoll_tests::CountingWaker;
use netpoll_tests::fixtures::os::{
    FileEvent, eventfd, inotify, read_count, read_events, timerfd, write_count,
};
use netpoll_tests::fixtures::{Folder, assert_kind, os, run, wait_for_wakes, wait_until_woken};

#[test]
fn an_eventfd_counts() {
    run(|| async {
        let event = Async::new(eventfd()?)?;
        let waker = CountingWaker::new();
        let mut count = pin!(event.read_with(read_count));
        assert!(waker.poll(count.as_mut()).is_pending());
        event.write_with(|io| write_count(io, 3)).await?;
        wait_for_wakes(&waker, 1);
        assert_eq!(count.await?, 3);
        event.write_with(|io| write_count(io, 4)).await?;
        event.write_with(|io| write_count(io, 5)).await?;
        assert_eq!(event.read_with(read_count).await?, 9);
        assert_kind(event.try_io(Direction::Read, read_count), ErrorKind::WouldBlock);
        Ok(())
    });
}

#[test]
fn a_full_eventfd_is_written_when_it_was_read() {
    run(|| async {
        let event = Async::new(eventfd()?)?;
        const MOST: u64 = u64::MAX - 1;
        event.write_with(|io| write_count(io, MOST)).await?;
        let waker = CountingWaker::new();
        let mut write = pin!(event.write_with(|io| write_count(io, 2)));
        assert!(waker.poll(write.as_mut()).is_pending());
        assert_eq!(event.read_with(read_count).await?, MOST);
        wait_until_woken(&waker);
        write.await?;
        assert_eq!(event.read_with(read_count).await?, 2);
        Ok(())
    });
}

#[test]
fn a_timerfd_ticks() {
    run(|| async {
        const EVERY: Duration = Duration::from_millis(3);
        let start = Instant::now();
        let timer: Async<OwnedFd> = Async::new(timerfd(EVERY)?)?;
        let mut ticks = 0;
        while ticks < 5 {
            ticks += timer.read_with(read_count).await?;
        }
        assert!(start.elapsed() >= EVERY * 5, "{ticks} ticks after {:?}", start.elapsed());
        Ok(())
    });
}

#[test]
fn a_touched_file_is_reported() {
    run(|| async {
        let folder = Folder::new()?;
        let watch = Async::new(inotify(folder.path())?)?;
        let waker = CountingWaker::new();
        let mut events = pin!(watch.read_with(|io| read_events(io.as_fd(), 4096)));
        assert!(waker.poll(events.as_mut()).is_pending());
        File::create(folder.join("touched"))?;
        wait_until_woken(&waker);
        let first = events.await?;
        assert_eq!(first[0], FileEvent { created: true, name: "touched".into() });
        fs::remove_file(folder.join("touched"))?;
        loop {
            let more = watch.read_with(|io| read_events(io.as_fd(), 4096)).await?;
            if more.iter().any(|event| !event.created && event.name == "touched") {
                return Ok(());
            }
        }
    });
}

/// As in smol's example of a watch: an event without a name is of no use, and if all of them have none, the
/// operation says `WouldBlock`, though more is waiting to be read.
#[test]
fn events_of_no_use_are_passed_over() {
    run(|| async {
        const NAMELESS: usize = 100;
        let folder = Folder::new()?;
        let watch = Async::new(inotify(folder.path())?)?;
        // Opening the folder itself has no name. Each time something else comes in between, as the same
        // event twice would be one.
        let other = inotify_elsewhere(&watch)?;
        for _ in 0..NAMELESS {
            drop(File::open(folder.path())?);
            drop(File::open(other.path())?);
        }
        File::create(folder.join("named"))?;
        let mut reads = 0;
        let named = |io: &OwnedFd| {
            reads += 1;
            let events = read_events(io.as_fd(), 32)?;
            let named: Vec<_> = events.into_iter().filter(|it| !it.name.is_empty()).collect();
            if named.is_empty() { Err(ErrorKind::WouldBlock.into()) } else { Ok(named) }
        };
        let found = watch.read_with(named).await?;
        assert_eq!(found[0], FileEvent { created: true, name: "named".into() });
        assert!(reads > NAMELESS / 2, "{reads} reads, most of them of no use");
        Ok(())
    });
}

/// Has the watch look at another folder as well.
fn inotify_elsewhere(watch: &Async<OwnedFd>) -> io::Result<Folder> {
    let folder = Folder::new()?;
    os::watch(watch.as_fd(), folder.path())?;
    Ok(folder)
}

/// smol's example registers a duplicate, and reads the original.
#[test]
fn a_duplicate_tells_of_its_original() {
    run(|| async {
        let original = eventfd()?;
        let duplicate = Async::new(original.try_clone()?)?;
        let waker = CountingWaker::new();
        let mut read = pin!(duplicate.read_with(|_| read_count(&original)));
        assert!(waker.poll(read.as_mut()).is_pending());
        write_count(&original, 7)?;
        wait_for_wakes(&waker, 1);
        assert_eq!(read.await?, 7);
        // And the other way, with nothing but readiness.
        write_count(&original, 1)?;
        duplicate.readable().await?;
        assert_eq!(read_count(&original)?, 1);
        let mut readable = pin!(duplicate.readable());
        assert!(waker.poll(readable.as_mut()).is_pending(), "it was drained behind our back");
        write_count(&original, 1)?;
        readable.await
    });
}

#[test]
fn a_process_that_ends_is_readable() {
    run(|| async {
        let mut child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn()?;
        let process = Async::new(os::pidfd(child.id())?)?;
        let waker = CountingWaker::new();
        let mut ended = pin!(process.readable());
        assert!(waker.poll(ended.as_mut()).is_pending());
        drop(child.stdin.take());
        ended.await?;
        assert!(child.try_wait()?.expect("it has ended").success());
        Ok(())
    });
}
