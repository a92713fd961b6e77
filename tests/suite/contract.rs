//! Documents, events and code agree.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use eks_break_glass::domain::codes::{AnnouncementType, FindingCode, Setting, Status, WarningCode};
use eks_break_glass::domain::failure::ErrorName;
use eks_break_glass::domain::operation::Operation;
use eks_break_glass::domain::region::Region;
use eks_break_glass::input::event::{ACTIONS, FIELDS, Request};
use eks_break_glass::platform::log::{DIMENSIONS, Level, METRICS};
use eks_break_glass::report::announcement_text::WORDS;
use eks_break_glass_chat::handler::TIME_FOR_RUNBOOK;
use serde_json::{Value, json};
use simulator::policy::Policy;
use simulator::world::{Cluster, Mode, Principal};
use simulator::{Simulation, World};

use crate::harness::{GROUP, Harness};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The JSON files of a folder, in order.
fn json_files(folder: &str) -> Vec<(PathBuf, Value)> {
    let mut files: Vec<_> = fs::read_dir(root().join(folder))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let content = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            (path, content)
        })
        .collect();
    files.sort_by(|one, other| one.0.cmp(&other.0));
    files
}

fn events() -> Vec<(PathBuf, Value)> {
    json_files("events")
}

/// The code blocks of a document that are marked as `language`.
fn blocks(document: &str, language: &str) -> Vec<String> {
    document
        .split(&format!("```{language}\n"))
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

#[test]
fn every_event_is_in_the_readme_and_every_event_of_the_readme_is_a_file() {
    let readme = read("README.md");
    let shown: Vec<Value> = blocks(&readme, "json").iter().map(|block| serde_json::from_str(block).unwrap()).collect();
    for (path, event) in events() {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(shown.contains(&event), "{name} is not shown");
        assert!(readme.contains(&format!("(events/{name})")), "{name} is not in the table");
    }
    for block in shown {
        assert!(events().iter().any(|(_, event)| *event == block), "no file holds {block}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_event_does_what_it_is_documented_for() {
    for (path, event) in events() {
        let request = Request::parse(&event.to_string(), &Region::parse("eu-west-1").unwrap()).unwrap();
        let mut world = World::new().with_cluster(
            Cluster::new(&request.cluster.name, Mode::ConfigMap)
                .at(request.cluster.account.as_deref().unwrap_or("111122223333"), request.cluster.region.as_str()),
        );
        let there = "arn:aws:iam::444455556666:role/eks-break-glass-target";
        world = world
            .with_assumable_role(there, "111122223333", None, Policy::allow_all())
            .with_principal(Principal::new("arn:aws:iam::444455556666:role/oncall"));
        for principal in [
            "role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_ClusterAdmin_0f1e2d3c4b5a6978",
            "role/new-cluster-admin",
            "role/team-a-oncall",
            "user/oncall",
        ] {
            world = world.with_principal(Principal::new(&format!("arn:aws:iam::111122223333:{principal}")));
        }
        let harness = Harness::new(Simulation::new(world.with_schedule_group(GROUP)))
            .with_schedules()
            .with("TARGET_ROLE_NAME", "eks-break-glass-target")
            .with("ALLOWED_ACCOUNTS", "444455556666")
            .with("ALLOWED_POLICIES", "AmazonEKSClusterAdminPolicy,AmazonEKSAdminPolicy");
        let status =
            harness.send(&event).await.unwrap_or_else(|failed| panic!("{}: {failed:?}", path.display()))["status"]
                .clone();
        let expected = match path.file_stem().unwrap().to_str().unwrap() {
            "grant-dry-run" => "PLANNED",
            "grant-without-waiting" => "IN_PROGRESS",
            "inspect" | "inspect-principal" => "INSPECTED",
            "revoke" | "revoke-undo" => "NOTHING_TO_REVOKE",
            _ => "GRANTED",
        };
        assert_eq!(status, expected, "{}", path.display());
    }
}

#[test]
fn every_input_of_a_fleet_is_in_its_document_and_is_made_of_events() {
    let document = read("docs/runbooks.md");
    let shown: Vec<Value> =
        blocks(&document, "json").iter().map(|block| serde_json::from_str(block).unwrap()).collect();
    let inputs: Vec<Value> = json_files("events/fleet").into_iter().map(|(_, input)| input).collect();
    assert_eq!(inputs.len(), shown.len());
    for input in inputs {
        assert!(shown.contains(&input), "{input} is not shown");
        let defaults = input["defaults"].as_object().cloned().unwrap_or_default();
        for cluster in input["clusters"].as_array().into_iter().flatten() {
            let mut event = defaults.clone();
            event.extend(cluster.as_object().unwrap().clone());
            Request::parse(&Value::Object(event).to_string(), &Region::parse("eu-west-1").unwrap()).unwrap();
        }
    }
    let table = read("events/fleet/clusters.csv");
    for column in table.lines().next().unwrap().split(',').filter(|column| *column != "namespaces") {
        assert!(FIELDS.iter().any(|(field, _)| *field == column), "`{column}` is no field of an event");
    }
}

#[test]
fn the_readme_names_exactly_the_errors_of_the_code_and_whether_to_retry() {
    let readme = read("README.md");
    let documented: BTreeSet<(String, bool)> = readme
        .lines()
        .skip_while(|line| !line.starts_with("| errorType "))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            (cells[1].trim_matches('`').to_owned(), cells[2] == "yes")
        })
        .collect();
    let of_the_code = ErrorName::ALL.iter().map(|name| (name.to_string(), name.is_retryable())).collect();
    assert_eq!(documented, of_the_code);
}

/// The first column of the table under a heading.
fn table(document: &str, heading: &str) -> BTreeSet<String> {
    let (_, section) = document.split_once(heading).unwrap();
    let section = section.split("\n## ").next().unwrap();
    section.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned())).collect()
}

fn texts<T: AsRef<str>>(codes: &[T]) -> BTreeSet<String> {
    codes.iter().map(|code| code.as_ref().to_owned()).collect()
}

#[test]
fn documented_codes_are_those_of_the_code() {
    let events = read("docs/events.md");
    assert_eq!(table(&events, "## Warnings"), texts(WarningCode::ALL));
    assert_eq!(table(&events, "## Findings"), texts(FindingCode::ALL));
    let (_, announcements) = events.split_once("| `detail-type` |").unwrap();
    assert_eq!(table(&format!("## {announcements}"), "## "), texts(AnnouncementType::ALL));
    let (_, statuses) = events.split_once("| `status` |").unwrap();
    let (statuses, _) = statuses.split_once("| field |").unwrap();
    assert_eq!(table(&format!("## {statuses}"), "## "), texts(Status::ALL));
}

/// The environment variables that `read` asks for.
fn settings_read<T>(read: impl FnOnce(&dyn Fn(&str) -> Option<String>) -> T) -> BTreeSet<String> {
    let asked = RefCell::new(BTreeSet::new());
    read(&|name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        (name == "AWS_REGION").then(|| "eu-west-1".to_owned())
    });
    let mut asked = asked.into_inner();
    asked.remove("AWS_REGION");
    asked
}

/// What documents, templates and workflows repeat, as the code has it.
fn names() -> Value {
    json!({
        "actions": ACTIONS,
        "announcements": AnnouncementType::ALL,
        "announcementWords": WORDS.iter().chain(&["undo"]).collect::<Vec<_>>(),
        "chat": {
            "secondsForWorkflow": TIME_FOR_RUNBOOK.as_secs(),
            "settings": settings_read(|lookup| eks_break_glass_chat::settings::Settings::read(lookup)),
        },
        "errors": ErrorName::ALL.map(|name| json!({"name": name.to_string(), "retryable": name.is_retryable()})),
        "eventFields": FIELDS.iter().map(|(name, actions)| ((*name).to_owned(), json!(actions))).collect::<serde_json::Map<_, _>>(),
        "findings": FindingCode::ALL,
        "logLevels": Level::NAMES.map(|(name, _)| name),
        "metricDimensions": DIMENSIONS,
        "metrics": METRICS.iter().map(|(name, unit)| ((*name).to_owned(), json!(unit))).collect::<serde_json::Map<_, _>>(),
        "operations": Operation::ALL.iter().map(|operation| (operation.to_string(), json!(operation.iam_action()))).collect::<serde_json::Map<_, _>>(),
        "settings": Setting::ALL,
        "statuses": Status::ALL,
        "warnings": WarningCode::ALL,
    })
}

#[test]
#[expect(clippy::disallowed_methods, reason = "`make contract` writes the list")]
fn list_of_names_is_that_of_the_code() {
    let path = root().join("docs/schemas/contract.json");
    let text = format!("{:#}\n", names());
    if std::env::var_os("UPDATE_CONTRACT").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap(), text, "`make contract` writes it");
    let read = settings_read(|lookup| eks_break_glass::input::settings::Settings::read(lookup));
    assert_eq!(texts(Setting::ALL), read, "every setting is read, and no other");
}

#[test]
fn every_command_of_the_documents_is_there() {
    let makefile = read("Makefile");
    let simulator = read("simulator/src/main.rs");
    for path in [
        "README.md",
        "CONTRIBUTING.md",
        "docs/chat.md",
        "docs/simulator.md",
        "docs/performance.md",
        "docs/runbooks.md",
        "docs/supply-chain.md",
    ] {
        for line in blocks(&read(path), "sh").join("\n").lines() {
            let words: Vec<_> = line.split('#').next().unwrap().split_whitespace().collect();
            match words.as_slice() {
                ["make", target] => assert!(makefile.contains(&format!("\n{target}: ")), "{path}: {line}"),
                ["cargo", "run", "-p", "simulator", arguments @ ..] => {
                    for option in
                        arguments.iter().filter_map(|word| word.strip_prefix("--").filter(|name| !name.is_empty()))
                    {
                        let known =
                            option == "help" || simulator.contains(&format!("    {}: ", option.replace('-', "_")));
                        assert!(known, "{path}: {line}");
                    }
                }
                _ => {}
            }
            for word in line.split([' ', '"', '\'']) {
                let file = word.strip_prefix("file://").unwrap_or(word);
                if file.starts_with("events/") {
                    assert!(root().join(file).is_file(), "{path}: {line}");
                }
            }
        }
    }
}

#[test]
fn what_is_installed_for_the_tests_is_pinned_by_its_hash() {
    for file in fs::read_dir(root().join("requirements")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for requirement in text.replace("\\\n", "").lines().filter(|line| line.starts_with(char::is_alphanumeric)) {
            assert!(
                requirement.contains("==") && requirement.contains("--hash=sha256:"),
                "{}: {requirement}",
                path.display()
            );
        }
    }
    let lock: Value = serde_json::from_str(&read("requirements/npm/package-lock.json")).unwrap();
    for (name, package) in lock["packages"].as_object().unwrap().iter().filter(|(name, _)| !name.is_empty()) {
        assert!(package["integrity"].as_str().is_some_and(|hash| hash.starts_with("sha512-")), "{name}");
    }
    let makefile = read("Makefile");
    for line in makefile.lines().filter(|line| line.contains("/pip install")) {
        assert!(line.contains("--require-hashes") && line.contains("--no-deps"), "{line}");
    }
    for line in makefile.lines().filter(|line| line.contains("cargo install")) {
        assert!(line.contains("--locked --version "), "{line}");
    }
}

/// `aws eks update-kubeconfig` writes the same; the AWS CLI itself is asked in `tests/interop`.
#[tokio::test(start_paused = true)]
async fn the_kubeconfig_holds_for_clusters_with_names_that_yaml_would_read_as_something_else() {
    for name in ["true", "null", "1e3", "0x1F"] {
        let world = World::new()
            .with_cluster(Cluster::new(name, Mode::Api))
            .with_principal(Principal::new("arn:aws:iam::111122223333:role/x"));
        let event = json!({"clusterName": name, "principalArn": "arn:aws:iam::111122223333:role/x"});
        let result = Harness::new(Simulation::new(world)).send(&event).await.unwrap();
        assert!(result["kubeconfig"].as_str().unwrap().contains(&format!("- \"{name}\"\n")));
    }
}
