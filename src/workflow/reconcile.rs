//! The loop that every action shares: execute the plan, observe, and plan what is left, until nothing is left or the time is up.

use crate::decide::history::{History, StepResult};
use crate::decide::plan::Plan;
use crate::domain::failure::Failure;
use crate::domain::observed_state::Observation;
use crate::domain::operation::Operation;
use crate::domain::step::Step;
use crate::platform::clock::Deadline;
use crate::workflow::context::{Context, Subject};
use crate::workflow::execute::{self, Executor};
use crate::workflow::observe;
use crate::workflow::recorder::Recorder;

/// Plans what is left to do, given what was done and what was observed. Pure.
pub type Planner<'a> = dyn Fn(&History, &Observation) -> Result<Plan, Failure> + 'a;

/// How the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is left to do.
    Complete,
    /// EKS is still changing the authentication mode.
    InProgress,
}

/// One request under way: what was observed last, and what was done.
#[derive(Debug)]
pub struct Reconciler<'a> {
    /// What the request is carried out with.
    pub context: &'a Context<'a>,
    /// What it is about.
    pub subject: Subject<'a>,
    /// What was observed last.
    pub seen: Observation,
    /// What was done.
    pub history: History,
    /// Until when to wait for a change of the authentication mode.
    pub mode_deadline: Deadline,
}

impl Reconciler<'_> {
    /// Executes a plan, and what is left of it after each observation.
    ///
    /// # Errors
    /// If a step fails, or what was done doesn't show in time.
    pub async fn reconcile(
        &mut self,
        planner: &Planner<'_>,
        mut plan: Plan,
        recorder: &mut Recorder,
    ) -> Result<Progress, Failure> {
        while !plan.steps.is_empty() {
            if self.execute(&plan, recorder).await? == Progress::InProgress {
                return Ok(Progress::InProgress);
            }
            plan = self.read_back(planner, recorder).await?;
            recorder.warn_all(std::mem::take(&mut plan.warnings));
        }
        Ok(Progress::Complete)
    }

    /// Executes a plan as far as it goes without another observation.
    ///
    /// # Errors
    /// If a step fails.
    pub async fn execute(&mut self, plan: &Plan, recorder: &mut Recorder) -> Result<Progress, Failure> {
        if self.history.observe(&self.seen) {
            recorder.capture_baseline(&self.seen);
        }
        let mut executor = Executor {
            context: self.context,
            cluster: &mut self.seen.cluster,
            principal: &self.seen.principal,
            policy: self.subject.policy,
            mode_deadline: self.mode_deadline,
            update_id: None,
        };
        match executor.execute(plan, &mut self.history, recorder).await? {
            Some(left) => {
                recorder.planned(left);
                Ok(Progress::InProgress)
            }
            None => Ok(Progress::Complete),
        }
    }

    /// Observes until AWS shows what was done, and plans what is left.
    ///
    /// # Errors
    /// `VerificationFailed` if it does not show in time; whatever the plan is refused for.
    pub async fn read_back(&mut self, planner: &Planner<'_>, recorder: &mut Recorder) -> Result<Plan, Failure> {
        let history = &self.history;
        let plan = |seen: &Observation| planner(history, seen);
        let expects = |step: &Step| history.expects(step);
        let left = observe::read_back(self.context, self.subject, &mut self.seen, expects, recorder, plan).await?;
        Ok(if self.resolve_unconfirmed(recorder) { planner(&self.history, &self.seen)? } else { left })
    }

    /// A call that was refused as done already: by another request, or by this one, if the answer to it was lost. Whether the history has
    /// changed.
    fn resolve_unconfirmed(&mut self, recorder: &mut Recorder) -> bool {
        let Some(step) = self.history.unconfirmed().cloned() else {
            return false;
        };
        let entry = self.seen.entry.present();
        let (operation, own, change) = match &step {
            Step::CreateEntry(_) | Step::ReplaceEntry(_) | Step::RecreateEntry(_) => {
                // Without its tags, nothing shows whose the entry is: it stays unconfirmed.
                if entry.is_some_and(|entry| entry.tags.is_empty()) {
                    return false;
                }
                let (installation, request_id) = (&self.context.installation, self.context.request_id);
                let own = entry.is_some_and(|entry| installation.created_by_grant(entry, request_id));
                (Operation::CreateAccessEntry, own, "the access entry was created".to_owned())
            }
            Step::CreateSchedule { revoke, .. } => {
                let own = self.seen.expiry.pending() == Some(revoke);
                (Operation::CreateSchedule, own, execute::scheduled(revoke, false))
            }
            _ => return false,
        };
        recorder.record.confirm(operation, own.then_some(change));
        if own {
            self.history.append(step, StepResult::Applied);
        }
        own
    }
}
