//! The result of a revoke.

use crate::decide::access_review;
use crate::domain::access_scope::AccessScope;
use crate::domain::arn::PolicyArn;
use crate::domain::codes::Status;
use crate::domain::identity::Caller;
use crate::domain::observed_state::Observation;
use crate::domain::principal::Principal;
use crate::domain::verification::{Kubernetes, Verdict};
use crate::input::event::{Request, Revoke};
use crate::report::outcome::{AccessEntryReport, ClusterReport, Outcome, Ownership, PrincipalReport, Verification};

/// A dry run is planned, and says what the event would end in.
fn planned(revoke: &Revoke, status: Status) -> (Status, Option<Status>) {
    if revoke.dry_run { (Status::Planned, Some(status)) } else { (status, None) }
}

/// What the results of one revoke share.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// What was asked for.
    pub revoke: &'a Revoke,
}

impl Report<'_> {
    /// The result of a revoke that ended with `status`, or would.
    #[must_use]
    pub fn ended(&self, seen: &Observation, status: Status, ownership: Ownership, verdict: Option<Verdict>) -> Outcome {
        let (status, planned_status) = planned(self.revoke, status);
        let entry = seen.entry.present();
        let (control_plane, detail) = match status {
            Status::Planned => (None, "Nothing was revoked yet, so there is nothing to verify."),
            Status::Superseded if seen.expiry.pending().is_some() => {
                (None, "The grant was extended. The revoke that is scheduled now ends it.")
            }
            Status::Superseded => {
                (None, "The access was given after the time of this revoke. No revoke is scheduled for it.")
            }
            _ => (
                Some("CONFIRMED"),
                "EKS shows the access as it was before the grant. The cluster's API server was not asked.",
            ),
        };
        let (kubernetes, detail) = match verdict {
            Some(verdict) => (verdict.kubernetes, verdict.detail),
            None => (Kubernetes::NotPerformed, detail.to_owned()),
        };
        // Workflows ask for an approval if the ownership isn't proven.
        let ownership = planned_status.map(|_| ownership);
        let access_entry = match (entry, ownership) {
            (Some(entry), ownership) => Some(AccessEntryReport::new(entry, false).with_ownership(ownership)),
            (None, Some(ownership)) => Some(AccessEntryReport::absent(ownership)),
            (None, None) => None,
        };
        Outcome {
            status,
            planned_status,
            action: "revoke",
            request_id: String::new(),
            cluster: ClusterReport::new(&seen.cluster, seen.cluster.authentication_mode),
            principal: Some(PrincipalReport::new(&self.revoke.principal.text, &seen.principal)),
            expires_at: seen.expiry.pending().map(|pending| pending.expires_at),
            next_steps: next_steps(status, &self.revoke.policy),
            warnings: Vec::new(),
            findings: None,
            undo: None,
            verification: Verification { control_plane, kubernetes, detail },
            access_entry,
            access_policies: entry.map(|entry| entry.access_policies.clone()).unwrap_or_default(),
            replaced_entry: None,
            retry_after_seconds: None,
            caller: seen.caller.clone(),
            steps: Vec::new(),
            kubeconfig: None,
        }
    }

    /// The result of a scheduled revoke whose cluster doesn't exist any more.
    #[must_use]
    pub fn gone(&self, request: &Request, caller: Caller) -> Outcome {
        let (status, planned_status) = planned(self.revoke, Status::NothingToRevoke);
        let principal = match &self.revoke.principal.principal {
            Principal::Iam(arn) => Some(PrincipalReport::new(&self.revoke.principal.text, arn)),
            Principal::Session(_) => None,
        };
        Outcome {
            status,
            planned_status,
            action: "revoke",
            request_id: String::new(),
            cluster: ClusterReport::gone(&request.cluster, &caller.account_id),
            principal,
            expires_at: None,
            next_steps: Vec::new(),
            warnings: Vec::new(),
            findings: None,
            undo: None,
            verification: Verification {
                control_plane: None,
                kubernetes: Kubernetes::NotPerformed,
                detail: "The cluster doesn't exist any more.".to_owned(),
            },
            access_entry: None,
            access_policies: Vec::new(),
            replaced_entry: None,
            retry_after_seconds: None,
            caller,
            steps: Vec::new(),
            kubeconfig: None,
        }
    }
}

fn next_steps(status: Status, policy: &PolicyArn) -> Vec<String> {
    match status {
        Status::Planned => vec!["Send the same event without `dryRun`.".to_owned()],
        Status::Revoked => [
            access_review::command(policy, &AccessScope::Cluster),
            "kubectl get clusterrolebindings,rolebindings --all-namespaces --sort-by=.metadata.creationTimestamp -o wide".to_owned(),
            "kubectl get serviceaccounts --all-namespaces --sort-by=.metadata.creationTimestamp".to_owned(),
            "kubectl get secrets --all-namespaces --field-selector type=kubernetes.io/service-account-token".to_owned(),
        ]
        .to_vec(),
        _ => Vec::new(),
    }
}
