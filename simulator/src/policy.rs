//! IAM policies: who may call what, on what, under which conditions.
//!
//! Source: "Policy evaluation logic", "Condition operators" and "Set operators for multivalued context keys" in the IAM User
//! Guide; the keys of EKS are those of the Service Authorization Reference (facts §8.1). A condition on a key that a call does
//! not have is not met, unless its operator is negated, ends in `IfExists`, or is about all of the key's values.

mod condition;
mod pattern;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use condition::Operator;
use pattern::{Pattern, Variables};

/// The version of the policy language that has variables. Without it, `${*}` is four characters, one of them a wildcard.
const WITH_VARIABLES: &str = "2012-10-17";

/// A policy document, and what limits it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
    #[serde(default)]
    version: Option<String>,
    statement: OneOrMany<Statement>,
    #[serde(skip)]
    limits: Vec<(Limit, Policy)>,
}

/// A policy that grants nothing by itself, but limits what an identity-based policy allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// A service control policy of the organization.
    ServiceControlPolicy,
    /// The permissions boundary of the role or user.
    PermissionsBoundary,
    /// The session policy that was sent with `AssumeRole`.
    SessionPolicy,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    effect: Effect,
    #[serde(default)]
    action: Option<OneOrMany<String>>,
    #[serde(default)]
    not_action: Option<OneOrMany<String>>,
    #[serde(default)]
    resource: Option<OneOrMany<String>>,
    #[serde(default)]
    not_resource: Option<OneOrMany<String>>,
    #[serde(default)]
    condition: BTreeMap<String, BTreeMap<String, OneOrMany<Value>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    // Tried first: a list of JSON values is itself one.
    Many(Vec<T>),
    One(T),
}

impl<T> OneOrMany<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// What a call asks of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// `eks:CreateAccessEntry`.
    pub action: String,
    /// The ARN of what it acts on.
    pub resource: String,
    /// The condition keys of the call, in lower case, with their values.
    pub context: BTreeMap<String, Vec<String>>,
}

/// What a policy answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A statement allows it, none denies it.
    Allowed,
    /// No statement allows it.
    NotAllowed,
    /// A statement denies it.
    Denied,
}

impl Policy {
    /// Reads a policy document.
    ///
    /// # Errors
    /// If it is not one, or has a condition that the simulator could not judge: better none than a Deny that never applies.
    pub fn parse(document: &str) -> Result<Self, serde_json::Error> {
        use serde::de::Error as _;

        let policy: Self = serde_json::from_str(document)?;
        let mut operators = policy.statement.as_slice().iter().flat_map(|statement| statement.condition.keys());
        match operators.find(|operator| Operator::parse(operator).is_none()) {
            Some(unknown) => Err(serde_json::Error::custom(format!("unknown condition operator `{unknown}`"))),
            None => Ok(policy),
        }
    }

    /// Everything is allowed.
    #[must_use]
    pub fn allow_all() -> Self {
        Self::allowing(&["*"])
    }

    /// Exactly what the article gives to its execution role, with any cluster in the place of its one
    /// (<https://repost.aws/knowledge-center/eks-api-recover-cluster-access>).
    #[must_use]
    pub fn article() -> Self {
        let cluster = Statement::allow(&[
            "eks:ListAccessEntries",
            "eks:CreateAccessEntry",
            "eks:DescribeCluster",
            "eks:UpdateClusterConfig",
        ]);
        let entry = Statement::allow(&[
            "eks:DeleteAccessEntry",
            "eks:ListAssociatedAccessPolicies",
            "eks:DisassociateAccessPolicy",
            "eks:AssociateAccessPolicy",
            "eks:UpdateAccessEntry",
            "eks:DescribeAccessEntry",
        ]);
        Self::of(vec![cluster.on("arn:*:eks:*:*:cluster/*"), entry.on("arn:*:eks:*:*:access-entry/*")])
    }

    /// Those actions on everything.
    #[must_use]
    pub fn allowing(actions: &[&str]) -> Self {
        Self::of(vec![Statement::allow(actions)])
    }

    fn of(statements: Vec<Statement>) -> Self {
        let version = Some(WITH_VARIABLES.to_owned());
        Self { version, statement: OneOrMany::Many(statements), limits: Vec::new() }
    }

    /// The same without some actions.
    #[must_use]
    pub fn without(mut self, actions: &[&str]) -> Self {
        let mut statements = self.statement.as_slice().to_vec();
        statements.push(Statement { effect: Effect::Deny, ..Statement::allow(actions) });
        self.statement = OneOrMany::Many(statements);
        self
    }

    /// The same without an action, or all (`*`), on what that pattern of ARNs matches.
    #[must_use]
    pub fn without_on(mut self, action: &str, resource: &str) -> Self {
        let mut statements = self.statement.as_slice().to_vec();
        statements.push(Statement { effect: Effect::Deny, ..Statement::allow(&[action]).on(resource) });
        self.statement = OneOrMany::Many(statements);
        self
    }

    /// The same within another policy: what is allowed is what both allow ("Policy evaluation logic" in the IAM User Guide).
    ///
    /// A service control policy without an `Allow` is attached beside AWS's `FullAWSAccess`, as it is to every account from the
    /// beginning ("SCP evaluation" in the AWS Organizations User Guide).
    #[must_use]
    pub fn limited_by(mut self, limit: Limit, policy: Self) -> Self {
        let allows = policy.statement.as_slice().iter().any(|statement| statement.effect == Effect::Allow);
        let policy = if limit == Limit::ServiceControlPolicy && !allows {
            let mut statements = policy.statement.as_slice().to_vec();
            statements.push(Statement::allow(&["*"]));
            Self { statement: OneOrMany::Many(statements), ..policy }
        } else {
            policy
        };
        self.limits.push((limit, policy));
        self
    }

    /// The same policy within the limits that another one has.
    pub(crate) fn with_limits_of(mut self, other: &Self) -> Self {
        self.limits.extend(other.limits.iter().cloned());
        self
    }

    /// Whether a call is allowed.
    #[must_use]
    pub fn decide(&self, question: &Question) -> Decision {
        self.judged(question).map_or(Decision::Allowed, |(decision, _)| decision)
    }

    /// Why a call is not allowed, in AWS's words (facts §8.4, §12.6; "Troubleshoot access denied error messages" in the IAM User
    /// Guide). None: it is allowed.
    #[must_use]
    pub fn refusal(&self, question: &Question) -> Option<String> {
        let (decision, limit) = self.judged(question)?;
        let (article, kind) = match limit {
            Some(Limit::ServiceControlPolicy) => ("a", "service control policy"),
            None => ("an", "identity-based policy"),
            Some(Limit::PermissionsBoundary) => ("a", "permissions boundary"),
            Some(Limit::SessionPolicy) => ("a", "session policy"),
        };
        Some(match decision {
            Decision::Denied => format!("with an explicit deny in {article} {kind}"),
            _ => format!("because no {kind} allows the {} action", question.action),
        })
    }

    /// What keeps a call from being allowed, and which limit it is, if it is not this policy itself. An explicit deny comes first,
    /// then service control policies, the identity-based policy, the boundary and the session policy are looked at in this order.
    fn judged(&self, question: &Question) -> Option<(Decision, Option<Limit>)> {
        let own = (self.by_statements(question), None);
        let limits = self.limits.iter().map(|(limit, policy)| (policy.by_statements(question), Some(*limit)));
        let order = |limit: Option<Limit>| match limit {
            Some(Limit::ServiceControlPolicy) => 0,
            None => 1,
            Some(Limit::PermissionsBoundary) => 2,
            Some(Limit::SessionPolicy) => 3,
        };
        let against = std::iter::once(own).chain(limits).filter(|(decision, _)| *decision != Decision::Allowed);
        against.min_by_key(|(decision, limit)| (*decision != Decision::Denied, order(*limit)))
    }

    /// What the statements say, without the limits.
    fn by_statements(&self, question: &Question) -> Decision {
        let variables = (self.version.as_deref() == Some(WITH_VARIABLES)).then_some(&question.context);
        let mut decision = Decision::NotAllowed;
        for statement in self.statement.as_slice() {
            if !statement.applies(question, variables) {
                continue;
            }
            match statement.effect {
                Effect::Deny => return Decision::Denied,
                Effect::Allow => decision = Decision::Allowed,
            }
        }
        decision
    }
}

impl Statement {
    /// Those actions on everything.
    fn allow(actions: &[&str]) -> Self {
        Self {
            effect: Effect::Allow,
            action: Some(OneOrMany::Many(actions.iter().map(|&action| action.to_owned()).collect())),
            not_action: None,
            resource: Some(OneOrMany::One("*".to_owned())),
            not_resource: None,
            condition: BTreeMap::new(),
        }
    }

    /// The same on that alone.
    fn on(self, resource: &str) -> Self {
        Self { resource: Some(OneOrMany::One(resource.to_owned())), ..self }
    }

    fn applies(&self, question: &Question, variables: Variables<'_>) -> bool {
        let action = question.action.to_lowercase();
        // Actions have wildcards, but no variables.
        let acts = |patterns: &Option<OneOrMany<String>>| any(patterns.as_ref(), &action, None, str::to_lowercase);
        let acts = acts(&self.action).unwrap_or(false) || acts(&self.not_action).is_some_and(|named| !named);
        let on =
            |patterns: &Option<OneOrMany<String>>| any(patterns.as_ref(), &question.resource, variables, str::to_owned);
        let on = on(&self.resource).unwrap_or(false) || on(&self.not_resource).is_some_and(|named| !named);
        acts && on
            && self.condition.iter().all(|(operator, keys)| {
                keys.iter().all(|(key, wanted)| {
                    let wanted: Vec<String> = wanted.as_slice().iter().map(text).collect();
                    let actual = question.context.get(&key.to_lowercase()).map_or(&[][..], Vec::as_slice);
                    Operator::parse(operator).is_some_and(|operator| operator.is_met(actual, &wanted, variables))
                })
            })
    }
}

/// Whether one of the patterns matches. None: there are no patterns.
fn any(
    patterns: Option<&OneOrMany<String>>,
    text: &str,
    variables: Variables<'_>,
    spelt: impl Fn(&str) -> String,
) -> Option<bool> {
    let matches =
        |pattern: &String| Pattern::of(&spelt(pattern), true, variables).is_some_and(|pattern| pattern.matches(text));
    Some(patterns?.as_slice().iter().any(matches))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
