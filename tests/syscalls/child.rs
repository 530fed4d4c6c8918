//! One case, in a process of its own: the session inside of the filter, all else outside.

use std::collections::BTreeMap;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::process::exit;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, panic, thread};

use netpoll::Reactor;

use crate::bystander::Bystander;
use crate::calls::{CALLS, Outcome, STAT};
use crate::case::Case;
use crate::filter::Filter;
use crate::judge::{self, Played};
use crate::session::{self, Session};
use crate::supervisor::{Fault, SOCKET_CALLS, Seen, supervise};

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// The step that may hang.
static WAITS_FOR: Mutex<&str> = Mutex::new("nothing");

/// Plays a case, and prints its verdict.
pub(crate) fn run_case(case: Case) -> ! {
    within_reason(move || {
        let lies = match (case.outcome(), case.fault.for_ever) {
            (Outcome::Waits, false) => 1,
            (Outcome::Waits, true) => usize::MAX,
            _ => 0,
        };
        let played = play(case.session, lies, Some(case.fault));
        println!("{}", judge::verdict(&case, &played));
    })
}

/// Plays a session without a fault, and prints how often it makes each call.
pub(crate) fn run_count(session: Session) -> ! {
    within_reason(move || {
        let played = play(session, 0, None);
        if let Some(defect) = judge::defect_of(&played) {
            return println!("defect: without any fault, {defect}");
        }
        for (call, count) in CALLS.iter().zip(&played.calls) {
            println!("{} {count}", call.name);
        }
    })
}

/// Ends the process when the body has ended, or if it hangs.
fn within_reason(body: impl FnOnce() + Send + 'static) -> ! {
    let told = std::env::var("NETPOLL_TEST_PATIENCE").ok().and_then(|told| told.parse().ok());
    let (done, finished) = channel();
    thread::spawn(move || {
        body();
        let _ = done.send(());
    });
    match finished.recv_timeout(Duration::from_secs(told.unwrap_or(60))) {
        Ok(()) => {}
        Err(RecvTimeoutError::Timeout) => println!("defect: it hangs: {}", hang()),
        Err(RecvTimeoutError::Disconnected) => println!("defect: the harness itself panics"),
    }
    exit(0)
}

fn hang() -> String {
    let waits_for = WAITS_FOR.lock().expect("no panic");
    format!("it waits for {waits_for}, with the threads {:?}", threads())
}

fn play(session: Session, lies: usize, fault: Option<Fault>) -> Played {
    count_panics();
    let seen = Seen::new();
    let descriptor = Arc::new(AtomicI32::new(-1));
    let may_begin = Arc::new(AtomicBool::new(false));
    let (bystander, starter) = Bystander::new();
    let inside = {
        let (seen, descriptor, may_begin) = (seen.clone(), descriptor.clone(), may_begin.clone());
        let body = move || {
            let mut filter = Filter::of(&numbers(fault.as_ref()));
            let listener = filter.install().expect("a filter");
            // Another way to hand the descriptor over may make a call that no supervisor answers yet.
            descriptor.store(listener.into_raw_fd(), Ordering::SeqCst);
            while !may_begin.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            seen.begin();
            let failures = session::play(session, lies, &starter);
            (failures, seen.calls())
        };
        thread::Builder::new().name("session".into()).spawn(body).expect("a thread")
    };
    wait("a filter", || descriptor.load(Ordering::SeqCst) >= 0);
    supervise(listener(&descriptor), fault, seen.clone());
    // Of a process that was killed, and had our number.
    session::files_left();
    let before = descriptors();
    may_begin.store(true, Ordering::SeqCst);
    *WAITS_FOR.lock().expect("no panic") = "the session to end";
    let (failures, calls) = inside.join().unwrap_or_default();
    *WAITS_FOR.lock().expect("no panic") = "the bystander to end";
    let bystander = bystander.end();
    let is_file_removed =
        fault.is_none_or(|fault| ![STAT.name, "unlink"].contains(&fault.call.name));
    let left = left_behind(&before, bystander.is_some(), is_file_removed);
    let panics = PANICS.load(Ordering::SeqCst);
    Played { failures, calls, failed: seen.failed(), bystander, left, panics }
}

fn numbers(fault: Option<&Fault>) -> Vec<libc::c_long> {
    let mut numbers: Vec<_> = match fault {
        Some(fault) => vec![fault.call.number],
        None => CALLS.iter().map(|call| call.number).collect(),
    };
    numbers.extend(SOCKET_CALLS);
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

#[allow(unsafe_code)] // The descriptor comes by number.
fn listener(descriptor: &AtomicI32) -> OwnedFd {
    // SAFETY: the thread that made it has let go of it, and it has no other owner.
    unsafe { OwnedFd::from_raw_fd(descriptor.load(Ordering::SeqCst)) }
}

fn count_panics() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        before(panic);
    }));
}

/// Waits for a condition that needs no more than a little time.
fn wait(what: &'static str, until: impl Fn() -> bool) {
    *WAITS_FOR.lock().expect("no panic") = what;
    while !until() {
        thread::yield_now();
    }
}

/// The open descriptors, by kind.
fn descriptors() -> BTreeMap<String, usize> {
    let mut open = BTreeMap::new();
    let entries = fs::read_dir("/proc/self/fd").expect("the descriptors of this process");
    for link in entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok()) {
        let what = link.to_string_lossy();
        // The number of a socket or a pipe says nothing.
        let kind = ["socket:", "pipe:"].into_iter().find(|kind| what.starts_with(kind));
        let what = kind.unwrap_or(&what).to_owned();
        if what != format!("/proc/{}/fd", std::process::id()) {
            *open.entry(what).or_default() += 1;
        }
    }
    open
}

/// The objects that are new, and are not the global reactor's.
fn left_behind(
    before: &BTreeMap<String, usize>,
    has_reactor: bool,
    is_file_removed: bool,
) -> Vec<String> {
    let mut left = Vec::new();
    let mut after = descriptors();
    if has_reactor {
        for own in ["anon_inode:[eventpoll]", "anon_inode:[eventfd]", "pipe:"] {
            after.entry(own.to_owned()).and_modify(|count| *count -= reactors());
        }
        let reactor = Reactor::global().expect("it is there");
        // A task that was woken at the end may be about to drop its objects.
        wait("a slot to be free", || reactor.metrics().registrations == 0);
    }
    for (what, count) in after {
        let was = before.get(&what).copied().unwrap_or_default();
        if count != was {
            left.push(format!("{count} descriptors of {what}, where there were {was}"));
        }
    }
    let files = session::files_left();
    if files > 0 && is_file_removed {
        left.push(format!("{files} files of sockets"));
    }
    let own = if has_reactor { reactors() } else { 0 };
    wait("a thread to end", || threads().len() <= own);
    left
}

/// How many the global reactor is.
fn reactors() -> usize {
    thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(16))
}

/// The threads that are no part of the harness. One that has just ended may still be among them.
fn threads() -> Vec<String> {
    let this = fs::read_to_string("/proc/self/comm").expect("the name of this process");
    let own = ["supervisor", this.trim()];
    let tasks = fs::read_dir("/proc/self/task").expect("the threads of this process");
    let names =
        tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    let names = names.map(|name| name.trim().to_owned());
    names.filter(|name| !own.contains(&name.as_str())).collect()
}
