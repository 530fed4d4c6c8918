//! The open connections of a server, and its shutdown phase.
//!
//! Each task that must learn of a shutdown has a [`ConnectionGuard`] with a waker of its own. It registers the
//! waker, *then* reads the phase. A shutdown stores the phase, *then* wakes all guards. A guard that is made
//! in between reads the new phase in its first poll.
//!
//! A task waits for the last connection only after it has read that the server shuts down. The guard of a connection reads
//! the phase under the lock, after it has removed its entry. So it finds the shutdown and wakes the task, or the task finds no
//! connection.
//!
//! An HTTP/1 connection that was upgraded has no task of the server. Its stream keeps the guard, and the guard has a function
//! that closes the stream.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use netpoll::{Reactor, ReactorGone, fork_generation};

/// How far a shutdown has advanced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ShutdownPhase {
    Running,
    /// Connections finish the requests in flight, and accept no other.
    Graceful,
    /// Connections end at once.
    Closed,
}

pub(super) struct Connections {
    /// Of the process that made the server. A forked child does not take the lock: a thread of the parent may
    /// have held it at the fork, and the child does not have that thread.
    generation: u32,
    phase: AtomicU8,
    /// That of the first listener or connection. The limit of a shutdown follows its clock.
    reactor: OnceLock<Reactor>,
    guards: Mutex<Guards>,
}

#[derive(Default)]
struct Guards {
    last_id: u64,
    entries: HashMap<u64, Entry>,
    /// The number of guards of connections. The others belong to tasks that accept, or that wait for the end of the server.
    connections: usize,
}

struct Entry {
    waker: Arc<AtomicWaker>,
    /// Closes a connection that was upgraded.
    close: Option<Close>,
}

type Close = Box<dyn FnOnce() + Send>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Connection,
    Observer,
}

/// The entry of a task in [`Connections`], or of a connection that was upgraded. Its drop removes the entry.
pub(super) struct ConnectionGuard {
    connections: Arc<Connections>,
    role: Role,
    id: u64,
    waker: Arc<AtomicWaker>,
}

impl Connections {
    pub(super) fn new() -> Arc<Self> {
        let (phase, reactor, guards) = (AtomicU8::new(0), OnceLock::new(), Mutex::default());
        Arc::new(Self { generation: fork_generation(), phase, reactor, guards })
    }

    /// `None` if the server has had no listener and no connection.
    pub(super) fn reactor(&self) -> Option<&Reactor> {
        self.reactor.get()
    }

    pub(super) fn set_reactor(&self, reactor: &Reactor) {
        if self.check_process().is_ok() {
            self.reactor.get_or_init(|| reactor.clone());
        }
    }

    /// The current phase. In a forked child the server is closed.
    pub(super) fn phase(&self) -> ShutdownPhase {
        match self.phase.load(Ordering::SeqCst) {
            _ if self.check_process().is_err() => ShutdownPhase::Closed,
            0 => ShutdownPhase::Running,
            1 => ShutdownPhase::Graceful,
            _ => ShutdownPhase::Closed,
        }
    }

    /// # Errors
    ///
    /// [`ReactorGone`] in a forked child.
    pub(super) fn check_process(&self) -> io::Result<()> {
        if self.generation == fork_generation() { Ok(()) } else { Err(ReactorGone::error()) }
    }

    /// Advances to `phase`, unless the server is in a later one, and wakes all tasks. [`Closed`](ShutdownPhase::Closed) also
    /// closes the connections that were upgraded.
    pub(super) fn advance(&self, phase: ShutdownPhase) {
        if self.check_process().is_err() {
            return;
        }
        self.phase.fetch_max(phase as u8, Ordering::SeqCst);
        let Some(mut guards) = self.lock() else { return };
        if phase == ShutdownPhase::Closed {
            let closes = guards.entries.values_mut().filter_map(|entry| entry.close.take());
            let closes: Vec<_> = closes.collect();
            drop(guards);
            closes.into_iter().for_each(|close| close());
            let Some(relocked) = self.lock() else { return };
            guards = relocked;
        }
        wake_all(guards);
    }

    /// Adds an entry. In a forked child it is not counted.
    pub(super) fn enter(self: &Arc<Self>, role: Role) -> Arc<ConnectionGuard> {
        let waker = Arc::new(AtomicWaker::new());
        let id = self.lock().map_or(0, |mut guards| guards.add(role, waker.clone()));
        Arc::new(ConnectionGuard { connections: self.clone(), role, id, waker })
    }

    /// The number of connections. In a forked child there are none.
    pub(super) fn count(&self) -> usize {
        self.lock().map_or(0, |guards| guards.connections)
    }

    /// `None` in a forked child.
    fn lock(&self) -> Option<MutexGuard<'_, Guards>> {
        self.check_process().ok()?;
        Some(self.guards.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Guards {
    fn add(&mut self, role: Role, waker: Arc<AtomicWaker>) -> u64 {
        self.last_id += 1;
        self.entries.insert(self.last_id, Entry { waker, close: None });
        self.connections += usize::from(role == Role::Connection);
        self.last_id
    }
}

impl ConnectionGuard {
    pub(super) fn connections(&self) -> &Connections {
        &self.connections
    }

    /// The current phase. The next phase wakes the task.
    pub(super) fn poll_phase(&self, cx: &mut Context<'_>) -> ShutdownPhase {
        self.waker.register(cx.waker());
        self.connections.phase()
    }

    /// The connection was upgraded. `close` closes it when the server is closed, at once if it is closed already.
    pub(super) fn upgraded(&self, close: impl FnOnce() + Send + 'static) {
        let Some(mut guards) = self.connections.lock() else { return };
        // Read under the lock, under which `advance` takes the functions after it has stored the phase.
        if self.connections.phase() == ShutdownPhase::Closed {
            drop(guards);
            close();
        } else if let Some(entry) = guards.entries.get_mut(&self.id) {
            entry.close = Some(Box::new(close));
        }
    }

    /// Ready when there are no connections. The server must be shutting down.
    pub(super) fn poll_no_connections(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.waker.register(cx.waker());
        if self.connections.count() == 0 { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let Some(mut guards) = self.connections.lock() else { return };
        let removed = guards.entries.remove(&self.id);
        guards.connections -= usize::from(self.role == Role::Connection);
        let is_last = self.role == Role::Connection && guards.connections == 0;
        if is_last && self.connections.phase() != ShutdownPhase::Running {
            wake_all(guards);
        } else {
            drop(guards);
        }
        // It may have the last clone of an upgraded stream, whose drop closes the socket: not under the lock.
        drop(removed);
    }
}

/// Wakes each task without the lock, also after the waker of another panicked.
fn wake_all(guards: MutexGuard<'_, Guards>) {
    let wakers: Vec<_> = guards.entries.values().map(|entry| entry.waker.clone()).collect();
    drop(guards);
    wakers.iter().filter_map(|waker| waker.take()).for_each(netpoll::wake);
}
