//! Late events and clears for a tenant of a slot, against the next tenant.

use std::sync::Arc;

use loom::thread;

use super::deadline::filed_or_asked_for;
use super::fixtures::{Task, check, deliver, explore};
use crate::arena::{Arena, OwnedSlot};
use crate::ready::Direction::Read;
use crate::ready::Ready;
use crate::slot::Status;
use crate::sync::{AtomicBool, Ordering};
use crate::time::deadline::SetAction;
use crate::wake::wake;

/// A slot with a new tenant, which waits for readiness.
struct Reused {
    slot: OwnedSlot,
    task: Task,
}

impl Reused {
    /// The tenant goes, and another comes.
    fn after(arena: &Arc<Arena>, first: OwnedSlot) -> Self {
        drop(first);
        let slot = Arena::allocate(arena.clone()).unwrap();
        Self { task: Task::future(), slot }
    }

    fn waiting(mut self) -> Self {
        assert_eq!(self.task.wait(&self.slot, Read), Status::Pending);
        self
    }
}

/// An event for a descriptor that is gone arrives while its slot changes hands. The next tenant
/// sees no readiness, its state is as if there had been no event, and its waiter still gets the
/// next event that is meant for it. The old tenant's waker is dropped.
#[test]
fn late_event_after_reuse() {
    explore(|| {
        let arena = Arena::new();
        let first = Arena::allocate(arena.clone()).unwrap();
        let token = first.token();
        let left_behind = Task::polling().seated(&first, Read);
        let reused = {
            let arena = arena.clone();
            thread::spawn(move || Reused::after(&arena, first).waiting())
        };
        let _ = arena.slot(token.index).unwrap().deliver(token.generation, Ready::READABLE, wake);
        let Reused { slot, task } = reused.join().unwrap();
        assert!(left_behind.is_forgotten());

        assert_ne!(slot.token(), token);
        assert_eq!((slot.state().ready(), slot.state().tick(Read)), (Ready::EMPTY, 0));
        assert_eq!(slot.status(Read), Status::Pending);

        deliver(&slot, Ready::READABLE);
        assert!(task.was_woken() && task.is_forgotten());
    });
}

/// The reactor checks a deadline that is due while the slot changes hands, and the next tenant
/// sets a deadline of its own: that one does not expire. The check has filed the slot for it, or its setter asks for a check.
#[test]
fn late_expiry_after_reuse() {
    explore(|| {
        let arena = Arena::new();
        let first = Arena::allocate(arena.clone()).unwrap();
        let index = first.index;
        assert_eq!(first.set_deadline(Read, 10), SetAction::Arm);
        assert_eq!(check(&first, 0).again_ns, Some(10));
        let reused = {
            let arena = arena.clone();
            thread::spawn(move || {
                let reused = Reused::after(&arena, first);
                let action = reused.slot.set_deadline(Read, 20);
                (reused.waiting(), action)
            })
        };
        let checked = check(arena.slot(index).unwrap(), 10);
        let (Reused { slot, task }, action) = reused.join().unwrap();
        assert!(filed_or_asked_for(checked, action, 20), "{checked:?}, {action:?}");
        assert_eq!(slot.status(Read), Status::Pending);

        assert_eq!(check(&slot, 20).expired, 1);
        assert!(task.was_woken() && task.is_forgotten());
        assert_eq!(slot.status(Read), Status::Expired);
    });
}

/// A tenant comes while the reactor is shut down: it is refused, or it is told with the others.
#[test]
fn new_tenant_against_shutdown() {
    explore(|| {
        let arena = Arena::new();
        drop(Arena::allocate(arena.clone()).unwrap());
        let tenant = {
            let arena = arena.clone();
            thread::spawn(move || Arena::allocate(arena.clone()).ok())
        };
        for index in 0..arena.seal() {
            arena.slot(index).unwrap().close();
        }
        let tenant = tenant.join().unwrap();
        assert!(tenant.is_none_or(|slot| slot.status(Read) == Status::Closed));
        assert!(Arena::allocate(arena.clone()).is_err());
    });
}

/// A snapshot makes a call on the number of a descriptor while its owner gives the descriptor up and the number gets
/// another one. If the call meets the other descriptor, the snapshot finds out.
#[test]
fn snapshot_against_a_number_that_changes_hands() {
    explore(|| {
        let arena = Arena::new();
        let slot = Arc::new(Arena::allocate(arena.clone()).unwrap());
        slot.set_number(7);
        // The kernel's table: whether the number stands for another descriptor.
        let is_other = Arc::new(AtomicBool::new(false));
        let owner = {
            let (slot, is_other) = (slot.clone(), is_other.clone());
            thread::spawn(move || {
                slot.forget_number();
                is_other.swap(true, Ordering::AcqRel);
            })
        };
        let view = slot.view();
        if view.number.is_some() {
            let met_other = is_other.fetch_or(false, Ordering::AcqRel);
            assert!(!met_other || !slot.is_still(&view));
        }
        owner.join().unwrap();
        assert!(!slot.is_still(&view));
    });
}
