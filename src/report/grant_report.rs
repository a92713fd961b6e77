//! The result of a grant.

use serde_json::Value;

use crate::decide::history::History;
use crate::decide::plan::{Goal, given};
use crate::decide::{access_review, guardrails, ownership};
use crate::domain::access_entry::Ends;
use crate::domain::cluster::AuthenticationMode;
use crate::domain::codes::Status;
use crate::domain::identity::IamPrincipal;
use crate::domain::observed_state::Observation;
use crate::domain::region::Region;
use crate::domain::verification::{Kubernetes, Verdict};
use crate::report::kubeconfig;
use crate::report::next_steps::{self, Granted};
use crate::report::outcome::{self, AccessEntryReport, ClusterReport, Outcome, PrincipalReport, Verification};

/// When to send an event again whose cluster is still changing its authentication mode, in seconds.
const RETRY_AFTER_SECONDS: u64 = 30;

/// What the result of a grant is made of.
#[derive(Debug)]
pub struct Report<'a> {
    /// What was asked for.
    pub goal: &'a Goal<'a>,
    /// What was done.
    pub history: &'a History,
    /// What was observed last.
    pub seen: &'a Observation,
    /// The authentication mode, as it was observed first.
    pub initial_mode: AuthenticationMode,
    /// The principal, as the event names it.
    pub requested: &'a str,
    /// The cluster's region.
    pub region: &'a Region,
}

impl Report<'_> {
    /// The event that removes exactly this grant, if there is something of it.
    #[must_use]
    pub fn undo(&self) -> Option<Value> {
        let restore = given::restore(self.goal, self.history, self.seen)?;
        Some(outcome::undo(&self.seen.cluster, &self.seen.principal, &self.goal.policy, &restore))
    }

    /// The result of a grant that ended with `status`, and would have ended with `planned_status`.
    #[must_use]
    pub fn ended(&self, status: Status, planned_status: Option<Status>, verdict: Option<Verdict>) -> Outcome {
        let effective = status.access_is_effective();
        let undo = self.undo().filter(|_| effective);
        let entry = self.seen.entry.present();
        let created = given::created_entry(self.goal, self.history, self.seen);
        Outcome {
            status,
            planned_status,
            action: "grant",
            request_id: String::new(),
            cluster: ClusterReport::new(&self.seen.cluster, self.initial_mode),
            principal: Some(PrincipalReport::new(self.requested, &self.seen.principal)),
            expires_at: self.seen.expiry.pending().map(|revoke| revoke.expires_at),
            next_steps: self.next_steps(status, undo.as_ref()),
            warnings: Vec::new(),
            findings: None,
            undo,
            verification: self.verification(effective, verdict),
            access_entry: entry.map(|entry| AccessEntryReport::new(entry, created)),
            access_policies: entry.map(|entry| entry.access_policies.clone()).unwrap_or_default(),
            replaced_entry: self.history.replaced().map(outcome::ReplacedEntry::new),
            retry_after_seconds: (status == Status::InProgress).then_some(RETRY_AFTER_SECONDS),
            caller: self.seen.caller.clone(),
            steps: Vec::new(),
            kubeconfig: kubeconfig::render(&self.seen.cluster, self.region),
        }
    }

    fn verification(&self, effective: bool, verdict: Option<Verdict>) -> Verification {
        let command = access_review::command(&self.goal.policy, &self.goal.scope);
        let (kubernetes, detail) = match (verdict, effective) {
            (Some(verdict), _) => (verdict.kubernetes, verdict.detail),
            (None, false) => {
                (Kubernetes::NotPerformed, "Nothing was granted yet, so there is nothing to verify.".to_owned())
            }
            (None, true) => (
                Kubernetes::NotPerformed,
                format!(
                    "EKS shows the entry and the policy as asked for. The cluster's API server was not asked: as the principal, run `{command}`."
                ),
            ),
        };
        Verification { control_plane: effective.then_some("CONFIRMED"), kubernetes, detail }
    }

    fn next_steps(&self, status: Status, undo: Option<&Value>) -> Vec<String> {
        let settings = self.goal.settings;
        let mut steps = match status {
            Status::InProgress => vec![format!(
                "Send the same event again after {RETRY_AFTER_SECONDS} seconds. It continues from where this one stopped."
            )],
            Status::Planned => vec!["Send the same event without `dryRun`.".to_owned()],
            _ => next_steps::granted(&Granted {
                cluster: &self.seen.cluster,
                region: self.region,
                principal: &self.seen.principal,
                policy: &self.goal.policy,
                scope: &self.goal.scope,
                already: status == Status::AlreadyGranted,
                may_recreate: matches!(self.seen.iam, IamPrincipal::Unknown { .. })
                    && self.seen.entry.present().is_some_and(|entry| {
                        guardrails::recreation(settings, entry, entry.custom_username(&self.seen.principal), false)
                            .is_ok()
                    }),
            }),
        };
        if self.initial_mode != self.seen.cluster.authentication_mode {
            steps.extend(next_steps::mode_changed(&self.seen.cluster));
        }
        if let Some(old) = self.history.replaced() {
            // What a timed grant gave was to end.
            if ownership::ends(old) == Some(Ends::Scheduled) {
                steps.push(
                    "The old entry was of a timed grant. If its access is still needed, grant it again.".to_owned(),
                );
                return steps;
            }
            steps.extend(next_steps::restore_entry(&self.seen.cluster, &self.seen.principal, old, undo.is_some()));
        }
        steps
    }
}
