//! Lets a locked-out IAM principal back into an Amazon EKS cluster, from outside the cluster, by EKS access entries.
//!
//! A request goes through these modules from top to bottom. Those marked *pure* decide; they make no calls, read no
//! clock, and are tested without either.
//!
//! | module | holds |
//! |---|---|
//! | [`handler`] | JSON in, JSON or a named error out; deadline, audit, metrics |
//! | [`request`] | the event, strictly read (*pure*), by way of [`json`], [`text`], [`arn`], [`principal`] and [`region`] |
//! | [`guard`] | what the [`settings`] allow (*pure*), by way of [`pattern`] |
//! | [`grant`], [`revoke`] | the flow: observe, plan, execute, read back |
//! | [`inspect`] | the other flow: look at everything, and explain it by [`findings`] (*pure*) |
//! | [`observe`] | the reads that an [`observation`] is made of, by way of [`resolve`], [`instance_role`] and [`accounts`] |
//! | [`plan`] | what to do, given the goal, the [`history`] and what was observed (*pure*), by way of [`scope`] |
//! | [`execute`], [`mode_change`] | the steps of a plan, and the waiting that EKS's delays make necessary |
//! | [`ownership`] | whose an access entry is: the tags that a grant leaves (*pure*) |
//! | [`expiry`] | when access ends: the schedule that its revoke waits in (*pure*) |
//! | [`verify`] | what the cluster itself says to the principal, by way of [`review`] (*pure*) |
//! | [`outcome`] | the result (*pure*), with the [`kubeconfig`] and the [`next_steps`] |
//! | [`session_policy`] | what a session in another account may do (*pure*) |
//! | [`announce`] | what the event bus is told of it (*pure*), in [`words`] too |
//! | [`error`] | every failure's name, and words for it (*pure*) |
//! | [`journal`] | what was done, changed, and may have been changed, by way of [`log`] and, at DEBUG, [`sdk_log`] |
//! | [`context`] | what a request is carried out with |
//! | [`aws`] | each API operation as a method, in and out of our own types |
//! | [`clock`] | what time it is, how long there is left, and the only wait loop |
//! | [`chat`] | a second function: `/break-glass` in Slack starts the runbook and answers it |

pub mod accounts;
pub mod announce;
pub mod arn;
pub mod aws;
pub mod chat;
pub mod clock;
pub mod context;
pub mod error;
pub mod execute;
pub mod expiry;
pub mod findings;
pub mod grant;
pub mod guard;
pub mod handler;
pub mod history;
pub mod inspect;
pub mod instance_role;
pub mod journal;
pub mod json;
pub mod kubeconfig;
pub mod log;
pub mod mode_change;
pub mod next_steps;
pub mod observation;
pub mod observe;
pub mod outcome;
pub mod ownership;
pub mod pattern;
pub mod plan;
pub mod principal;
pub mod region;
pub mod request;
pub mod resolve;
pub mod review;
pub mod revoke;
pub mod revoke_report;
pub mod scope;
pub mod sdk_log;
pub mod session_policy;
pub mod settings;
pub mod text;
pub mod verify;
pub mod words;
