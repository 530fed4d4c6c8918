//! Deadlines: the reactor's check, the setter and the waiter.

use std::sync::Arc;

use loom::thread;

use super::fixtures::{Task, check, explore, explore_up_to};
use crate::ready::Direction::Read;
use crate::slot::{Checked, Slot, Status};
use crate::time::deadline::SetAction;

/// A slot with a read deadline for which the reactor has filed it.
fn filed(at_ns: u64) -> Arc<Slot> {
    let slot = Arc::new(Slot::new(0));
    assert_eq!(slot.set_deadline(Read, at_ns), SetAction::Arm);
    assert_eq!(check(&slot, 0).again_ns, Some(at_ns));
    slot
}

/// That a deadline to come is the reactor's to check or the setter's to ask for, after the check
/// for which the reactor had filed the slot. There is no third: it would never expire.
pub(super) fn filed_or_asked_for(checked: Checked, action: SetAction, at_ns: u64) -> bool {
    match action {
        SetAction::Nothing | SetAction::ExpireIfPassed => {
            checked == Checked { again_ns: Some(at_ns), expired: 0 }
        }
        SetAction::Arm => checked.again_ns.is_none_or(|again| again == at_ns),
    }
}

/// A task that waits while its deadline expires finds it expired, or is woken for it.
#[test]
fn deadline_against_waiter() {
    explore(|| {
        let slot = filed(10);
        let waiter = Task::future().wait_on_a_thread(&slot, Read);
        assert_eq!(check(&slot, 10).expired, 1);
        let task = waiter.join().unwrap();
        assert!(task.is_served());
        assert_eq!(slot.status(Read), Status::Expired);
        assert!(task.is_forgotten());
    });
}

/// The same when it is not the first to expire: the slot says already that a deadline has expired,
/// so the waiter reads the deadline's word from the beginning.
#[test]
fn later_deadline_against_waiter() {
    explore(|| {
        let slot = filed(10);
        assert_eq!(check(&slot, 10).expired, 1);
        assert_eq!(slot.set_deadline(Read, 20), SetAction::Arm);
        let waiter = Task::future().wait_on_a_thread(&slot, Read);
        assert_eq!(check(&slot, 20).expired, 1);
        let task = waiter.join().unwrap();
        assert!(task.is_served());
        assert_eq!(slot.status(Read), Status::Expired);
    });
}

/// A task that waits while another thread sets its deadline to a time that has passed: that thread
/// expires it itself, and the task finds it expired or is woken.
#[test]
fn past_deadline_against_waiter() {
    explore(|| {
        let slot = Arc::new(Slot::new(0));
        let waiter = Task::future().wait_on_a_thread(&slot, Read);
        assert_eq!(slot.set_deadline(Read, 10), SetAction::Arm);
        let _ = slot.expire(&[Read], 10);
        let task = waiter.join().unwrap();
        assert!(task.is_served());
        assert_eq!(slot.status(Read), Status::Expired);
        assert!(task.is_forgotten());
    });
}

/// A setter finds that its time has passed, and another has meanwhile set a later one: that one
/// stands, and one of the two setters asks the reactor to check it. A third task waits for the later one, whatever it was
/// woken for.
#[test]
fn past_deadline_against_a_later_setter() {
    explore_up_to(3, || {
        let slot = Arc::new(Slot::new(0));
        assert_eq!(slot.set_deadline(Read, 10), SetAction::Arm);
        let waiter = Task::future().wait_on_a_thread(&slot, Read);
        let setter = {
            let slot = slot.clone();
            thread::spawn(move || slot.set_deadline(Read, 20))
        };
        let has_expired = slot.expire(&[Read], 10);
        let action = setter.join().unwrap();
        assert_eq!(action, if has_expired { SetAction::Arm } else { SetAction::Nothing });
        let task = waiter.join().unwrap();
        assert_eq!(slot.status(Read), Status::Pending);
        assert_eq!(check(&slot, 20).expired, 1);
        assert!(task.is_served());
    });
}

/// A setter finds that its time has passed, and so does the reactor, at the same moment. Whichever of
/// them expires it: when the setter returns, it has taken effect.
#[test]
fn past_deadline_against_the_reactors_check() {
    explore(|| {
        let slot = filed(20);
        assert_eq!(slot.set_deadline(Read, 10), SetAction::Arm);
        let reactor = {
            let slot = slot.clone();
            thread::spawn(move || check(&slot, 10))
        };
        let _ = slot.expire(&[Read], 10);
        assert_eq!(slot.status(Read), Status::Expired);
        let _ = reactor.join().unwrap();
    });
}

/// A deadline expires while a second task begins to wait: both are woken, or the second finds it expired.
#[test]
fn second_waiter_against_deadline() {
    explore(|| {
        let slot = filed(10);
        let first = Task::future().seated(&slot, Read);
        let second = Task::future().wait_on_a_thread(&slot, Read);
        assert_eq!(check(&slot, 10).expired, 1);
        let second = second.join().unwrap();
        assert!(first.was_woken() && second.is_served());
        assert!(first.is_forgotten() && second.is_forgotten());
    });
}

/// A deadline is moved away while the reactor checks it at its old time. It is never expired
/// afterwards. If the move came first, the check changed nothing and woke no task; if the check came
/// first, the setter asks for another. Either way, the reactor will check at the new time.
#[test]
fn deadline_set_against_firing() {
    explore(|| {
        let slot = filed(10);
        let task = Task::future().seated(&slot, Read);
        let setter = {
            let slot = slot.clone();
            thread::spawn(move || slot.set_deadline(Read, 20))
        };
        let checked = check(&slot, 10);
        let action = setter.join().unwrap();
        assert_eq!(slot.status(Read), Status::Pending);
        assert!(filed_or_asked_for(checked, action, 20), "{checked:?}, {action:?}");
        // Both may have come to pass only in this order: it fired, and then it was set.
        assert_eq!(checked.expired == 1, action == SetAction::Arm);
        assert_eq!(task.was_woken(), checked.expired == 1);
        assert_eq!(slot.state().has_expired(Read), checked.expired == 1);
    });
}

/// The same where the setter first clears the deadline and then sets the later one: the flag
/// outlives the clearing, or the check has taken it back and the setter asks.
#[test]
fn deadline_cleared_and_set_against_firing() {
    explore(|| {
        let slot = filed(10);
        let setter = {
            let slot = slot.clone();
            thread::spawn(move || {
                slot.clear_deadline(Read);
                slot.set_deadline(Read, 20)
            })
        };
        let checked = check(&slot, 10);
        let action = setter.join().unwrap();
        assert_eq!(slot.status(Read), Status::Pending);
        assert!(filed_or_asked_for(checked, action, 20), "{checked:?}, {action:?}");
    });
}

/// A deadline is cleared and set to a time that has passed, while the reactor checks the slot for the place that it kept in the
/// wheel: it has expired when the setter returns, and the task that waits is woken.
#[test]
fn deadline_cleared_and_set_to_the_past_against_firing() {
    explore_up_to(3, || {
        let slot = filed(10);
        slot.clear_deadline(Read);
        let waiter = Task::future().wait_on_a_thread(&slot, Read);
        let reactor = {
            let slot = slot.clone();
            thread::spawn(move || check(&slot, 15))
        };
        assert_ne!(slot.set_deadline(Read, 12), SetAction::Nothing);
        assert!(slot.expire(&[Read], 12));
        assert_eq!(slot.status(Read), Status::Expired);
        let _ = reactor.join().unwrap();
        let task = waiter.join().unwrap();
        assert!(task.is_served());
        assert!(task.is_forgotten());
    });
}

/// Two threads move a deadline to different times while the reactor checks the old one. The one
/// that stands is filed by the check, or a setter asks for a check by that time.
#[test]
fn two_setters_against_firing() {
    explore(|| {
        let slot = filed(10);
        let setters = [20, 30].map(|at_ns| {
            let slot = slot.clone();
            thread::spawn(move || slot.set_deadline(Read, at_ns))
        });
        let checked = check(&slot, 10);
        let actions = setters.map(|setter| setter.join().unwrap());
        assert_eq!(slot.status(Read), Status::Pending);
        let stands = check(&slot, 10).again_ns.unwrap();
        let filed = checked.again_ns.is_some_and(|again| again <= stands);
        let asks = |(action, at): (&SetAction, u64)| *action == SetAction::Arm && at <= stands;
        assert!(filed || actions.iter().zip([20, 30]).any(asks), "{checked:?}, {actions:?}");
    });
}

/// A deadline is moved away again after it expired, while the task it expired for polls: the task
/// fails, or waits for the new time and is woken at it. It does not wait for nothing.
#[test]
fn deadline_moved_after_expiry_against_waiter() {
    explore_up_to(3, || {
        let slot = filed(10);
        let waiter = Task::future().wait_on_a_thread(&slot, Read);
        let setter = {
            let slot = slot.clone();
            thread::spawn(move || slot.set_deadline(Read, 20))
        };
        let _ = check(&slot, 10);
        let _ = setter.join().unwrap();
        assert_eq!(check(&slot, 20).expired, 1);
        let task = waiter.join().unwrap();
        assert!(task.is_served());
        assert_eq!(slot.status(Read), Status::Expired);
    });
}
