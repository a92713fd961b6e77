//! A faithful simulator of the EKS access API and of the AWS services around it.
//!
//! One state machine, [`World`], pure and with simulated time, and two doors to it:
//!
//! * in process: [`Simulation::serve`] takes the HTTP request that an AWS SDK has built and
//!   answers it, so that tests drive the real SDK without a socket and under paused time;
//! * over HTTP(S): [`server`] puts the same function behind a listener, for the real binary, the
//!   AWS CLI, and people who try things out.
//!
//! | module | holds |
//! |---|---|
//! | [`world`] | one AWS, made of the data in `state`: accounts, clusters, access entries, IAM principals |
//! | `services` | what each AWS service does with it, and what time does |
//! | `authorization` | who may call what, by [`policy`] |
//! | [`operation`] | the API operations as types, with their exact errors |
//! | [`policy`] | IAM policies: who may call what, with condition keys |
//! | [`wire`] | HTTP request to operation, result to HTTP response (rest-json and query protocols) |
//! | [`fault`] | what can be made to go wrong at a call |
//! | [`gate`] | a gate for calls: a test chooses which one goes on |
//! | [`simulation`] | a shared world with a clock, a call log and faults: the in-process door |
//! | [`server`] | the HTTP(S) door |
//! | `api_server` | the API server of a cluster: tokens, and access reviews about oneself |
//! | [`scenario`] | worlds with names, for people who try things out |
//! | [`kubectl`] | what kubectl would print |
//! | [`lambda`] | a Lambda Runtime API for running a real function binary |
//! | [`interrupt`] | the wish that a program should end |

mod api_server;
mod authorization;
pub mod fault;
pub mod gate;
pub mod interrupt;
pub mod kubectl;
pub mod lambda;
mod listener;
pub mod operation;
pub mod policy;
pub mod scenario;
pub mod server;
mod services;
pub mod simulation;
mod state;
mod tls;
pub mod wire;
pub mod world;

pub use simulation::Simulation;
pub use world::World;
