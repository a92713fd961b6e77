//! A grant: look, plan, carry out, look again, until there is nothing left to do.
//!
//! Every pass starts from what EKS shows, so an event that is sent again, at once or after a crash, goes on from
//! wherever the last one got to and ends in the same state.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::apply::{self, Hand, Progress};
use crate::aws::{ApiError, Operation};
use crate::clock::Deadline;
use crate::context::Context;
use crate::error::{ErrorName, Failure};
use crate::expiry::{Expiry, PendingRevoke, Slot};
use crate::guard;
use crate::journal::{Journal, StepOutcome};
use crate::kubeconfig;
use crate::look::{self, Subject};
use crate::observation::{AuthenticationMode, EntryState, IamPrincipal, Observation};
use crate::outcome::{self, AccessEntryReport, ClusterReport, Outcome, PrincipalReport, Status, Verification};
use crate::ownership;
use crate::plan::{self, End, Goal, Plan, Step};
use crate::request::{Grant, Request, Restore, Verify};
use crate::review;
use crate::verify::{self, Kubernetes, Verdict, Wanted};

/// When to send an event again whose cluster is still changing its authentication mode, in seconds.
const RETRY_AFTER_SECONDS: u64 = 30;

/// Lets a principal in.
///
/// # Errors
/// If it cannot be done, or must not be. The journal tells what was changed by then.
pub async fn run(
    context: &Context<'_>,
    request: &Request,
    grant: &Grant,
    journal: &mut Journal,
) -> Result<Outcome, Failure> {
    let settings = context.settings;
    let subject = Subject {
        cluster: &request.cluster,
        principal: &grant.principal.principal,
        policy: &grant.policy,
        lets_in: true,
        may_end_unseen: grant.duration.or(settings.default_duration).is_none(),
    };
    let seen = look::observe(context, subject, journal).await?;
    guard::cluster(settings, &seen.cluster.name, Some(&seen.cluster.arn))?;
    guard::principal(settings, &seen.principal)?;
    let mut granting = Granting {
        context,
        request,
        grant,
        subject,
        first_mode: seen.cluster.authentication_mode,
        before: None,
        created: false,
        overtaken: None,
        scheduled: None,
        verdict: None,
        goal: Goal {
            policy: grant.policy.clone(),
            scope: grant.scope.clone(),
            recreate: grant.recreate_entry,
            deleted: None,
            may_change_mode: settings.allow_authentication_mode_change,
            tags: ownership::tags(context.request_id, request, grant),
            expires_at: None,
            restore: None,
            end: End::Found,
            remade: false,
        },
        seen,
    };
    match granting.reach_goal(journal).await {
        Ok(status) => {
            granting.verify(status, journal).await;
            Ok(granting.result(status, journal))
        }
        Err(failure) => {
            granting.take_back_schedule(journal).await;
            Err(granting.with_deleted_entry(failure, journal))
        }
    }
}

/// A grant on its way.
struct Granting<'a> {
    context: &'a Context<'a>,
    request: &'a Request,
    grant: &'a Grant,
    subject: Subject<'a>,
    goal: Goal,
    /// What was seen last.
    seen: Observation,
    /// The authentication mode, as it was seen first.
    first_mode: AuthenticationMode,
    /// The access entry, as it was before this grant touched it.
    before: Option<EntryState>,
    /// Whether this grant made an entry where there was none.
    created: bool,
    /// The step that somebody else was there first for; or this grant itself, where an answer was lost.
    overtaken: Option<Step>,
    /// The schedule that this grant made, and how much had been changed by then.
    scheduled: Option<(Slot, PendingRevoke, usize)>,
    /// What the cluster itself says, where it was asked.
    verdict: Option<Verdict>,
}

impl Granting<'_> {
    async fn reach_goal(&mut self, journal: &mut Journal) -> Result<Status, Failure> {
        self.goal.expires_at = self.expires_at()?;
        let mut plan = plan::grant(&self.goal, &self.seen)?;
        for (operation, why) in &plan.skipped {
            journal.step(operation, StepOutcome::Skipped, std::time::Duration::ZERO, why);
        }
        self.warn_of_circumstances(journal);
        if plan.steps.is_empty() && self.goal.expires_at.is_some() && matches!(self.seen.expiry, Expiry::Absent(_)) {
            // Access that is there, and no end of it: another grant may have given both between two of the looks.
            plan = self.look_again(&[], journal).await?;
        }
        if plan.steps.is_empty() {
            return Ok(if self.grant.dry_run { Status::Planned } else { Status::AlreadyGranted });
        }
        if self.grant.dry_run {
            journal.planned(&plan.steps);
            return Ok(Status::Planned);
        }
        let deadline = self.context.aws.deadline;
        let mode_deadline = self.grant.wait.map_or(deadline, |wait| deadline.min(Deadline::after(wait)));
        let mut done: Vec<Step> = Vec::new();
        while !plan.steps.is_empty() {
            if let Some(left) = self.carry_out(&plan, mode_deadline, &mut done, journal).await? {
                journal.planned(left);
                return Ok(Status::InProgress);
            }
            plan = self.look_again(&done, journal).await?;
        }
        Ok(if journal.has_changes() { Status::Granted } else { Status::AlreadyGranted })
    }

    /// Asks the cluster itself, where that was asked for. The grant counts whatever it says.
    async fn verify(&mut self, status: Status, journal: &mut Journal) {
        if self.grant.verify != Verify::Kubernetes || !is_in_place(status) {
            return;
        }
        let (policy, scope) = (&self.grant.policy, &self.grant.scope);
        let verdict = verify::ask(self.context, &self.seen, policy, scope, Wanted::Allowed, journal).await;
        if verdict.kubernetes == Kubernetes::Denied {
            let stale = if verdict.unauthorized {
                "; if it stays so, the access entry was made for an earlier principal of the same name: send the event again with `recreateEntry`: true"
            } else {
                ""
            };
            journal.warn(
                "KUBERNETES_ACCESS_DENIED",
                format!("EKS shows the access as granted, but {}{stale}", verdict.detail),
            );
        }
        self.verdict = Some(verdict);
    }

    /// When the access is to end, counted from now.
    fn expires_at(&self) -> Result<Option<Timestamp>, Failure> {
        let Some(duration) = guard::duration(self.context.settings, self.grant)? else {
            return Ok(None);
        };
        // Schedules know no fractions of a second.
        let end = self.context.now().checked_add(duration).and_then(|end| Timestamp::from_second(end.as_second()));
        match end {
            Ok(end) => Ok(Some(end)),
            Err(_) => Err(Failure::new(
                ErrorName::InvalidRequest,
                format!("`duration`: {duration:#} from now is beyond what a clock can show"),
                "send a shorter `duration`, or none",
            )),
        }
    }

    /// Carries a plan out as far as it goes without another look; the steps left over where time is up.
    async fn carry_out<'p>(
        &mut self,
        plan: &'p Plan,
        mode_deadline: Deadline,
        done: &mut Vec<Step>,
        journal: &mut Journal,
    ) -> Result<Option<&'p [Step]>, Failure> {
        self.remember_before(journal);
        let mut hand = Hand {
            context: self.context,
            cluster: &mut self.seen.cluster,
            principal: &self.seen.principal,
            policy: &self.grant.policy,
            mode_deadline,
            update_id: None,
            remaking: false,
        };
        for (index, step) in plan.steps.iter().enumerate() {
            if let Step::DeleteEntry(entry) = step {
                // Remembered before the call: its answer may be lost, and the entry with it.
                self.goal.deleted.get_or_insert_with(|| (**entry).clone());
            }
            hand.remaking = self.goal.deleted.is_some();
            let progress = hand.carry_out(step, journal).await?;
            // A schedule that is made and not seen again was removed, by a revoke at the same time: it is made again. One that somebody
            // else had made first is waited for. What stands in the place of an entry that is to come back is not waited for.
            let again = match (&progress, step) {
                (Progress::Done, Step::ScheduleRevoke { moves: false, .. }) => true,
                (Progress::Overtaken, Step::CreateEntry(_)) => self.goal.deleted.is_some(),
                _ => false,
            };
            if !again {
                done.push(step.clone());
            }
            // What is there from here on is new.
            self.goal.recreate &= !matches!(step, Step::DeleteEntry(_) | Step::CreateEntry(_));
            match (progress, step) {
                (Progress::StillRunning(why), _) => {
                    journal.warn("AUTHENTICATION_MODE_CHANGING", why);
                    return Ok(Some(plan.steps.get(index + 1..).unwrap_or_default()));
                }
                // EKS makes entries itself when it opens them; the plan from before does not know those.
                (Progress::Overtaken, _) => {
                    self.overtaken = Some(step.clone());
                    return Ok(None);
                }
                (_, Step::AwaitAuthenticationMode) => return Ok(None),
                (Progress::Done, Step::ScheduleRevoke { slot, revoke, moves }) => {
                    self.goal.end = End::Scheduled;
                    if !moves && self.scheduled.is_none() {
                        self.scheduled = Some((slot.clone(), revoke.clone(), journal.count_of_changes()));
                    }
                }
                (Progress::Done, Step::DeleteEntry(_)) => {
                    // What comes after it in the plan is done again.
                    self.goal.remade = false;
                    done.retain(|step| !matches!(step, Step::CreateEntry(_) | Step::AssociatePolicy { .. }));
                    journal.warn(
                        "ENTRY_RECREATED",
                        "the access entry had been made for an earlier principal of the same name, or was to be renewed; it was deleted and made anew, with its groups and policies as they were, and with its tags, unless `TAGS_NOT_SET` says otherwise",
                    );
                }
                (Progress::Done, Step::CreateEntry(_)) => {
                    self.goal.remade = self.goal.deleted.is_some();
                    self.created = self.goal.deleted.is_none();
                }
                (Progress::Done, _) => {}
            }
        }
        Ok(None)
    }

    /// What was there before this grant touched anything.
    fn remember_before(&mut self, journal: &Journal) {
        if self.before.is_none() && self.seen.entry != EntryState::Unreadable {
            journal.record_before(&self.seen);
            self.before = Some(self.seen.entry.clone());
            if matches!(self.seen.expiry, Expiry::Absent(_)) {
                self.goal.end = End::NoneFound;
            }
            // From here on, what is seen may be this grant's own doing.
            let pending = self.seen.expiry.pending().map(|revoke| revoke.restore.clone());
            let (policy, scope) = (&self.grant.policy, &self.grant.scope);
            self.goal.restore = pending.or_else(|| ownership::restore(self.seen.entry.present(), policy, scope));
        }
    }

    /// Reads the entry and its end back until AWS shows what was done, and plans what is left.
    async fn look_again(&mut self, done: &[Step], journal: &mut Journal) -> Result<Plan, Failure> {
        // A change of mode takes its time, which is not to be taken from the access.
        if self.goal.end != End::Scheduled {
            self.goal.expires_at = self.expires_at()?;
        }
        let tagged = !journal.warnings().iter().any(|warning| warning.code == "TAGS_NOT_SET");
        let (goal, created, request_id) = (&self.goal, &mut self.created, self.context.request_id);
        let planned = look::look_again(self.context, self.subject, &mut self.seen, done, journal, |seen| {
            if let Some(entry) = seen.entry.present().filter(|_| tagged) {
                // Whoever has made it since, and for what.
                *created = goal.deleted.is_none() && ownership::made_by_grant(entry, request_id);
            }
            plan::grant(goal, seen)
        })
        .await;
        // What could not be seen settles nothing.
        if planned.is_ok() {
            self.own_up(tagged, journal);
        }
        planned
    }

    /// A call that was refused as done already: by somebody else, or by this grant, where the answer to it was lost.
    fn own_up(&mut self, tagged: bool, journal: &mut Journal) {
        let entry = self.seen.entry.present();
        match self.overtaken.take() {
            Some(Step::CreateEntry(_)) if tagged && self.goal.deleted.is_none() => {
                let own = entry.is_some_and(|entry| ownership::made_by_grant(entry, self.context.request_id));
                let what = own.then(|| "the access entry was created".to_owned());
                journal.settle(&Operation::CreateAccessEntry.to_string(), what);
            }
            Some(Step::ScheduleRevoke { slot, revoke, moves: false })
                if matches!(self.seen.expiry, Expiry::Pending(..) | Expiry::Absent(_)) =>
            {
                let own = self.seen.expiry.pending() == Some(&revoke);
                let lost = journal
                    .settle(&Operation::CreateSchedule.to_string(), own.then(|| apply::scheduled(&revoke, false)));
                if own && lost {
                    self.goal.end = End::Scheduled;
                    self.scheduled.get_or_insert((slot, revoke, journal.count_of_changes()));
                }
            }
            // It is gone: nobody has moved it.
            Some(Step::ScheduleRevoke { moves: true, .. }) => {
                journal.settle(&Operation::UpdateSchedule.to_string(), None);
            }
            _ => {}
        }
    }

    /// A grant that came to nothing leaves no revoke behind, which could take away what somebody else gives later. Where anything
    /// was, or may have been, given after it was scheduled, it stays.
    async fn take_back_schedule(&mut self, journal: &mut Journal) {
        if let Some((slot, revoke, changes)) = self.scheduled.take()
            && journal.count_of_changes() == changes
        {
            apply::take_back_schedule(self.context, &slot, &revoke, &self.seen, &self.grant.policy, journal).await;
        }
    }

    fn warn_of_circumstances(&self, journal: &mut Journal) {
        let cluster = &self.seen.cluster;
        if !cluster.health.is_empty() {
            journal.warn(
                "CLUSTER_HEALTH",
                format!("EKS reports issues that may keep people out all the same: {}", cluster.health.join("; ")),
            );
        }
        if !cluster.public_endpoint {
            journal.warn(
                "PRIVATE_ENDPOINT",
                "the cluster's endpoint is private: kubectl works only from its VPC or a network connected to it",
            );
        }
        if let Expiry::Unknown(error) = &self.seen.expiry {
            warn_of_unknown_end(error, journal);
        }
        if let (IamPrincipal::Unknown { reason }, EntryState::Present(_), false) =
            (&self.seen.iam, &self.seen.entry, self.grant.recreate_entry)
        {
            journal.warn(
                "STALENESS_UNKNOWN",
                format!(
                    "whether the access entry was made for an earlier principal of the same name, and so lets nobody in, could not be found out ({reason}); if kubectl still answers Unauthorized, send the event again with `recreateEntry`: true, or allow `iam:GetRole` and `iam:GetUser` to the function's role"
                ),
            );
        }
    }

    /// If the entry is gone, or may be, and was not made anew as it was, the error holds all that is needed to do it by hand.
    fn with_deleted_entry(&self, mut failure: Failure, journal: &Journal) -> Failure {
        if let Some(entry) = self.goal.deleted.as_ref().filter(|_| journal.may_have_changes()) {
            let entry = json!(entry);
            failure.what = format!("{}; the access entry as it was: {entry}", failure.what);
        }
        failure
    }

    /// What takes back this grant, where there is something of it.
    fn undo(&self) -> Option<Value> {
        let restore = match (&self.seen.expiry, self.before.as_ref().unwrap_or(&self.seen.entry)) {
            // What was there before the first of the grants that this schedule ends.
            (Expiry::Pending(_, revoke), _) => revoke.restore.clone(),
            _ if self.created => Restore::entry_created(),
            (_, EntryState::Present(entry)) => ownership::restore(Some(entry), &self.grant.policy, &self.grant.scope)?,
            // Somebody else made the entry at the same time.
            (_, EntryState::Absent | EntryState::Unreadable) => Restore::entry_existed(None),
        };
        Some(outcome::undo(&self.seen.cluster, &self.seen.principal, &self.grant.policy, &restore))
    }

    fn result(&self, status: Status, journal: &mut Journal) -> Outcome {
        let in_place = is_in_place(status);
        if self.first_mode != self.seen.cluster.authentication_mode {
            apply::warn_of_mode_change(&self.seen.cluster.name, journal);
        }
        if let (Expiry::Unknown(error), true) = (&self.seen.expiry, in_place) {
            warn_of_unknown_end(error, journal);
        }
        let endless = self.goal.expires_at.is_some() && self.seen.expiry.pending().is_none();
        if endless && (in_place || (status == Status::Planned && self.undo().is_none())) {
            journal.warn(
                "ACCESS_IS_PERMANENT",
                "the principal's access entry had the access already (even if it let nobody in, being stale), or somebody else has given it: without end, and nothing shows that this function gave it; it stays so, for taking it away is not this function's to do",
            );
        }
        let entry = self.seen.entry.present();
        Outcome {
            status,
            action: "grant",
            request_id: self.context.request_id.to_owned(),
            caller: self.seen.caller.clone(),
            cluster: ClusterReport::new(&self.seen.cluster, self.first_mode),
            principal: Some(PrincipalReport::new(&self.grant.principal.text, &self.seen.principal)),
            access_entry: entry.map(|entry| AccessEntryReport::new(entry, self.created)),
            access_policies: entry.map(|entry| entry.access_policies.clone()).unwrap_or_default(),
            verification: self.verification(in_place),
            expires_at: self.seen.expiry.pending().map(|revoke| revoke.expires_at),
            findings: None,
            steps: journal.steps().to_vec(),
            warnings: journal.warnings().to_vec(),
            kubeconfig: kubeconfig::render(&self.seen.cluster, &self.request.cluster.region),
            next_steps: self.next_steps(status),
            undo: self.undo().filter(|_| in_place),
            retry_after_seconds: (status == Status::InProgress).then_some(RETRY_AFTER_SECONDS),
        }
    }

    fn verification(&self, in_place: bool) -> Verification {
        let command = review::command(&self.grant.policy, &self.grant.scope);
        let (kubernetes, detail) = match (&self.verdict, in_place) {
            (Some(verdict), _) => (verdict.kubernetes, verdict.detail.clone()),
            (None, false) => {
                (Kubernetes::NotPerformed, "nothing was granted yet, so there is nothing to verify".to_owned())
            }
            (None, true) => (
                Kubernetes::NotPerformed,
                format!(
                    "EKS shows the entry and the policy as asked; the API server may take half a minute to honour them; as the principal, run: {command}"
                ),
            ),
        };
        Verification { control_plane: in_place.then_some("CONFIRMED"), kubernetes, detail }
    }

    fn next_steps(&self, status: Status) -> Vec<String> {
        let cluster = &self.seen.cluster;
        match status {
            Status::InProgress => vec![format!(
                "send the same event again after {RETRY_AFTER_SECONDS} seconds; it goes on from where this one stopped"
            )],
            Status::Planned => vec!["send the same event without `dryRun`".to_owned()],
            _ => vec![
                format!("aws eks update-kubeconfig --name {} --region {}", cluster.name, self.request.cluster.region),
                review::command(&self.grant.policy, &self.grant.scope),
            ],
        }
    }
}

fn warn_of_unknown_end(error: &ApiError, journal: &mut Journal) {
    journal.warn(
        "EXPIRY_UNKNOWN",
        format!("whether the access is to end, by an earlier grant, could not be found out ({error})"),
    );
}

fn is_in_place(status: Status) -> bool {
    matches!(status, Status::Granted | Status::AlreadyGranted)
}
