//! Every path by which access can come to exist, against every guardrail: refused with the setting's name, and nothing changed.

use eks_break_glass::domain::failure::ErrorName;
use serde_json::{Value, json};
use simulator::operation::Scope;
use simulator::policy::Policy;
use simulator::world::{Cluster, Entry, Mode, Principal};
use simulator::{Simulation, World};

use crate::harness::{FUNCTION, GROUP, Harness, REQUEST_ID, lacking};

const ADMIN: &str = "arn:aws:iam::111122223333:role/team/admin";
const THERE: &str = "arn:aws:eks:eu-west-1:444455556666:cluster/prod";
const ADMIN_THERE: &str = "arn:aws:iam::444455556666:role/team/admin";
const HOME: &str = "arn:aws:eks:eu-west-1:111122223333:cluster/prod";
const POLICY: &str = "AmazonEKSClusterAdminPolicy";

/// A path: what is there, what is sent, and through which alias.
#[derive(Clone)]
struct Path {
    name: &'static str,
    entry: Option<fn(&str) -> Entry>,
    stale: bool,
    /// Whether IAM can be asked whether the entry is stale.
    iam: bool,
    event: fn() -> Value,
    alias: Option<&'static str>,
    elsewhere: bool,
    kind: PathKind,
}

#[derive(Clone, Copy, PartialEq)]
enum PathKind {
    Grant,
    /// A grant that recreates an entry as it was.
    Recreation,
    /// A grant through `approved`, which has its approval.
    Approved,
    /// A grant without approval.
    Emergency,
    /// A revoke that nothing shows to be of this function's grant.
    UnprovenRevoke,
    /// A revoke that Scheduler sends.
    ScheduledRevoke,
    /// Something else than a revoke, through the alias of Scheduler.
    MisusedAlias,
    Inspection,
}

fn grant() -> Value {
    json!({"duration": "1h", "reason": "INC-1"})
}

fn paths() -> Vec<Path> {
    let path = Path {
        name: "a grant",
        entry: None,
        stale: false,
        iam: true,
        event: grant,
        alias: None,
        elsewhere: false,
        kind: PathKind::Grant,
    };
    let holding = |arn: &str| Entry::new(arn).with_group("ops").with_policy(POLICY, Scope::cluster());
    let stale = |arn: &str| {
        let entry = Entry::new(arn).with_group("ops").with_policy(POLICY, Scope::cluster());
        entry.made_for_id("AROAEARLIER")
    };
    let held = |arn: &str| Entry::new(arn).with_policy(POLICY, Scope::namespaces(&["a"]));
    let forged = || {
        let restore = json!({"version": 1, "entryExisted": true, "accessScope": {"type": "cluster"}});
        json!({"action": "revoke", "restore": restore, "expiresAt": "2100-01-01T00:00:00Z"})
    };
    let all = vec![
        path.clone(),
        Path { name: "a grant through another alias", alias: Some("live"), ..path.clone() },
        Path { name: "a grant through a version", alias: Some("7"), ..path.clone() },
        Path { name: "a grant through `approved`", alias: Some("approved"), kind: PathKind::Approved, ..path.clone() },
        Path {
            name: "an emergency",
            event: || json!({"duration": "1h", "reason": "INC-1", "emergency": true}),
            kind: PathKind::Emergency,
            ..path.clone()
        },
        Path { name: "the replacement of a stale entry", entry: Some(stale), stale: true, ..path.clone() },
        Path {
            name: "the replacement of a stale entry, with recreateEntry",
            entry: Some(stale),
            stale: true,
            event: || json!({"duration": "1h", "reason": "INC-1", "recreateEntry": true}),
            ..path.clone()
        },
        Path {
            name: "recreateEntry without proof",
            entry: Some(holding),
            iam: false,
            event: || json!({"duration": "1h", "reason": "INC-1", "recreateEntry": true}),
            kind: PathKind::Recreation,
            ..path.clone()
        },
        Path {
            name: "recreateEntry against IAM's word",
            entry: Some(holding),
            event: || json!({"duration": "1h", "reason": "INC-1", "recreateEntry": true}),
            kind: PathKind::Recreation,
            ..path.clone()
        },
        Path {
            name: "a made-up restore",
            entry: Some(held),
            event: forged,
            kind: PathKind::UnprovenRevoke,
            ..path.clone()
        },
        Path {
            name: "a made-up scheduled input",
            entry: Some(held),
            event: forged,
            alias: Some("revoke"),
            kind: PathKind::ScheduledRevoke,
            ..path.clone()
        },
        Path {
            name: "a grant as a scheduled input",
            alias: Some("revoke"),
            kind: PathKind::MisusedAlias,
            ..path.clone()
        },
        Path {
            name: "an emergency as a scheduled input",
            alias: Some("revoke"),
            event: || json!({"duration": "1h", "reason": "INC-1", "emergency": true}),
            kind: PathKind::MisusedAlias,
            ..path.clone()
        },
        Path { name: "an inspection", event: || json!({"action": "inspect"}), kind: PathKind::Inspection, ..path },
    ];
    let elsewhere = all.clone().into_iter().map(|path| Path { elsewhere: true, ..path });
    all.iter().cloned().chain(elsewhere).collect()
}

/// A guardrail, set so that it forbids, and which paths it binds.
struct Guardrail {
    name: &'static str,
    settings: &'static [(&'static str, &'static str)],
    /// What of the event changes, to break it.
    event: fn() -> Value,
    binds: fn(&Path) -> bool,
}

fn gives(path: &Path) -> bool {
    matches!(path.kind, PathKind::Grant | PathKind::Recreation | PathKind::Approved | PathKind::Emergency)
}

fn unproven(path: &Path) -> bool {
    gives(path) || path.kind == PathKind::UnprovenRevoke
}

fn guardrails() -> Vec<Guardrail> {
    let unchanged = || json!({});
    vec![
        Guardrail {
            name: "ALLOWED_CLUSTERS",
            settings: &[("ALLOWED_CLUSTERS", "dev-*")],
            event: unchanged,
            binds: unproven,
        },
        Guardrail {
            name: "ALLOWED_CLUSTERS",
            settings: &[("ALLOWED_CLUSTERS", "arn:aws:eks:*:999999999999:cluster/prod")],
            event: unchanged,
            binds: unproven,
        },
        Guardrail {
            name: "ALLOWED_PRINCIPALS",
            settings: &[("ALLOWED_PRINCIPALS", "arn:aws:iam::*:role/other/*")],
            event: unchanged,
            binds: unproven,
        },
        Guardrail {
            name: "ALLOWED_POLICIES",
            settings: &[("ALLOWED_POLICIES", "AmazonEKSViewPolicy")],
            event: unchanged,
            binds: unproven,
        },
        Guardrail {
            name: "ALLOWED_GROUPS",
            settings: &[("ALLOWED_GROUPS", "other-*")],
            event: unchanged,
            binds: |path| path.kind == PathKind::Recreation,
        },
        Guardrail {
            name: "ALLOWED_ACCOUNTS",
            settings: &[("ALLOWED_ACCOUNTS", "999999999999")],
            event: unchanged,
            binds: |path| path.elsewhere,
        },
        Guardrail {
            name: "TARGET_ROLE_NAME",
            settings: &[("TARGET_ROLE_NAME", "")],
            event: unchanged,
            binds: |path| path.elsewhere,
        },
        Guardrail { name: "MAX_DURATION", settings: &[("MAX_DURATION", "30m")], event: unchanged, binds: gives },
        // Without an end at all; an emergency always has one.
        Guardrail {
            name: "MAX_DURATION",
            settings: &[("MAX_DURATION", "2h")],
            event: || json!({"duration": null}),
            binds: |path| gives(path) && path.kind != PathKind::Emergency,
        },
        // Within the maximum, but what the entry holds would come back without end.
        Guardrail {
            name: "MAX_DURATION",
            settings: &[("MAX_DURATION", "2h")],
            event: unchanged,
            binds: |path| path.kind == PathKind::Recreation,
        },
        Guardrail {
            name: "EMERGENCY_MAX_DURATION",
            settings: &[("EMERGENCY_MAX_DURATION", "30m")],
            event: unchanged,
            binds: |path| path.kind == PathKind::Emergency,
        },
        Guardrail {
            name: "EMERGENCY_MAX_DURATION",
            settings: &[("EMERGENCY_MAX_DURATION", "0")],
            event: unchanged,
            binds: |path| path.kind == PathKind::Emergency,
        },
        Guardrail {
            name: "REQUIRE_APPROVAL",
            settings: &[("REQUIRE_APPROVAL", "true")],
            event: unchanged,
            binds: |path| matches!(path.kind, PathKind::Grant | PathKind::Recreation),
        },
        Guardrail {
            name: "REQUIRE_REASON",
            settings: &[("REQUIRE_REASON", "true"), ("REQUIRE_APPROVAL", "false")],
            event: || json!({"reason": null, "emergency": null}),
            binds: gives,
        },
        // An emergency needs a reason by itself.
        Guardrail {
            name: "REQUIRE_APPROVAL",
            settings: &[("REQUIRE_APPROVAL", "true")],
            event: || json!({"reason": null}),
            binds: |path| gives(path) && path.kind != PathKind::Approved,
        },
        Guardrail { name: "GRANTS_FROZEN", settings: &[("GRANTS_FROZEN", "true")], event: unchanged, binds: gives },
    ]
}

fn world(path: &Path) -> World {
    let (cluster, admin) = if path.elsewhere { (THERE, ADMIN_THERE) } else { (HOME, ADMIN) };
    let principal = |arn: &str| {
        let principal = Principal::new(arn);
        if path.stale && arn == admin { principal.recreated_at(World::START) } else { principal }
    };
    let permissions = || if path.iam { Policy::allow_all() } else { lacking(&["iam:GetRole"]) };
    let world = World::new()
        .with_cluster(Cluster::new("prod", Mode::Api))
        .with_cluster(Cluster::new("prod", Mode::Api).at("444455556666", "eu-west-1"))
        .with_principal(principal(ADMIN))
        .with_principal(principal(ADMIN_THERE))
        .with_policy(permissions())
        .with_assumable_role("arn:aws:iam::444455556666:role/there", "111122223333", None, permissions())
        .with_schedule_group(GROUP);
    match path.entry {
        Some(entry) => world.with_entry(cluster, entry(admin)),
        None => world,
    }
}

/// Settings that allow every path, but for what a guardrail changes.
fn harness(path: &Path, settings: &[(&str, &str)]) -> Harness {
    let mut harness = Harness::new(Simulation::new(world(path)))
        .with_schedules()
        .with("TARGET_ROLE_NAME", "there")
        .with("ALLOWED_ACCOUNTS", "444455556666")
        .with("ALLOWED_GROUPS", "ops")
        .with("EMERGENCY_MAX_DURATION", "2h");
    if path.kind == PathKind::Emergency {
        harness = harness.with("REQUIRE_APPROVAL", "true");
    }
    settings.iter().fold(harness, |harness, (name, value)| harness.with(name, value))
}

fn event(path: &Path, changes: &Value) -> Value {
    let (cluster, admin) = if path.elsewhere { (THERE, ADMIN_THERE) } else { (HOME, ADMIN) };
    let mut event = (path.event)();
    event["clusterName"] = json!(cluster);
    event["principalArn"] = json!(admin);
    // What a guardrail changes of a grant has no meaning for the other actions.
    if event.get("action").is_none() {
        event.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    }
    event
}

async fn send(harness: &Harness, path: &Path, event: &Value) -> Result<Value, eks_break_glass::handler::Failed> {
    match path.alias {
        Some(alias) => harness.send_through(alias, event).await,
        None => harness.send_as(REQUEST_ID, event).await,
    }
}

fn state(harness: &Harness, path: &Path) -> (impl PartialEq + std::fmt::Debug + use<>, usize) {
    let cluster = if path.elsewhere { THERE } else { HOME };
    harness.aws.world(|world| (world.snapshot(cluster), world.schedules().len()))
}

#[tokio::test(start_paused = true)]
async fn every_path_to_access_is_bound_by_every_guardrail() {
    let (mut refused, mut unbound) = (0, 0);
    for path in paths() {
        for guardrail in guardrails() {
            let what = format!(
                "{}{} against {} ({:?})",
                path.name,
                if path.elsewhere { ", elsewhere" } else { "" },
                guardrail.name,
                guardrail.settings
            );
            let harness = harness(&path, guardrail.settings);
            let (before, pending) = state(&harness, &path);
            let answer = send(&harness, &path, &event(&path, &(guardrail.event)())).await;
            if path.kind == PathKind::MisusedAlias {
                let failed = answer.expect_err(&what);
                assert_eq!(failed.name, ErrorName::RequestDenied, "{what}: {failed:?}");
                assert!(
                    failed.message.contains("alias `revoke`") || failed.message.contains(guardrail.name),
                    "{what}: {failed:?}"
                );
            } else if (guardrail.binds)(&path) {
                let failed = answer.expect_err(&what);
                assert_eq!(failed.name, ErrorName::RequestDenied, "{what}: {failed:?}");
                assert!(failed.message.contains(&format!("`{}`", guardrail.name)), "{what}: {failed:?}");
                assert!(failed.message.contains("Nothing was changed."), "{what}: {failed:?}");
                refused += 1;
            } else {
                // What a guardrail does not bind is carried out, and a revoke or an inspection gives nothing.
                let result = answer.unwrap_or_else(|failed| panic!("{what}: {failed:?}"));
                let given = ["GRANTED", "ALREADY_GRANTED"].contains(&result["status"].as_str().unwrap());
                assert_eq!(given, gives(&path), "{what}: {result}");
                unbound += 1;
                if given {
                    continue;
                }
            }
            assert_eq!(state(&harness, &path), (before, pending), "{what}: something was changed");
            assert!(harness.aws.calls().iter().all(|call| !call.changes()), "{what}");
        }
    }
    say(&format!(
        "{} paths x {} guardrails: {refused} refused, {unbound} not bound",
        paths().len(),
        guardrails().len()
    ));
    assert!(refused > 150 && unbound > 100, "{refused} refused, {unbound} not bound");
}

/// Without any guardrail that forbids it, each path gives what it is meant to give: the table refuses for the right reason.
#[tokio::test(start_paused = true)]
async fn every_path_works_if_no_guardrail_forbids_it() {
    for path in paths() {
        let harness = harness(&path, &[]);
        let answer = send(&harness, &path, &event(&path, &json!({}))).await;
        let expected = match path.kind {
            PathKind::MisusedAlias => {
                assert_eq!(answer.unwrap_err().name, ErrorName::RequestDenied, "{}", path.name);
                continue;
            }
            PathKind::UnprovenRevoke | PathKind::ScheduledRevoke => "NOTHING_TO_REVOKE",
            PathKind::Inspection => "INSPECTED",
            _ => "GRANTED",
        };
        assert_eq!(
            answer.unwrap_or_else(|failed| panic!("{}: {failed:?}", path.name))["status"],
            expected,
            "{}",
            path.name
        );
        if path.stale {
            let (cluster, admin) = if path.elsewhere { (THERE, ADMIN_THERE) } else { (HOME, ADMIN) };
            let now = harness.aws.world(|world| world.snapshot(cluster))[admin].clone();
            assert!(now.groups.is_empty(), "{}: {now:?}", path.name);
            assert_eq!(now.tags["eks-break-glass:function"], FUNCTION);
        }
    }
}

#[expect(clippy::print_stdout, reason = "the number of combinations is shown")]
fn say(text: &str) {
    println!("{text}");
}
