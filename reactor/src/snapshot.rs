//! The registrations of a reactor at one time, as a table: for a program that hangs.
//!
//! A row is made of two parts. The slot's is consistent: [`Slot::view`]. The kernel's is asked for by the descriptor's number
//! afterwards, under no lock, while the owner may close the descriptor and another may get its number. So the slot is read once
//! more: an owner takes the number out of the slot *before* it gives the descriptor up
//! ([`Slot::forget_number`]). If the slot still has it, the answers were about this descriptor; if not, there is
//! no row. A descriptor that `close` ends keeps its number, under which a placeholder is then: its row says that it is closed,
//! and has nothing of the kernel's.

use std::cmp::Reverse;
use std::fmt;
use std::os::fd::RawFd;
use std::slice;
use std::time::Duration;
use std::vec;

use crate::reactor::ReactorInner;
use crate::ready::{Direction, Ready};
use crate::slot::state::Queue;
use crate::slot::{Queued, Slot, View};
use crate::sys::{DescriptorKind, Inspected, inspect};
use crate::wall;

/// The registrations of a reactor at one time: [`Reactor::snapshot`](crate::Reactor::snapshot).
///
/// Those on which a task waits longest come first; those of listeners, which may wait for ever by design, and those on which
/// no task waits come last. [`Display`](fmt::Display) prints a table. In it, a `>` marks [`suspect`](Self::suspect).
#[derive(Clone)]
pub struct Snapshot {
    rows: Vec<SnapshotRow>,
    timers: usize,
}

/// A registration in a [`Snapshot`].
#[derive(Clone)]
#[non_exhaustive]
pub struct SnapshotRow {
    /// The number of the descriptor that was registered.
    pub descriptor: RawFd,
    /// Its kind. `None` if it is closed.
    pub kind: Option<DescriptorKind>,
    /// Its own address: of the internet as [`SocketAddr`](std::net::SocketAddr) prints it, the path of a Unix
    /// socket, or `@` and an abstract name. `None` without one.
    pub local: Option<String>,
    /// The address of the peer. `None` for a socket that is not connected.
    pub peer: Option<String>,
    /// It was closed, by `close`, and its registration was not dropped yet.
    pub is_closed: bool,
    /// The readiness, and whether the kernel has reported a hang-up or an error.
    pub ready: Ready,
    /// The direction of reading, accepting and receiving.
    pub read: SnapshotDirection,
    /// The direction of writing, connecting and sending.
    pub write: SnapshotDirection,
    /// Bytes that have arrived and that no read has taken. Of datagrams, those of the next one.
    pub unread: Option<usize>,
    /// Bytes that were written and that the peer has not acknowledged or, on a Unix socket, not read.
    pub unsent: Option<usize>,
}

/// A direction of a [`SnapshotRow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotDirection {
    /// An operation may succeed without a wait. A hint, as always.
    pub is_ready: bool,
    /// How many tasks wait, those that wait for the end of another task's write included.
    pub waiters: usize,
    /// How long the first of them has waited: never less, and up to a second more. A task that an event woke and that waits
    /// again in the same operation counts from its beginning; in a `poll_*` call, from the last event. A step of the
    /// system's clock shifts it.
    pub waits_for: Option<Duration>,
    /// The time until the deadline. Zero: it has passed, and operations fail. `None`: no deadline.
    pub deadline_in: Option<Duration>,
}

/// The time at which the rows of a shard are made, on both clocks: rows that began to wait in one second are equal.
#[derive(Clone, Copy)]
struct Moment {
    wall: Duration,
    /// The reactor's time.
    ns: u64,
}

impl Snapshot {
    pub(crate) fn of<'a>(shards: impl Iterator<Item = &'a ReactorInner>) -> Self {
        let (mut rows, mut tenants) = (Vec::new(), 0);
        for shard in shards {
            let at = Moment { wall: wall::now(), ns: shard.now_ns() };
            rows.extend(shard.slots().filter_map(|slot| SnapshotRow::of(slot, at)));
            tenants += shard.metrics().registrations as usize;
        }
        let timers = tenants.saturating_sub(rows.len());
        rows.sort_by_cached_key(|row| {
            let is_listener = row.kind.is_some_and(DescriptorKind::is_listener);
            let longest = row.longest().map(|(_, waits)| waits);
            (longest.is_none(), is_listener, Reverse(longest), row.descriptor)
        });
        Self { rows, timers }
    }

    /// The rows, in the order of the table.
    #[must_use]
    pub fn rows(&self) -> &[SnapshotRow] {
        &self.rows
    }

    /// How many timers there are. They have no rows.
    #[must_use]
    pub fn timers(&self) -> usize {
        self.timers
    }

    /// The row to look at first, with the direction: the one that has waited longest to write, since its peer takes nothing; if
    /// no task waits to write, the one that has waited longest to read. Listeners and descriptors without waiters
    /// are none.
    #[must_use]
    pub fn suspect(&self) -> Option<(&SnapshotRow, Direction)> {
        let longest = |direction| {
            let rows =
                self.rows.iter().filter(|row| !row.kind.is_some_and(DescriptorKind::is_listener));
            let waiting = rows.filter_map(|row| Some((row.direction(direction).waits_for?, row)));
            // Of equals, `max_by_key` takes the last.
            waiting.rev().max_by_key(|(waits, _)| *waits).map(|(_, row)| (row, direction))
        };
        longest(Direction::Write).or_else(|| longest(Direction::Read))
    }
}

impl SnapshotRow {
    /// `None` for a timer, a free slot, and a descriptor that is given up meanwhile.
    fn of(slot: &Slot, at: Moment) -> Option<Self> {
        let view = slot.view();
        let descriptor = RawFd::try_from(view.number?).ok()?;
        let answers = (!view.state.is_closed()).then(|| inspect(descriptor));
        if !slot.is_still(&view) {
            return None;
        }
        // Closed meanwhile: the answers may be about the placeholder.
        let is_closed = slot.state().is_closed();
        let answers = answers.filter(|_| !is_closed);
        Some(Self::from(descriptor, is_closed, &view, answers, at))
    }

    fn from(
        descriptor: RawFd,
        is_closed: bool,
        view: &View,
        answers: Option<Inspected>,
        at: Moment,
    ) -> Self {
        let direction = |direction| SnapshotDirection::of(view, direction, at);
        let row = Self {
            descriptor,
            kind: None,
            local: None,
            peer: None,
            is_closed,
            ready: view.state.ready(),
            read: direction(Direction::Read),
            write: direction(Direction::Write),
            unread: None,
            unsent: None,
        };
        match answers {
            None => row,
            Some(Inspected { kind, local, peer, unread, unsent }) => {
                Self { kind: Some(kind), local, peer, unread, unsent, ..row }
            }
        }
    }

    /// One of its directions.
    #[must_use]
    pub fn direction(&self, direction: Direction) -> &SnapshotDirection {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    /// The direction in which a task has waited longest, and for how long. Of equals, writing.
    #[must_use]
    pub fn longest(&self) -> Option<(Direction, Duration)> {
        let waits = |direction| Some((direction, self.direction(direction).waits_for?));
        Direction::BOTH.into_iter().filter_map(waits).max_by_key(|(_, waits)| *waits)
    }
}

impl SnapshotDirection {
    fn of(view: &View, direction: Direction, at: Moment) -> Self {
        let queued = |queue: Queue| view.queues[queue as usize];
        let (own, lock) = match direction {
            Direction::Read => (queued(Queue::Read), Queued::default()),
            Direction::Write => (queued(Queue::Write), queued(Queue::WriteLock)),
        };
        Self {
            is_ready: view.state.is_ready(direction),
            waiters: own.count + lock.count,
            waits_for: own
                .since
                .into_iter()
                .chain(lock.since)
                .min()
                .map(|since| wall::since(since, at.wall)),
            deadline_in: view.deadlines_ns[direction as usize]
                .map(|due_ns| Duration::from_nanos(due_ns.saturating_sub(at.ns))),
        }
    }
}

impl IntoIterator for Snapshot {
    type Item = SnapshotRow;
    type IntoIter = vec::IntoIter<SnapshotRow>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.into_iter()
    }
}

impl<'a> IntoIterator for &'a Snapshot {
    type Item = &'a SnapshotRow;
    type IntoIter = slice::Iter<'a, SnapshotRow>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.iter()
    }
}

/// Prints the counts.
impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.rows.iter().filter(|row| row.longest().is_some()).count();
        let mut shown = f.debug_struct("Snapshot");
        shown.field("rows", &self.rows.len()).field("waiting", &waiting);
        shown.field("timers", &self.timers).finish_non_exhaustive()
    }
}

/// Prints it as in the table.
impl fmt::Debug for SnapshotRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SnapshotRow({})", self.cells().join(" "))
    }
}

const HEAD: [&str; 9] =
    ["fd", "kind", "local", "peer", "waits", "ready", "deadline", "unread", "unsent"];

impl SnapshotRow {
    fn cells(&self) -> [String; HEAD.len()] {
        let dash = || "-".to_owned();
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(dash);
        let bytes = |count: Option<usize>| count.map_or_else(dash, |count| count.to_string());
        [
            self.descriptor.to_string(),
            match self.kind {
                _ if self.is_closed => "closed".to_owned(),
                Some(kind) => kind.to_string(),
                None => dash(),
            },
            or_dash(&self.local),
            or_dash(&self.peer),
            self.each(|direction| {
                let others = match direction.waiters {
                    0 | 1 => String::new(),
                    count => format!(" ({count} tasks)"),
                };
                direction.waits_for.map(|waits| format!("{}{others}", seconds(waits)))
            }),
            self.readiness(),
            self.each(|direction| match direction.deadline_in? {
                Duration::ZERO => Some("passed".to_owned()),
                left => Some(format!("in {}", seconds(left))),
            }),
            bytes(self.unread),
            bytes(self.unsent),
        ]
    }

    /// The text of each direction that has one.
    fn each(&self, text: impl Fn(&SnapshotDirection) -> Option<String>) -> String {
        let texts = [("read", &self.read), ("write", &self.write)]
            .map(|(name, direction)| text(direction).map(|text| format!("{name} {text}")));
        let texts: Vec<String> = texts.into_iter().flatten().collect();
        if texts.is_empty() { "-".to_owned() } else { texts.join(", ") }
    }

    fn readiness(&self) -> String {
        let names = [
            (Ready::READABLE, "read"),
            (Ready::WRITABLE, "write"),
            (Ready::READ_HANGUP, "read hang-up"),
            (Ready::WRITE_HANGUP, "write hang-up"),
            (Ready::ERROR, "error"),
            (Ready::PRIORITY, "urgent"),
        ];
        let set = names.into_iter().filter(|(flag, _)| self.ready.contains(*flag));
        let names: Vec<&str> = set.map(|(_, name)| name).collect();
        if names.is_empty() { "-".to_owned() } else { names.join(", ") }
    }
}

/// A time as text, with a tenth of a second below a minute.
fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        whole @ 60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        whole => format!("{} h {} min", whole / 3600, whole / 60 % 60),
    }
}

/// Prints the table, with the [suspect](Snapshot::suspect) marked, and explained below.
impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suspect = self.suspect();
        let table: Vec<_> = self.rows.iter().map(SnapshotRow::cells).collect();
        let widths: [usize; HEAD.len()] = std::array::from_fn(|column| {
            let cells = table.iter().map(|cells| cells[column].chars().count());
            cells.chain([HEAD[column].len()]).max().unwrap_or(0)
        });
        let mut line = |mark: &str, cells: &[String; HEAD.len()]| {
            let padded = cells.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
                // Numbers stand to the right.
                let to_the_right = [0, 7, 8].contains(&column);
                if to_the_right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            let text = padded.collect::<Vec<_>>().join("  ");
            writeln!(f, "{mark} {}", text.trim_end())
        };
        line(" ", &HEAD.map(str::to_owned))?;
        for (row, cells) in self.rows.iter().zip(&table) {
            let is_suspect = suspect.is_some_and(|(suspect, _)| std::ptr::eq(suspect, row));
            line(if is_suspect { ">" } else { " " }, cells)?;
        }
        let count =
            |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
        writeln!(f, "{}, {}", count(self.rows.len(), "registration"), count(self.timers, "timer"))?;
        if let Some((row, direction)) = suspect {
            let verb = if direction == Direction::Read { "read from" } else { "write to" };
            let peer = row.peer.as_deref().or(row.local.as_deref());
            let peer = peer.map(|peer| format!(", {peer}")).unwrap_or_default();
            let waits = seconds(row.direction(direction).waits_for.unwrap_or_default());
            writeln!(
                f,
                "> a task has waited for {waits} to {verb} descriptor {}{peer}",
                row.descriptor
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
