//! Waits for readiness as named futures that are `Unpin`.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use netpoll::{Checked, Direction, OwnedReadinessWait, ReadinessWait, Registration};

use super::Async;

macro_rules! waits {
    ($borrowed:ident, $owned:ident, $direction:expr, $method:literal, $owned_method:literal) => {
        #[doc = concat!("The future of [`Async::", $method, "`].")]
        #[must_use = "a future does nothing unless it is polled"]
        pub struct $borrowed<'a, T>(ReadinessWait<'a, T>);

        #[doc = concat!("The future of [`Async::", $owned_method, "`], which borrows nothing.")]
        #[must_use = "a future does nothing unless it is polled"]
        pub struct $owned<T> {
            descriptor: Arc<Async<T>>,
            wait: OwnedReadinessWait,
        }

        impl<'a, T> $borrowed<'a, T> {
            pub(super) fn new(registration: &'a Registration<T>) -> Self {
                Self(registration.readiness_wait($direction))
            }
        }

        impl<T> $owned<T> {
            pub(super) fn new(descriptor: Arc<Async<T>>) -> Self {
                Self { descriptor, wait: OwnedReadinessWait::new($direction) }
            }
        }

        impl<T> Future for $borrowed<'_, T> {
            type Output = io::Result<()>;

            fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.0.poll_ready(cx, Checked($direction)).map_ok(drop)
            }
        }

        impl<T> Future for $owned<T> {
            type Output = io::Result<()>;

            fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                let Self { descriptor, wait } = &mut *self;
                wait.poll_ready(&descriptor.registration, cx, Checked($direction)).map_ok(drop)
            }
        }

        impl<T> Drop for $owned<T> {
            fn drop(&mut self) {
                self.wait.leave(&self.descriptor.registration);
            }
        }

        impl<T> fmt::Debug for $borrowed<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($borrowed)).finish_non_exhaustive()
            }
        }

        impl<T> fmt::Debug for $owned<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($owned)).finish_non_exhaustive()
            }
        }
    };
}

waits!(Readable, ReadableOwned, Direction::Read, "readable", "readable_owned");
waits!(Writable, WritableOwned, Direction::Write, "writable", "writable_owned");
