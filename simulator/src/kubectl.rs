//! What kubectl would print: the simulated cluster's API server, asked by a principal.

use crate::Simulation;
use crate::world::KubernetesAccess;

/// The article's last command.
pub const COMMAND: &str = "kubectl auth can-i '*' '*' --all-namespaces";

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Whether it is yes.
    pub allowed: bool,
    /// In kubectl's words.
    pub words: &'static str,
}

/// What [`COMMAND`] prints to a principal.
#[must_use]
pub fn can_do_everything(simulation: &Simulation, cluster: &str, principal: &str) -> Answer {
    let access = simulation.world(|world| world.kubernetes_access(cluster, principal));
    let allowed = access.is_cluster_admin();
    let words = match access {
        KubernetesAccess::Unauthorized => "error: You must be logged in to the server (Unauthorized)",
        KubernetesAccess::Mapped(_) if allowed => "yes",
        KubernetesAccess::Mapped(_) => "no",
    };
    Answer { allowed, words }
}
