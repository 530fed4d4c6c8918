//! Deliberate faults: what a slip of the hand could look like in the code that matters, and what the
//! tests must notice. The `faults` example puts each into a copy of the crates and says which test did.

/// A fault, as a change of a source file.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// What is wrong then.
    pub what: &'static str,
    /// The file, from the workspace.
    pub file: &'static str,
    /// What is there, once.
    pub right: &'static str,
    /// What is there instead.
    pub wrong: &'static str,
}

const STATE: &str = "reactor/src/slot/state.rs";
const SLOT: &str = "reactor/src/slot/mod.rs";
const DEADLINE: &str = "reactor/src/time/deadline.rs";
const SETTERS: &str = "reactor/src/registration/deadline.rs";
const CLOSE: &str = "reactor/src/registration/close.rs";
const STREAM: &str = "adapters/futures/src/stream/mod.rs";
const LISTENER: &str = "adapters/futures/src/listener.rs";
const CONNECT: &str = "adapters/futures/src/tcp/connect.rs";
const LIMIT: &str = "adapters/futures/src/limit.rs";
const WATCH: &str = "adapters/futures/src/timeout/watch.rs";
const FD_MUTEX: &str = "reactor/src/fd_mutex.rs";
const WRITE: &str = "reactor/src/registration/write.rs";
const LEASE: &str = "reactor/src/lease/mod.rs";
const PARKER: &str = "reactor/src/parker.rs";
const SLEEP: &str = "reactor/src/sleep.rs";
const BUDGET: &str = "reactor/src/budget.rs";

/// All of them: the slot's, the deadlines', those of closing, of the write lock, of accepting, of
/// connecting, of who turns, and of the limits of a server.
pub const FAULTS: &[Fault] = &[
    Fault {
        what: "budget: there is none",
        file: BUDGET,
        right: "left => LEFT.set(left - 1),",
        wrong: "_ => {}",
    },
    Fault {
        what: "budget: whoever comes after a busy task is put off",
        file: BUDGET,
        right: "if other == task && first != key && siblings < SIBLINGS",
        wrong: "if first != key && siblings < SIBLINGS",
    },
    Fault {
        what: "slot: an event reaches the next tenant",
        file: STATE,
        right: "if self.generation() != generation {",
        wrong: "if false && self.generation() != generation {",
    },
    Fault {
        what: "slot: readiness is cleared without asking the tick",
        file: STATE,
        right: "(same_tenant && no_event_since && next != self)",
        wrong: "(same_tenant && (no_event_since || true) && next != self)",
    },
    Fault {
        what: "slot: a short read clears although the end was seen",
        file: STATE,
        right: "if self.is_doubtful(direction) { None }",
        wrong: "if false { None }",
    },
    Fault {
        what: "slot: a waiter does not look again after it has sat down",
        file: SLOT,
        right: "        let status = self.status(direction);
        if status != Status::Pending || self.status_after(direction, before) != Status::Pending {
            self.wake_all(direction);
        }
        status
    }",
        wrong: "        let _ = before;
        Status::Pending
    }",
    },
    Fault {
        what: "slot: a waiter that was inside the cell wakes no other for an event that was cleared",
        file: SLOT,
        right: "        if status != Status::Pending || self.status_after(direction, before) != Status::Pending {",
        wrong: "        let _ = before;
        if status != Status::Pending {",
    },
    Fault {
        what: "slot: only the first waiter of a direction is woken",
        file: SLOT,
        right: "if owed.list {",
        wrong: "if owed.list && false {",
    },
    Fault {
        what: "slot: a waiter that leaves keeps what it was woken for",
        file: SLOT,
        right: "        if self.status(direction) != Status::Pending
            || self.status_after(direction, before) != Status::Pending
        {
            self.wake_all(direction);
        }
        drop((seated, listed));",
        wrong: "        let _ = before;
        drop((seated, listed));",
    },
    Fault {
        what: "slot: a passed deadline is asked for before close",
        file: SLOT,
        right: "        if state.is_closed() {
            Status::Closed
        } else if state.has_lapsed(direction) && self.side(direction).deadline.is_expired() {
            Status::Expired
        } else",
        wrong:
            "        if state.has_lapsed(direction) && self.side(direction).deadline.is_expired() {
            Status::Expired
        } else if state.is_closed() {
            Status::Closed
        } else",
    },
    Fault {
        what: "slot: readiness is asked for before the deadline",
        file: SLOT,
        right: "} else if state.has_lapsed(direction) && self.side(direction)",
        wrong: "} else if state.is_ready(direction) {
            Status::Ready(state)
        } else if state.has_lapsed(direction) && self.side(direction)",
    },
    Fault {
        what: "slot: the next tenant inherits the deadline",
        file: SLOT,
        right: "|direction| self.side(*direction).deadline.reset()",
        wrong: "|_| ()",
    },
    Fault {
        what: "slot: epoll is asked for room no more though somebody waits",
        file: "reactor/src/demand.rs",
        right: "if *asked && !somebody_waits() {",
        wrong: "if *asked && (true || !somebody_waits()) {",
    },
    Fault {
        what: "deadline: it fires a millisecond early",
        file: DEADLINE,
        right: "} else if self.time_ns() <= now_ns {",
        wrong: "} else if self.time_ns() <= now_ns + 1_000_000 {",
    },
    Fault {
        what: "deadline: the second direction is forgotten",
        file: SETTERS,
        right: "self.set_each(&Direction::BOTH, deadline);",
        wrong: "self.set_each(&[Direction::Read], deadline);",
    },
    Fault {
        what: "deadline: a past one overwrites what another setter has set",
        file: DEADLINE,
        right: "if self.pending_ns() == Some(time_ns.max(1)) { Word::EXPIRED }",
        wrong: "if self.pending_ns() == Some(time_ns.max(1)) || true { Word::EXPIRED }",
    },
    Fault {
        what: "deadline: a past one ends nothing",
        file: SETTERS,
        right: "slot.expire(directions, at_ns);",
        wrong: "let _ = directions;",
    },
    Fault {
        what: "deadline: a setter returns before the reactor's expiry has taken effect",
        file: DEADLINE,
        right: "(next, next == Word::EXPIRED)",
        wrong: "(next, next != word)",
    },
    Fault {
        what: "deadline: one for both directions expires in two steps",
        file: SLOT,
        right: "woken: self.lapse(read, write),",
        wrong: "woken: self.lapse(read, false) + self.lapse(false, write),",
    },
    Fault {
        what: "deadline: clearing does not revive",
        file: DEADLINE,
        right: "Word(self.0 | CLEARED) } else { Word::NONE }",
        wrong: "Word(self.0 | CLEARED) } else if self == Word::EXPIRED { self } else { Word::NONE }",
    },
    Fault {
        what: "deadline: an earlier one counts as filed",
        file: DEADLINE,
        right: "let covered = self.has(FILED) && self.time_ns() <= time_ns;",
        wrong: "let covered = self.has(FILED) && self != Word::EXPIRED;",
    },
    Fault {
        what: "deadline: an expiry overwrites one that was moved meanwhile",
        file: DEADLINE,
        right: "self.update(|word| word.look(now_ns))",
        wrong: "{
            let (next, look) = Word(self.0.load(Ordering::Acquire)).look(now_ns);
            self.0.store(next.0, Ordering::Release);
            look
        }",
    },
    Fault {
        what: "deadline: a far one wraps",
        file: DEADLINE,
        right: "Word(time_ns.clamp(1, LAST_NS) << TIME_SHIFT | flags)",
        wrong: "Word(time_ns.max(1) << TIME_SHIFT | flags)",
    },
    Fault {
        what: "deadline: the sleeping reactor is not told of an earlier one",
        file: "reactor/src/reactor.rs",
        right: "if self.sleep.needs_waking_by(due_ns(at_ns)) {",
        wrong: "if self.sleep.needs_waking_by(due_ns(at_ns)) && false {",
    },
    Fault {
        what: "sleep: a long one is announced until the end of its first part",
        file: "reactor/src/reactor.rs",
        right: "let sleep = timeout.into_iter().chain(due_in).min();",
        wrong: "let sleep = timeout.into_iter().chain(due_in).min().map(short_of);",
    },
    Fault {
        what: "sleep: the kernel ends a long one late",
        file: SLEEP,
        right: "if whole > MOST_WIDENING {",
        wrong: "if false && whole > MOST_WIDENING {",
    },
    Fault {
        what: "deadline: it can be set on a closed socket",
        file: SETTERS,
        right: "        self.check_open()?;
        self.set_each(&[Direction::Read], deadline);",
        wrong: "        self.set_each(&[Direction::Read], deadline);",
    },
    Fault {
        what: "close: who waits to write is not woken",
        file: SLOT,
        right: "        self.settle(Direction::Write, write);
        true",
        wrong: "        let _ = write;
        true",
    },
    Fault {
        what: "close: it resolves while an operation is inside the descriptor",
        file: CLOSE,
        right: "poll_fn(|cx| registration.gate.poll_done(&registration.closer, cx)).await",
        wrong: "if false { poll_fn(|cx| registration.gate.poll_done(&registration.closer, cx)).await } else { Ok(()) }",
    },
    Fault {
        what: "close: the descriptor stays open until the drop",
        file: CLOSE,
        right: "self.reactor.shared().end(fd)",
        wrong: "Ok(drop(fd))",
    },
    Fault {
        what: "close: a connection whose number cannot be replaced stays open until the drop",
        file: "reactor/src/sys/mod.rs",
        right: "match socket::shutdown(fd, Shutdown::Both) {",
        wrong: "match socket::shutdown(fd, Shutdown::Both).and(Err(io::Error::other(\"a fault\"))) {",
    },
    Fault {
        what: "close: the number of a closed descriptor conveys a directory",
        file: "reactor/src/sys/mod.rs",
        right: "Ok(reader)",
        wrong: "Ok(std::fs::File::open(\"/\").map_or(reader, OwnedFd::from))",
    },
    Fault {
        what: "close: a second one succeeds",
        file: LISTENER,
        right: "let closing = self.registration().begin_close()?;",
        wrong: "let Ok(closing) = self.registration().begin_close() else { return Ok(()) };",
    },
    Fault {
        what: "write lock: a write that waits for room does not keep it",
        file: WRITE,
        right: "            inside.keep_lock();
            self.write_lock = WriteLock::Held;",
        wrong: "            drop(inside);",
    },
    Fault {
        what: "accept: one connection counts as all there are",
        file: "reactor/src/registration/waiting.rs",
        right: "self.poll_attempts(cx, operation, |_| false)",
        wrong: "self.poll_attempts(cx, operation, |_| true)",
    },
    Fault {
        what: "room: a new write waits until the kernel reports some",
        file: "reactor/src/registration/operation.rs",
        right: "let may_find = direction == Direction::Write || state.is_doubtful(direction);",
        wrong: "let may_find = direction == Direction::Read && state.is_doubtful(direction);",
    },
    Fault {
        what: "level: a new read does not look where an error was seen",
        file: "reactor/src/registration/operation.rs",
        right: "let has_to_wait = direction == Direction::Read && self.must_wait(direction);",
        wrong: "let has_to_wait = false;",
    },
    Fault {
        what: "level: an error without data is made an operation of again and again",
        file: "reactor/src/registration/level.rs",
        right: "Polled::Flagged => operation(&mut this).map(Some),",
        wrong: "Polled::Flagged => Ok(None),",
    },
    Fault {
        what: "room: the rest of a write makes an attempt before it waits",
        file: "reactor/src/registration/waiting.rs",
        right: "self.is_new = is_new || matches!",
        wrong: "self.is_new = true || matches!",
    },
    Fault {
        what: "accept: its deadline is that of writing",
        file: LISTENER,
        right: "self.registration().set_deadline(deadline)",
        wrong: "self.registration().set_write_deadline(deadline)",
    },
    Fault {
        what: "connect: its deadline stays with the stream",
        file: CONNECT,
        right: "            registration.set_write_deadline(None)?;\n",
        wrong: "",
    },
    Fault {
        what: "connect: readiness is taken for a connection",
        file: CONNECT,
        right: "if is_connected(registration.get_ref())? {",
        wrong: "if is_connected(registration.get_ref()).is_ok() || true {",
    },
    Fault {
        what: "write lock: a writer that waits does not say so",
        file: FD_MUTEX,
        right: "(word & LOCKED != 0).then_some(word | WAITED)",
        wrong: "(word & LOCKED != 0).then_some(word)",
    },
    Fault {
        what: "write lock: a writer that was woken and is dropped wakes no other",
        file: FD_MUTEX,
        right: "if was_woken && !self.mark_waited() {",
        wrong: "if false && was_woken && !self.mark_waited() {",
    },
    Fault {
        what: "lease: who leaves lets the thread sleep",
        file: LEASE,
        right: "        if left.is_asleep() {\n            self.wake_thread();",
        wrong: "        if left.is_asleep() {",
    },
    Fault {
        what: "lease: who leaves a reactor without a thread calls nobody",
        file: LEASE,
        right: "        } else if self.thread.is_none() {",
        wrong: "        } else if false {",
    },
    Fault {
        what: "lease: who joins the sleepers does not try again",
        file: LEASE,
        right: "let taken = self.come(wants);",
        wrong: "let taken = wants && false;",
    },
    Fault {
        what: "lease: the thread never takes over",
        file: LEASE,
        right: "Holder::Nobody if stands => self.take_over(),",
        wrong: "Holder::Nobody if stands => Duty::Tick,",
    },
    Fault {
        what: "lease: the thread never hands over",
        file: LEASE,
        right: "let wanted = self.state().is_wanted();",
        wrong: "let wanted = false;",
    },
    Fault {
        what: "parker: a driver that is woken sleeps in the reactor",
        file: PARKER,
        right: "self.word.load(Ordering::Acquire) == NOTIFIED",
        wrong: "false",
    },
    Fault {
        what: "parker: a driver that wakes itself forgets it",
        file: PARKER,
        right: "            DRIVER.with(|driver| driver.set((self.address(), true)));\n",
        wrong: "",
    },
    Fault {
        what: "parker: who wakes signals without the lock",
        file: PARKER,
        right: "        drop(lock(&self.lock));\n",
        wrong: "",
    },
    Fault {
        what: "sleep: who wakes a driver only reads",
        file: SLEEP,
        right: "self.until.fetch_or(0, Ordering::AcqRel) > NOTIFIED",
        wrong: "self.until.load(Ordering::Acquire) > NOTIFIED",
    },
    Fault {
        what: "close: what the object says now is ended, whatever it is",
        file: "reactor/src/registration/mod.rs",
        right: ".filter(|fd| fd.as_raw_fd() == self.number)",
        wrong: ".filter(|fd| fd.as_raw_fd() == self.number || true)",
    },
    Fault {
        what: "limit: who finds no place leaves no word",
        file: LIMIT,
        right: "state.refuse(who());",
        wrong: "drop(who());",
    },
    Fault {
        what: "close: a task that sees the end finds the values that were held until then",
        file: "reactor/src/gate.rs",
        right: "ended: io::Result<()>) {
        drop_all(closer.take_held());",
        wrong: "ended: io::Result<()>) {",
    },
    Fault {
        what: "limit: a stream that is closed keeps its place",
        file: STREAM,
        right: "registration.hold_until_closed(place);",
        wrong: "std::mem::forget(place);",
    },
    Fault {
        what: "timeout: who asks again waits anew",
        file: WATCH,
        right: "if !state.reads {",
        wrong: "if !state.reads || true {",
    },
    Fault {
        what: "timeout: who takes a little is stalled",
        file: WATCH,
        right: "let got_on = not_taken(stream) < before;",
        wrong: "let got_on = before == usize::MAX;",
    },
    Fault {
        what: "timeout: what has come in time is not read",
        file: WATCH,
        right: "let has_come = state.reads && has_come(stream);",
        wrong: "let has_come = state.reads && has_come(stream) && false;",
    },
];
