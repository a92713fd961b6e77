//! Asks the cluster itself whether its API server honours the principal's access, or no longer does.
//!
//! An access review is about its sender, so the question is asked as the principal: the function assumes its role for as long as the
//! question takes. The function never gives itself an entry.

use std::time::Duration;

use crate::aws::{Answer, ApiServer, KubernetesIdentity};
use crate::decide::access_review::{self, Review};
use crate::domain::access_scope::AccessScope;
use crate::domain::arn::PolicyArn;
use crate::domain::cluster::Cluster;
use crate::domain::observed_state::Observation;
use crate::domain::principal::PrincipalKind;
use crate::domain::record::{StepName, StepOutcome};
use crate::domain::verification::{Kubernetes, Verdict};
use crate::platform::clock::{Backoff, Deadline, Stopwatch};
use crate::workflow::context::Context;
use crate::workflow::recorder::Recorder;

/// How long the API server may take to honour a change: 30 s and more (teleport issues 37958 and 49467).
const PROPAGATION: Duration = Duration::from_secs(90);
/// Between two questions.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(5) };

/// What the answer should become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Access was granted.
    Allowed,
    /// Access was revoked.
    Denied,
}

/// Asks the cluster's API server, as the principal, until the answer is the expected one or the time for it is over. Whatever comes of
/// it fails nothing: what EKS has accepted counts.
pub async fn ask(
    context: &Context<'_>,
    seen: &Observation,
    policy: &PolicyArn,
    scope: &AccessScope,
    expected: Expected,
    recorder: &mut Recorder,
) -> Verdict {
    let watch = Stopwatch::start();
    let verdict = match prepare(context, seen, policy, scope).await {
        Ok(question) => question.until(expected, context, &seen.cluster).await,
        Err(why) => {
            let command = access_review::command(policy, scope);
            Verdict::new(
                Kubernetes::NotPerformed,
                format!("the API server was not asked: {why}; as the principal, run: {command}"),
            )
        }
    };
    let outcome = match (verdict.kubernetes, expected) {
        (Kubernetes::Allowed, Expected::Allowed) | (Kubernetes::Denied, Expected::Denied) => StepOutcome::Succeeded,
        (Kubernetes::NotPerformed, _) => StepOutcome::Skipped,
        _ => StepOutcome::Failed,
    };
    recorder.step(StepName::VerifyKubernetesAccess, outcome, watch.elapsed(), verdict.detail.clone());
    verdict
}

/// What is asked, where, and as whom.
struct Question {
    server: ApiServer,
    asker: KubernetesIdentity,
    reviews: Vec<Review>,
}

async fn prepare(
    context: &Context<'_>,
    seen: &Observation,
    policy: &PolicyArn,
    scope: &AccessScope,
) -> Result<Question, String> {
    let cluster = &seen.cluster;
    let reviews = Review::of(policy, scope);
    if reviews.is_empty() {
        return Err(format!("no question is known that proves {}", policy.name()));
    }
    let (Some(endpoint), Some(ca)) = (&cluster.endpoint, &cluster.certificate_authority) else {
        return Err("the cluster has no endpoint yet".to_owned());
    };
    let server = context.aws.api_server(&cluster.name, &cluster.region()?, endpoint, ca)?;
    Ok(Question { server, asker: asker(context, seen).await?, reviews })
}

/// The principal itself, as far as the function can be it.
async fn asker(context: &Context<'_>, seen: &Observation) -> Result<KubernetesIdentity, String> {
    let principal = &seen.principal;
    if principal.kind == PrincipalKind::User {
        return Err("only the user can ask as an IAM user".to_owned());
    }
    // The external id belongs to the target roles of allowed accounts, and to nobody else.
    context.aws.assume(principal).await.map_err(|error| {
        format!("the function can't assume `{principal}` ({error}). That role has to trust the function's role, which has to be allowed `sts:AssumeRole` on it")
    })
}

impl Question {
    async fn until(&self, expected: Expected, context: &Context<'_>, cluster: &Cluster) -> Verdict {
        let watch = Stopwatch::start();
        let limit = context.aws.deadline.min(Deadline::after(PROPAGATION));
        let mut last = Answer::Unreachable("there was no time left to ask".to_owned());
        let mut asked = self.reviews.first();
        let end = limit
            .poll(BACKOFF, async || {
                match limit.timeout(self.put(context)).await {
                    Some((review, answer)) => (asked, last) = (review, answer),
                    None => return None,
                }
                let over = matches!(
                    (&last, expected),
                    (Answer::Unreachable(_), _)
                        | (Answer::Allowed, Expected::Allowed)
                        | (Answer::NotAllowed | Answer::Unauthorized, Expected::Denied)
                );
                over.then_some(())
            })
            .await;
        let seconds = watch.elapsed().as_secs();
        let asked = asked.map(Review::command).unwrap_or_default();
        let after = if end.is_some() { format!("after {seconds} s") } else { format!("still, after {seconds} s") };
        match last {
            Answer::Allowed => Verdict::new(
                Kubernetes::Allowed,
                format!("the API server says yes to the principal, {after} ({asked})"),
            ),
            Answer::NotAllowed => {
                Verdict::new(Kubernetes::Denied, format!("the API server says no to the principal, {after} ({asked})"))
            }
            Answer::Unauthorized => Verdict {
                unauthorized: true,
                ..Verdict::new(Kubernetes::Denied, format!("the API server does not know the principal (401), {after}"))
            },
            Answer::Unreachable(why) | Answer::Busy(why) => Verdict::new(
                Kubernetes::Unreachable,
                format!("the API server could not be asked: {why}{}", likely_reason(cluster)),
            ),
        }
    }

    /// The first answer that is not yes, and to which question, else yes.
    async fn put(&self, context: &Context<'_>) -> (Option<&Review>, Answer) {
        for review in &self.reviews {
            match self.server.ask(&self.asker, &review.body(), context.now()).await {
                Answer::Allowed => {}
                other => return (Some(review), other),
            }
        }
        (self.reviews.first(), Answer::Allowed)
    }
}

/// Why an endpoint may be out of reach (aws-cdk issue 6642).
fn likely_reason(cluster: &Cluster) -> String {
    let cidrs = &cluster.public_access_cidrs;
    if !cluster.public_endpoint {
        "; the cluster's endpoint is private: the function has to run in its VPC to ask it (`VpcSubnetIds` of the template)".to_owned()
    } else if cidrs.iter().any(|cidr| cidr == "0.0.0.0/0") || cidrs.is_empty() {
        String::new()
    } else {
        format!("; the cluster's endpoint takes callers from {} alone", cidrs.join(", "))
    }
}
