//! Patterns in policies: wildcards, and policy variables ("IAM policy elements: Variables and tags" in the IAM User Guide).

use std::collections::BTreeMap;

/// The condition keys that policy variables stand for. None: the policy's version has no variables.
pub(super) type Variables<'a> = Option<&'a BTreeMap<String, Vec<String>>>;

/// A pattern, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Token>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Character(char),
    /// `*`: any run of characters.
    Run,
    /// `?`: one character.
    One,
}

impl Pattern {
    /// Reads a pattern. `${*}`, `${?}` and `${$}` are these characters themselves (facts §12.6); another variable is the one value
    /// of its condition key. None: a variable has no value, and a statement with it does not match.
    pub(super) fn of(text: &str, wildcards: bool, variables: Variables<'_>) -> Option<Self> {
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            let variable = rest.strip_prefix("${").and_then(|inside| inside.split_once('}'));
            if let (Some(variables), Some((name, after))) = (variables, variable) {
                let value = match name {
                    "*" | "?" | "$" => name,
                    name => match variables.get(&name.to_lowercase())?.as_slice() {
                        [value] => value.as_str(),
                        _ => return None,
                    },
                };
                tokens.extend(value.chars().map(Token::Character));
                rest = after;
                continue;
            }
            tokens.push(match character {
                '*' if wildcards => Token::Run,
                '?' if wildcards => Token::One,
                character => Token::Character(character),
            });
            rest = rest.strip_prefix(character).unwrap_or_default();
        }
        Some(Self(tokens))
    }

    /// The same in lower case.
    pub(super) fn to_lowercase(&self) -> Self {
        let lower = |&token: &Token| match token {
            Token::Character(character) => Token::Character(character.to_ascii_lowercase()),
            token => token,
        };
        Self(self.0.iter().map(lower).collect())
    }

    /// Whether it matches all of a text.
    pub(super) fn matches(&self, text: &str) -> bool {
        matches(&self.0, text)
    }

    /// Whether it matches an ARN: each of the six fields is compared by itself.
    pub(super) fn matches_arn(&self, arn: &str) -> bool {
        let patterns: Vec<_> = self.0.splitn(6, |&token| token == Token::Character(':')).collect();
        let fields: Vec<_> = arn.splitn(6, ':').collect();
        patterns.len() == fields.len() && patterns.iter().zip(fields).all(|(pattern, field)| matches(pattern, field))
    }
}

fn matches(mut pattern: &[Token], mut text: &str) -> bool {
    // After the last run: the pattern that follows it, and the text that the run has not yet taken.
    let mut retry: Option<(&[Token], &str)> = None;
    loop {
        let mut rest = text.chars();
        let character = rest.next();
        match (pattern.split_first(), character) {
            (Some((Token::Run, after)), _) => {
                retry = Some((after, text));
                pattern = after;
                continue;
            }
            (Some((Token::One, after)), Some(_)) => {
                (pattern, text) = (after, rest.as_str());
                continue;
            }
            (Some((&Token::Character(wanted), after)), Some(character)) if wanted == character => {
                (pattern, text) = (after, rest.as_str());
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        let Some((after, from)) = retry else {
            return false;
        };
        let mut longer = from.chars();
        if longer.next().is_none() {
            return false;
        }
        retry = Some((after, longer.as_str()));
        (pattern, text) = (after, longer.as_str());
    }
}
