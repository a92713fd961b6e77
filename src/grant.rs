//! A grant: look, plan, carry out, look again, until there is nothing left to do.
//!
//! Every pass starts from what EKS shows, so an event that is sent again, at once or after a crash, goes on from
//! wherever the last one got to and ends in the same state.

use serde_json::{Value, json};

use crate::apply::{self, Hand, Progress};
use crate::aws::Aws;
use crate::clock::Deadline;
use crate::error::{ErrorName, Failure};
use crate::guard;
use crate::journal::{Journal, StepOutcome};
use crate::kubeconfig;
use crate::log::Level;
use crate::look;
use crate::observation::{AuthenticationMode, EntryState, IamPrincipal, Observation};
use crate::outcome::{self, AccessEntryReport, ClusterReport, Granted, PrincipalReport, Status, Verification};
use crate::ownership;
use crate::plan::{self, Goal, Plan, Step};
use crate::request::{Grant, Request, Restore, Verify};
use crate::scope::AccessScope;
use crate::settings::Settings;

/// When to send an event again whose cluster is still changing its authentication mode, in seconds.
const RETRY_AFTER_SECONDS: u64 = 30;

/// Lets a principal in.
///
/// # Errors
/// If it cannot be done, or must not be. The journal tells what was changed by then.
pub async fn run(
    aws: &Aws,
    settings: &Settings,
    request_id: &str,
    request: &Request,
    grant: &Grant,
    journal: &mut Journal,
) -> Result<Granted, Failure> {
    guard::request(settings, request, grant)?;
    let seen = look::observe(aws, &request.cluster, &grant.principal.principal, journal).await?;
    guard::cluster(settings, &seen.cluster.name, Some(&seen.cluster.arn))?;
    guard::principal(settings, &seen.principal)?;
    let mut granting = Granting {
        aws,
        settings,
        request_id,
        request,
        grant,
        first_mode: seen.cluster.authentication_mode,
        before: None,
        created: false,
        goal: Goal {
            policy: grant.policy.clone(),
            scope: grant.scope.clone(),
            recreate: grant.recreate_entry,
            deleted: None,
            may_change_mode: settings.allow_authentication_mode_change,
            tags: ownership::tags(request_id, request, grant),
        },
        seen,
    };
    let end = granting.reach_goal(journal).await;
    end.map_err(|failure| granting.with_deleted_entry(failure, journal))
}

/// A grant on its way.
struct Granting<'a> {
    aws: &'a Aws,
    settings: &'a Settings,
    request_id: &'a str,
    request: &'a Request,
    grant: &'a Grant,
    goal: Goal,
    /// What was seen last.
    seen: Observation,
    /// The authentication mode, as it was seen first.
    first_mode: AuthenticationMode,
    /// The access entry, as it was before this grant touched it.
    before: Option<EntryState>,
    /// Whether this grant made an entry where there was none.
    created: bool,
}

impl Granting<'_> {
    async fn reach_goal(&mut self, journal: &mut Journal) -> Result<Granted, Failure> {
        let mut plan = plan::grant(&self.goal, &self.seen)?;
        for (operation, why) in &plan.skipped {
            journal.step(operation, StepOutcome::Skipped, std::time::Duration::ZERO, why);
        }
        self.warn_of_circumstances(journal);
        if plan.steps.is_empty() {
            return self.already_granted(journal);
        }
        self.schedule_expiry()?;
        if self.grant.dry_run {
            write_planned(&plan.steps, journal);
            return Ok(self.result(Status::Planned, journal));
        }
        let mode_deadline =
            self.grant.wait.map_or(self.aws.deadline, |wait| self.aws.deadline.min(Deadline::after(wait)));
        let mut done: Vec<Step> = Vec::new();
        while !plan.steps.is_empty() {
            if let Some(left) = self.carry_out(&plan, mode_deadline, &mut done, journal).await? {
                write_planned(left, journal);
                return Ok(self.result(Status::InProgress, journal));
            }
            plan = self.look_again(&done, journal).await?;
        }
        let status = if journal.has_changes() { Status::Granted } else { Status::AlreadyGranted };
        Ok(self.result(status, journal))
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
            aws: self.aws,
            cluster: &mut self.seen.cluster,
            principal: &self.seen.principal,
            mode_deadline,
            update_id: None,
        };
        for (index, step) in plan.steps.iter().enumerate() {
            if let Step::DeleteEntry(entry) = step {
                // Remembered before the call: its answer may be lost, and the entry with it.
                self.goal.deleted = Some((**entry).clone());
            }
            let progress = hand.carry_out(step, journal).await?;
            done.push(step.clone());
            // What is there from here on is new.
            self.goal.recreate &= !matches!(step, Step::DeleteEntry(_) | Step::CreateEntry(_));
            match (progress, step) {
                (Progress::StillRunning(why), _) => {
                    journal.warn("AUTHENTICATION_MODE_CHANGING", why);
                    return Ok(Some(plan.steps.get(index + 1..).unwrap_or_default()));
                }
                // EKS makes entries itself when it opens them; the plan from before does not know those.
                (_, Step::AwaitAuthenticationMode) | (Progress::Overtaken, _) => return Ok(None),
                (Progress::Done, Step::DeleteEntry(_)) => {
                    journal.warn(
                        "ENTRY_RECREATED",
                        "the access entry had been made for an earlier principal of the same name, or was to be renewed; it was deleted and made anew, with its groups, tags and policies as they were",
                    );
                }
                (Progress::Done, Step::CreateEntry(_)) => {
                    self.created = self.goal.deleted.is_none();
                }
                (Progress::Done, Step::OpenAccessEntries | Step::AssociatePolicy { .. }) => {}
            }
        }
        Ok(None)
    }

    /// What was there before is logged before anything is changed, so that it can be put back whatever happens to this invocation.
    fn remember_before(&mut self, journal: &Journal) {
        if self.before.is_none() && self.seen.entry != EntryState::Unreadable {
            journal.log.record(
                Level::Info,
                "before",
                json!({
                    "cluster": self.seen.cluster.arn,
                    "principalArn": self.seen.principal.as_str(),
                    "accessEntry": self.seen.entry.present(),
                }),
            );
            self.before = Some(self.seen.entry.clone());
        }
    }

    /// Reads the entry back until EKS shows what was done, and plans what is left.
    async fn look_again(&mut self, done: &[Step], journal: &mut Journal) -> Result<Plan, Failure> {
        let limit = self.aws.deadline.min(Deadline::after(apply::PROPAGATION));
        let plan = limit
            .poll(apply::PAUSES, async || {
                let cluster = &self.seen.cluster.name;
                match look::read_back(self.aws, cluster, &self.seen.principal, journal).await {
                    Ok(entry) => self.seen.entry = entry,
                    Err(failure) => return Some(Err(failure)),
                }
                if let Some(entry) = self.seen.entry.present() {
                    self.created |= self.goal.deleted.is_none() && ownership::made_by_grant(entry, self.request_id);
                }
                match plan::grant(&self.goal, &self.seen) {
                    // A step that was done and is to be done again: EKS does not show it yet.
                    Ok(plan) if plan.steps.iter().any(|step| done.contains(step)) => None,
                    planned => Some(planned),
                }
            })
            .await;
        plan.unwrap_or_else(|| {
            Err(Failure::new(
                ErrorName::VerificationFailed,
                format!(
                    "EKS took the changes, but does not show the access of `{}` to cluster `{}` as it was granted",
                    self.seen.principal, self.seen.cluster.name
                ),
                "send the same event again; it goes on from what EKS shows",
            ))
        })
    }

    /// Access is not given before its end is certain.
    fn schedule_expiry(&self) -> Result<(), Failure> {
        match guard::duration(self.settings, self.grant)? {
            None => Ok(()),
            Some(duration) => Err(Failure::new(
                ErrorName::ExpiryUnavailable,
                format!(
                    "access for {duration:#} was asked for, and this version of the function cannot schedule its end yet (`SCHEDULE_GROUP`)"
                ),
                "send the event without `duration`, and take the access back by hand",
            )),
        }
    }

    fn already_granted(&self, journal: &mut Journal) -> Result<Granted, Failure> {
        if guard::duration(self.settings, self.grant)?.is_some() {
            if self.is_ours() {
                self.schedule_expiry()?;
            }
            journal.warn(
                "ACCESS_IS_PERMANENT",
                "the access was there already, without end and not by this function; it stays so, for taking it away is not this function's to do",
            );
        }
        let status = if self.grant.dry_run { Status::Planned } else { Status::AlreadyGranted };
        Ok(self.result(status, journal))
    }

    /// Whether the entry's tags prove that this access is a grant of this function.
    fn is_ours(&self) -> bool {
        self.seen.entry.present().is_some_and(|entry| ownership::made_for(entry, self.grant))
    }

    fn warn_of_circumstances(&self, journal: &mut Journal) {
        let cluster = &self.seen.cluster;
        if self.settings.event_bus.is_some() {
            journal.warn(
                "NOT_ANNOUNCED",
                "`EVENT_BUS` is set, but this version of the function announces nothing yet; the audit line of the log has it all",
            );
        }
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
        let restore = match &self.before {
            _ if self.created => Restore::entry_created(),
            Some(EntryState::Present(entry)) => {
                let scope = entry.scope_of(&self.grant.policy);
                if scope.is_some_and(|scope| scope.covers(&self.grant.scope)) {
                    return None;
                }
                Restore::entry_existed(scope.cloned())
            }
            Some(_) => Restore::entry_existed(None),
            None if self.is_ours() => Restore::entry_created(),
            None => return None,
        };
        Some(outcome::undo(&self.seen.cluster, &self.seen.principal, &self.grant.policy, &restore))
    }

    fn result(&self, status: Status, journal: &mut Journal) -> Granted {
        let in_place = matches!(status, Status::Granted | Status::AlreadyGranted);
        if self.first_mode != self.seen.cluster.authentication_mode {
            apply::warn_of_mode_change(&self.seen.cluster.name, journal);
        }
        let entry = self.seen.entry.present();
        Granted {
            status,
            action: "grant",
            request_id: self.request_id.to_owned(),
            caller: self.seen.caller.clone(),
            cluster: ClusterReport::new(&self.seen.cluster, self.first_mode),
            principal: PrincipalReport::new(&self.grant.principal.text, &self.seen.principal),
            access_entry: entry.map(|entry| AccessEntryReport::new(entry, self.created)),
            access_policies: entry.map(|entry| entry.access_policies.clone()).unwrap_or_default(),
            verification: self.verification(in_place),
            expires_at: None,
            steps: journal.steps().to_vec(),
            warnings: journal.warnings().to_vec(),
            kubeconfig: kubeconfig::render(&self.seen.cluster, &self.request.cluster.region),
            next_steps: self.next_steps(status),
            undo: self.undo().filter(|_| in_place),
            retry_after_seconds: (status == Status::InProgress).then_some(RETRY_AFTER_SECONDS),
        }
    }

    fn verification(&self, in_place: bool) -> Verification {
        let can_i = can_i(&self.grant.scope);
        let detail = match (in_place, self.grant.verify) {
            (false, _) => "nothing was granted yet, so there is nothing to verify".to_owned(),
            (true, Verify::ControlPlane) => format!(
                "EKS shows the entry and the policy as asked; the API server may take half a minute to honour them; as the principal, run: {can_i}"
            ),
            (true, Verify::Kubernetes) => format!(
                "EKS shows the entry and the policy as asked; this function cannot ask the cluster's API server as the principal; as the principal, run: {can_i}"
            ),
        };
        Verification { control_plane: in_place.then_some("CONFIRMED"), kubernetes: "NOT_PERFORMED", detail }
    }

    fn next_steps(&self, status: Status) -> Vec<String> {
        let cluster = &self.seen.cluster;
        match status {
            Status::InProgress => vec![format!(
                "send the same event again after {RETRY_AFTER_SECONDS} seconds; it goes on from where this one stopped"
            )],
            Status::Planned => vec!["send the same event without `dryRun`".to_owned()],
            Status::Granted | Status::AlreadyGranted => vec![
                format!("aws eks update-kubeconfig --name {} --region {}", cluster.name, self.request.cluster.region),
                can_i(&self.grant.scope),
            ],
        }
    }
}

/// The question to kubectl that fits a scope.
fn can_i(scope: &AccessScope) -> String {
    match scope.namespaces().first() {
        None => "kubectl auth can-i '*' '*' --all-namespaces".to_owned(),
        Some(namespace) => format!("kubectl auth can-i get pods --namespace {namespace}"),
    }
}

fn write_planned(steps: &[Step], journal: &mut Journal) {
    for step in steps {
        journal.step(&step.operation(), StepOutcome::Planned, std::time::Duration::ZERO, step.describe());
    }
}
