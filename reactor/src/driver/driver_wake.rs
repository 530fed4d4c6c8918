//! A future whose wake-ups reach a driver as well as its task.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use pin_project_lite::pin_project;

pin_project! {
    /// A future that wakes a [`Driver`](super::Driver) whenever it wakes its task. See
    /// [`Driver::wrap`](super::Driver::wrap).
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is polled"]
    pub struct DriverWake<F> {
        #[pin]
        future: F,
        driver: Waker,
        wakers: Option<Wakers>,
    }
}

/// The waker that the future was polled with last: the task's, and the one that wakes both.
#[derive(Debug)]
struct Wakers {
    task: Waker,
    both: Waker,
}

struct Both {
    task: Waker,
    driver: Waker,
}

impl<F> DriverWake<F> {
    pub(super) fn new(future: F, driver: Waker) -> Self {
        Self { future, driver, wakers: None }
    }
}

impl<F: Future> Future for DriverWake<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let wakers = match this.wakers {
            Some(known) if known.task.will_wake(cx.waker()) => known,
            place => {
                let (task, driver) = (cx.waker().clone(), this.driver.clone());
                let both = Waker::from(Arc::new(Both { task, driver }));
                place.insert(Wakers { both, task: cx.waker().clone() })
            }
        };
        this.future.poll(&mut Context::from_waker(&wakers.both))
    }
}

impl Wake for Both {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    /// The task first: the driver, once awake, finds it ready to run.
    fn wake_by_ref(self: &Arc<Self>) {
        self.task.wake_by_ref();
        self.driver.wake_by_ref();
    }
}
