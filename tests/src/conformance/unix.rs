//! Unix stream sockets over the futures adapter: named by a path, by an abstract name, or not at all.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{self, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use netpoll::{Interest, Registration};
use netpoll_futures::{UnixListener, UnixStream};

use super::stream::{impl_listener, impl_stream};
use super::{Listening, Stage, Transport};

/// Unix stream sockets with a name.
#[derive(Debug)]
pub struct Unix<const ABSTRACT: bool>;

/// Unix stream sockets whose listeners have a path.
pub type UnixPath = Unix<false>;

/// Unix stream sockets whose listeners have an abstract name.
pub type UnixAbstract = Unix<true>;

/// Unix stream sockets without a name, which are made in pairs.
#[derive(Debug)]
pub struct UnixPair;

impl Transport for UnixPair {
    type Stream = UnixStream;

    async fn pair(stage: &Stage) -> io::Result<(UnixStream, UnixStream)> {
        let (near, far) = UnixStream::pair()?;
        Ok((in_care(stage, near)?, in_care(stage, far)?))
    }
}

impl<const ABSTRACT: bool> Transport for Unix<ABSTRACT> {
    type Stream = UnixStream;

    async fn pair(stage: &Stage) -> io::Result<(UnixStream, UnixStream)> {
        let listener = Self::listen(stage).await?;
        let near = Self::connect(stage, &listener, None).await?;
        Ok((near, listener.accept().await?.0))
    }
}

impl<const ABSTRACT: bool> Listening for Unix<ABSTRACT> {
    type Listener = UnixListener;

    async fn listen(stage: &Stage) -> io::Result<UnixListener> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("netpoll-conformance-{}-{number}", std::process::id());
        let address = if ABSTRACT {
            SocketAddr::from_abstract_name(name)
        } else {
            SocketAddr::from_pathname(std::env::temp_dir().join(name))
        };
        listen_at(stage, &address?)
    }

    async fn listen_again(stage: &Stage, at: &str) -> io::Result<UnixListener> {
        listen_at(stage, &parse(at)?)
    }

    async fn connect(
        stage: &Stage,
        listener: &UnixListener,
        deadline: Option<Instant>,
    ) -> io::Result<UnixStream> {
        let address = listener.local_addr()?;
        let stream = match deadline {
            None => UnixStream::connect_addr(&address).await?,
            Some(deadline) => {
                let path = match address.as_abstract_name() {
                    Some(name) => format!("\0{}", name.escape_ascii()),
                    None => written(&address),
                };
                UnixStream::connect_deadline(path, deadline).await?
            }
        };
        in_care(stage, stream)
    }
}

/// In the care of the stage's reactor.
fn in_care(stage: &Stage, stream: UnixStream) -> io::Result<UnixStream> {
    let Some(reactor) = stage.own_reactor() else { return Ok(stream) };
    let stream = net::UnixStream::try_from(stream)?;
    Registration::with(reactor, stream, Interest::WriteOnDemand).map(Into::into)
}

fn listen_at(stage: &Stage, address: &SocketAddr) -> io::Result<UnixListener> {
    let listener = UnixListener::bind_addr(address)?;
    let Some(reactor) = stage.own_reactor() else { return Ok(listener) };
    let listener = net::UnixListener::try_from(listener)?;
    let registration = Registration::with(reactor, listener, Interest::Readable)?;
    let listener = UnixListener::from(registration);
    // A listener from the standard library keeps its file, unless its owner asks otherwise.
    listener.set_unlink_on_close(true);
    Ok(listener)
}

/// The names of these sockets, which are plain text, with an `@` before abstract ones.
fn written(address: &SocketAddr) -> String {
    match (address.as_pathname(), address.as_abstract_name()) {
        (Some(path), _) => path.display().to_string(),
        (_, Some(name)) => format!("@{}", name.escape_ascii()),
        _ => "(unnamed)".to_owned(),
    }
}

fn parse(at: &str) -> io::Result<SocketAddr> {
    match at.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(at),
    }
}

impl_listener!(UnixListener, UnixStream, |address| written(&address));
impl_stream!(UnixStream, |address| written(&address));
