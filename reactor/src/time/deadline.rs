//! The deadline word of one direction: none, a time, or expired.
//!
//! # Changes of the word
//!
//! - **A setter** stores a time, or clears the word. If the time has passed already, the setter expires
//!   the word itself, by a compare-and-swap from the time that it stored: another setter may have
//!   stored another time since.
//! - **The reactor** checks the word when the time comes for which the wheel holds the slot, and when
//!   the slot is in the arm queue. It expires a time that is due, by a compare-and-swap from that very
//!   time. So a deadline that a setter moves away in the same instant is never reported as a timeout.
//! - **An operation** only reads the word.
//!
//! # The time that is covered
//!
//! Where the word has a time, the reactor will check the slot by that time, or earlier, for one of these reasons: the wheel holds the
//! slot for that time or an earlier one; or the slot is in the arm queue; or a setter is about to put it there, since it stored
//! that time or an earlier one. When the reactor has taken the slot out of the wheel or the queue, its check of the word comes next. If
//! the check leaves a time to come, the reactor files the slot for it. If not, the check leaves no time in the word.
//!
//! So a setter that moves a pending time *later* needs no queue, no lock and no wheel. Such a move is one
//! compare-and-swap. (A plain store would overwrite an expiry that took the slot out of the wheel, and the reactor would never
//! check the new time.)
//!
//! Every other setter of a time arms: it puts the slot into the arm queue. There are two exceptions:
//!
//! - A setter whose time has passed expires the word itself. If it cannot, because another setter has moved the time later
//!   or cleared it since, it arms too: the next setter relies on it.
//! - A setter of a later time on a word that was cleared, as follows.
//!
//! A setter that stores "no deadline" keeps the time, and adds `CLEARED`: the time is then no
//! deadline, but it is still covered. So the next setter with a later time puts nothing into
//! the arm queue. It only compares its time with the clock. If the new time has passed, so has the time that was cleared, but perhaps
//! no turn has come yet: the setter does not wait for it, and expires the word itself. The end of a tenancy clears the word in the
//! same way: the reactor checks the slot, whichever tenant it has. So a timeout that is dropped before it fires leaves its place in
//! the wheel to the next one.
//!
//! All of this happens in one word by read-modify-write, so it needs no ordering between words. A change that would leave the
//! word as it is makes no write. Its load may be older than another thread's change, without harm. A setter that has changed
//! the word since has moved a time later, or arms. If the reactor's check sees the earlier time and leaves it, it files the
//! slot too early, and checks it once more.

use crate::sync::{AtomicU64, LoadToSwap, Ordering};

const CLEARED: u64 = 1;
const TIME_SHIFT: u32 = 1;

/// The last time a word can hold, 292 years after the clock began. It stands for every later time, and never
/// comes: a deadline is not early, even on a clock that is moved so far by hand. It is one below the largest time
/// that the bits hold: that one, cleared, would be the word [`EXPIRED`](Word::EXPIRED).
const LAST_NS: u64 = (u64::MAX >> TIME_SHIFT) - 1;

/// A snapshot of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(u64);

/// The next step of a setter after its store. Of two directions, the greater one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use]
pub(crate) enum SetAction {
    /// None: the reactor will check the slot in time, or another setter is about to ask for it.
    Nothing,
    /// If the time is still to come, none: the reactor will check the slot in time. If it has passed, expire the word.
    ExpireIfPassed,
    /// Ask the reactor to check the slot.
    Arm,
}

/// The result of the reactor's check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Expiry {
    /// The word holds no time to come.
    Idle,
    /// The reactor must check again at this time.
    Again(u64),
    /// The time was due, and this check has expired it.
    Expired,
}

impl Expiry {
    pub(crate) fn again_ns(self) -> Option<u64> {
        if let Expiry::Again(at_ns) = self { Some(at_ns) } else { None }
    }
}

impl Word {
    pub(crate) const NONE: Word = Word(0);
    pub(crate) const EXPIRED: Word = Word(u64::MAX);

    #[inline]
    fn at(time_ns: u64) -> Word {
        Word(time_ns.clamp(1, LAST_NS) << TIME_SHIFT)
    }

    #[inline]
    fn time_ns(self) -> u64 {
        self.0 >> TIME_SHIFT
    }

    #[inline]
    fn is_cleared(self) -> bool {
        self.0 & CLEARED != 0
    }

    /// A setter moves a pending time later, or stores a time later than the one that was cleared. `None`
    /// for any other word: an expired one reads as a time above [`LAST_NS`], so no setter moves it later.
    #[inline]
    fn moved_away(self, time_ns: u64) -> Option<Word> {
        let time_ns = time_ns.min(LAST_NS);
        let is_covered = self != Word::NONE && self.time_ns() <= time_ns;
        is_covered.then_some(Word(time_ns << TIME_SHIFT))
    }

    /// A setter stores a time to come.
    pub(crate) fn set(self, time_ns: u64) -> (Word, SetAction) {
        match self.moved_away(time_ns) {
            Some(moved) if self.is_cleared() => (moved, SetAction::ExpireIfPassed),
            Some(moved) => (moved, SetAction::Nothing),
            None => (Word::at(time_ns), SetAction::Arm),
        }
    }

    /// A setter finds that the time it stored has passed. If another setter has changed the word since, the word
    /// stays.
    pub(crate) fn expire(self, time_ns: u64) -> Word {
        if self.pending_ns() == Some(time_ns.max(1)) { Word::EXPIRED } else { self }
    }

    /// The time to come that the word holds.
    pub(crate) fn pending_ns(self) -> Option<u64> {
        let none = self == Word::EXPIRED || self == Word::NONE || self.is_cleared();
        (!none).then(|| self.time_ns())
    }

    /// A setter stores "no deadline".
    pub(crate) fn clear(self) -> Word {
        if self != Word::EXPIRED && self != Word::NONE {
            Word(self.0 | CLEARED)
        } else {
            Word::NONE
        }
    }

    /// The reactor checks the word at `now_ns`.
    pub(crate) fn check(self, now_ns: u64) -> (Word, Expiry) {
        if self == Word::EXPIRED || self == Word::NONE || self.is_cleared() {
            let settled = if self == Word::EXPIRED { self } else { Word::NONE };
            (settled, Expiry::Idle)
        } else if self.time_ns() == LAST_NS && now_ns >= LAST_NS {
            (Word::NONE, Expiry::Idle)
        } else if self.time_ns() <= now_ns {
            (Word::EXPIRED, Expiry::Expired)
        } else {
            (self, Expiry::Again(self.time_ns()))
        }
    }
}

/// The word itself.
#[derive(Debug)]
pub(crate) struct DeadlineWord(AtomicU64);

impl DeadlineWord {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(Word::NONE.0))
    }

    /// Whether operations fail. The caller has seen the flag "expired" in the state word, by an acquire load, so it
    /// sees the expiry that the other thread stored before the flag.
    pub(crate) fn is_expired(&self) -> bool {
        Word(self.0.load(Ordering::Acquire)) == Word::EXPIRED
    }

    /// The time to come, or 0 if it has passed. For a snapshot.
    pub(crate) fn seen_ns(&self) -> Option<u64> {
        let word = Word(self.0.load(Ordering::Acquire));
        if word == Word::EXPIRED { Some(0) } else { word.pending_ns() }
    }

    /// Stores a time. The caller checks afterwards whether it has passed.
    #[inline]
    pub(crate) fn set(&self, time_ns: u64) -> SetAction {
        if self.moved_away(time_ns) { SetAction::Nothing } else { self.set_anew(time_ns) }
    }

    /// The common case, inline: a pending time is moved later, and no other thread changes the word.
    #[inline]
    fn moved_away(&self, time_ns: u64) -> bool {
        let seen = self.0.load_to_swap(Ordering::Relaxed);
        let moved = Word(seen).moved_away(time_ns).filter(|_| !Word(seen).is_cleared());
        moved.is_some_and(|next| {
            self.0.compare_exchange(seen, next.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        })
    }

    #[inline(never)]
    fn set_anew(&self, time_ns: u64) -> SetAction {
        self.update(|word| word.set(time_ns))
    }

    /// Also at the end of a tenancy.
    pub(crate) fn clear(&self) {
        self.update(|word| (word.clear(), ()));
    }

    /// The setter finds that the time it stored has passed: expires the word, unless another setter has changed
    /// it. True if the word is expired now: the caller must then mark the expiry in the state. This holds also
    /// where the reactor has expired the word and has not marked the state yet: the setter must not return
    /// before the expiry takes effect.
    pub(crate) fn expire(&self, time_ns: u64) -> bool {
        self.update(|word| {
            let next = word.expire(time_ns);
            (next, next == Word::EXPIRED)
        })
    }

    /// The reactor's check. After [`Expiry::Expired`] the caller must mark the expiry in the state.
    pub(crate) fn check(&self, now_ns: u64) -> Expiry {
        self.update(|word| word.check(now_ns))
    }

    #[inline]
    fn update<R>(&self, transition: impl Fn(Word) -> (Word, R)) -> R {
        let mut seen = self.0.load_to_swap(Ordering::Relaxed);
        loop {
            let (next, result) = transition(Word(seen));
            if next.0 == seen {
                return result;
            }
            match self.0.compare_exchange_weak(seen, next.0, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return result,
                Err(changed) => seen = changed,
            }
        }
    }
}

#[cfg(test)]
#[cfg(not(netpoll_loom))]
mod tests {
    use super::*;

    const WORDS: [Word; 6] = [
        Word::NONE,
        Word::EXPIRED,
        Word(50 << TIME_SHIFT),
        Word(50 << TIME_SHIFT | CLEARED),
        Word(LAST_NS << TIME_SHIFT),
        Word(LAST_NS << TIME_SHIFT | CLEARED),
    ];

    #[test]
    fn a_setter_asks_for_a_check_unless_the_word_holds_an_earlier_time() {
        for word in WORDS {
            for time in [1, 49, 50, 51, LAST_NS, u64::MAX] {
                let (next, action) = word.set(time);
                let has_time = word != Word::EXPIRED && word != Word::NONE;
                let is_covered = has_time && word.time_ns() <= time.min(LAST_NS);
                let expected = match word.is_cleared() {
                    _ if !is_covered => SetAction::Arm,
                    true => SetAction::ExpireIfPassed,
                    false => SetAction::Nothing,
                };
                assert_eq!(action, expected, "{word:?} set {time}");
                assert_eq!(next.time_ns(), time.clamp(1, LAST_NS));
                assert_ne!(next, Word::EXPIRED, "a far deadline must not read as expired");
            }
        }
    }

    #[test]
    fn a_check_expires_a_due_deadline_and_never_an_earlier_one() {
        for word in WORDS {
            for now in [0, 49, 50, 51] {
                let (next, look) = word.check(now);
                let armed = word != Word::EXPIRED && word != Word::NONE && !word.is_cleared();
                let due = armed && word.time_ns() <= now;
                assert_eq!(look == Expiry::Expired, due, "{word:?} at {now}");
                if armed && !due {
                    assert_eq!(look, Expiry::Again(word.time_ns()));
                    assert_eq!(next, word);
                }
                if !armed {
                    assert_eq!(look, Expiry::Idle);
                    assert!(next == Word::EXPIRED || next == Word::NONE);
                }
            }
        }
    }

    #[test]
    fn expired_is_sticky_until_set_again() {
        let deadline = DeadlineWord::new();
        let _ = deadline.set(50);
        assert_eq!(deadline.check(50), Expiry::Expired);
        assert_eq!(deadline.check(60), Expiry::Idle);
        assert!(deadline.is_expired());
        assert_eq!(deadline.set(70), SetAction::Arm);
        assert!(!deadline.is_expired());
        assert!(deadline.expire(70));
        deadline.clear();
        assert!(!deadline.is_expired());
    }

    #[test]
    fn a_setter_expires_only_its_own_deadline() {
        let deadline = DeadlineWord::new();
        assert_eq!(deadline.set(0), SetAction::Arm);
        assert!(deadline.expire(0), "the clock's very beginning");
        assert!(deadline.expire(0), "whichever thread has expired it");
        assert_eq!(deadline.set(50), SetAction::Arm);
        assert!(!deadline.expire(40), "another has set 50 meanwhile");
        assert_eq!(deadline.check(49), Expiry::Again(50));
        assert!(deadline.expire(50), "though the reactor has filed it meanwhile");
        assert_eq!(deadline.set(60), SetAction::Arm);
        deadline.clear();
        assert!(!deadline.expire(60), "another has cleared it");
        assert!(!deadline.is_expired());
    }

    /// Also on a word that has expired and is set to the same time again.
    #[test]
    fn a_setter_relies_on_a_time_that_is_pending_or_cleared_alone() {
        let deadline = DeadlineWord::new();
        assert_eq!(deadline.set(50), SetAction::Arm);
        assert_eq!(deadline.set(60), SetAction::Nothing, "the first setter asks");
        assert_eq!(deadline.set(55), SetAction::Arm);
        assert_eq!(deadline.check(0), Expiry::Again(55));
        assert_eq!(deadline.set(70), SetAction::Nothing);
        assert_eq!(deadline.check(70), Expiry::Expired);
        assert_eq!(deadline.set(70), SetAction::Arm);
        assert_eq!(deadline.set(80), SetAction::Nothing);
        deadline.clear();
        assert_eq!(deadline.set(90), SetAction::ExpireIfPassed, "a setter has asked");
        deadline.clear();
        assert_eq!(deadline.check(0), Expiry::Idle);
        assert_eq!(deadline.set(100), SetAction::Arm, "the wheel does not hold it");
    }

    #[test]
    fn clearing_keeps_the_place_in_the_wheel_for_the_next_deadline() {
        let deadline = DeadlineWord::new();
        assert_eq!(deadline.set(50), SetAction::Arm);
        assert_eq!(deadline.check(0), Expiry::Again(50));
        deadline.clear();
        assert_eq!(deadline.set(60), SetAction::ExpireIfPassed);
        assert_eq!(deadline.set(70), SetAction::Nothing);
        assert_eq!(deadline.set(40), SetAction::Arm);
    }
}
