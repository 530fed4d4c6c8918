//! Unix sockets, from bind to close, with a descriptor that travels.

use std::os::fd::AsFd;
use std::time::Instant;

use futures::future::try_join;
use netpoll_futures::{UnixListener, UnixStream};

use super::stream::{talk, talk_briefly};
use super::{During, Failure, Played, SOON, Script, ends_late};

pub(super) async fn play(script: &Script<'_>) -> Played {
    script.start()?;
    let listener = UnixListener::bind(script.path()).during("bind")?;
    let soon = Instant::now() + SOON;
    listener.set_deadline(Some(soon)).during("set_deadline")?;
    ends_late(listener.accept(), "accept", soon).await?;
    for _ in 0..2 {
        let (near, far) = connection(script, &listener).await?;
        talk_briefly(script, &near, &far).await?;
        drop(near);
        far.close().await.during("close")?;
        drop(UnixListener::bind("").during("bind")?);
    }
    let (near, far) = connection(script, &listener).await?;
    talk(script, &near, &far).await?;
    near.close().await.during("close")?;
    drop(far);
    listener.close().await.during("close")?;
    between_the_two(script).await
}

async fn connection(
    script: &Script<'_>,
    listener: &UnixListener,
) -> Result<(UnixStream, UnixStream), Failure> {
    listener.set_deadline(script.deadline()).during("set_deadline")?;
    let connect = async {
        UnixStream::connect_timeout(script.path(), script.patience).await.during("connect")
    };
    let accept = async { listener.accept().await.during("accept") };
    let (near, (far, _)) = try_join(connect, accept).await?;
    near.peer_cred().during("peer_cred")?;
    Ok((near, far))
}

/// A pair, and descriptors.
async fn between_the_two(script: &Script<'_>) -> Played {
    let (near, far) = UnixStream::pair().during("pair")?;
    for end in [&near, &far] {
        end.set_deadline(script.deadline()).during("set_deadline")?;
    }
    for _ in 0..3 {
        let sent = near.send_with_fds(b"take it", &[near.as_fd()]).await;
        assert_eq!(sent.during("send_with_fds")?, 7);
        let (mut bytes, mut fds) = ([0; 8], Vec::new());
        let received = far.recv_with_fds(&mut bytes, &mut fds).await;
        assert_eq!((received.during("recv_with_fds")?, fds.len()), (7, 1));
    }
    far.close().await.during("close")?;
    near.close().await.during("close")
}
