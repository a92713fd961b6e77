//! A grant: observe, plan, execute, read back, until there is nothing left to do.
//!
//! Every pass starts from what AWS shows, so an event that is sent again, at once or after a crash, continues from wherever the last one
//! got to and ends in the same state.

use serde_json::Value;

use crate::aws::{ApiError, Operation};
use crate::clock::Deadline;
use crate::context::Context;
use crate::error::Failure;
use crate::execute::{self, Executor};
use crate::expiry::ExpiryState;
use crate::guard;
use crate::history::{History, StepResult};
use crate::journal::{Journal, StepOutcome};
use crate::kubeconfig;
use crate::mode_change;
use crate::next_steps::{self, Granted};
use crate::observation::{AuthenticationMode, EntryState, IamPrincipal, Observation};
use crate::observe::{self, Subject};
use crate::outcome::{self, AccessEntryReport, ClusterReport, Outcome, PrincipalReport, Status, Verification};
use crate::ownership::{self, Ends};
use crate::plan::{self, Goal, Plan, Step};
use crate::request::{Grant, Request, Restore, Verify};
use crate::review;
use crate::verify::{self, Expected, Kubernetes, Verdict};

/// When to send an event again whose cluster is still changing its authentication mode, in seconds.
const RETRY_AFTER_SECONDS: u64 = 30;

/// Grants access to a principal.
///
/// # Errors
/// If it can't be done, or must not be. The journal knows what was changed by then.
pub async fn run(
    context: &Context<'_>,
    request: &Request,
    grant: &Grant,
    journal: &mut Journal,
) -> Result<Outcome, Failure> {
    let settings = context.settings;
    let duration = guard::duration(settings, grant)?;
    let subject = Subject {
        cluster: &request.cluster,
        principal: &grant.principal.principal,
        policy: &grant.policy,
        grant: Some(grant),
        expiry_is_optional: duration.is_none(),
    };
    let seen = observe::observe(context, subject, journal).await?;
    guard::cluster(settings, &seen.cluster.name, Some(&seen.cluster.arn))?;
    guard::principal(settings, &seen.principal, seen.cluster.account())?;
    guard::own_roles(settings, &seen.own, &seen.principal)?;
    let goal = Goal {
        policy: grant.policy.clone(),
        scope: grant.scope.clone(),
        duration,
        recreate: grant.recreate_entry,
        emergency: grant.emergency,
        instance_role: grant.instance_role,
        tags: context.installation.tags(context.request_id, request, grant),
        request_id: context.request_id,
        installation: &context.installation,
        settings,
    };
    let mut reconciler = GrantReconciler {
        context,
        request,
        grant,
        subject,
        goal,
        initial_mode: seen.cluster.authentication_mode,
        seen,
        history: History::default(),
    };
    match reconciler.reconcile(journal).await {
        Ok(end) => {
            let verdict = reconciler.verify(end.status, journal).await;
            Ok(reconciler.outcome(end, verdict, journal))
        }
        Err(failure) => {
            reconciler.remove_unneeded_schedule(journal).await;
            Err(failure)
        }
    }
}

/// How the loop ended.
#[derive(Debug, Clone, Copy)]
struct End {
    status: Status,
    /// What a dry run would have ended in.
    planned: Option<Status>,
}

/// A grant under way: what is asked for, what was observed last, and what was done.
struct GrantReconciler<'a> {
    context: &'a Context<'a>,
    request: &'a Request,
    grant: &'a Grant,
    subject: Subject<'a>,
    goal: Goal<'a>,
    /// The authentication mode, as it was observed first.
    initial_mode: AuthenticationMode,
    seen: Observation,
    history: History,
}

impl GrantReconciler<'_> {
    async fn reconcile(&mut self, journal: &mut Journal) -> Result<End, Failure> {
        let mut plan = self.plan(&self.seen)?;
        for (operation, why) in &plan.skipped {
            journal.step(operation, StepOutcome::Skipped, std::time::Duration::ZERO, why);
        }
        self.warn_of_circumstances(journal);
        if plan.steps.is_empty() && self.goal.duration.is_some() && matches!(self.seen.expiry, ExpiryState::Absent(_)) {
            // Access that is there, and no end of it: another grant may have given both between two of the reads.
            plan = self.read_back(journal).await?;
        }
        for (code, message) in &plan.warnings {
            journal.warn(code, message);
        }
        let ends_in = if plan.steps.is_empty() { Status::AlreadyGranted } else { Status::Granted };
        if self.grant.dry_run {
            journal.planned(&plan.steps);
            return Ok(End { status: Status::Planned, planned: Some(ends_in) });
        }
        let deadline = self.context.aws.deadline;
        let mode_deadline = self.grant.wait.map_or(deadline, |wait| deadline.min(Deadline::after(wait)));
        while !plan.steps.is_empty() {
            if self.history.observe(&self.seen) {
                journal.record_before(&self.seen);
            }
            let mut executor = Executor {
                context: self.context,
                cluster: &mut self.seen.cluster,
                principal: &self.seen.principal,
                policy: &self.grant.policy,
                mode_deadline,
                update_id: None,
            };
            if let Some(left) = executor.execute(&plan, &mut self.history, journal).await? {
                journal.planned(left);
                return Ok(End { status: Status::InProgress, planned: None });
            }
            plan = self.read_back(journal).await?;
            for (code, message) in &plan.warnings {
                journal.warn(code, message);
            }
        }
        let status = if journal.has_changes() { Status::Granted } else { Status::AlreadyGranted };
        Ok(End { status, planned: None })
    }

    fn plan(&self, seen: &Observation) -> Result<Plan, Failure> {
        plan::grant(&self.goal, &self.history, seen, self.context.now())
    }

    /// Reads the entry and its end back until AWS shows what was done, and plans what is left.
    async fn read_back(&mut self, journal: &mut Journal) -> Result<Plan, Failure> {
        let (goal, history, context) = (&self.goal, &self.history, self.context);
        let plan = |seen: &Observation| plan::grant(goal, history, seen, context.now());
        let expects = |step: &Step| history.expects(step);
        let planned = observe::read_back(context, self.subject, &mut self.seen, expects, journal, plan).await?;
        Ok(if self.resolve_unconfirmed(journal) { self.plan(&self.seen)? } else { planned })
    }

    /// A call that was refused as done already: by another request, or by this one, if the answer to it was lost. Whether the history has
    /// changed.
    fn resolve_unconfirmed(&mut self, journal: &mut Journal) -> bool {
        let Some(step) = self.history.unconfirmed().cloned() else {
            return false;
        };
        let own = match &step {
            Step::CreateEntry(_) | Step::ReplaceEntry(_) | Step::RecreateEntry(_) => {
                let entry = self.seen.entry.present();
                entry.is_some_and(|entry| self.goal.installation.created_by_grant(entry, self.goal.request_id))
            }
            Step::CreateSchedule { revoke, .. } => self.seen.expiry.pending() == Some(revoke),
            _ => return false,
        };
        let (operation, change) = match &step {
            Step::CreateSchedule { revoke, .. } => (Operation::CreateSchedule, execute::scheduled(revoke, false)),
            _ => (Operation::CreateAccessEntry, "the access entry was created".to_owned()),
        };
        // Without its tags, nothing shows whose the entry is: it stays unconfirmed.
        let untagged = self.seen.entry.present().is_some_and(|entry| entry.tags.is_empty());
        if !own && operation == Operation::CreateAccessEntry && untagged {
            return false;
        }
        journal.settle(&operation.to_string(), own.then_some(change));
        if own {
            self.history.append(step, StepResult::Applied, journal.count_of_changes());
        }
        own
    }

    /// Asks the cluster itself, if the event says so. The grant counts whatever the answer is.
    async fn verify(&self, status: Status, journal: &mut Journal) -> Option<Verdict> {
        if self.grant.verify != Verify::Kubernetes || !access_is_effective(status) {
            return None;
        }
        let (policy, scope) = (&self.grant.policy, &self.grant.scope);
        let verdict = verify::ask(self.context, &self.seen, policy, scope, Expected::Allowed, journal).await;
        if verdict.kubernetes == Kubernetes::Denied {
            let stale = if verdict.unauthorized {
                " If this stays so, run `aws sts get-caller-identity` with the principal's credentials, and compare its Arn with `principal.arn`."
            } else {
                ""
            };
            journal.warn(
                "KUBERNETES_ACCESS_DENIED",
                format!(
                    "EKS shows the access as granted, but the cluster denies it: {}.{stale}",
                    verdict.detail.trim_end_matches('.')
                ),
            );
        }
        Some(verdict)
    }

    /// A grant that came to nothing leaves no revoke behind, which could remove what is granted later. If anything was given after the
    /// revoke was scheduled, or may have been, the schedule stays.
    async fn remove_unneeded_schedule(&self, journal: &mut Journal) {
        if let Some((target, revoke)) = self.history.unneeded_schedule(journal.count_of_changes()) {
            let (seen, policy) = (&self.seen, &self.grant.policy);
            execute::remove_unneeded_schedule(self.context, target, revoke, seen, policy, journal).await;
        }
    }

    fn warn_of_circumstances(&self, journal: &mut Journal) {
        let cluster = &self.seen.cluster;
        if !cluster.health.is_empty() {
            journal.warn(
                "CLUSTER_HEALTH",
                format!("EKS reports issues that may deny access all the same: {}.", cluster.health.join("; ")),
            );
        }
        if !cluster.public_endpoint {
            journal.warn(
                "PRIVATE_ENDPOINT",
                "The cluster's endpoint is private: kubectl works only from its VPC or from a network that is connected to it.",
            );
        }
        if let ExpiryState::Unknown(error) = &self.seen.expiry {
            warn_of_unknown_end(error, journal);
        }
        if let ExpiryState::Altered(target, altered) = &self.seen.expiry {
            let fix = if self.goal.duration.is_some() {
                "This grant corrects it."
            } else {
                "A grant with `duration` corrects it."
            };
            journal.warn(
                "EXPIRY_ALTERED",
                format!("The schedule `{}` that ends the access is not as this function writes it: {}. The end is not certain. {fix}", target.name, altered.differences.join("; ")),
            );
        }
        if let (IamPrincipal::Unknown { reason }, EntryState::Present(_), false) =
            (&self.seen.iam, &self.seen.entry, self.grant.recreate_entry)
        {
            journal.warn(
                "STALENESS_UNKNOWN",
                format!(
                    "The function could not find out whether the access entry belongs to a deleted principal with the same ARN, which denies access to the present one. Allow `iam:GetRole` and `iam:GetUser` to the function's role. [{reason}]"
                ),
            );
        }
    }

    /// Whether this request created the entry that exists now, in place of none or of a stale one.
    fn created(&self) -> bool {
        let Some(entry) = self.seen.entry.present().filter(|_| self.history.recreated().is_none()) else {
            return false;
        };
        // Tags tell even if another request has deleted and created it since.
        if self.goal.installation.created(entry) {
            self.goal.installation.created_by_grant(entry, self.goal.request_id)
        } else {
            self.history.created_entry()
        }
    }

    /// The event that removes exactly this grant, if there is something of it.
    fn undo(&self) -> Option<Value> {
        let before = self.history.baseline().map_or(&self.seen.entry, |baseline| &baseline.entry);
        let restore = match (self.seen.expiry.scheduled(), before) {
            // What was there before the first of the grants that this schedule ends.
            (Some(revoke), _) => revoke.restore.clone(),
            _ if self.created() || self.history.replaced().is_some() => Restore::entry_created(),
            (_, EntryState::Present(entry)) => {
                self.goal.installation.restore(Some(entry), &self.grant.policy, &self.grant.scope)?
            }
            // Another request created the entry at the same time.
            (_, EntryState::Absent | EntryState::Unreadable) => Restore::entry_existed(None),
        };
        Some(outcome::undo(&self.seen.cluster, &self.seen.principal, &self.grant.policy, &restore))
    }

    fn outcome(&self, end: End, verdict: Option<Verdict>, journal: &mut Journal) -> Outcome {
        let status = end.status;
        let effective = access_is_effective(status);
        if self.initial_mode != self.seen.cluster.authentication_mode {
            mode_change::warn_of_mode_change(&self.seen.cluster.name, journal);
        }
        if let (ExpiryState::Unknown(error), true) = (&self.seen.expiry, effective) {
            warn_of_unknown_end(error, journal);
        }
        let undo = self.undo();
        let endless = self.goal.duration.is_some()
            && matches!(self.seen.expiry, ExpiryState::Absent(_) | ExpiryState::Unavailable(_));
        if endless && (effective || (status == Status::Planned && undo.is_none())) {
            self.warn_of_permanent_access(journal);
        }
        let entry = self.seen.entry.present();
        let replaced = self.history.replaced();
        Outcome {
            status,
            planned_status: end.planned,
            action: "grant",
            request_id: self.context.request_id.to_owned(),
            cluster: ClusterReport::new(&self.seen.cluster, self.initial_mode),
            principal: Some(PrincipalReport::new(&self.grant.principal.text, &self.seen.principal)),
            expires_at: self.seen.expiry.pending().map(|revoke| revoke.expires_at),
            next_steps: self.next_steps(status, effective.then_some(undo.as_ref()).flatten()),
            warnings: journal.warnings().to_vec(),
            findings: None,
            undo: undo.filter(|_| effective),
            verification: self.verification(effective, verdict),
            access_entry: entry.map(|entry| AccessEntryReport::new(entry, self.created())),
            access_policies: entry.map(|entry| entry.access_policies.clone()).unwrap_or_default(),
            replaced_entry: replaced.map(outcome::ReplacedEntry::new),
            retry_after_seconds: (status == Status::InProgress).then_some(RETRY_AFTER_SECONDS),
            caller: self.seen.caller.clone(),
            steps: journal.steps().to_vec(),
            kubeconfig: kubeconfig::render(&self.seen.cluster, &self.request.cluster.region),
        }
    }

    fn warn_of_permanent_access(&self, journal: &mut Journal) {
        let entry = self.seen.entry.present();
        let anothers = entry.filter(|entry| ownership::created_by_another(&self.context.installation, entry));
        let end = match anothers.and_then(ownership::ends) {
            Some(Ends::Scheduled) => {
                "Another installation of this function gave it, and has scheduled an end for the entry"
            }
            _ => "It has no end, and nothing shows that this function gave it",
        };
        journal.warn(
            "ACCESS_IS_PERMANENT",
            format!("The principal had the access already. {end}. This function does not remove what it did not give, so the access stays as it is."),
        );
    }

    fn verification(&self, effective: bool, verdict: Option<Verdict>) -> Verification {
        let command = review::command(&self.grant.policy, &self.grant.scope);
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
        let settings = self.context.settings;
        let mut steps = match status {
            Status::InProgress => vec![format!(
                "Send the same event again after {RETRY_AFTER_SECONDS} seconds. It continues from where this one stopped."
            )],
            Status::Planned => vec!["Send the same event without `dryRun`.".to_owned()],
            _ => next_steps::granted(&Granted {
                cluster: &self.seen.cluster,
                region: &self.request.cluster.region,
                principal: &self.seen.principal,
                policy: &self.grant.policy,
                scope: &self.grant.scope,
                already: status == Status::AlreadyGranted,
                may_recreate: matches!(self.seen.iam, IamPrincipal::Unknown { .. })
                    && self.seen.entry.present().is_some_and(|entry| {
                        guard::recreation(settings, entry, entry.custom_username(&self.seen.principal), false).is_ok()
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

fn warn_of_unknown_end(error: &ApiError, journal: &mut Journal) {
    journal.warn(
        "EXPIRY_UNKNOWN",
        format!(
            "The function could not find out whether an earlier grant has scheduled an end of the access. [{error}]"
        ),
    );
}

fn access_is_effective(status: Status) -> bool {
    matches!(status, Status::Granted | Status::AlreadyGranted)
}
