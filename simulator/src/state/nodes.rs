//! Node groups and Fargate profiles.

use crate::state::moment::uuid;

/// Where the ids of node groups and of Fargate profiles begin.
pub(crate) const NODEGROUPS: u64 = 0x00de_0000;

pub(crate) const PROFILES: u64 = 0x0fa6_0000;

/// A node group or a Fargate profile: its name and its role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nodes {
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) id: String,
}

impl Nodes {
    pub(crate) fn new(name: &str, role: &str, id: u64) -> Self {
        Self { name: name.to_owned(), role: role.to_owned(), id: uuid(id) }
    }
}
