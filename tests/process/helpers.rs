//! The threads that the crates begin for themselves are not noticed: no signal reaches them, and they run
//! where the process runs, under the policy of the process.

use std::fs;
use std::sync::mpsc::channel;
use std::task::Context;
use std::thread;

use netpoll::{Direction, Interest, Reactor, Registration, spawn_helper};
use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::{on_wake, os};

/// Has the reactor's thread run a function, as the waker of an event, and returns its result.
fn on_the_thread_of<T: Send + 'static>(
    reactor: &Reactor,
    act: impl Fn() -> T + Send + Sync + 'static,
) -> T {
    let (near, far) = std::os::unix::net::UnixStream::pair().expect("a pair");
    near.set_nonblocking(true).expect("an option");
    let near = Registration::with(reactor, near, Interest::Readable).expect("a registration");
    let (tell, told) = channel();
    let waker = on_wake(move || {
        let _ = tell.send(act());
    });
    let polled = near.poll_ready(&mut Context::from_waker(&waker), Direction::Read);
    assert!(polled.is_pending());
    drop(far);
    told.recv().expect("the thread runs")
}

fn reactor() -> Reactor {
    Reactor::builder().build().expect("a reactor")
}

/// One value of the calling thread's `status` (proc(5)).
fn status(key: &str) -> String {
    let status = fs::read_to_string("/proc/thread-self/status").expect("procfs");
    let value = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    value.unwrap_or_else(|| panic!("{key} in {status}")).trim().to_owned()
}

/// A server ends by `SIGTERM`: it blocks the signal and waits for it. The kernel gives it to any thread of
/// the process that has it open, and its default action ends the process.
#[test]
fn a_signal_for_which_the_program_waits_reaches_the_program() {
    alone("helpers::a_signal_for_which_the_program_waits_reaches_the_program", || {
        // A child, as the threads of the test harness have the signal open.
        let code = os::in_a_child(|| {
            let reactor = reactor();
            let helper = spawn_helper("netpoll-test", thread::park).expect("a thread");
            on_the_thread_of(&reactor, || ());
            let received = os::send_and_wait_for(libc::SIGTERM);
            helper.thread().unpark();
            helper.join().expect("no panic");
            u8::from(received)
        });
        assert_eq!(code, 1);
    });
}

/// Every signal is blocked but those that a thread causes itself: blocked, they would end the process
/// without a word of its handlers.
#[test]
fn helper_threads_block_signals_and_leave_the_maker_its_mask() {
    alone("helpers::helper_threads_block_signals_and_leave_the_maker_its_mask", || {
        let own =
            [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS];
        // Those that no program can block, and those of the C library: musl has a third.
        let never = [libc::SIGKILL, libc::SIGSTOP, 32, 33, 34];
        let never = &never[..if cfg!(target_env = "musl") { 5 } else { 4 }];
        let bits = |signals: &[i32]| signals.iter().fold(0, |set, signal| set | 1 << (signal - 1));
        let blocked = |mask: String| u64::from_str_radix(&mask, 16).expect("a mask");
        os::block(libc::SIGUSR2);
        let before = status("SigBlk");

        let reactor = reactor();
        let by_reactor = blocked(on_the_thread_of(&reactor, || status("SigBlk")));
        let helper = spawn_helper("netpoll-test", || status("SigBlk")).expect("a thread");
        let by_helper = blocked(helper.join().expect("no panic"));

        for mask in [by_reactor, by_helper] {
            let open: u64 = !mask & !bits(never);
            assert_eq!(open, bits(&own), "open: {open:#x}");
        }
        assert_eq!(status("SigBlk"), before);
    });
}

/// `setgid` is a signal to every thread in the C library: a thread that had that blocked would hold it up
/// for ever.
#[test]
fn identities_can_be_changed_while_a_helper_thread_sleeps() {
    alone("helpers::identities_can_be_changed_while_a_helper_thread_sleeps", || {
        let reactor = reactor();
        on_the_thread_of(&reactor, || ());
        os::set_own_group();
        on_the_thread_of(&reactor, || ());
    });
}

/// A worker that is pinned to one processor makes the first socket. The reactor's thread is not pinned
/// with it, unless the program says so.
#[test]
fn the_reactors_thread_runs_where_the_process_runs() {
    alone("helpers::the_reactors_thread_runs_where_the_process_runs", || {
        let everywhere = fs::read_to_string("/proc/self/status").expect("procfs");
        let key = "Cpus_allowed:";
        let everywhere = everywhere.lines().find_map(|line| line.strip_prefix(key));
        let everywhere = everywhere.expect("procfs says so").trim().to_owned();
        if everywhere == os::pin_to_one_processor() {
            return println!("shown: not run, as there is one processor");
        }
        let pinned = status("Cpus_allowed");
        assert_ne!(pinned, everywhere);

        let its = |reactor: &Reactor| on_the_thread_of(reactor, || status("Cpus_allowed"));
        assert_eq!(its(&reactor()), everywhere);
        let several = Reactor::builder().reactors(2).build().expect("reactors");
        assert_eq!([its(&several), its(&several)], [everywhere.clone(), everywhere.clone()]);
        let helper = spawn_helper("netpoll-test", || status("Cpus_allowed")).expect("a thread");
        assert_eq!(helper.join().expect("no panic"), everywhere);
        let inheriting = Reactor::builder().inherit_affinity(true).build().expect("a reactor");
        assert_eq!(its(&inheriting), pinned);
        assert_eq!(status("Cpus_allowed"), pinned, "the maker stays where it is");
    });
}

/// `SCHED_BATCH` is for threads in `SCHED_OTHER`. To put another there is a demotion (`chrt -f 10`) or a
/// promotion (`chrt -i 0`).
#[test]
fn a_policy_that_is_not_sched_other_is_kept() {
    alone("helpers::a_policy_that_is_not_sched_other_is_kept", || {
        assert_eq!(on_the_thread_of(&reactor(), os::policy), libc::SCHED_BATCH);
        for policy in [libc::SCHED_FIFO, libc::SCHED_RR, libc::SCHED_IDLE, libc::SCHED_BATCH] {
            // Each in a thread of its own: not every user may go back from `SCHED_IDLE`.
            let its = thread::spawn(move || {
                os::set_policy(policy).then(|| on_the_thread_of(&reactor(), os::policy))
            });
            match its.join().expect("no panic") {
                Some(its) => assert_eq!(its, policy),
                None => println!("shown: policy {policy} not run, as this user may not set it"),
            }
        }
    });
}

/// Every thread and process that a waker begins on the reactor's thread inherits the timer slack of that
/// thread, as its default.
#[test]
fn the_reactors_thread_has_the_timer_slack_of_any_other() {
    alone("helpers::the_reactors_thread_has_the_timer_slack_of_any_other", || {
        assert_eq!(on_the_thread_of(&reactor(), os::timer_slack), os::timer_slack());
    });
}
