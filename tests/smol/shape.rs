//! The executors and smol's re-exports, together.

use std::time::{Duration, Instant};

use netpoll_smol as smol;
use netpoll_tests::watched;
use smol::{
    Executor, LocalExecutor, Timer, Unblock, channel, future, io, lock, prelude::*, stream,
};

#[test]
fn tasks_run_on_the_global_executor() {
    watched(|| {
        let tasks: Vec<_> = (0..100).map(|number| smol::spawn(async move { number * 2 })).collect();
        let sum: i32 = smol::block_on(async {
            let mut sum = 0;
            for task in tasks {
                sum += task.await;
            }
            sum
        });
        assert_eq!(sum, 9900);
    });
}

/// As in smol: the thread goes on.
#[test]
fn a_task_that_panics_takes_no_thread_with_it() {
    watched(|| {
        smol::spawn(async { panic!("as the test wants it") }).detach();
        assert_eq!(smol::block_on(smol::spawn(async { 1 })), 1);
    });
}

#[test]
fn executors_of_ones_own_run_on_threads_of_ones_own() {
    watched(|| {
        let executor = Executor::new();
        let (stop, stopped) = channel::bounded::<()>(1);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| smol::block_on(executor.run(stopped.recv())));
            }
            let local = LocalExecutor::new();
            let answer = smol::block_on(local.run(async {
                let task = executor.spawn(async { smol::unblock(|| 6 * 7).await });
                task.await
            }));
            drop(stop);
            assert_eq!(answer, 42);
        });
    });
}

#[test]
fn timers_are_futures_and_streams() {
    watched(|| {
        smol::block_on(async {
            let began = Instant::now();
            let fired = Timer::after(Duration::from_millis(5)).await;
            assert!(fired >= began + Duration::from_millis(5) && Instant::now() >= fired);
            let ticks: Vec<Instant> =
                Timer::interval(Duration::from_millis(1)).take(5).collect().await;
            assert!(ticks.is_sorted() && ticks.len() == 5);
        });
    });
}

/// smol's usual way to give something a time limit.
#[test]
fn a_race_with_a_timer_is_a_time_limit() {
    watched(|| {
        let raced = smol::block_on(future::or(
            async {
                Timer::after(Duration::from_millis(5)).await;
                Err(io::Error::from(io::ErrorKind::TimedOut))
            },
            future::pending::<io::Result<()>>(),
        ));
        assert_eq!(raced.unwrap_err().kind(), io::ErrorKind::TimedOut);
    });
}

#[test]
fn locks_channels_files_and_streams_are_there() {
    watched(|| {
        smol::block_on(async {
            let lock = lock::Mutex::new(1);
            *lock.lock().await += 1;
            assert_eq!(*lock.lock().await, 2);
            let (send, receive) = channel::unbounded();
            send.send("hello").await.expect("it is open");
            assert_eq!(receive.recv().await, Ok("hello"));
            assert_eq!(stream::iter([1, 2, 3]).map(|number| number * 2).last().await, Some(6));
            let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
            let text = smol::fs::read_to_string(manifest).await.expect("it is there");
            assert!(text.contains("netpoll-smol"));
            let mut file = Unblock::new(std::fs::File::open(manifest).expect("it is there"));
            let mut contents = String::new();
            file.read_to_string(&mut contents).await.expect("it can be read");
            assert_eq!(contents, text);
        });
    });
}

#[test]
fn the_output_of_a_child_is_read() {
    watched(|| {
        let said = smol::block_on(smol::process::Command::new("echo").arg("hello").output());
        assert_eq!(said.expect("a child").stdout, b"hello\n");
    });
}

/// smol itself would have no thread to run the task, which then waits for ever.
#[test]
fn a_task_runs_where_no_thread_is_asked_for() {
    const NAME: &str = "shape::a_task_runs_where_no_thread_is_asked_for";
    watched(|| {
        if std::env::var("SMOL_THREADS").is_ok_and(|threads| threads == "0") {
            assert_eq!(smol::block_on(smol::spawn(async { 1 })), 1);
            return;
        }
        let this = std::env::current_exe().expect("the path of this program");
        let mut run = std::process::Command::new(this);
        run.args(["--exact", NAME]).env("SMOL_THREADS", "0").env("NETPOLL_TEST_PATIENCE", "20");
        let run = run.output().expect("a process");
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && said.contains("1 passed"), "{said}");
    });
}
