//! The result of an inspection.

use crate::decide::diagnosis::{ActiveGrant, ClusterSnapshot, Finding, Subject};
use crate::domain::codes::Status;
use crate::domain::identity::Caller;
use crate::domain::region::Region;
use crate::domain::verification::Kubernetes;
use crate::report::kubeconfig;
use crate::report::outcome::{AccessEntryReport, ClusterReport, Outcome, PrincipalReport, Verification};

/// The result of an inspection.
#[must_use]
pub fn outcome(region: &Region, caller: Caller, snapshot: &ClusterSnapshot, findings: Vec<Finding>) -> Outcome {
    let subject = snapshot.subject.as_ref();
    let entry = subject.and_then(|subject| subject.entry.present());
    let report = |subject: &Subject| subject.arn.as_ref().map(|arn| PrincipalReport::new(&subject.text, arn));
    let own = |grant: &&ActiveGrant| {
        let arn = subject.and_then(|subject| subject.arn.as_ref());
        arn.is_some_and(|arn| arn.as_str() == grant.principal_arn)
    };
    let next_step = if findings.iter().any(|finding| finding.remedy.is_some()) {
        "the `remedy` of a finding is the event to send against it; the gravest stand first".to_owned()
    } else {
        "no finding has a remedy that this function could carry out".to_owned()
    };
    Outcome {
        status: Status::Inspected,
        planned_status: None,
        action: "inspect",
        request_id: String::new(),
        cluster: ClusterReport::new(&snapshot.cluster, snapshot.cluster.authentication_mode),
        principal: subject.and_then(report),
        expires_at: snapshot.pending.iter().filter(own).filter_map(|grant| grant.expires_at).min(),
        next_steps: vec![next_step],
        warnings: Vec::new(),
        findings: Some(findings),
        undo: None,
        verification: Verification {
            control_plane: None,
            kubernetes: Kubernetes::NotPerformed,
            detail: "An inspection reads EKS, IAM and EventBridge Scheduler. The cluster's API server was not asked."
                .to_owned(),
        },
        access_entry: entry.map(|entry| AccessEntryReport::new(entry, false)),
        access_policies: entry.map(|entry| entry.access_policies.clone()).unwrap_or_default(),
        replaced_entry: None,
        retry_after_seconds: None,
        caller,
        steps: Vec::new(),
        kubeconfig: kubeconfig::render(&snapshot.cluster, region),
    }
}
