//! Every transition, over every combination of flags (2^12) and a few counters.

use super::*;

const READ_ONLY: u64 = 1 << 7 | 1 << 10 | 1 | 1 << 2 | 1 << 5;
const WRITE_ONLY: u64 = 0x03 << 8 | 1 << 11 | 1 << 1 | 1 << 3;

/// How many flags there are.
const FLAGS: u32 = 12;

fn states() -> impl Iterator<Item = State> {
    let counters = [0, 5 << GENERATION_SHIFT, 0xffff << READ_TICK_SHIFT, !0 << GENERATION_SHIFT];
    (0..1u64 << FLAGS).flat_map(move |flags| counters.map(|counters| State(counters | flags)))
}

fn event_sets() -> [Ready; 6] {
    [
        Ready::READABLE,
        Ready::WRITABLE,
        Ready::READABLE.union(Ready::WRITABLE),
        Ready::READABLE.union(Ready::READ_HANGUP),
        Ready::READABLE.union(Ready::PRIORITY),
        Ready::from_bits(0x1f),
    ]
}

#[test]
fn an_event_for_another_generation_is_stale() {
    for state in states().step_by(7) {
        let other = Generation::from_bits(state.generation().bits() ^ 1 << (GENERATION_BITS - 1));
        assert_eq!(state.deliver(other, Ready::READABLE), Delivery::Stale);
        assert_eq!(state.deliver(state.generation().next(), Ready::READABLE), Delivery::Stale);
    }
}

#[test]
fn an_event_is_recorded_counted_and_claims_its_waiters() {
    for state in states() {
        for seen in event_sets() {
            let Delivery::Delivered { next, claimed } = state.deliver(state.generation(), seen)
            else {
                panic!("{state:?} took its own event for a stale one");
            };
            assert!(next.ready().contains(seen));
            assert_eq!(next.generation(), state.generation());
            assert_eq!(next.is_closed(), state.is_closed());
            for direction in Direction::BOTH {
                let has_event = seen.contains(bits(direction).ready);
                let tick = state.tick(direction).wrapping_add(u16::from(has_event));
                assert_eq!(next.tick(direction), tick);
                let queue = Queue::from(direction);
                assert_eq!(claimed.includes(queue), has_event && state.has_waiter(queue));
                assert_eq!(next.has_waiter(queue), !has_event && state.has_waiter(queue));
            }
            assert!(!claimed.includes(Queue::WriteLock), "an event does not give the lock");
            assert_eq!(next.has_waiter(Queue::WriteLock), state.has_waiter(Queue::WriteLock));
        }
    }
}

/// I3. A transition of one direction leaves every bit of the other as it was.
#[test]
fn directions_are_independent() {
    let read_bits = READ_ONLY | 0xffff << READ_TICK_SHIFT;
    let write_bits = WRITE_ONLY | 0xffff << WRITE_TICK_SHIFT;
    let cases = [
        (Direction::Read, Ready::READ_HANGUP, write_bits),
        (Direction::Write, Ready::WRITE_HANGUP, read_bits),
    ];
    for state in states() {
        for (direction, hangup, other) in cases {
            let seen = bits(direction).ready.union(hangup);
            let Delivery::Delivered { next, .. } = state.deliver(state.generation(), seen) else {
                unreachable!("the generation is its own");
            };
            let (read, write) = (direction == Direction::Read, direction == Direction::Write);
            let mut after = vec![next, state.expire(read, write).0];
            for queue in Queue::ALL.into_iter().filter(|queue| queue.direction() == direction) {
                after.extend([state.with_waiter(queue), state.without_waiters(queue)]);
            }
            after.extend(state.drained(direction, state));
            after.extend(state.short(direction, state));
            for next in after {
                assert_eq!(next.0 & other, state.0 & other, "{direction:?}: {state:?} -> {next:?}");
            }
        }
    }
}

#[test]
fn an_expiry_claims_every_waiter_of_its_direction() {
    for state in states() {
        for (read, write) in [(false, false), (true, false), (false, true), (true, true)] {
            let (next, claimed) = state.expire(read, write);
            for queue in Queue::ALL {
                let expires = if queue == Queue::Read { read } else { write };
                assert_eq!(claimed.includes(queue), expires && state.has_waiter(queue));
                assert_eq!(next.has_waiter(queue), !expires && state.has_waiter(queue));
            }
            assert_eq!(
                next.has_expired(Direction::Read),
                read || state.has_expired(Direction::Read)
            );
            let write = write || state.has_expired(Direction::Write);
            assert_eq!(next.has_expired(Direction::Write), write);
        }
    }
}

/// I2. No transition of a tenant reopens it; only the next generation starts anew.
#[test]
fn closed_is_final() {
    for state in states() {
        match state.close() {
            None => assert!(state.is_closed()),
            Some((next, claimed)) => {
                assert!(!state.is_closed() && next.is_closed());
                for queue in Queue::ALL {
                    assert_eq!(claimed.includes(queue), state.has_waiter(queue));
                    assert!(!next.has_waiter(queue));
                }
            }
        }
        if !state.is_closed() {
            continue;
        }
        assert!(state.expire(true, true).0.is_closed());
        for queue in Queue::ALL {
            assert!(
                state.with_waiter(queue).is_closed() && state.without_waiters(queue).is_closed()
            );
        }
        for direction in Direction::BOTH {
            assert!(state.drained(direction, state).is_none_or(State::is_closed));
            assert!(state.short(direction, state).is_none_or(State::is_closed));
        }
        let next = state.vacate();
        assert!(!next.is_closed() && next.generation() == state.generation().next());
    }
}

#[test]
fn a_new_tenant_inherits_nothing() {
    for state in states() {
        let next = state.vacate();
        assert_eq!(next.0, next.generation().bits() << GENERATION_SHIFT);
    }
}

/// I4, as far as a pure function can hold it: the tick of its own direction decides.
#[test]
fn clearing_is_refused_when_an_event_came_since() {
    for before in states() {
        for direction in Direction::BOTH {
            let Delivery::Delivered { next, .. } =
                before.deliver(before.generation(), bits(direction).ready)
            else {
                unreachable!("the generation is its own");
            };
            assert_eq!(next.drained(direction, before), None);
            assert_eq!(next.short(direction, before), None);
            let cleared = next.drained(direction, next).expect("it is readable");
            assert!(!cleared.is_ready(direction));
        }
    }
}

/// Counters cut short have lost edges: 256 events in a row looked like none (tokio#8331).
#[test]
fn any_number_of_events_up_to_65535_is_seen() {
    let before = State(1);
    let mut now = before;
    for count in 1..=65_535u32 {
        let Delivery::Delivered { next, .. } = now.deliver(now.generation(), Ready::READABLE)
        else {
            unreachable!("the generation is its own");
        };
        now = next;
        assert_eq!(now.drained(Direction::Read, before), None, "lost after {count} events");
    }
}

#[test]
fn writes_do_not_keep_a_reader_from_clearing() {
    let before = State(0b11);
    let mut now = before;
    for _ in 0..1000 {
        let Delivery::Delivered { next, .. } = now.deliver(now.generation(), Ready::WRITABLE)
        else {
            unreachable!("the generation is its own");
        };
        now = next;
    }
    let cleared =
        now.drained(Direction::Read, before).expect("tokio#8054: a shared tick livelocks");
    assert!(!cleared.is_ready(Direction::Read) && cleared.is_ready(Direction::Write));
}

#[test]
fn a_short_transfer_proves_nothing_after_an_end_an_error_or_an_urgent_mark() {
    for state in states() {
        for direction in Direction::BOTH {
            let doubts: &[Ready] = match direction {
                Direction::Read => &[Ready::READ_HANGUP, Ready::ERROR, Ready::PRIORITY],
                Direction::Write => &[Ready::WRITE_HANGUP, Ready::ERROR],
            };
            let doubtful = doubts.iter().any(|doubt| state.ready().contains(*doubt));
            let cleared = state.short(direction, state);
            assert_eq!(cleared.is_some(), state.is_ready(direction) && !doubtful, "{state:?}");
        }
    }
}

#[test]
fn would_block_clears_even_after_a_hangup_so_that_nothing_spins() {
    for state in states().filter(|state| state.is_ready(Direction::Read)) {
        let cleared = state.drained(Direction::Read, state).expect("it is readable");
        assert!(!cleared.is_ready(Direction::Read));
        assert!(!cleared.ready().contains(Ready::PRIORITY));
    }
}
