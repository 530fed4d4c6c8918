//! Pipes, in the care of `Async`.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use netpoll_futures::{Async, is_closed, is_deadline_exceeded};

use crate::pattern;
use crate::stage::Stage;
use crate::stage::job::{Done, Job, Operation};

/// As much as a pipe has room for, and more.
const LARGE: usize = 100_000;

/// A pipe, and how far both of its ends have come.
pub(crate) struct Pipe {
    reader: Arc<Async<PipeReader>>,
    writer: Arc<Async<PipeWriter>>,
    salt: u64,
    written: u64,
    read: u64,
}

impl Pipe {
    pub(crate) fn new(stage: &mut Stage) -> Self {
        let (reader, writer) = io::pipe().expect("a pipe");
        stage.does("pipe", "made", 0);
        Self {
            reader: Async::new(reader).expect("a reader").into(),
            writer: Async::new(writer).expect("a writer").into(),
            salt: stage.salt(),
            written: 0,
            read: 0,
        }
    }

    /// A step. False if it is over.
    pub(crate) fn step(&mut self, stage: &mut Stage) -> bool {
        match stage.roll(100) {
            0..35 => self.write(stage),
            35..60 => self.read(stage),
            60..72 => self.read_later(stage),
            72..82 => self.read_too_late(stage),
            82..93 => self.overflow(stage),
            93..97 => return self.end_by_closing_the_writer(stage),
            _ => return self.end_by_closing_the_reader(stage),
        }
        true
    }

    fn write(&mut self, stage: &mut Stage) {
        if self.written - self.read > 2048 {
            return self.read(stage);
        }
        let mut job = self.begin_to_write(stage, 512);
        self.finish_write(stage, &mut job);
    }

    fn begin_to_write(&self, stage: &mut Stage, len: usize) -> Job {
        let bytes = pattern::bytes(self.salt, self.written, len);
        stage.start(write(self.writer.clone(), bytes))
    }

    fn finish_write(&mut self, stage: &mut Stage, job: &mut Job) {
        let written = stage.finish(job).result.expect("there is room");
        self.written += written as u64;
        stage.does("pipe", "written", written as u64);
    }

    fn read(&mut self, stage: &mut Stage) {
        if self.written == self.read {
            return;
        }
        let mut job = stage.start(read(self.reader.clone()));
        self.finish_read(stage, &mut job);
    }

    fn finish_read(&mut self, stage: &mut Stage, job: &mut Job) {
        let done = stage.finish(job);
        let len = done.result.expect("something is there");
        assert!(len > 0, "pipe: it is not at its end");
        assert_eq!(done.bytes, pattern::bytes(self.salt, self.read, len), "pipe: other bytes");
        self.read += len as u64;
        stage.does("pipe", "read", len as u64);
    }

    fn drain(&mut self, stage: &mut Stage) {
        while self.read < self.written {
            self.read(stage);
        }
    }

    fn read_later(&mut self, stage: &mut Stage) {
        self.drain(stage);
        let mut job = stage.start(read(self.reader.clone()));
        self.write(stage);
        self.finish_read(stage, &mut job);
        stage.does("pipe", "read, pending", 0);
    }

    fn read_too_late(&mut self, stage: &mut Stage) {
        self.drain(stage);
        let mut job = stage.start(read(self.reader.clone()));
        let at = Instant::now() + Duration::from_micros(stage.roll(100) as u64);
        self.reader.set_read_deadline(Some(at)).expect("it is open");
        let error = stage.finish(&mut job).result.expect_err("nothing is written");
        assert!(is_deadline_exceeded(&error), "pipe: {error}");
        assert!(Instant::now() >= at, "pipe: too early");
        self.reader.set_read_deadline(None).expect("it is open");
        stage.does("pipe", "DeadlineExceeded", 0);
    }

    /// Writes until there is no room, and waits for some: for the reader, or for a deadline.
    fn overflow(&mut self, stage: &mut Stage) {
        let mut job = self.begin_to_write(stage, LARGE);
        self.finish_write(stage, &mut job);
        let mut job = self.begin_to_write(stage, LARGE);
        if self.written - self.read < LARGE as u64 && stage.chance(50) {
            self.writer
                .set_deadline(Some(Instant::now() + Duration::from_micros(50)))
                .expect("open");
            let done = stage.finish(&mut job);
            let written = done.result.unwrap_or_else(|error| {
                assert!(is_deadline_exceeded(&error), "pipe: {error}");
                stage.does("pipe", "full, then DeadlineExceeded", 0);
                0
            });
            self.written += written as u64;
            self.writer.set_deadline(None).expect("it is open");
            return self.drain(stage);
        }
        self.drain(stage);
        self.finish_write(stage, &mut job);
        stage.does("pipe", "full, then written", 0);
        self.drain(stage);
    }

    fn end_by_closing_the_writer(&mut self, stage: &mut Stage) -> bool {
        self.drain(stage);
        let mut job = stage.start(read(self.reader.clone()));
        let writer = self.writer.clone();
        stage.wait(writer.close()).expect("it is open");
        let end = stage.finish(&mut job).result.expect("the end");
        assert_eq!(end, 0, "pipe: bytes after the end");
        stage.does("pipe", "end", 0);
        false
    }

    fn end_by_closing_the_reader(&mut self, stage: &mut Stage) -> bool {
        self.drain(stage);
        let mut job = stage.start(read(self.reader.clone()));
        let reader = self.reader.clone();
        stage.wait(reader.close()).expect("it is open");
        let error = stage.finish(&mut job).result.expect_err("nothing is written");
        assert!(is_closed(&error), "pipe: {error}");
        let mut job = self.begin_to_write(stage, 1);
        let error = stage.finish(&mut job).result.expect_err("there is no reader");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        stage.does("pipe", "broken", 0);
        false
    }
}

fn write(writer: Arc<Async<PipeWriter>>, bytes: &'static [u8]) -> Operation {
    async move { Done::new(writer.write_with(|mut pipe| pipe.write(bytes)).await, Vec::new()) }
        .boxed()
}

fn read(reader: Arc<Async<PipeReader>>) -> Operation {
    async move {
        let mut buffer = vec![0; 65_536];
        let read = reader.read_with(|mut pipe| pipe.read(&mut buffer)).await;
        buffer.truncate(*read.as_ref().unwrap_or(&0));
        Done::new(read, buffer)
    }
    .boxed()
}
