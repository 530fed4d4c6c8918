//! One thread in `block_on`.

use async_executor::LocalExecutor;
use futures::FutureExt;
use futures::future::{Either, select};
use netpoll_tests::watched;

use crate::fixtures::{Echo, Yields, ended_by_a_thread, reactors, with_thread, without_thread};

/// The thread of the reactor hands over once, and then `block_on` makes nearly every turn. (Where
/// the machine is busy with others, the reactor's thread may find this one absent, and take over.)
#[test]
fn block_on_turns_the_reactor_itself() {
    watched(|| {
        let reactor = with_thread();
        let echo = Echo::new(&reactor);
        reactor.block_on(async {
            while reactor.metrics().turns < 500 {
                echo.exchange_often(10).await;
            }
        });
        let metrics = reactor.metrics();
        assert!(metrics.thread_turns < metrics.turns / 2, "{metrics:?}");
    });
}

#[test]
fn an_executor_under_block_on_runs_its_tasks() {
    watched(|| {
        for reactor in reactors() {
            let executor = LocalExecutor::new();
            let tasks: Vec<_> = (0..50)
                .map(|_| {
                    let echo = Echo::new(&reactor);
                    executor.spawn(async move { echo.exchange_often(20).await })
                })
                .collect();
            reactor.block_on(executor.run(async {
                for task in tasks {
                    task.await;
                }
            }));
        }
    });
}

/// Its wake-up comes from another thread, while it is in epoll, on its way there, or elsewhere.
#[test]
fn another_thread_wakes_it() {
    watched(|| {
        for reactor in reactors() {
            for _ in 0..1000 {
                assert_eq!(reactor.block_on(ended_by_a_thread()), Ok(7));
            }
        }
    });
}

/// The same within one call, so that it holds the lease by the second time.
#[test]
fn another_thread_wakes_it_again_and_again() {
    watched(|| {
        for reactor in reactors() {
            let echo = Echo::new(&reactor);
            reactor.block_on(async {
                for number in 0..1000 {
                    if number % 10 == 0 {
                        echo.exchange(3).await;
                    }
                    assert_eq!(ended_by_a_thread().await, Ok(7));
                }
            });
        }
    });
}

/// A future that never waits learns of readiness all the same.
#[test]
fn a_future_that_wakes_itself_has_the_reactor_looked_at() {
    watched(|| {
        let reactor = without_thread();
        let echo = Echo::new(&reactor);
        reactor.block_on(async {
            let never = Yields(usize::MAX).boxed_local();
            let exchange = echo.exchange_often(10).boxed_local();
            assert!(matches!(select(exchange, never).await, Either::Left(_)));
        });
    });
}

#[test]
fn within_itself_it_works_as_well() {
    watched(|| {
        for reactor in reactors() {
            let (outer, inner) = (Echo::new(&reactor), Echo::new(&reactor));
            reactor.block_on(async {
                outer.exchange_often(10).await;
                reactor.block_on(async {
                    inner.exchange_often(10).await;
                    reactor.block_on(inner.exchange_often(10));
                });
                outer.exchange_often(10).await;
            });
        }
    });
}
