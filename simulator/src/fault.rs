//! What can be made to go wrong at a call.

use std::time::Duration;

/// Which calls go wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// The so-manieth call of all, counted from 0.
    Call(usize),
    /// The next so many calls of an operation.
    Next(&'static str, usize),
    /// Every call of an operation.
    Every(&'static str),
}

/// How they go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Too many calls.
    Throttled,
    /// 500 or 503, without effect.
    ServerError(u16),
    /// The connection breaks before the call takes effect.
    ResetBeforeEffect,
    /// The connection breaks after it: the effect is there and the answer is lost.
    ResetAfterEffect,
    /// The answer takes longer.
    Slow(Duration),
    /// The effect is there, and the answer is 200 with a body that nobody can read.
    Garbage,
    /// The caller may not.
    Denied,
}

/// A fault: which calls, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which calls go wrong.
    pub at: At,
    /// How.
    pub kind: Kind,
}

impl Fault {
    /// A fault.
    #[must_use]
    pub fn new(at: At, kind: Kind) -> Self {
        Self { at, kind }
    }
}

/// Takes the fault that strikes a call out of those that wait, if one does.
pub(crate) fn strike(faults: &mut Vec<Fault>, call: usize, operation: &str) -> Option<Kind> {
    let index = faults.iter().position(|fault| match &fault.at {
        At::Call(number) => *number == call,
        At::Next(name, _) | At::Every(name) => *name == operation,
    })?;
    let fault = faults.get_mut(index)?;
    let kind = fault.kind;
    match &mut fault.at {
        At::Every(_) => {}
        At::Next(_, left) if *left > 1 => *left -= 1,
        At::Call(_) | At::Next(..) => {
            faults.remove(index);
        }
    }
    Some(kind)
}
