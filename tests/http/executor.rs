//! Executors of all kinds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::channel::oneshot;
use futures::executor::{ThreadPool, block_on};
use netpoll_hyper::{Deadlines, Executor, Version};
use netpoll_tests::watched;

use crate::client::Client;
use crate::site::Site;

#[test]
fn a_spawner_of_futures_takes_tasks_on() {
    watched(|| {
        let pool = ThreadPool::builder().pool_size(2).create().expect("threads");
        let executor = Executor::spawner(pool);
        block_on(async {
            let site = Site::open(&executor, Deadlines::default()).await?;
            let mut client = Client::connect(&executor, Version::Http2, site.address).await?;
            assert_eq!(client.get("/hello").await?, "hello");
            crate::fixtures::Outcome::Ok(())
        })
        .expect("it serves");
    });
}

#[test]
fn a_closure_is_given_every_task_once() {
    watched(|| {
        let own = Arc::new(async_executor::Executor::new());
        let taken_on = Arc::new(AtomicUsize::new(0));
        let executor = {
            let (own, taken_on) = (own.clone(), taken_on.clone());
            Executor::new(move |task| {
                taken_on.fetch_add(1, Ordering::Relaxed);
                own.spawn(task).detach();
            })
        };
        let (send, receive) = oneshot::channel();
        executor.spawn(async { send.send(7).expect("we wait for it") });
        hyper::rt::Executor::execute(&executor.clone(), async {});
        assert_eq!(taken_on.load(Ordering::Relaxed), 2);
        assert_eq!(block_on(own.run(receive)), Ok(7));
    });
}

#[test]
fn a_spawner_that_refuses_drops_the_task() {
    struct Refuses;
    impl futures::task::Spawn for Refuses {
        fn spawn_obj(
            &self,
            _: futures::task::FutureObj<'static, ()>,
        ) -> Result<(), futures::task::SpawnError> {
            Err(futures::task::SpawnError::shutdown())
        }
    }
    watched(|| {
        let (send, receive) = oneshot::channel::<()>();
        Executor::spawner(Refuses).spawn(async move {
            let _kept = send;
            std::future::pending::<()>().await;
        });
        assert!(block_on(receive).is_err(), "it was dropped with its content");
    });
}
