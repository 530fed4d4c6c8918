//! A case, and its name: `tcp/connect/ECONNREFUSED/2` is the second call that fails, and with a `+`
//! behind, it and all that follow.

use std::fmt;

use crate::calls::{Call, Outcome, Rule};
use crate::errno;
use crate::session::Session;
use crate::supervisor::Fault;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) session: Session,
    pub(crate) fault: Fault,
}

impl Case {
    /// `None` where such a thing does not happen; see [`Rule::for_ever`].
    pub(crate) fn new(
        session: Session,
        call: &'static Call,
        errno: libc::c_int,
        from: u64,
        for_ever: bool,
    ) -> Option<Self> {
        let Rule { for_ever: ever, made, .. } = (call.rule)(errno, session);
        let happens = !for_ever || ever.is_some();
        let fault = Fault { call, errno, from, for_ever, made };
        happens.then_some(Self { session, fault })
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        let parts: Vec<&str> = name.split('/').collect();
        let [session, call, error, which] = parts[..] else { return None };
        let for_ever = which.ends_with('+');
        let from = which.trim_end_matches('+').parse().ok()?;
        Self::new(
            Session::named(session)?,
            Call::named(call)?,
            errno::number(error)?,
            from,
            for_ever,
        )
    }

    /// The error that the operation reports. `pthread_create(3)` reports a lack of memory as EAGAIN; musl's reports
    /// every failure so.
    pub(crate) fn told(&self) -> libc::c_int {
        match (self.fault.call.name, self.fault.errno) {
            ("clone3", libc::ENOMEM) | ("clone", _) => libc::EAGAIN,
            (_, errno) => errno,
        }
    }

    /// The expected outcome.
    pub(crate) fn outcome(&self) -> Outcome {
        let rule = (self.fault.call.rule)(self.fault.errno, self.session);
        match rule.for_ever {
            Some(outcome) if self.fault.for_ever => outcome,
            _ => rule.once,
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { call, errno, from, for_ever, .. } = self.fault;
        let (session, error) = (self.session.name(), errno::name(errno));
        write!(f, "{session}/{}/{error}/{from}{}", call.name, if for_ever { "+" } else { "" })
    }
}
