//! The JSON Schemas of `docs/schemas/`, held against everything that the function takes and answers in this suite.
//!
//! The validator knows the keywords that these schemas use, and stops at any other. `tests/interop/test_schemas.py` holds them to
//! the draft, and to the same events, by a validator that others wrote.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use regex_lite::Regex;
use serde_json::{Map, Value, json};

static SCHEMAS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let named = files.map(|path| {
        let schema = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        (path.file_name().unwrap().to_str().unwrap().to_owned(), schema)
    });
    named.collect()
});

static PATTERNS: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);

/// Stops the test if the function answered with something that the schema of results does not know.
pub(crate) fn assert_result(result: &Value) {
    assert_fits("result.json", result);
}

/// The same of an announcement's `detail`.
pub(crate) fn assert_announcement(detail: &Value) {
    assert_fits("announcement-1.json", detail);
}

fn assert_fits(schema: &str, value: &Value) {
    if let Err(why) = (Validator { open: false }).check(schema, &SCHEMAS[schema], value) {
        panic!("{schema}: {why} in {value:#}");
    }
}

/// Whether the schema of events takes an event.
pub(crate) fn takes_event(event: &Value) -> Result<(), String> {
    Validator { open: true }.check("event.json", &SCHEMAS["event.json"], event)
}

struct Validator {
    /// Whether an object may have fields that its schema does not name. The published schemas of what the function answers leave that
    /// open, for later versions add fields; what this version answers, they name in full.
    open: bool,
}

impl Validator {
    fn check(&self, file: &str, schema: &Value, value: &Value) -> Result<(), String> {
        let Value::Object(keywords) = schema else { panic!("{schema} is no schema") };
        for (keyword, wanted) in keywords {
            self.keyword(file, keywords, keyword, wanted, value).map_err(|why| format!("{why} ({keyword})"))?;
        }
        Ok(())
    }

    fn keyword(
        &self,
        file: &str,
        schema: &Map<String, Value>,
        keyword: &str,
        wanted: &Value,
        value: &Value,
    ) -> Result<(), String> {
        let holds = |holds: bool| if holds { Ok(()) } else { Err(format!("{value} is not as in {wanted}")) };
        let fits = |schema: &Value| self.check(file, schema, value);
        match keyword {
            "$schema" | "title" | "$defs" | "then" | "else" => Ok(()),
            "$ref" => {
                let (other, pointer) =
                    wanted.as_str().unwrap().split_once('#').unwrap_or((wanted.as_str().unwrap(), ""));
                let other = if other.is_empty() { file } else { other };
                self.check(other, SCHEMAS[other].pointer(pointer).unwrap(), value)
            }
            "type" => holds(match wanted {
                Value::Array(types) => types.iter().any(|wanted| is_a(value, wanted)),
                wanted => is_a(value, wanted),
            }),
            "enum" => holds(wanted.as_array().unwrap().contains(value)),
            "const" => holds(wanted == value || wanted.is_number() && wanted.as_f64() == value.as_f64()),
            "anyOf" => {
                let tries: Vec<_> = wanted.as_array().unwrap().iter().map(fits).collect();
                if tries.iter().any(Result::is_ok) { Ok(()) } else { tries.into_iter().next_back().unwrap() }
            }
            "not" => holds(fits(wanted).is_err()),
            "if" => match schema.get(if fits(wanted).is_ok() { "then" } else { "else" }) {
                Some(branch) => fits(branch),
                None => Ok(()),
            },
            "pattern" => holds(value.as_str().is_none_or(|text| matches(wanted.as_str().unwrap(), text))),
            "maxLength" => {
                holds(value.as_str().is_none_or(|text| text.chars().count() as u64 <= wanted.as_u64().unwrap()))
            }
            "minimum" => holds(value.as_f64().is_none_or(|number| number >= wanted.as_f64().unwrap())),
            "maximum" => holds(value.as_f64().is_none_or(|number| number <= wanted.as_f64().unwrap())),
            "minItems" => holds(value.as_array().is_none_or(|items| items.len() as u64 >= wanted.as_u64().unwrap())),
            "maxItems" => holds(value.as_array().is_none_or(|items| items.len() as u64 <= wanted.as_u64().unwrap())),
            "items" => value.as_array().into_iter().flatten().try_for_each(|item| self.check(file, wanted, item)),
            "required" => {
                let missing = |name: &&Value| value.is_object() && value.get(name.as_str().unwrap()).is_none();
                match wanted.as_array().unwrap().iter().find(missing) {
                    Some(name) => Err(format!("{name} is missing")),
                    None => Ok(()),
                }
            }
            "additionalProperties" => {
                assert_eq!(wanted, &json!(false));
                Self::closed(schema, value)
            }
            "properties" => {
                // Where a schema names types for its fields it describes an object; else it is a condition on some of them.
                if !self.open && schema.get("type") == Some(&json!("object")) && !schema.contains_key("if") {
                    Self::closed(schema, value)?;
                }
                let fields = wanted.as_object().unwrap().iter();
                let mut present = fields.filter_map(|(name, schema)| Some((name, schema, value.get(name)?)));
                present.try_for_each(|(name, schema, value)| {
                    self.check(file, schema, value).map_err(|why| format!("{name}: {why}"))
                })
            }
            _ => panic!("this validator does not know `{keyword}`"),
        }
    }

    fn closed(schema: &Map<String, Value>, value: &Value) -> Result<(), String> {
        let known = schema["properties"].as_object().unwrap();
        match value.as_object().and_then(|fields| fields.keys().find(|name| !known.contains_key(*name))) {
            Some(name) => Err(format!("`{name}` is unknown")),
            None => Ok(()),
        }
    }
}

fn is_a(value: &Value, wanted: &Value) -> bool {
    match wanted.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        // To JSON Schema, 1.0 is an integer.
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => panic!("this validator does not know the type {other}"),
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    let mut patterns = PATTERNS.lock().unwrap();
    patterns.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).unwrap()).is_match(text)
}

#[test]
fn the_validator_refuses_what_the_schemas_do_not_say() {
    let event = |more: Value| {
        let mut event = json!({"clusterName": "prod", "principalArn": "arn:aws:iam::111122223333:role/x"});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        takes_event(&event)
    };
    event(json!({"duration": "1h", "accessScope": {"type": "namespace", "namespaces": ["a"]}})).unwrap();
    for wrong in [
        json!({"durration": "1h"}),
        json!({"duration": 1}),
        json!({"dryRun": "yes"}),
        json!({"waitSeconds": -1}),
        json!({"action": "revoke", "duration": "1h"}),
        json!({"action": "inspect", "dryRun": true}),
        json!({"restore": {"version": 1, "entryExisted": true}}),
        json!({"accessScope": {"type": "namespace"}}),
        json!({"accessScope": {"type": "cluster", "namespaces": ["a"]}}),
        json!({"principalArn": "arn:aws:iam::111122223333:role/aws-service-role/x/y"}),
        json!({"reason": "a\u{202e}b"}),
    ] {
        event(wrong.clone()).expect_err(&wrong.to_string());
    }
    let step = json!({"operation": "X", "outcome": "SUCCEEDED", "durationMs": 1, "detail": ""});
    let check =
        |step: &Value| Validator { open: false }.check("result.json", &SCHEMAS["result.json"]["$defs"]["step"], step);
    check(&step).unwrap();
    for (field, value) in [("outcome", json!("DONE")), ("durationMs", json!("1")), ("more", json!(1))] {
        let mut wrong = step.clone();
        wrong[field] = value;
        check(&wrong).expect_err(field);
    }
}
