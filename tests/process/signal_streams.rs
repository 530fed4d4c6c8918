//! Signals as a stream (`netpoll_futures::Signals`): the signals that the process receives, and the state that stays as it was.

use std::fs;
use std::io;
use std::process::Command;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread;

use futures::executor::{ThreadPool, block_on};
use futures::task::SpawnExt;
use futures::{FutureExt, StreamExt};
use netpoll::{Reactor, ReactorGone};
use netpoll_futures::{SignalKind, Signals};
use netpoll_tests::alone::alone;
use netpoll_tests::fixtures::os::{self, HANDLED, in_a_child, raise};

const HANGUP: SignalKind = SignalKind::hangup();
const INTERRUPT: SignalKind = SignalKind::interrupt();
const TERMINATE: SignalKind = SignalKind::terminate();
const USER1: SignalKind = SignalKind::user_defined1();

/// The signals of a set in `/proc/thread-self/status`: blocked, ignored, caught.
fn set(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/thread-self/status").expect("procfs");
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
    u64::from_str_radix(value.expect("a set"), 16).expect("a number")
}

fn bit(kind: SignalKind) -> u64 {
    1 << (kind.as_raw_value() - 1)
}

fn now(signals: &Signals) -> Option<SignalKind> {
    signals.recv().now_or_never().map(|received| received.expect("a signal"))
}

fn is_gone(error: &io::Error) -> bool {
    error.get_ref().and_then(|error| error.downcast_ref::<ReactorGone>()).is_some()
}

#[test]
fn each_signal_is_received_under_each_executor() {
    alone("signal_streams::each_signal_is_received_under_each_executor", || {
        let real_time = SignalKind::from_raw(libc::SIGRTMIN() + 3);
        let last = SignalKind::from_raw(64);
        let kinds = [INTERRUPT, TERMINATE, HANGUP, SignalKind::quit(), USER1, real_time, last];
        let signals = Arc::new(Signals::new(kinds).expect("signals"));
        let receive_all = || {
            let mut signals = signals.clone();
            async move {
                for kind in kinds {
                    raise(kind.as_raw_value());
                    let received = (&*signals).next().await.expect("no end").expect("a signal");
                    assert_eq!(received, kind);
                }
                Arc::get_mut(&mut signals).is_some()
            }
        };
        block_on(receive_all());
        netpoll::block_on(receive_all());
        netpoll_smol::block_on(receive_all());
        netpoll_smol::block_on(netpoll_smol::spawn(receive_all()));
        let pool = ThreadPool::builder().pool_size(2).create().expect("threads");
        block_on(pool.spawn_with_handle(receive_all()).expect("a pool"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(receive_all());
    });
}

#[test]
fn a_reactor_of_ones_own_receives_them_with_one_descriptor_and_no_thread() {
    alone(
        "signal_streams::a_reactor_of_ones_own_receives_them_with_one_descriptor_and_no_thread",
        || {
            let reactor = Reactor::builder().embedded().build().expect("a reactor");
            let (threads, open) = (os::threads().len(), os::open_descriptors());
            let signals = Signals::new_on(&reactor, [TERMINATE, USER1]).expect("signals");
            assert_eq!((os::threads().len(), os::open_descriptors()), (threads, open + 1));
            assert_eq!(now(&signals), None);
            raise(libc::SIGTERM);
            while now(&signals) != Some(TERMINATE) {
                reactor.turn(None).expect("a turn");
            }
            assert_eq!(now(&signals), None);
            drop(signals);
            assert_eq!(os::open_descriptors(), open);
        },
    );
}

#[test]
fn nothing_else_of_the_process_changes() {
    alone("signal_streams::nothing_else_of_the_process_changes", || {
        let _reactor = Reactor::global().expect("a reactor");
        let sets = || [set("SigBlk"), set("SigIgn"), set("SigCgt")];
        let [blocked, ignored, caught] = sets();
        for kind in [9, 19, 0, -1, 65, 1 << 20, libc::SIGSEGV, libc::SIGILL, libc::SIGFPE] {
            let kinds = [TERMINATE, SignalKind::from_raw(kind)];
            let error = Signals::new(kinds).expect_err("it cannot be caught");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), format!("signal {kind} cannot be caught"));
            assert_eq!(
                sets(),
                [blocked, ignored, caught],
                "it fails before a handler is installed"
            );
        }
        let signals = Signals::new([TERMINATE, USER1, TERMINATE]).expect("signals");
        assert_eq!(format!("{signals:?}"), "Signals { numbers: [10, 15], .. }");
        let with_ours = [blocked, ignored, caught | bit(TERMINATE) | bit(USER1)];
        assert_eq!(sets(), with_ours);
        // A program that is executed has the default actions.
        let killed = Command::new("sh").args(["-c", "kill -TERM $$"]).status().expect("a shell");
        assert!(!killed.success());
        assert_eq!(now(&signals), None);
        // The handlers stay: the signals have no effect.
        drop(signals);
        assert_eq!(sets(), with_ours);
        raise(libc::SIGTERM);
    });
}

#[test]
fn a_handler_of_before_is_called_and_tokios_stream_receives_too() {
    alone("signal_streams::a_handler_of_before_is_called_and_tokios_stream_receives_too", || {
        os::handle_signals();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        runtime.expect("a runtime").block_on(async {
            let tokios = tokio::signal::unix::SignalKind::user_defined1();
            let mut tokios = tokio::signal::unix::signal(tokios).expect("tokio's stream");
            let signals = [Signals::new([USER1]), Signals::new([USER1, TERMINATE])];
            let [first, second] = signals.map(|signals| signals.expect("signals"));
            for count in 1..=3 {
                raise(libc::SIGUSR1);
                assert_eq!(first.recv().await.expect("a signal"), USER1);
                assert_eq!(second.recv().await.expect("a signal"), USER1);
                tokios.recv().await.expect("a signal");
                assert_eq!(HANDLED.load(std::sync::atomic::Ordering::SeqCst), count);
            }
            drop(first);
            raise(libc::SIGUSR1);
            assert_eq!(second.recv().await.expect("a signal"), USER1);
        });
    });
}

#[test]
fn signals_of_several_kinds_each_reach_one_task() {
    alone("signal_streams::signals_of_several_kinds_each_reach_one_task", || {
        let kinds = [HANGUP, INTERRUPT, USER1, TERMINATE];
        let signals = Arc::new(Signals::new(kinds).expect("signals"));
        for _ in 0..200 {
            let tasks = kinds.map(|_| {
                let signals = signals.clone();
                thread::spawn(move || block_on(signals.recv()).expect("a signal"))
            });
            // The first task may be woken for all of them.
            kinds.iter().for_each(|kind| raise(kind.as_raw_value()));
            let mut received = tasks.map(|task| task.join().expect("no panic"));
            received.sort_unstable();
            assert_eq!(received, kinds);
        }
    });
}

#[test]
fn the_last_of_many_signals_is_received() {
    alone("signal_streams::the_last_of_many_signals_is_received", || {
        let signals = Signals::new([USER1, TERMINATE]).expect("signals");
        let raising = thread::spawn(|| {
            (0..10_000).for_each(|_| raise(libc::SIGUSR1));
            raise(libc::SIGTERM);
        });
        let mut count = 0;
        while block_on(signals.recv()).expect("a signal") == USER1 {
            count += 1;
        }
        raising.join().expect("no panic");
        assert!((1..=10_000).contains(&count), "{count} signals of one kind");
    });
}

#[test]
fn the_signals_of_a_forked_child_do_not_reach_its_parent() {
    alone("signal_streams::the_signals_of_a_forked_child_do_not_reach_its_parent", || {
        let signals = Signals::new([TERMINATE]).expect("signals");
        assert_eq!(now(&signals), None);
        // The child inherits the record of a signal that no task has received.
        raise(libc::SIGTERM);
        let signals = Arc::new(signals);
        let inherited = signals.clone();
        let code = in_a_child(move || {
            raise(libc::SIGTERM);
            let mut context = Context::from_waker(Waker::noop());
            let received = inherited.poll_recv(&mut context);
            let gone = received.map(|received| is_gone(&received.expect_err("the parent's")));
            let reactor = Reactor::builder().embedded().build().expect("a reactor");
            let own = Signals::new_on(&reactor, [TERMINATE, USER1]).expect("signals");
            raise(libc::SIGTERM);
            while now(&own) != Some(TERMINATE) {
                reactor.turn(None).expect("a turn");
            }
            u8::from(gone != std::task::Poll::Ready(true))
        });
        assert_eq!(code, 0);
        // It is the parent's own, and the only one.
        assert_eq!(block_on(signals.recv()).expect("a signal"), TERMINATE);
        assert_eq!(now(&signals), None);
        let code = in_a_child({
            let inherited = Arc::into_inner(signals).expect("the last");
            move || {
                drop(inherited);
                raise(libc::SIGTERM);
                0
            }
        });
        assert_eq!(code, 0, "the signal has no effect");
    });
}

#[test]
fn after_a_shutdown_of_the_reactor_the_stream_yields_errors() {
    alone("signal_streams::after_a_shutdown_of_the_reactor_the_stream_yields_errors", || {
        let reactor = Reactor::builder().build().expect("a reactor");
        let mut signals = Signals::new_on(&reactor, [TERMINATE]).expect("signals");
        let waiting = reactor.clone();
        let ending = thread::spawn(move || waiting.shutdown());
        let error = block_on(signals.next()).expect("no end").expect_err("the reactor has ended");
        assert!(is_gone(&error), "{error:?}");
        ending.join().expect("no panic");
        raise(libc::SIGTERM);
    });
}
