//! Whether the reactor's thread preempts others, by the kernel's accounts.

use std::fs;
use std::io::ErrorKind;

use netpoll::{Direction, Interest, Reactor, Registration};
use netpoll_tests::alone::alone;

use crate::fixtures::connection;

const SCHED_OTHER: &str = "0";
const SCHED_BATCH: &str = "3";

/// The scheduling policy of the only thread of that name, when it has been set: field 41 of its `stat`
/// (proc(5)), the 39th after the name.
fn policy() -> String {
    let tasks = fs::read_dir("/proc/self/task").expect("procfs");
    let stats = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
    let own: Vec<String> = stats.filter(|stat| stat.contains("(netpoll)")).collect();
    assert_eq!(own.len(), 1, "{own:?}");
    let (_, fields) = own[0].rsplit_once(") ").expect("a name");
    fields.split(' ').nth(38).expect("a policy").to_owned()
}

/// Has the thread do something, so that it has begun.
fn use_it(reactor: &Reactor) {
    let (near, far) = connection();
    let near = Registration::with(reactor, near, Interest::Both).expect("registered");
    drop(far);
    futures::executor::block_on(near.ready(Direction::Read)).expect("its end");
}

#[test]
fn it_preempts_no_thread_unless_asked_to() {
    let body = || {
        for (preempting, expected) in [(false, SCHED_BATCH), (true, SCHED_OTHER)] {
            let reactor = Reactor::builder().preempting(preempting).build().expect("a reactor");
            use_it(&reactor);
            assert_eq!(policy(), expected, "preempting({preempting})");
            reactor.shutdown();
        }
    };
    alone("sched_policy::it_preempts_no_thread_unless_asked_to", body);
}

#[test]
fn the_global_reactor_is_made_once() {
    let body = || {
        let made = Reactor::builder().preempting(true).build_global().expect("the first");
        assert!(std::ptr::eq(made, Reactor::global().expect("there is one")));
        use_it(made);
        assert_eq!(policy(), SCHED_OTHER);
        let error = Reactor::builder().build_global().expect_err("there is one");
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    };
    alone("sched_policy::the_global_reactor_is_made_once", body);
}
