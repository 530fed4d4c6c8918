//! GLib's main loop, the loop of GTK programs.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;

use ::glib::source::unix_fd_source_new;
use ::glib::thread_guard::ThreadGuard;
use ::glib::{ControlFlow, IOCondition, MainContext, MainLoop, Priority};
use ::netpoll::Reactor;

use super::{Tasks, turn};

pub(super) fn run(reactor: &Reactor, mut tasks: Tasks) -> io::Result<()> {
    if tasks.run() {
        return Ok(());
    }
    // A program with one loop takes the default context, and `unix_fd_add_local`.
    let context = MainContext::new();
    let main_loop = MainLoop::new(Some(&context), false);
    let result = Rc::new(RefCell::new(Ok(())));
    // GLib demands a closure that may be sent; this one stays.
    let mut state = ThreadGuard::new((reactor.clone(), tasks, main_loop.clone(), result.clone()));
    let on_readable = move |_, _| {
        let (reactor, tasks, main_loop, result) = state.get_mut();
        match turn(reactor, tasks) {
            Ok(false) => return ControlFlow::Continue,
            Ok(true) => {}
            Err(error) => *result.borrow_mut() = Err(error),
        }
        main_loop.quit();
        ControlFlow::Break
    };
    let number = reactor.as_fd().as_raw_fd();
    let source = unix_fd_source_new(number, IOCondition::IN, None, Priority::DEFAULT, on_readable);
    source.attach(Some(&context));
    main_loop.run();
    result.replace(Ok(()))
}
