//! Lets a locked-out IAM principal back into an Amazon EKS cluster, from outside the cluster, by EKS access entries.
//!
//! 1. [`handler`] takes the JSON event from Lambda, and reads it strictly ([`input`]).
//! 2. [`decide::guardrails`] says whether the settings allow it.
//! 3. [`workflow`] observes the cluster, the principal, its access entry and its scheduled revoke, by calls of [`aws`].
//! 4. [`decide::plan`] says what to do: a pure function of the goal, the history and what was observed.
//! 5. [`workflow::execute`] carries the steps out, and observes again, until the plan is empty or the time is up.
//! 6. [`report`] makes the result and the announcement of it.
//!
//! Each folder imports only from those below it.

pub mod handler;

pub mod workflow;

pub mod aws;
pub mod report;

pub mod decide;

pub mod input;

pub mod domain;

pub mod platform;
