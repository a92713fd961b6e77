//! Condition operators.

use super::pattern::{Pattern, Variables};

/// A condition operator, such as `ForAnyValue:StringNotLikeIfExists`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Operator<'a> {
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
    pub(super) fn parse(text: &'a str) -> Option<Self> {
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
    pub(super) fn is_met(self, actual: &[String], wanted: &[String], variables: Variables<'_>) -> bool {
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
        let matches = |value: &String| self.matches(value, wanted, variables);
        if self.quantifier == "ForAnyValue" { values.any(matches) } else { values.all(matches) }
    }

    fn matches(self, value: &str, wanted: &[String], variables: Variables<'_>) -> bool {
        let found = wanted.iter().any(|wanted| {
            // `StringEquals` and its like read no wildcards, but variables.
            let wildcards = matches!(self.comparison, Comparison::Like | Comparison::Arn);
            let Some(pattern) = Pattern::of(wanted, wildcards, variables) else {
                return false;
            };
            match self.comparison {
                Comparison::Equals | Comparison::Like => pattern.matches(value),
                Comparison::EqualsIgnoreCase => pattern.to_lowercase().matches(&value.to_ascii_lowercase()),
                Comparison::Arn => pattern.matches_arn(value),
                Comparison::Null => false,
            }
        });
        found != self.negated
    }
}
