//! How a connection comes about.

use super::model::{Link, Model, Side};
use super::pair::Pair;
use super::socket::Socket;
use crate::others::door::Door;
use crate::stage::Stage;
use crate::stage::home::Home;

use netpoll_futures::UnixStream;

/// A small buffer is full soon.
const BUFFER: u32 = 8 * 1024;

impl Pair {
    /// A pair of Unix sockets, or a connection to a listener.
    pub(crate) fn connect(stage: &mut Stage, door: Option<&mut Door>) -> Option<Self> {
        let (near, far, home) = match door {
            None => Self::of_unix_sockets(stage),
            Some(door) => door.connect(stage)?,
        };
        if stage.chance(80) {
            for socket in [&near, &far] {
                socket.set_buffer(BUFFER).expect("a buffer");
            }
        }
        let model = Model {
            tcp: near.is_tcp(),
            sides: [Side::new(stage.homes[0].clone()), Side::new(home)],
            links: [Link::new(stage.salt()), Link::new(stage.salt())],
        };
        let mut pair = Self::new([near, far], model);
        pair.spread(stage);
        Some(pair)
    }

    fn of_unix_sockets(stage: &mut Stage) -> (Socket, Socket, Home) {
        stage.does("connect", "a pair of Unix sockets", 0);
        let (near, far) = UnixStream::pair().expect("a pair");
        (Socket::Unix(near), Socket::Unix(far), stage.homes[0].clone())
    }
}
