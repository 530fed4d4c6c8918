//! Descriptors of any kind: pipes, and a socket of the standard library.

use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Instant;
use std::{fs, io};

use futures::io::{AsyncReadExt, AsyncWriteExt};
use netpoll_futures::Async;

use super::{During, Played, SOON, Script, ends_late};

pub(super) async fn play(script: &Script<'_>) -> Played {
    script.start()?;
    pipe(script).await?;
    socket(script).await?;
    drop(Async::<UnixListener>::bind(script.path()).during("bind")?);
    // No other code removes it.
    let _ = fs::remove_file(script.path());
    Ok(())
}

async fn pipe(script: &Script<'_>) -> Played {
    let (reader, writer) = io::pipe().during("pipe")?;
    let reader = Async::new(reader).during("register")?;
    let writer = Async::new(writer).during("register")?;
    let soon = Instant::now() + SOON;
    reader.set_read_deadline(Some(soon)).during("set_read_deadline")?;
    ends_late((&reader).read(&mut [0]), "read", soon).await?;
    reader.set_read_deadline(script.deadline()).during("set_read_deadline")?;
    writer.set_write_deadline(script.deadline()).during("set_write_deadline")?;
    for _ in 0..3 {
        (&writer).write_all(b"ping").await.during("write_all")?;
        reader.readable().await.during("readable")?;
        let mut bytes = [0; 8];
        assert_eq!((&reader).read(&mut bytes).await.during("read")?, 4);
    }
    writer.close().await.during("close")?;
    reader.close().await.during("close")
}

async fn socket(script: &Script<'_>) -> Played {
    let (near, far) = UnixStream::pair().during("pair")?;
    let near = Async::new(near).during("register")?;
    let far = Async::new(far).during("register")?;
    for end in [&near, &far] {
        end.set_deadline(script.deadline()).during("set_deadline")?;
    }
    near.writable().await.during("writable")?;
    (&near).write_all(b"ping").await.during("write_all")?;
    let mut bytes = [0; 4];
    (&far).read_exact(&mut bytes).await.during("read_exact")?;
    let far = far.into_inner().during("into_inner")?;
    drop(far);
    near.get_ref().shutdown(Shutdown::Write).during("shutdown")?;
    assert_eq!((&near).read(&mut bytes).await.during("read")?, 0, "the end");
    near.close().await.during("close")
}
