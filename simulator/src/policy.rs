//! IAM policies: who may call what, on what, under which conditions.
//!
//! Source: "Policy evaluation logic", "Condition operators" and "Set operators for multivalued context keys" in the IAM User
//! Guide; the keys of EKS are those of the Service Authorization Reference (facts §8.1). A condition on a key that a call does
//! not have is not met, unless its operator is negated, ends in `IfExists`, or is about all of the key's values.

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
        Self {
            statement: OneOrMany::Many(vec![
                cluster.on("arn:*:eks:*:*:cluster/*"),
                entry.on("arn:*:eks:*:*:access-entry/*"),
            ]),
        }
    }

    /// Those actions on everything.
    #[must_use]
    pub fn allowing(actions: &[&str]) -> Self {
        Self { statement: OneOrMany::One(Statement::allow(actions)) }
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
                    let actual = question.context.get(&key.to_lowercase()).map_or(&[][..], Vec::as_slice);
                    Operator::parse(operator).is_some_and(|operator| operator.is_met(actual, &wanted))
                })
            })
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A condition operator, such as `ForAnyValue:StringNotLikeIfExists`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Operator<'a> {
    /// `ForAllValues`, `ForAnyValue` or nothing.
    quantifier: &'a str,
    comparison: Comparison,
    negated: bool,
    if_exists: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equals,
    EqualsIgnoreCase,
    Like,
    Arn,
    Null,
}

impl<'a> Operator<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (quantifier, text) = text.split_once(':').unwrap_or(("", text));
        let (text, if_exists) = text.strip_suffix("IfExists").map_or((text, false), |text| (text, true));
        let (comparison, negated) = match text {
            "StringEquals" => (Comparison::Equals, false),
            "StringNotEquals" => (Comparison::Equals, true),
            "StringEqualsIgnoreCase" | "Bool" => (Comparison::EqualsIgnoreCase, false),
            "StringNotEqualsIgnoreCase" => (Comparison::EqualsIgnoreCase, true),
            "StringLike" => (Comparison::Like, false),
            "StringNotLike" => (Comparison::Like, true),
            "ArnEquals" | "ArnLike" => (Comparison::Arn, false),
            "ArnNotEquals" | "ArnNotLike" => (Comparison::Arn, true),
            "Null" => (Comparison::Null, false),
            _ => return None,
        };
        matches!(quantifier, "" | "ForAllValues" | "ForAnyValue").then_some(Self {
            quantifier,
            comparison,
            negated,
            if_exists,
        })
    }

    /// A key without values is absent.
    fn is_met(self, actual: &[String], wanted: &[String]) -> bool {
        if self.comparison == Comparison::Null {
            return wanted.iter().any(|wanted| wanted == "true") == actual.is_empty();
        }
        if actual.is_empty() {
            return match self.quantifier {
                // A set that is empty has all its members in every other one, and none in any.
                "ForAllValues" => true,
                "ForAnyValue" => self.if_exists,
                _ => self.if_exists || self.negated,
            };
        }
        let mut values = actual.iter();
        let matches = |value: &String| self.matches(value, wanted);
        if self.quantifier == "ForAnyValue" { values.any(matches) } else { values.all(matches) }
    }

    fn matches(self, value: &str, wanted: &[String]) -> bool {
        let found = wanted.iter().any(|wanted| match self.comparison {
            Comparison::Equals => wanted == value,
            Comparison::EqualsIgnoreCase => wanted.eq_ignore_ascii_case(value),
            Comparison::Like => matches(wanted, value),
            Comparison::Arn => arn_matches(wanted, value),
            Comparison::Null => false,
        });
        found != self.negated
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
