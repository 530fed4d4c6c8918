//! Threads that compute, and nothing else.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// Computes until it is dropped.
pub(super) struct Load {
    enough: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    pub(super) fn start(threads: usize) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let threads = (0..threads).map(|_| spawn(enough.clone())).collect();
        Self { enough, threads }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("it only computes");
        }
    }
}

fn spawn(enough: Arc<AtomicBool>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut number = 1_u64;
        while !enough.load(Ordering::Relaxed) {
            number = black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
    })
}
