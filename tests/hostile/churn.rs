//! Connections that go and come all the time; the example `churn` has more of them, and figures.

use std::net;
use std::rc::Rc;
use std::thread;

use async_executor::LocalExecutor;
use netpoll::{Interest, Reactor, Registration};
use netpoll_futures::TcpListener;
use netpoll_tests::churn::{Plan, load, serve};
use netpoll_tests::watched;

/// Nothing fails meanwhile, and afterwards nothing is left.
#[test]
fn nothing_is_lost_and_nothing_is_left() {
    watched(|| {
        let reactor = Reactor::builder().build().expect("a reactor");
        let listener = net::TcpListener::bind("0.0.0.0:0").expect("a port");
        listener.set_nonblocking(true).expect("an option");
        let port = listener.local_addr().expect("bound").port();
        let listener = Registration::with(&reactor, listener, Interest::Both).expect("one");
        let listener = TcpListener::from(listener);
        let (served, serving) = (listener.clone(), reactor.clone());
        let server = thread::spawn(move || {
            let executor = Rc::new(LocalExecutor::new());
            serving.block_on(executor.run(async {
                serve(executor.clone(), served.clone()).await.expect("connections");
                // Those of the load have ended by now; those here are about to.
                while served.registration().reactor().metrics().registrations > 1 {
                    netpoll_futures::Timer::after(std::time::Duration::from_millis(1)).await;
                }
            }));
        });
        let plan = Plan { held: 300, churned: 3000, at_once: 20, probes: 5 };
        let outcome = netpoll::block_on(async {
            let outcome = load(port, plan, || {}).await;
            listener.close().await.expect("it is open");
            outcome
        });
        let outcome = outcome.expect("nothing fails");
        assert!(outcome.exchanges.len() >= plan.probes);
        server.join().expect("no panic");
        drop(listener);
        assert_eq!(reactor.metrics().registrations, 0);
    });
}
