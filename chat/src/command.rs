//! What people type behind `/break-glass`, made into an event. Forgiving in form, never in meaning.
//!
//! Keywords come in any case and order, with smart quotes and with the links that Slack makes of addresses and users. A reason runs to the end
//! of the line; clauses at its very end still count, for a length of time that is overlooked would make access longer than it was meant to be.

use eks_break_glass::domain::region::Region;
use eks_break_glass::input::event::{Request, duration};
use serde_json::{Map, Value, json};

use crate::settings::Aliases;

/// The command, as people type it.
pub const COMMAND: &str = "/break-glass";

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "each is the word that people type")]
pub enum Verb {
    Grant,
    Extend,
    Revoke,
    Inspect,
    List,
}

/// The verbs: the word, the form, and what it is for.
const VERBS: [(Verb, &str, &str, &str); 5] = [
    (
        Verb::Grant,
        "grant",
        "grant CLUSTER PRINCIPAL [for 1h] [policy P] [namespace N…] because REASON",
        "grant access, after an approver agrees",
    ),
    (
        Verb::Extend,
        "extend",
        "extend CLUSTER PRINCIPAL for 2h [policy P] [namespace N…] because REASON",
        "move the end of an access",
    ),
    (Verb::Revoke, "revoke", "revoke CLUSTER PRINCIPAL [policy P] [because REASON]", "take an access back"),
    (Verb::Inspect, "inspect", "inspect CLUSTER [PRINCIPAL]", "explain who has access, and why a principal has none"),
    (Verb::List, "list", "list CLUSTER", "who has been let in, and until when"),
];

/// A command, understood.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// What there is to say.
    Help,
    /// Something for the workflow to do.
    Run(Verb, Value),
}

/// Why a command is not understood, and the form that would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}\nThe right form: {form}")]
pub struct Misunderstood {
    /// What is wrong.
    pub what: String,
    /// The right form.
    pub form: String,
}

/// Every form, with what it is for.
pub fn forms() -> impl Iterator<Item = (String, &'static str)> {
    VERBS.iter().map(|(_, _, form, purpose)| (format!("{COMMAND} {form}"), *purpose))
}

/// Reads what a user of Slack typed. `home` is the region that the function runs in.
///
/// # Errors
/// If it is none of the forms, or names what nobody can be let into.
pub fn parse(text: &str, user: &str, aliases: &Aliases, home: &Region) -> Result<Command, Misunderstood> {
    let words = words(text);
    let Some((first, rest)) = words.split_first() else {
        return Ok(Command::Help);
    };
    let word = first.text.to_lowercase();
    if ["help", "?", "-h", "--help"].contains(&word.as_str()) {
        return Ok(Command::Help);
    }
    let Some((verb, name, form, _)) = VERBS.iter().find(|(_, name, ..)| *name == word) else {
        let nearest = VERBS.iter().min_by_key(|(_, name, ..)| strsim::damerau_levenshtein(name, &word));
        let form = nearest.map_or_else(String::new, |(_, _, form, _)| format!("{COMMAND} {form}"));
        return Err(Misunderstood { what: format!("There is no `{}`; try `help`.", first.text), form });
    };
    let wrong = |what: String| Misunderstood { what: format!("{name}: {what}."), form: format!("{COMMAND} {form}") };
    let event = Clauses::read(rest).and_then(|clauses| clauses.event(*verb, user, aliases)).map_err(&wrong)?;
    Request::parse(&event.to_string(), home).map_err(|invalid| wrong(invalid.to_string()))?;
    Ok(Command::Run(*verb, event))
}

/// One word, or what stands between two quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    text: String,
    quoted: bool,
}

impl Word {
    fn keyword(&self) -> Option<Keyword> {
        let text = self.text.trim_end_matches(':').to_lowercase();
        match text.as_str() {
            _ if self.quoted => None,
            "for" => Some(Keyword::For),
            "policy" => Some(Keyword::Policy),
            "namespace" | "namespaces" | "ns" => Some(Keyword::Namespace),
            "because" | "reason" => Some(Keyword::Because),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keyword {
    For,
    Policy,
    Namespace,
    Because,
}

/// Takes a text apart at blanks, but not between quotes; a quote within a word, as in `isn't`, is a letter.
fn words(text: &str) -> Vec<Word> {
    let text = plain(text);
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let quoted = Some(first).filter(|c| matches!(c, '"' | '\'')).and_then(|quote| {
            let (inside, after) = rest.get(1..)?.split_once(quote)?;
            let whole = after.is_empty() || after.starts_with(char::is_whitespace);
            whole.then_some((inside, after))
        });
        let (word, after) =
            quoted.unwrap_or_else(|| rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())));
        words.push(Word { text: word.trim().to_owned(), quoted: quoted.is_some() });
        rest = after.trim_start();
    }
    words
}

/// The text as it was typed: without Slack's links and escapes, with straight quotes, on one line.
///
/// Source: "Formatting text for app surfaces" and "Implementing slash commands" in Slack's documentation.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        plain.push_str(before);
        match after.split_once('>') {
            Some((link, after)) if !link.contains('<') => {
                plain.push_str(typed(link));
                rest = after;
            }
            _ => {
                plain.push('<');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    let unescaped = plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let straight = |c: char| match c {
        '“' | '”' | '„' | '«' | '»' => '"',
        '‘' | '’' | '‚' => '\'',
        c if c.is_control() => ' ',
        c => c,
    };
    unescaped.chars().map(straight).collect()
}

/// What the user typed that Slack made this link of.
fn typed(link: &str) -> &str {
    let (target, label) = link.split_once('|').map_or((link, None), |(target, label)| (target, Some(label)));
    match target.chars().next() {
        // A user, by the id; the `@` stays, to tell them from an alias of the same letters.
        Some('@') => target,
        _ => label.filter(|label| !label.is_empty()).unwrap_or(target),
    }
}

/// The parts of a command, wherever they stood.
#[derive(Debug, Default, PartialEq, Eq)]
struct Clauses {
    names: Vec<String>,
    duration: Option<String>,
    policy: Option<String>,
    namespaces: Vec<String>,
    reason: Option<String>,
}

impl Clauses {
    fn read(words: &[Word]) -> Result<Self, String> {
        let mut clauses = Self::default();
        let mut rest = words;
        while let Some((word, after)) = rest.split_first() {
            let next = after.first().and_then(Word::keyword);
            rest = match word.keyword() {
                // `in namespace`, `with policy`.
                None if next.is_some() && ["in", "with"].contains(&word.text.as_str()) => after,
                None => {
                    clauses.names.push(word.text.clone());
                    after
                }
                Some(Keyword::Because) => clauses.because(after)?,
                Some(keyword) => clauses.clause(keyword, word, after)?,
            };
        }
        Ok(clauses)
    }

    /// A clause that begins with this keyword; what follows it.
    fn clause<'a>(&mut self, keyword: Keyword, word: &Word, after: &'a [Word]) -> Result<&'a [Word], String> {
        let twice = || Err(format!("`{}` stands there twice", word.text));
        let Some((value, after)) = after.split_first().filter(|(value, _)| value.keyword().is_none()) else {
            return Err(format!("there is nothing behind `{}`", word.text));
        };
        match keyword {
            Keyword::For if self.duration.is_some() => twice(),
            Keyword::For => {
                // `2 hours` as well as `2h`.
                let number = value.text.bytes().all(|byte| byte.is_ascii_digit());
                let unit = after.split_first().filter(|(unit, _)| number && unit.keyword().is_none());
                let (text, after) = match unit {
                    Some((unit, after)) => (format!("{}{}", value.text, unit.text), after),
                    None => (value.text.clone(), after),
                };
                duration(&text)?;
                self.duration = Some(text);
                Ok(after)
            }
            Keyword::Policy if self.policy.is_some() => twice(),
            Keyword::Policy => {
                self.policy = Some(value.text.clone());
                Ok(after)
            }
            _ => {
                let end = after.iter().position(|word| word.keyword().is_some()).unwrap_or(after.len());
                let (more, after) = after.split_at(end);
                let names = std::iter::once(value).chain(more).flat_map(|word| word.text.split(','));
                self.namespaces.extend(names.map(str::to_owned).filter(|name| !name.is_empty()));
                Ok(after)
            }
        }
    }

    /// A reason: between quotes, or to the end but for the clauses that stand at its very end.
    fn because<'a>(&mut self, after: &'a [Word]) -> Result<&'a [Word], String> {
        if self.reason.is_some() {
            return Err("there are two reasons; put the whole of it between quotes".to_owned());
        }
        let (reason, after) = match after.split_first() {
            Some((reason, after)) if reason.quoted => (std::slice::from_ref(reason), after),
            _ => after.split_at(tail(after)),
        };
        let reason: Vec<_> = reason.iter().map(|word| word.text.as_str()).collect();
        self.reason = Some(reason.join(" ")).filter(|reason| !reason.trim().is_empty());
        match self.reason {
            Some(_) => Ok(after),
            None => Err("there is nothing behind `because`".to_owned()),
        }
    }

    fn event(self, verb: Verb, user: &str, aliases: &Aliases) -> Result<Value, String> {
        let mut names = self.names.into_iter();
        let mut event = Map::new();
        let mut set = |name: &str, value: Value| event.insert(name.to_owned(), value);
        set("clusterName", json!(cluster(&names.next().ok_or("the cluster is missing")?, aliases)));
        match names.next() {
            Some(name) if verb == Verb::List => return Err(format!("`{name}` is one word too many")),
            Some(name) => {
                set("principalArn", json!(principal(&name, user, aliases)?));
            }
            None if matches!(verb, Verb::Inspect | Verb::List) => {}
            None => return Err("the principal is missing".to_owned()),
        }
        if let Some(name) = names.next() {
            return Err(format!("`{name}` is one word too many; a reason goes behind `because`"));
        }
        let grants = matches!(verb, Verb::Grant | Verb::Extend);
        let action = if grants {
            "grant"
        } else if verb == Verb::Revoke {
            "revoke"
        } else {
            "inspect"
        };
        set("action", json!(action));
        match self.duration {
            Some(duration) => {
                set("duration", json!(duration));
            }
            None if verb == Verb::Extend => return Err("for how long is missing".to_owned()),
            None => {}
        }
        if let Some(policy) = self.policy {
            set("policyArn", json!(policy));
        }
        if !self.namespaces.is_empty() {
            set("accessScope", json!({ "type": "namespace", "namespaces": self.namespaces }));
        }
        match self.reason {
            Some(reason) => {
                set("reason", json!(reason));
            }
            None if grants => return Err("the reason is missing".to_owned()),
            None => {}
        }
        Ok(Value::Object(event))
    }
}

/// Where the clauses begin that end a reason: from there on, everything is one clause after the other.
fn tail(words: &[Word]) -> usize {
    let begins = |at: &usize| {
        let mut rest = words.get(*at..).unwrap_or_default();
        let mut clauses = Clauses::default();
        while let Some((word, after)) = rest.split_first() {
            let keyword = word.keyword().filter(|keyword| *keyword != Keyword::Because);
            let Some(Ok(after)) = keyword.map(|keyword| clauses.clause(keyword, word, after)) else {
                return false;
            };
            rest = after;
        }
        true
    };
    (1..words.len()).find(begins).unwrap_or(words.len())
}

/// A cluster by its alias; otherwise it is a name or an ARN already.
fn cluster(name: &str, aliases: &Aliases) -> String {
    alias(&aliases.clusters, name).unwrap_or(name).to_owned()
}

/// A principal by its alias, by a mention, or by `me`; otherwise it has to be an ARN.
fn principal(name: &str, user: &str, aliases: &Aliases) -> Result<String, String> {
    let known = &aliases.principals;
    let (wanted, who) = match name.strip_prefix('@') {
        Some(mentioned) => (mentioned, format!("`{mentioned}`")),
        None if name.eq_ignore_ascii_case("me") => (user, format!("`me` (`{user}`)")),
        None => (name, format!("`{name}`")),
    };
    if let Some(arn) = alias(known, wanted) {
        return Ok(arn.to_owned());
    }
    if name.starts_with("arn:") {
        return Ok(name.to_owned());
    }
    let there: Vec<_> = known.keys().map(|name| format!("`{name}`")).collect();
    Err(match there.as_slice() {
        [] => format!("{who} is no alias of a principal, for the setting `CHAT_ALIASES` has none; send its ARN"),
        there => format!("{who} is no alias of a principal; there are {}; or send its ARN", there.join(", ")),
    })
}

fn alias<'a>(aliases: &'a std::collections::BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    let found =
        aliases.get_key_value(name).or_else(|| aliases.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name)));
    found.map(|(_, target)| target.as_str())
}
