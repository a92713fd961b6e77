//! Strict reading of a JSON object: every field is known, stands there once, and `null` is the same as absent.
//!
//! `serde` alone takes an event's misspelt field for no field, and a field said twice for its last
//! value; here either would grant access for longer, or more of it, than was meant.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::domain::failure::{ErrorName, Failure};
use crate::domain::parse_error::Malformed;
use crate::domain::sanitize;

/// The longest name that is compared with those of fields, in bytes: comparing takes memory that grows with it.
const LONGEST_NAME: usize = 64;

/// What is wrong with a field, and where it stands; on one line, whatever was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

impl Invalid {
    /// The field at `path` is wrong, for the reason given.
    #[must_use]
    pub fn at(path: &str, why: impl fmt::Display) -> Self {
        Self(sanitize::shown(&format!("`{path}`: {why}")))
    }

    /// The event as a whole is wrong.
    #[must_use]
    pub fn event(why: impl fmt::Display) -> Self {
        Self(sanitize::shown(&format!("The event is malformed: {why}")))
    }
}

/// The fields of one JSON object, each still unread.
#[derive(Debug)]
pub struct Object {
    path: String,
    fields: BTreeMap<String, Box<RawValue>>,
}

impl Object {
    /// Takes an object apart whose fields may only be the `known` ones.
    ///
    /// # Errors
    /// If it is not a JSON object, or has a field twice, or an unknown one; the nearest known one is named.
    pub fn parse(path: &str, json: &str, known: &[&str]) -> Result<Self, Invalid> {
        let Pairs(pairs) = serde_json::from_str(json).map_err(|error| match path {
            "" => Invalid::event(&error),
            _ => Invalid::at(path, &error),
        })?;
        let mut object = Self { path: path.to_owned(), fields: BTreeMap::new() };
        for (name, value) in pairs {
            let place = object.place(&name);
            if !known.contains(&name.as_str()) {
                return Err(Invalid::at(&place, unknown(&name, known)));
            }
            if object.fields.insert(name, value).is_some() {
                return Err(Invalid::at(&place, "the field stands there twice"));
            }
        }
        object.fields.retain(|_, value| value.get() != "null");
        Ok(object)
    }

    /// Where a field stands, for messages.
    #[must_use]
    pub fn place(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }

    /// The names of the fields that are there.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    /// A field's value, if the field is there.
    ///
    /// # Errors
    /// If the value has another type.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Invalid> {
        self.fields
            .get(name)
            .map(|value| {
                serde_json::from_str(value.get())
                    .map_err(|error| Invalid::at(&self.place(name), without_position(&error)))
            })
            .transpose()
    }

    /// A field's value as an object in its turn.
    ///
    /// # Errors
    /// As [`Object::parse`].
    pub fn object(&self, name: &str, known: &[&str]) -> Result<Option<Self>, Invalid> {
        self.fields.get(name).map(|value| Self::parse(&self.place(name), value.get(), known)).transpose()
    }

    /// A field's value through a parser of its own.
    ///
    /// # Errors
    /// If it is not a string, or the parser refuses it.
    pub fn parsed<T, E: fmt::Display>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Invalid> {
        self.get::<String>(name)?
            .map(|text| parse(&text).map_err(|error| Invalid::at(&self.place(name), error)))
            .transpose()
    }
}

fn unknown(name: &str, known: &[&str]) -> String {
    let known = if name.len() <= LONGEST_NAME { known } else { &[] };
    let nearest = known
        .iter()
        .min_by_key(|candidate| strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase()));
    match nearest {
        Some(nearest) => format!("there is no such field; the nearest one is `{nearest}`"),
        None => "there is no such field".to_owned(),
    }
}

/// serde's own words, less "at line 1 column 7", which counts from the start of the field.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split_once(" at line ").map_or(text.clone(), |(what, _)| what.to_owned())
}

struct Pairs(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Self::new(ErrorName::InvalidRequest, invalid.to_string(), "Correct the event and send it again.")
    }
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        Self::from(Invalid::event(malformed))
    }
}
