//! Datagrams, over UDP and between Unix sockets.

use std::fs;
use std::time::Instant;

use futures::future::try_join;
use netpoll_futures::{UdpSocket, UnixDatagram};

use super::{During, Played, SOON, Script, ends_late};

/// More than a Unix socket takes at once.
const MANY: usize = 20;
const LARGE: usize = 16 * 1024;

pub(super) async fn play(script: &Script<'_>) -> Played {
    script.start()?;
    udp(script).await?;
    unix(script).await
}

async fn udp(script: &Script<'_>) -> Played {
    let near = UdpSocket::bind("127.0.0.1:0").await.during("bind")?;
    let far = UdpSocket::bind("127.0.0.1:0").await.during("bind")?;
    let to = far.local_addr().during("local_addr")?;
    near.connect(to).await.during("connect")?;
    let soon = Instant::now() + SOON;
    near.set_deadline(Some(soon)).during("set_deadline")?;
    ends_late(near.recv(&mut [0]), "recv", soon).await?;
    for end in [&near, &far] {
        end.set_deadline(script.deadline()).during("set_deadline")?;
    }
    let back = near.local_addr().during("local_addr")?;
    far.send_to(b"first", back).await.during("send_to")?;
    assert_eq!(near.recv(&mut [0; 8]).await.during("recv")?, 5);
    for _ in 0..3 {
        near.send(b"ping").await.during("send")?;
        let mut bytes = [0; 8];
        let (len, from) = far.recv_from(&mut bytes).await.during("recv_from")?;
        assert_eq!(&bytes[..len], b"ping");
        far.send_to(b"pong", from).await.during("send_to")?;
        assert_eq!(near.recv(&mut bytes).await.during("recv")?, 4);
    }
    far.close().await.during("close")?;
    near.close().await.during("close")
}

/// More than there is room for.
async fn unix(script: &Script<'_>) -> Played {
    let (near, far) = UnixDatagram::pair().during("pair")?;
    for end in [&near, &far] {
        end.set_deadline(script.deadline()).during("set_deadline")?;
    }
    let sends = async {
        for _ in 0..MANY {
            near.send(&[7; LARGE]).await.during("send")?;
        }
        Ok(())
    };
    let receives = async {
        for _ in 0..MANY {
            assert_eq!(far.recv(&mut [0; LARGE]).await.during("recv")?, LARGE);
        }
        Ok(())
    };
    try_join(sends, receives).await?;
    far.close().await.during("close")?;
    drop(UnixDatagram::bind(script.path()).during("bind")?);
    // No other code removes it.
    let _ = fs::remove_file(script.path());
    Ok(())
}
