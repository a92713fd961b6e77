//! The findings of an inspection, one kind after the other.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Value, json};

use super::finding::{Finding, Severity};
use super::snapshot::{ActiveGrant, ClusterSnapshot, Subject};
use crate::decide::plan;
use crate::domain::access_entry::{AccessEntry, EntryState, policy_name};
use crate::domain::codes::FindingCode;
use crate::domain::identity::IamPrincipal;
use crate::domain::observed_state::is_stale;
use crate::domain::principal::PrincipalArn;
use crate::domain::sanitize::quoted;

/// How many findings of one code there are at most, and how many principals a list in a finding's evidence names.
const LONGEST_LIST: usize = 100;

/// How many of a list a finding's message names.
const IN_WORDS: usize = 3;

/// Explains what was seen, the gravest first; and how many findings were left out, because there were too many of their kind.
#[must_use]
pub fn diagnose(snapshot: &ClusterSnapshot) -> (Vec<Finding>, usize) {
    let mut findings = Findings { snapshot, list: Vec::new(), left_out: 0, replaced: BTreeSet::new() };
    findings.cluster();
    if let Some(subject) = &snapshot.subject {
        findings.subject(subject);
    }
    for (arn, entry) in &snapshot.entries {
        let is_subject = snapshot.subject.as_ref().is_some_and(|subject| subject.arn.as_ref() == Some(arn));
        if !is_subject {
            findings.entry(arn, entry);
        }
    }
    findings.administrators();
    findings.grants();
    let mut list = findings.list;
    list.sort_by_key(|finding| finding.severity);
    (list, findings.left_out)
}

struct Findings<'a> {
    snapshot: &'a ClusterSnapshot,
    list: Vec<Finding>,
    left_out: usize,
    /// The old roles of permission sets that were spoken of.
    replaced: BTreeSet<String>,
}

impl Findings<'_> {
    fn add(
        &mut self,
        code: FindingCode,
        severity: Severity,
        message: impl Into<String>,
        evidence: Value,
        remedy: Option<Value>,
    ) {
        let so_far = self.list.iter().filter(|finding| finding.code == code).count();
        if so_far < LONGEST_LIST {
            self.list.push(Finding { code, severity, message: message.into(), evidence, remedy });
        } else {
            self.left_out += 1;
        }
    }

    fn cluster(&mut self) {
        let cluster = &self.snapshot.cluster;
        if let Err(failure) = plan::ensure_recoverable(cluster) {
            let message = format!("{}: {}", failure.what, failure.remedy);
            self.add(
                FindingCode::ClusterNotRecoverable,
                Severity::Error,
                message,
                json!({ "status": cluster.status }),
                None,
            );
        }
        if cluster.status != "ACTIVE" {
            let message = format!("the cluster is {}; changes of it have to wait until it is ACTIVE", cluster.status);
            self.add(
                FindingCode::ClusterNotActive,
                Severity::Warning,
                message,
                json!({ "status": cluster.status }),
                None,
            );
        }
        if !cluster.health.is_empty() {
            let message = "EKS reports issues that may keep people out";
            self.add(FindingCode::ClusterHealth, Severity::Warning, message, json!({ "issues": cluster.health }), None);
        }
        if !cluster.authentication_mode.has_access_entries() {
            let remedy = self.snapshot.subject.as_ref().and_then(|subject| {
                let arn = subject.arn.as_ref().filter(|_| plan::ensure_recoverable(cluster).is_ok())?;
                (!matches!(subject.iam, IamPrincipal::Absent { .. })).then(|| self.snapshot.grant(arn))
            });
            self.add(
                FindingCode::AuthenticationModeConfigMap,
                Severity::Warning,
                "who gets in is said by the aws-auth ConfigMap alone, which cannot be seen from outside; if it was deleted or is wrong, nobody but the cluster's creator gets in; a grant switches to API_AND_CONFIG_MAP first, which cannot be undone",
                json!({ "authenticationMode": cluster.authentication_mode }),
                remedy,
            );
        }
        if !cluster.public_endpoint {
            self.add(
                FindingCode::PrivateEndpoint,
                Severity::Info,
                "the cluster's endpoint is private: kubectl works only from its VPC or a network connected to it, and times out elsewhere",
                json!({ "endpoint": cluster.endpoint, "endpointPublicAccess": false }),
                None,
            );
        }
    }

    /// Why the principal that the request is about has access, or none.
    fn subject(&mut self, subject: &Subject) {
        let named = subject.arn.as_ref().map_or(subject.text.as_str(), PrincipalArn::as_str);
        if let IamPrincipal::Absent { instead } = &subject.iam {
            if let Some(new) = subject.arn.as_ref().and_then(|arn| self.snapshot.iam.successor(arn)) {
                return self.role_replaced(named, &new.clone(), subject.entry.present());
            }
            // Anybody who may create roles can create one with the name of Identity Center's.
            let identity_center = |arn: &PrincipalArn| arn.permission_set().is_some();
            let lookalike = |arn: &PrincipalArn| arn.looks_like_identity_center();
            let instead =
                instead.as_ref().filter(|arn| !subject.arn.as_ref().is_some_and(identity_center) && !lookalike(arn));
            let message = match instead {
                Some(arn) => format!("IAM knows no `{named}`, but `{arn}`, of the same name under another path"),
                None => format!("IAM knows no `{named}`: it was deleted, or its name or account is wrong"),
            };
            let remedy = instead.map(|arn| self.snapshot.grant(arn));
            let evidence = json!({ "principalArn": named, "instead": instead.map(PrincipalArn::as_str) });
            return self.add(FindingCode::PrincipalNotFound, Severity::Error, message, evidence, remedy);
        }
        let Some(arn) = &subject.arn else {
            let message =
                format!("the role of `{named}` could not be resolved: neither IAM nor an access entry tells its ARN");
            return self.add(
                FindingCode::PrincipalNotFound,
                Severity::Error,
                message,
                json!({ "principalArn": named }),
                None,
            );
        };
        match &subject.entry {
            EntryState::Unreadable => {}
            EntryState::Absent => self.no_entry(arn),
            EntryState::Present(entry) => self.own_entry(arn, entry, &subject.iam),
        }
    }

    fn no_entry(&mut self, arn: &PrincipalArn) {
        let set = arn.permission_set();
        let old = self.snapshot.entries.iter().find(|(old, _)| {
            set.is_some()
                && old.permission_set() == set
                && old.account == arn.account
                && !matches!(self.snapshot.iam.lookup(old), IamPrincipal::Exists { .. })
        });
        match old {
            Some((old, entry)) => self.role_replaced(old.as_str(), arn, Some(entry)),
            None => self.add(
                FindingCode::NoAccessEntry,
                Severity::Error,
                format!("`{arn}` has no access entry on the cluster{}", self.by_config_map()),
                json!({ "principalArn": arn.as_str() }),
                Some(self.snapshot.grant(arn)),
            ),
        }
    }

    /// Where aws-auth still counts, it cannot be seen from outside.
    fn by_config_map(&self) -> &'static str {
        match self.snapshot.cluster.authentication_mode {
            crate::domain::cluster::AuthenticationMode::Api => "",
            _ => "; the aws-auth ConfigMap may let it in all the same, which cannot be seen from outside",
        }
    }

    fn own_entry(&mut self, arn: &PrincipalArn, entry: &AccessEntry, iam: &IamPrincipal) {
        if entry.r#type != "STANDARD" {
            let message = format!(
                "`{arn}` has an access entry of type {}, which lets nodes or AWS itself in; people need another principal",
                entry.r#type
            );
            let evidence = json!({ "principalArn": arn.as_str(), "type": entry.r#type });
            return self.add(FindingCode::EntryTypeUnsupported, Severity::Error, message, evidence, None);
        }
        if is_stale(iam, entry) {
            return self.stale(arn, entry, iam, Severity::Error);
        }
        if entry.access_policies.is_empty() {
            return self.without_policy(arn, entry, Severity::Error);
        }
        if plan::ensure_recoverable(&self.snapshot.cluster).is_err() {
            return;
        }
        let sure = matches!(iam, IamPrincipal::Exists { .. });
        let doubt = if sure {
            ""
        } else {
            ", unless it was made for an earlier principal of the same name, which IAM did not answer"
        };
        self.add(
            FindingCode::AccessOk,
            Severity::Info,
            format!("EKS lets `{arn}` in{doubt}; if kubectl says Unauthorized all the same, look at the credentials that it uses (`aws sts get-caller-identity`), then send a grant with `recreateEntry`: true"),
            json!({ "principalArn": arn.as_str(), "accessPolicies": entry.access_policies, "kubernetesGroups": entry.kubernetes_groups, "principalVerified": sure }),
            None,
        );
    }

    /// What is wrong with an entry that the request is not about.
    fn entry(&mut self, arn: &PrincipalArn, entry: &AccessEntry) {
        let iam = self.snapshot.iam.lookup(arn);
        if matches!(iam, IamPrincipal::Absent { .. }) {
            if self.replaced.contains(arn.as_str()) {
                return;
            }
            if let Some(new) = self.snapshot.iam.successor(arn)
                && !self.snapshot.entries.contains_key(new)
            {
                let new = new.clone();
                return self.role_replaced(arn.as_str(), &new, Some(entry));
            }
            return self.add(
                FindingCode::OrphanedEntry,
                Severity::Warning,
                format!(
                    "the access entry of `{arn}` lets nobody in, for IAM knows no such principal any more; one made again under this name would not get in by it either: `aws eks delete-access-entry --cluster-name {} --principal-arn {}` removes it",
                    quoted(&self.snapshot.cluster.name),
                    quoted(arn.as_str())
                ),
                json!({ "principalArn": arn.as_str(), "type": entry.r#type, "createdAt": entry.created_at }),
                None,
            );
        }
        if entry.r#type != "STANDARD" {
            return;
        }
        if is_stale(&iam, entry) {
            self.stale(arn, entry, &iam, Severity::Warning);
        } else if entry.access_policies.is_empty() && entry.kubernetes_groups.is_empty() {
            self.without_policy(arn, entry, Severity::Warning);
        }
    }

    fn stale(&mut self, arn: &PrincipalArn, entry: &AccessEntry, iam: &IamPrincipal, severity: Severity) {
        let principal_created_at = match iam {
            IamPrincipal::Exists { created_at } => Some(created_at),
            _ => None,
        };
        self.add(
            FindingCode::EntryStale,
            severity,
            format!("the access entry of `{arn}` belongs to a deleted principal with the same ARN: it looks healthy and gives the present one no access; a grant replaces it by an entry with just what is asked for, and shows what it held"),
            json!({ "principalArn": arn.as_str(), "entryCreatedAt": entry.created_at, "principalCreatedAt": principal_created_at }),
            self.snapshot.grant_like(arn, Some(entry)),
        );
    }

    fn without_policy(&mut self, arn: &PrincipalArn, entry: &AccessEntry, severity: Severity) {
        let (severity, what) = match entry.kubernetes_groups.as_slice() {
            [] => (severity, "and no groups, so it may do nothing".to_owned()),
            groups => (
                Severity::Warning,
                format!("so that what it may do depends on what the cluster binds to its groups {}", groups.join(", ")),
            ),
        };
        self.add(
            FindingCode::EntryWithoutPolicy,
            severity,
            format!("the access entry of `{arn}` has no access policy, {what}"),
            json!({ "principalArn": arn.as_str(), "kubernetesGroups": entry.kubernetes_groups }),
            Some(self.snapshot.grant(arn)),
        );
    }

    fn role_replaced(&mut self, old: &str, new: &PrincipalArn, entry: Option<&AccessEntry>) {
        if !self.replaced.insert(old.to_owned()) {
            return;
        }
        self.add(
            FindingCode::SsoRoleReplaced,
            Severity::Error,
            format!("IAM Identity Center has replaced the role of a permission set: what `{old}` was let in for, `{new}` is not"),
            json!({
                "permissionSet": new.permission_set(),
                "oldPrincipalArn": old,
                "newPrincipalArn": new.as_str(),
                "oldAccessPolicies": entry.map(|entry| &entry.access_policies),
            }),
            self.snapshot.grant_like(new, entry),
        );
    }

    /// Who still has access, and can grant it to others.
    fn administrators(&mut self) {
        let snapshot = self.snapshot;
        let subject = snapshot.subject.as_ref().and_then(|subject| subject.arn.as_ref());
        let admins: Vec<&str> = snapshot
            .entries
            .iter()
            .filter(|(arn, entry)| {
                let iam = snapshot.iam.lookup(arn);
                Some(*arn) != subject
                    && entry.is_cluster_admin()
                    && !matches!(iam, IamPrincipal::Absent { .. })
                    && !is_stale(&iam, entry)
            })
            .map(|(arn, _)| arn.as_str())
            .collect();
        if admins.is_empty() {
            return;
        }
        let exists = |(arn, _): (&PrincipalArn, _)| matches!(snapshot.iam.lookup(arn), IamPrincipal::Exists { .. });
        let sure = snapshot.entries.iter().filter(|(arn, _)| admins.contains(&arn.as_str())).all(exists);
        let doubt = if sure { "" } else { ", if they still exist, which IAM did not answer" };
        self.add(
            FindingCode::OtherAdmins,
            Severity::Info,
            format!(
                "others are administrators of the whole cluster by their access entries: they can get in, and let others in{doubt}: {}",
                some(admins.iter())
            ),
            json!({ "principals": admins.iter().take(LONGEST_LIST).collect::<Vec<_>>(), "total": admins.len() }),
            None,
        );
    }

    /// What this function has granted and is still there: by its schedules, else by its tags.
    fn grants(&mut self) {
        let mut grants = self.snapshot.pending.clone();
        for (arn, entry) in &self.snapshot.entries {
            let ours = entry
                .access_policies
                .iter()
                .filter(|held| self.snapshot.installation.created_for(entry, policy_name(&held.policy_arn)));
            for policy in ours {
                let scheduled = grants
                    .iter()
                    .any(|grant| grant.principal_arn == arn.as_str() && grant.policy_arn == policy.policy_arn);
                if !scheduled {
                    grants.push(ActiveGrant {
                        principal_arn: arn.as_str().to_owned(),
                        policy_arn: policy.policy_arn.clone(),
                        expires_at: None,
                        end_is_known: self.snapshot.all_pending_seen,
                    });
                }
            }
        }
        if grants.is_empty() {
            return;
        }
        let total = grants.len();
        let in_words = some(grants.iter());
        grants.truncate(LONGEST_LIST);
        self.add(
            FindingCode::ActiveGrants,
            Severity::Info,
            format!("this function has granted: {in_words}"),
            json!({ "grants": grants, "total": total }),
            None,
        );
    }
}

/// The first of a list, in words.
fn some(list: impl ExactSizeIterator<Item: fmt::Display>) -> String {
    let more = list.len().saturating_sub(IN_WORDS);
    let mut words: Vec<String> = list.take(IN_WORDS).map(|item| item.to_string()).collect();
    if more > 0 {
        words.push(format!("and {more} more"));
    }
    words.join(", ")
}
