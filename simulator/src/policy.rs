//! IAM policies: who may call what, on what, under which conditions.
//!
//! Source: "Policy evaluation logic" and "Condition operators" in the IAM User Guide; the keys of EKS are those of the Service
//! Authorization Reference. A condition on a key that a call does not have is not met, unless its operator ends in `IfExists`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// A policy document.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
    statement: OneOrMany<Statement>,
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
    One(T),
    Many(Vec<T>),
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
    /// If it is not one.
    pub fn parse(document: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(document)
    }

    /// Everything is allowed.
    #[must_use]
    pub fn allow_all() -> Self {
        Self::allowing(&["*"])
    }

    /// Exactly what the article gives to its execution role
    /// (<https://repost.aws/knowledge-center/eks-cluster-access-iam-identity-center>).
    #[must_use]
    pub fn article() -> Self {
        Self::allowing(&[
            "eks:ListAccessEntries",
            "eks:CreateAccessEntry",
            "eks:DescribeCluster",
            "eks:UpdateClusterConfig",
            "eks:DeleteAccessEntry",
            "eks:ListAssociatedAccessPolicies",
            "eks:DisassociateAccessPolicy",
            "eks:AssociateAccessPolicy",
            "eks:UpdateAccessEntry",
            "eks:DescribeAccessEntry",
        ])
    }

    /// Those actions on everything.
    #[must_use]
    pub fn allowing(actions: &[&str]) -> Self {
        Self {
            statement: OneOrMany::One(Statement {
                effect: Effect::Allow,
                action: Some(OneOrMany::Many(actions.iter().map(|&action| action.to_owned()).collect())),
                not_action: None,
                resource: Some(OneOrMany::One("*".to_owned())),
                not_resource: None,
                condition: BTreeMap::new(),
            }),
        }
    }

    /// The same without some actions.
    #[must_use]
    pub fn without(mut self, actions: &[&str]) -> Self {
        let mut statements = self.statement.as_slice().to_vec();
        statements.push(Statement {
            effect: Effect::Deny,
            ..Self::allowing(actions).statement.as_slice().first().cloned().unwrap_or_else(Statement::nothing)
        });
        self.statement = OneOrMany::Many(statements);
        self
    }

    /// Whether a call is allowed.
    #[must_use]
    pub fn decide(&self, question: &Question) -> Decision {
        let mut decision = Decision::NotAllowed;
        for statement in self.statement.as_slice() {
            if !statement.applies(question) {
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
    fn nothing() -> Self {
        Self {
            effect: Effect::Deny,
            action: None,
            not_action: None,
            resource: None,
            not_resource: None,
            condition: BTreeMap::new(),
        }
    }

    fn applies(&self, question: &Question) -> bool {
        let action = question.action.to_lowercase();
        let any = |patterns: &Option<OneOrMany<String>>, text: &str, fold: bool| {
            patterns.as_ref().map(|patterns| {
                patterns
                    .as_slice()
                    .iter()
                    .any(|pattern| if fold { matches(&pattern.to_lowercase(), text) } else { matches(pattern, text) })
            })
        };
        let acts = any(&self.action, &action, true).unwrap_or(false)
            || any(&self.not_action, &action, true).is_some_and(|named| !named);
        let on = any(&self.resource, &question.resource, false).unwrap_or(false)
            || any(&self.not_resource, &question.resource, false).is_some_and(|named| !named);
        acts && on
            && self.condition.iter().all(|(operator, keys)| {
                keys.iter().all(|(key, wanted)| {
                    let wanted: Vec<String> = wanted.as_slice().iter().map(text).collect();
                    condition(operator, question.context.get(&key.to_lowercase()), &wanted)
                })
            })
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether one condition is met.
fn condition(operator: &str, actual: Option<&Vec<String>>, wanted: &[String]) -> bool {
    let (quantifier, operator) = operator.split_once(':').unwrap_or(("", operator));
    let (operator, if_exists) =
        operator.strip_suffix("IfExists").map_or((operator, false), |operator| (operator, true));
    if operator == "Null" {
        let absent = actual.is_none_or(Vec::is_empty);
        return wanted.iter().any(|wanted| wanted == "true") == absent;
    }
    let actual = match actual {
        Some(actual) if !actual.is_empty() => actual,
        // A set that is empty has all its members in every other one.
        _ => return if_exists || quantifier == "ForAllValues" || operator.contains("Not"),
    };
    let (negated, operator) = match operator {
        "StringNotEquals" => (true, "StringEquals"),
        "StringNotLike" => (true, "StringLike"),
        "StringNotEqualsIgnoreCase" => (true, "StringEqualsIgnoreCase"),
        "ArnNotEquals" | "ArnNotLike" => (true, "ArnLike"),
        other => (false, other),
    };
    let one = |value: &String| {
        let found = wanted.iter().any(|wanted| match operator {
            "StringEquals" => wanted == value,
            "StringEqualsIgnoreCase" | "Bool" => wanted.eq_ignore_ascii_case(value),
            "StringLike" => matches(wanted, value),
            "ArnLike" | "ArnEquals" => arn_matches(wanted, value),
            _ => false,
        });
        found != negated
    };
    match quantifier {
        "ForAnyValue" => actual.iter().any(one),
        _ => actual.iter().all(one),
    }
}

/// Each of the six fields of an ARN is compared by itself.
fn arn_matches(pattern: &str, arn: &str) -> bool {
    let patterns: Vec<_> = pattern.splitn(6, ':').collect();
    let fields: Vec<_> = arn.splitn(6, ':').collect();
    patterns.len() == fields.len() && patterns.iter().zip(fields).all(|(pattern, field)| matches(pattern, field))
}

/// `*` is any run of characters, `?` is one.
fn matches(pattern: &str, text: &str) -> bool {
    let (mut patterns, mut texts) = (pattern.chars(), text.chars());
    match (patterns.next(), texts.next()) {
        (None, None) => true,
        (Some('*'), None) => matches(patterns.as_str(), text),
        (Some('*'), Some(_)) => matches(patterns.as_str(), text) || matches(pattern, texts.as_str()),
        (Some('?'), Some(_)) => matches(patterns.as_str(), texts.as_str()),
        (Some(wanted), Some(character)) if wanted == character => matches(patterns.as_str(), texts.as_str()),
        _ => false,
    }
}
