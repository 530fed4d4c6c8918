//! [calloop](https://docs.rs/calloop), the loop of Wayland programs.

use std::io;

use ::calloop::generic::Generic;
use ::calloop::{EventLoop, Interest, Mode, PostAction};
use ::netpoll::Reactor;

use super::{Tasks, turn};

pub(super) fn run(reactor: &Reactor, tasks: Tasks) -> io::Result<()> {
    run_as(Mode::Level, reactor, tasks)
}

pub(super) fn run_by_edges(reactor: &Reactor, tasks: Tasks) -> io::Result<()> {
    run_as(Mode::Edge, reactor, tasks)
}

/// The state that calloop hands to each source.
struct State {
    tasks: Tasks,
    done: bool,
}

fn run_as(mode: Mode, reactor: &Reactor, mut tasks: Tasks) -> io::Result<()> {
    let mut event_loop = EventLoop::<State>::try_new()?;
    let source = Generic::new(reactor.clone(), Interest::READ, mode);
    let on_readable =
        |_, reactor: &mut ::calloop::generic::NoIoDrop<Reactor>, state: &mut State| {
            state.done = turn(reactor, &mut state.tasks)?;
            Ok(PostAction::Continue)
        };
    event_loop.handle().insert_source(source, on_readable).map_err(|failed| failed.error)?;
    let mut state = State { done: tasks.run(), tasks };
    while !state.done {
        event_loop.dispatch(None, &mut state)?;
    }
    Ok(())
}
