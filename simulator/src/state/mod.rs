//! The data: accounts, clusters, access entries, principals, schedules. No behaviour of a service.

pub(crate) mod bus_event;
pub(crate) mod caller;
pub(crate) mod cluster;
pub(crate) mod entry;
pub(crate) mod kubernetes;
pub(crate) mod mode;
pub(crate) mod moment;
pub(crate) mod nodes;
pub(crate) mod principal;
pub(crate) mod resource;
pub(crate) mod role;
pub(crate) mod schedule;
