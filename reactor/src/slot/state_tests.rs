//! Every transition, over every combination of flags (2^15) and a few counters.

use super::*;

const READ_ONLY: u64 = 0x07 << 7 | 1 << 10 | 1 | 1 << 2 | 1 << 5;
const WRITE_ONLY: u64 = 0x0f << 11 | 1 << 1 | 1 << 3;

fn states() -> impl Iterator<Item = State> {
    let counters = [0, 5 << GENERATION_SHIFT, 0xffff << READ_TICK_SHIFT, !0 << GENERATION_SHIFT];
    (0..1u64 << GENERATION_SHIFT)
        .flat_map(move |flags| counters.map(|counters| State(counters | flags)))
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

/// The cell is free for a claim: a waiter in it and nobody inside.
fn claimable(state: State, direction: Direction) -> bool {
    state.0 & side(direction).waits != 0 && state.0 & side(direction).busy == 0
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
fn an_event_is_recorded_counted_and_claims_who_waits() {
    for state in states() {
        for seen in event_sets() {
            let Delivery::Delivered { next, read, write } = state.deliver(state.generation(), seen)
            else {
                panic!("{state:?} took its own event for a stale one");
            };
            assert!(next.ready().contains(seen));
            assert_eq!(next.generation(), state.generation());
            assert_eq!(next.is_closed(), state.is_closed());
            for (direction, owed) in [(Direction::Read, read), (Direction::Write, write)] {
                let told = seen.contains(side(direction).ready);
                let tick = state.tick(direction).wrapping_add(u16::from(told));
                assert_eq!(next.tick(direction), tick);
                assert_eq!(owed.cell, told && claimable(state, direction));
                assert_eq!(owed.list, told && state.0 & side(direction).listed != 0);
                if owed.cell {
                    assert!(!claimable(next, direction), "two would take the same waiter");
                    assert!(next.0 & side(direction).busy != 0, "the taker must be inside");
                }
                if told && !owed.cell {
                    let cell = side(direction).busy | side(direction).waits;
                    assert_eq!(next.0 & cell, state.0 & cell, "a busy cell is left alone");
                }
            }
        }
    }
}

/// I3. What happens in one direction leaves every bit of the other as it was.
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
            let seen = side(direction).ready.union(hangup);
            let Delivery::Delivered { next, .. } = state.deliver(state.generation(), seen) else {
                unreachable!("the generation is its own");
            };
            let mut after = vec![next, state.lapse(direction).0, state.list(direction)];
            after.push(state.claim_waiters(direction).0);
            after.extend(state.drained(direction, state));
            after.extend(state.short(direction, state));
            if let Entry::Entered(entered) = state.enter_cell(direction) {
                after.extend([true, false].map(|full| entered.leave_cell(direction, full)));
            }
            for next in after {
                assert_eq!(next.0 & other, state.0 & other, "{direction:?}: {state:?} -> {next:?}");
            }
        }
    }
}

/// I2. No transition of a tenant reopens it; only the next generation starts anew.
#[test]
fn closed_is_final() {
    for state in states() {
        match state.close() {
            Closing::Already => assert!(state.is_closed()),
            Closing::Closed { next, read, write } => {
                assert!(!state.is_closed() && next.is_closed());
                assert_eq!(read.cell, claimable(state, Direction::Read));
                assert_eq!(write.cell, claimable(state, Direction::Write));
            }
        }
        if !state.is_closed() {
            continue;
        }
        for direction in Direction::BOTH {
            assert!(state.claim_waiters(direction).0.is_closed());
            assert!(state.lapse(direction).0.is_closed());
            assert!(state.list(direction).is_closed());
            assert!(state.drained(direction, state).is_none_or(State::is_closed));
            assert!(state.short(direction, state).is_none_or(State::is_closed));
        }
        let (next, ..) = state.vacate();
        assert!(!next.is_closed() && next.generation() == state.generation().next());
    }
}

#[test]
fn a_new_tenant_inherits_nothing_but_busy_cells() {
    for state in states() {
        let (next, read, write) = state.vacate();
        assert_eq!(next.ready(), Ready::EMPTY);
        for (direction, owed) in [(Direction::Read, read), (Direction::Write, write)] {
            assert!(!next.has_waiter(direction) && !next.has_lapsed(direction));
            assert_eq!(next.tick(direction), 0);
            let busy = state.0 & side(direction).busy != 0;
            assert_eq!(next.0 & side(direction).busy != 0, busy || owed.cell);
        }
    }
}

/// I4, as far as a pure function can hold it: the tick of its own direction decides.
#[test]
fn clearing_is_refused_when_an_event_came_since() {
    for before in states() {
        for direction in Direction::BOTH {
            let Delivery::Delivered { next, .. } =
                before.deliver(before.generation(), side(direction).ready)
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
