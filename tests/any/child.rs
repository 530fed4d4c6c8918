//! A child's standard streams.

use std::io::{self, Read, Write};
use std::pin::pin;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};

use futures::io::{AsyncReadExt, AsyncWriteExt};
use netpoll_futures::Async;
use netpoll_tests::CountingWaker;
use netpoll_tests::fixtures::{assert_timed_out, past, run};

fn cat() -> io::Result<(Child, Async<ChildStdin>, Async<ChildStdout>)> {
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let stdin = Async::new(child.stdin.take().expect("it was asked for"))?;
    let stdout = Async::new(child.stdout.take().expect("it was asked for"))?;
    Ok((child, stdin, stdout))
}

#[test]
fn cat_echoes() {
    run(|| async {
        let (mut child, stdin, mut stdout) = cat()?;
        let waker = CountingWaker::new();
        let mut buffer = [0; 5];
        {
            let mut read = pin!(stdout.read_with_mut(|io| io.read(&mut buffer)));
            assert!(waker.poll(read.as_mut()).is_pending());
            assert_eq!(stdin.write_with(|mut io| io.write(b"hello")).await?, 5);
            assert_eq!(read.await?, 5);
        }
        assert_eq!(&buffer, b"hello");
        drop(stdin);
        assert_eq!(stdout.read_with_mut(|io| io.read(&mut buffer)).await?, 0);
        assert!(child.wait()?.success());
        Ok(())
    });
}

/// More than the pipes hold, both ways at once, by the traits; dropping the writer is the end of cat's input.
#[test]
fn dropping_its_input_ends_cat() {
    run(|| async {
        const LEN: usize = 1 << 20;
        let (mut child, mut stdin, mut stdout) = cat()?;
        let sent: Vec<u8> = (0..LEN).map(|index| (index % 251) as u8).collect();
        let write = async {
            stdin.write_all(&sent).await?;
            AsyncWriteExt::close(&mut stdin).await?;
            // The pipe has no other end than its descriptor's.
            drop(stdin);
            io::Result::Ok(())
        };
        let mut received = Vec::new();
        let (written, read) = futures::join!(write, stdout.read_to_end(&mut received));
        written?;
        assert_eq!(read?, LEN);
        assert_eq!(received, sent);
        assert!(child.wait()?.success());
        Ok(())
    });
}

#[test]
fn its_complaints_are_heard() {
    run(|| async {
        let mut command = Command::new("cat");
        command.arg("/nowhere/to/be/found").stderr(Stdio::piped()).stdin(Stdio::null());
        let mut child = command.env("LC_ALL", "C").spawn()?;
        let mut stderr: Async<ChildStderr> =
            Async::new(child.stderr.take().expect("it was asked for"))?;
        let mut complaint = String::new();
        stderr.read_to_string(&mut complaint).await?;
        assert!(complaint.contains("/nowhere/to/be/found"), "{complaint}");
        assert!(!child.wait()?.success());
        Ok(())
    });
}

#[test]
fn a_child_that_says_nothing_is_not_waited_for() {
    run(|| async {
        let (mut child, stdin, mut stdout) = cat()?;
        stdout.set_read_deadline(past())?;
        assert_timed_out(stdout.read(&mut [0]).await);
        assert_timed_out(stdout.readable().await);
        stdin.close().await?;
        stdout.set_read_deadline(None)?;
        assert_eq!(stdout.read(&mut [0]).await?, 0);
        assert!(child.wait()?.success());
        Ok(())
    });
}
