//! Millions of events that are made from hostile ones.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use eks_break_glass::decide::guardrails;
use eks_break_glass::domain::arn::PolicyArn;
use eks_break_glass::domain::principal::{Principal, PrincipalArn, PrincipalKind};
use eks_break_glass::domain::sanitize;
use eks_break_glass::input::event::{Action, Request, RequestedPrincipal, Verify};
use eks_break_glass::input::settings::Settings;
use jiff::SignedDuration;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::harness::LAMBDA_TIMEOUT;
use crate::hostile::{GUARDRAILS, assert_presentable, corpus, harness, home};
use crate::schema;
use crate::settings::function;

/// Numbers that look random and are the same for the same seed: Sebastiano Vigna's `SplitMix64`.
struct Rng(u64);

impl Rng {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.roll(items.len())]
    }
}

/// What events are made of.
struct EventGenerator {
    rng: Rng,
    /// Whole events, good and bad.
    events: Vec<Value>,
    /// Values of each field that occur in them.
    values: BTreeMap<String, Vec<Value>>,
}

/// Characters that have a meaning somewhere.
const PIECES: [&str; 32] = [
    "*",
    "?",
    "/",
    "//",
    "..",
    ":",
    "::",
    "%2f",
    "\u{0}",
    "\n",
    "\u{1b}[0m",
    "\u{202e}",
    "\u{200b}",
    "\u{430}",
    "'",
    "\"",
    "\\",
    "`",
    "$(",
    "{{",
    ",",
    " ",
    "arn:aws:",
    "role/",
    "team/",
    "-",
    "_",
    "0",
    "9",
    "A",
    "é",
    "\u{e0041}",
];

impl EventGenerator {
    fn new(seed: u64) -> Self {
        let mut events: Vec<Value> = corpus()
            .iter()
            .filter(|hostile| hostile.fill.is_none())
            .filter_map(|hostile| serde_json::from_str(&hostile.text()).ok())
            .filter(Value::is_object)
            .collect();
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let mut files: Vec<_> = files.filter(|path| path.is_file()).collect();
        files.sort();
        let good: Vec<Value> =
            files.iter().map(|path| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()).collect();
        // Those that are refused outnumber those that are not.
        for _ in 0..20 {
            events.extend(good.iter().cloned());
        }
        let mut values: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (name, value) in events.iter().flat_map(|event| event.as_object().unwrap()) {
            values.entry(name.clone()).or_default().push(value.clone());
        }
        Self { rng: Rng(seed), events, values }
    }

    fn event(&mut self) -> String {
        let mut event = self.rng.pick(&self.events).clone();
        for _ in 0..self.rng.roll(4) {
            self.change(&mut event);
        }
        let mut text = event.to_string();
        if self.rng.roll(4) == 0 {
            for _ in 0..=self.rng.roll(3) {
                self.scratch(&mut text);
            }
        }
        text
    }

    /// Changes, adds or removes a field.
    fn change(&mut self, event: &mut Value) {
        let names: Vec<String> = self.values.keys().cloned().collect();
        let fields = event.as_object_mut().unwrap();
        let present: Vec<String> = fields.keys().cloned().collect();
        match self.rng.roll(5) {
            0 => {
                fields.remove(&*self.rng.pick(&names).clone());
            }
            1 | 2 => {
                let name = self.rng.pick(&names).clone();
                let value = self.rng.pick(&self.values[&name]).clone();
                fields.insert(name, value);
            }
            3 if !present.is_empty() => {
                let other = self.rng.pick(&names).clone();
                let value = self.rng.pick(&self.values[&other]).clone();
                fields.insert(self.rng.pick(&present).clone(), value);
            }
            _ => {
                let Some(name) = present.get(self.rng.roll(present.len() + 1)) else { return };
                if let Some(Value::String(text)) = fields.get_mut(name) {
                    self.scratch(text);
                }
            }
        }
    }

    /// Puts in, takes out, doubles or cuts.
    fn scratch(&mut self, text: &mut String) {
        let characters: Vec<char> = text.chars().collect();
        let at = self.rng.roll(characters.len() + 1);
        let to = at + self.rng.roll((characters.len() - at).min(8) + 1);
        let (before, rest) = characters.split_at(at);
        let (middle, after) = rest.split_at(to - at);
        let middle: String = middle.iter().collect();
        let middle = match self.rng.roll(5) {
            0 => String::new(),
            1 => middle.repeat(2 + self.rng.roll(40)),
            2 => middle.to_uppercase(),
            3 => format!("{}{middle}", self.rng.pick(&PIECES)),
            _ => (*self.rng.pick(&PIECES)).to_owned(),
        };
        *text = before.iter().collect::<String>() + &middle + &after.iter().collect::<String>();
    }
}

#[test]
fn whatever_is_made_of_them_is_refused_presentably_or_means_what_it_says() {
    let (cases, seed) = (number("FUZZ_CASES", 50_000), number("FUZZ_SEED", 2041));
    let settings = Settings::read(|name| {
        let guardrails = GUARDRAILS.iter().chain(&[("AWS_REGION", "eu-west-1")]);
        guardrails.clone().find(|(setting, _)| *setting == name).map(|(_, value)| (*value).to_owned())
    })
    .unwrap();
    let mut generator = EventGenerator::new(seed);
    let watch = eks_break_glass::platform::clock::Stopwatch::start();
    let (mut read, mut allowed) = (0_u64, 0_u64);
    for case in 0..cases {
        let event = generator.event();
        let examined = catch_unwind(AssertUnwindSafe(|| match Request::parse(&event, &home()) {
            Ok(request) => {
                assert_means_what_it_says(&event, &request);
                let passes = guardrails::request(&settings, Some(&function()), &request).is_ok();
                if passes {
                    assert_within_the_guardrails(&request);
                }
                (true, passes)
            }
            Err(invalid) => {
                assert_presentable(&invalid.to_string());
                (false, false)
            }
        }));
        let Ok((was_read, passed)) = examined else { panic!("case {case} of seed {seed}: {event}") };
        (read, allowed) = (read + u64::from(was_read), allowed + u64::from(passed));
    }
    let seconds = watch.elapsed().as_secs_f64();
    say(&format!("{cases} events of seed {seed} in {seconds:.1} s: {read} well-formed, {allowed} allowed"));
    assert!(read * 50 > cases && allowed * 500 > cases, "too few come through to show anything: {read}, {allowed}");
}

/// Nothing that a caller can write gets round a guardrail that forbids every cluster, and nothing is a defect of this program.
#[tokio::test(start_paused = true)]
async fn whatever_is_made_of_them_changes_nothing_where_nothing_is_allowed() {
    let harness = harness().with("ALLOWED_CLUSTERS", "none-at-all").with("TARGET_ROLE_NAME", "there");
    let mut generator = EventGenerator::new(number("FUZZ_SEED", 2041));
    let mut answered = 0;
    for _ in 0..5_000 {
        let event = generator.event();
        if serde_json::from_str::<&RawValue>(&event).is_err() {
            continue;
        }
        if let Err(failed) = harness.send_text(&event, LAMBDA_TIMEOUT).await {
            assert!(!["Internal", "Misconfigured"].contains(&failed.name.to_string().as_str()), "{event}: {failed:?}");
            assert_eq!(sanitize::one_line(&failed.message), failed.message, "{event}");
        }
        answered += 1;
    }
    assert!(answered > 3_000, "{answered}");
    let changes: Vec<_> = harness.aws.calls().into_iter().filter(simulator::simulation::Call::changes).collect();
    assert!(changes.iter().all(|call| call.operation == "PutEvents"), "{changes:?}");
}

#[expect(clippy::disallowed_methods, reason = "how many cases to try is the environment's to say")]
fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

#[expect(clippy::print_stdout, reason = "shown by `make fuzz`")]
fn say(text: &str) {
    println!("{text}");
}

/// What was read is in the event, is canonical, and is read from what it writes.
fn assert_means_what_it_says(event: &str, request: &Request) {
    let value: Value = serde_json::from_str(event).unwrap();
    schema::takes_event(&value).unwrap_or_else(|why| panic!("the schema refuses it: {why}"));
    let again = Request::parse(&written(request).to_string(), &home()).unwrap();
    assert_eq!(&again, request);
    if let Some(RequestedPrincipal { text, principal }) = request.principal() {
        assert_eq!(value["principalArn"], **text);
        if let Principal::Iam(arn) = principal {
            assert_eq!(text, arn.as_str());
            let kind = if arn.kind == PrincipalKind::Role { "role" } else { "user" };
            let (path, name) = path_and_name(arn);
            assert_eq!(*text, format!("arn:{}:iam::{}:{kind}/{path}{name}", arn.partition, arn.account));
            assert!(path.bytes().all(|byte| byte.is_ascii_graphic()), "{path}");
        }
    }
    if let Action::Grant(grant) = &request.action {
        assert!(grant.duration.is_none_or(|duration| duration >= SignedDuration::from_mins(1)));
    }
}

fn path_and_name(arn: &PrincipalArn) -> (&str, &str) {
    let resource = arn.as_str().splitn(6, ':').nth(5).unwrap().split_once('/').unwrap().1;
    resource.split_at(resource.len() - arn.name.len())
}

/// What the guard lets through, judged in another way: by what the request holds, not by patterns.
fn assert_within_the_guardrails(request: &Request) {
    let Action::Grant(grant) = &request.action else { return };
    let cluster = &request.cluster;
    assert_eq!((cluster.name.as_str(), cluster.region.as_str()), ("prod", "eu-west-1"));
    assert!(cluster.account.as_deref().is_none_or(|account| account == "111122223333"));
    if let Principal::Iam(arn) = &grant.principal.principal {
        assert!(arn.kind == PrincipalKind::Role && path_and_name(arn).0.starts_with("team/"), "{arn}");
    }
    assert!(["AmazonEKSClusterAdminPolicy", "AmazonEKSViewPolicy"].contains(&grant.policy.name()));
    assert!(grant.duration.unwrap() <= SignedDuration::from_hours(8));
    assert!(request.reason.as_ref().unwrap().chars().any(char::is_alphanumeric));
}

/// The event that says the same as a request.
fn written(request: &Request) -> Value {
    let cluster = &request.cluster;
    let mut event = json!({
        "action": request.action.name(),
        "clusterName": cluster.arn().unwrap_or_else(|| cluster.name.clone()),
        "region": cluster.region.as_str(),
        "principalArn": request.principal().map(|principal| &principal.text),
        "policyArn": request.policy().map(PolicyArn::as_str),
        "reason": request.reason,
        "requestedBy": request.requested_by,
    });
    let verify = |verify| match verify {
        Verify::ControlPlane => "controlPlane",
        Verify::Kubernetes => "kubernetes",
    };
    let more = match &request.action {
        Action::Grant(grant) => json!({
            "accessScope": grant.scope,
            "duration": grant.duration.map(|duration| duration.to_string()),
            "dryRun": grant.dry_run,
            "verify": verify(grant.verify),
            "waitSeconds": grant.wait.map(|wait| wait.as_secs()),
            "recreateEntry": grant.recreate_entry,
        }),
        Action::Revoke(revoke) => json!({
            "restore": revoke.restore,
            "expiresAt": revoke.expires_at.map(|time| time.to_string()),
            "dryRun": revoke.dry_run,
            "verify": verify(revoke.verify),
        }),
        Action::Inspect(_) => json!({}),
    };
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}
