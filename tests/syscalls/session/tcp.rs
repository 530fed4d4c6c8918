//! TCP, from bind to close.

use std::time::{Duration, Instant};

use futures::future::try_join;
use netpoll_futures::{TcpListener, TcpStream};

use super::stream::{talk, talk_briefly};
use super::{During, Failure, Played, SOON, Script, ends_late};

pub(super) async fn play(script: &Script<'_>) -> Played {
    script.start()?;
    let listener = TcpListener::bind("127.0.0.1:0").await.during("bind")?;
    let soon = Instant::now() + SOON;
    listener.set_deadline(Some(soon)).during("set_deadline")?;
    ends_late(listener.accept(), "accept", soon).await?;
    for _ in 0..2 {
        let (near, far) = connection(script, &listener).await?;
        talk_briefly(script, &near, &far).await?;
        drop(near);
        far.close().await.during("close")?;
        drop(TcpListener::bind("127.0.0.1:0").await.during("bind")?);
    }
    let (near, far) = connection(script, &listener).await?;
    options(&near)?;
    talk(script, &near, &far).await?;
    far.set_linger(Some(Duration::from_secs(1))).during("set_linger")?;
    near.close().await.during("close")?;
    far.close().await.during("close")?;
    listener.close().await.during("close")
}

async fn connection(
    script: &Script<'_>,
    listener: &TcpListener,
) -> Result<(TcpStream, TcpStream), Failure> {
    listener.set_deadline(script.deadline()).during("set_deadline")?;
    let address = listener.local_addr().during("local_addr")?;
    let connect =
        async { TcpStream::connect_timeout(address, script.patience).await.during("connect") };
    let accept = async { listener.accept().await.during("accept") };
    let (near, (mut far, mut peer)) = try_join(connect, accept).await?;
    let local = near.local_addr().during("local_addr")?;
    // It may have been connected more than once: a connection that was given up comes first.
    while peer != local {
        (far, peer) = listener.accept().await.during("accept")?;
    }
    Ok((near, far))
}

fn options(near: &TcpStream) -> Played {
    assert!(near.nodelay().during("nodelay")?, "Go's default");
    near.set_nodelay(false).during("set_nodelay")?;
    near.set_nodelay(true).during("set_nodelay")?;
    assert!(near.keepalive().during("keepalive")?.is_some(), "Go's default");
    near.peer_addr().during("peer_addr").map(drop)
}
