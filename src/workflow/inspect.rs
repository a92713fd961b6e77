//! An inspection: reads all that can be read from outside the cluster, changes nothing, and explains.
//!
//! What could not be read is named in a warning, and fails nothing but what rests on it.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};

use crate::aws::Aws;
use crate::decide::diagnosis::{self, ActiveGrant, ClusterSnapshot, Finding, Iam, Subject};
use crate::decide::expiry::read_scheduled;
use crate::decide::{guardrails, plan};
use crate::domain::access_entry::{AccessEntry, EntryState};
use crate::domain::api_error::{ApiError, ApiErrorKind as Kind};
use crate::domain::codes::{Setting, WarningCode};
use crate::domain::failure::Failure;
use crate::domain::identity::{Caller, IamPrincipal, Identity};
use crate::domain::operation::Operation;
use crate::domain::principal::{Principal, PrincipalArn, PrincipalKind};
use crate::domain::record::StepOutcome;
use crate::input::event::{Action, Inspect, Request, RequestedPrincipal};
use crate::platform::clock::Stopwatch;
use crate::report::inspect_report;
use crate::report::outcome::Outcome;
use crate::workflow::accounts::ensure_account_matches;
use crate::workflow::context::Context;
use crate::workflow::recorder::{Recorder, TimedCall};
use crate::workflow::resolve::classify_iam_answer;

/// How many access entries, or schedules, are read at once. EKS does not say how many calls it takes a second; if it takes
/// fewer, the SDK slows down and asks again.
const AT_ONCE: usize = 16;
/// How many principals IAM is asked for one by one, at the most.
const MOST_SINGLE_QUESTIONS: usize = 300;
/// How many of those that could not be read are named.
const NAMED: usize = 5;

/// Inspects a cluster, and one principal's access to it if the request names one.
///
/// # Errors
/// If not even the cluster can be read.
pub async fn run(
    context: &Context<'_>,
    request: &Request,
    inspect: &Inspect,
    recorder: &mut Recorder,
) -> Result<Outcome, Failure> {
    let (aws, name) = (context.aws, &request.cluster.name);
    let (who, what, listed, roles, names) = tokio::join!(
        TimedCall::call(Operation::GetCallerIdentity, aws.get_caller_identity()),
        TimedCall::call(Operation::DescribeCluster, aws.describe_cluster(name)),
        TimedCall::call(Operation::ListAccessEntries, aws.list_access_entries(name)),
        TimedCall::call(Operation::ListRoles, aws.list_roles()),
        schedule_names(context, request),
    );
    let caller = recorder.call(who, |caller| caller.arn.clone())?;
    ensure_account_matches(context, &request.cluster, &caller)?;
    let cluster = recorder
        .call(what, |seen| format!("status {}, authentication mode {}", seen.status, seen.authentication_mode))?;
    let mut snapshot = SnapshotCollector { context, recorder, unseen: Vec::new() };

    let listed = match snapshot.recorder.optional(listed, |entries| format!("{} access entries", entries.len())) {
        Err(error) if error.kind == Kind::ModeWithoutEntries => Some(Vec::new()),
        listed => snapshot.seen("the list of access entries", listed),
    };
    // What cannot be read is a service-linked role, or the account's root: neither can be granted access.
    let arns = listed.iter().flatten().filter_map(|arn| PrincipalArn::parse(arn).ok());
    let mut principals: BTreeSet<PrincipalArn> = arns.collect();

    let iam = snapshot.iam(inspect.principal.as_ref(), roles, &caller, &principals).await;
    let mut subject = None;
    if let Some(requested) = &inspect.principal {
        subject = Some(snapshot.subject(requested, &iam, &caller, &principals).await);
    }
    let own = subject.as_ref().and_then(|subject| subject.arn.clone());
    // A role that may not list the entries may still read the one that it was asked about.
    if listed.is_none() {
        principals.extend(own.clone());
    }
    let (entries, unread) = snapshot.entries(name, principals).await;
    if let Some(subject) = &mut subject {
        let is_unread = own.as_ref().is_some_and(|arn| unread.contains(arn));
        subject.entry = match own.and_then(|arn| entries.get(&arn)) {
            Some(entry) => EntryState::Present(entry.clone()),
            None if cluster.authentication_mode.has_access_entries() && !is_unread => EntryState::Absent,
            None => EntryState::Unreadable,
        };
    }
    let strangers = entries.keys().filter(|arn| arn.account != iam.account).count();
    if strangers > 0 {
        snapshot.unseen.push(format!("whether {strangers} principals of other accounts exist"));
    }
    let (pending, all_pending_seen) = snapshot.pending(names).await;

    let SnapshotCollector { unseen, .. } = snapshot;
    let installation = context.installation.clone();
    let snapshot = ClusterSnapshot { cluster, subject, entries, iam, pending, all_pending_seen, installation };
    let findings = findings(context, request, &snapshot, &unseen, recorder);
    Ok(inspect_report::outcome(&request.cluster.region, caller, &snapshot, findings))
}

/// What is found, each with the event against it that the settings allow.
fn findings(
    context: &Context<'_>,
    request: &Request,
    snapshot: &ClusterSnapshot,
    unseen: &[String],
    recorder: &mut Recorder,
) -> Vec<Finding> {
    let (mut findings, left_out) = diagnosis::diagnose(snapshot);
    for finding in &mut findings {
        offer(context, request, snapshot, finding);
    }
    if left_out > 0 {
        recorder.warn(WarningCode::FindingsTruncated, format!("there are {left_out} more findings of the same kinds"));
    }
    if !unseen.is_empty() {
        recorder
            .warn(WarningCode::InspectionIncomplete, format!("these could not be looked at: {}", unseen.join("; ")));
    }
    findings
}

/// The names of the schedules that the cluster's revokes wait in; `None`: this function schedules none.
async fn schedule_names(context: &Context<'_>, request: &Request) -> Option<TimedCall<Vec<String>>> {
    let schedules = context.schedules.as_ref().ok()?;
    let prefix = schedules.prefix(&request.cluster);
    Some(TimedCall::call(Operation::ListSchedules, context.aws.list_schedules(schedules.group(), &prefix)).await)
}

/// Collects what an inspection reads.
struct SnapshotCollector<'a> {
    context: &'a Context<'a>,
    recorder: &'a mut Recorder,
    /// What could not be read, and why.
    unseen: Vec<String>,
}

impl SnapshotCollector<'_> {
    /// What was seen; what was not is remembered.
    fn seen<T>(&mut self, what: &str, answer: Result<T, ApiError>) -> Option<T> {
        answer.map_err(|error| self.unseen.push(format!("{what} ({error})"))).ok()
    }

    /// What is known of the principal that the request is about, but for its entry.
    async fn subject(
        &mut self,
        requested: &RequestedPrincipal,
        iam: &Iam,
        caller: &Caller,
        entries: &BTreeSet<PrincipalArn>,
    ) -> Subject {
        let (kind, account, name) = match &requested.principal {
            Principal::Iam(arn) => (arn.kind, &arn.account, &arn.name),
            Principal::Session(session) => (PrincipalKind::Role, &session.account, &session.role_name),
        };
        let known = match kind {
            PrincipalKind::Role => &iam.roles,
            PrincipalKind::User => &iam.users,
        };
        let mut identity =
            known.as_ref().and_then(|known| known.get(name)).filter(|_| *account == iam.account).cloned();
        let mut answers = None;
        if known.is_none() {
            let operation = if kind == PrincipalKind::Role { Operation::GetRole } else { Operation::GetUser };
            let answer = TimedCall::call(operation, self.context.aws.get_identity(kind, name)).await;
            let answer = self.recorder.optional(answer, |identity| identity.arn.to_string());
            identity = answer.as_ref().ok().filter(|identity| identity.arn.account == *account).cloned();
            answers = Some(answer);
        }
        let arn = match &requested.principal {
            Principal::Iam(arn) => Some(arn.clone()),
            Principal::Session(_) => identity.map(|identity| identity.arn).or_else(|| {
                let fits = |arn: &&PrincipalArn| (arn.kind, &arn.account, &arn.name) == (kind, account, name);
                entries.iter().find(fits).cloned()
            }),
        };
        let iam = match (&arn, answers) {
            (Some(arn), Some(answer)) => classify_iam_answer(arn, caller, answer),
            (Some(arn), None) => iam.lookup(arn),
            (None, None) if *account == iam.account => IamPrincipal::Absent { instead: None },
            (None, _) => IamPrincipal::Unknown { reason: "IAM did not answer".to_owned() },
        };
        Subject { arn, name: name.clone(), text: requested.text.clone(), iam, entry: EntryState::Unreadable }
    }

    /// What IAM knows: its roles, its users if any of them matters, and single ones that it does not list.
    async fn iam(
        &mut self,
        requested: Option<&RequestedPrincipal>,
        roles: TimedCall<BTreeMap<String, Identity>>,
        caller: &Caller,
        principals: &BTreeSet<PrincipalArn>,
    ) -> Iam {
        let roles = self.recorder.optional(roles, |roles| format!("{} roles", roles.len()));
        let mut iam = Iam {
            account: caller.account_id.clone(),
            roles: self.seen("IAM's roles (`iam:ListRoles`)", roles),
            ..Iam::default()
        };
        let is_user = |arn: &PrincipalArn| arn.kind == PrincipalKind::User;
        let asks_of_user = requested.is_some_and(|sent| matches!(&sent.principal, Principal::Iam(arn) if is_user(arn)));
        if asks_of_user || principals.iter().any(is_user) {
            let users = TimedCall::call(Operation::ListUsers, self.context.aws.list_users()).await;
            let users = self.recorder.optional(users, |users| format!("{} users", users.len()));
            iam.users = self.seen("IAM's users (`iam:ListUsers`)", users);
        }
        iam.answers = self.one_by_one(&iam, caller, principals).await;
        iam
    }

    /// What IAM says of principals that it does not list: of each by itself, as far as it answers.
    async fn one_by_one(
        &mut self,
        iam: &Iam,
        caller: &Caller,
        principals: &BTreeSet<PrincipalArn>,
    ) -> BTreeMap<PrincipalArn, IamPrincipal> {
        let listed = |arn: &PrincipalArn| match arn.kind {
            PrincipalKind::Role => iam.roles.is_some(),
            PrincipalKind::User => iam.users.is_some(),
        };
        let mut unlisted: Vec<_> = principals.iter().filter(|arn| arn.account == iam.account && !listed(arn)).collect();
        if unlisted.len() > MOST_SINGLE_QUESTIONS {
            self.unseen.push(format!("whether {} principals exist", unlisted.len() - MOST_SINGLE_QUESTIONS));
            unlisted.truncate(MOST_SINGLE_QUESTIONS);
        }
        let (watch, aws) = (Stopwatch::start(), self.context.aws);
        let mut answers = stream::iter(unlisted)
            .map(async |arn| (arn, aws.get_identity(arn.kind, &arn.name).await))
            .buffer_unordered(AT_ONCE);
        let mut classified = BTreeMap::new();
        while let Some((arn, answer)) = answers.next().await {
            match answer {
                // A role that is not allowed to read one is allowed to read none, and an IAM that does not answer is not waited for.
                Err(error) if error.kind != Kind::PrincipalNotFound => break,
                answer => {
                    classified.insert(arn.clone(), classify_iam_answer(arn, caller, answer));
                }
            }
        }
        if !classified.is_empty() {
            let detail = format!("{} principals, {AT_ONCE} at once, for IAM does not list them", classified.len());
            self.recorder.step(Operation::GetRole, StepOutcome::Succeeded, watch.elapsed(), detail);
        }
        classified
    }

    /// The access entries of these principals with their policies; and those that could not be read.
    async fn entries(
        &mut self,
        cluster: &str,
        principals: BTreeSet<PrincipalArn>,
    ) -> (BTreeMap<PrincipalArn, AccessEntry>, BTreeSet<PrincipalArn>) {
        let (watch, aws, total) = (Stopwatch::start(), self.context.aws, principals.len());
        let mut answers = stream::iter(principals)
            .map(async |arn| {
                let answer = entry(aws, cluster, &arn).await;
                (arn, answer)
            })
            .buffer_unordered(AT_ONCE);
        let (mut entries, mut unread, mut why) = (BTreeMap::new(), BTreeSet::new(), None);
        while let Some((arn, answer)) = answers.next().await {
            match answer {
                Ok(entry) => entries.extend(entry.map(|entry| (arn, entry))),
                Err(error) => {
                    unread.insert(arn);
                    why = why.or(Some(error));
                }
            }
        }
        if total > 0 {
            let outcome = if unread.is_empty() { StepOutcome::Succeeded } else { StepOutcome::Skipped };
            let detail = format!(
                "{total} access entries and their policies, {AT_ONCE} at once; {} could not be read",
                unread.len()
            );
            self.recorder.step(Operation::DescribeAccessEntry, outcome, watch.elapsed(), detail);
        }
        if let Some(error) = why {
            let names: Vec<&str> = unread.iter().take(NAMED).map(PrincipalArn::as_str).collect();
            let more = if unread.len() > NAMED { ", …" } else { "" };
            self.unseen.push(format!(
                "{} of {total} access entries: {}{more} ({error})",
                unread.len(),
                names.join(", ")
            ));
        }
        (entries, unread)
    }

    /// The revokes that are scheduled, and whether those are all.
    async fn pending(&mut self, names: Option<TimedCall<Vec<String>>>) -> (Vec<ActiveGrant>, bool) {
        let (Some(names), Ok(schedules)) = (names, &self.context.schedules) else {
            return (Vec::new(), true);
        };
        let unseen_before = self.unseen.len();
        let names = self.recorder.optional(names, |names| format!("{} scheduled revokes", names.len()));
        let (aws, home) = (self.context.aws, &self.context.settings.region);
        let inputs: Vec<_> = stream::iter(self.seen("the scheduled revokes", names).unwrap_or_default())
            .map(async |name| aws.get_schedule(&schedules.named(name)).await)
            .buffered(AT_ONCE)
            .collect()
            .await;
        let mut pending = Vec::new();
        for input in inputs {
            let Some(Some(schedule)) = self.seen("a scheduled revoke", input) else {
                continue;
            };
            match read_scheduled(&schedule.input, home) {
                Ok((Request { action: Action::Revoke(revoke), .. }, waits)) => pending.push(ActiveGrant {
                    principal_arn: revoke.principal.text,
                    policy_arn: revoke.policy.as_str().to_owned(),
                    expires_at: Some(waits.expires_at),
                    end_is_known: true,
                }),
                Ok(_) => {}
                Err(why) => self.unseen.push(format!("a scheduled revoke ({why})")),
            }
        }
        (pending, self.unseen.len() == unseen_before)
    }
}

/// Makes a finding's remedy one that the settings allow, or says which of them forbids it.
fn offer(context: &Context<'_>, request: &Request, snapshot: &ClusterSnapshot, finding: &mut Finding) {
    let settings = context.settings;
    let Some(event) = finding.remedy.as_mut().and_then(Value::as_object_mut) else {
        return;
    };
    if let Some(reason) = &request.reason {
        event.insert("reason".to_owned(), json!(reason));
    }
    if settings.require_reason && request.reason.is_none() {
        event.insert("reason".to_owned(), json!("WHY"));
        finding.message.push_str("; say why in the `reason` of the remedy");
    }
    if let (Some(max), None, Ok(_)) = (settings.max_duration, settings.default_duration, &context.schedules) {
        event.insert("duration".to_owned(), json!(max.to_string()));
    }
    let judged = Request::parse(&json!(event).to_string(), &settings.region).map_err(Failure::from);
    let judged = judged.and_then(|grant| guardrails::request(settings, context.function, &grant)).and_then(|()| {
        plan::ensure_recoverable(&snapshot.cluster)?;
        let opens = !snapshot.cluster.authentication_mode.has_access_entries();
        if opens && !settings.allow_authentication_mode_change {
            return Err(Failure::denied(
                Setting::AllowAuthenticationModeChange,
                "the authentication mode would be changed",
            ));
        }
        Ok(())
    });
    if let Err(refused) = judged {
        finding.remedy = None;
        finding.message =
            format!("{}; no grant is offered, because it would be refused: {}", finding.message, refused.what);
    }
}

/// An access entry with its policies; `None`: it is gone by now.
async fn entry(aws: &Aws, cluster: &str, arn: &PrincipalArn) -> Result<Option<AccessEntry>, ApiError> {
    let (entry, policies) =
        tokio::join!(aws.describe_access_entry(cluster, arn), aws.list_associated_access_policies(cluster, arn));
    match entry? {
        // An entry whose policies are not shown is being created or deleted.
        EntryState::Present(entry) => {
            let unseen = || ApiError::unreadable(Operation::ListAssociatedAccessPolicies, "it shows no such entry");
            Ok(Some(AccessEntry { access_policies: policies?.ok_or_else(unseen)?, ..entry }))
        }
        EntryState::Absent | EntryState::Unreadable => Ok(None),
    }
}
