//! Documents, events and code agree.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use eks_break_glass::chat::grammar;
use eks_break_glass::chat::settings::Aliases;
use eks_break_glass::error::ErrorName;
use eks_break_glass::region::Region;
use eks_break_glass::request::Request;
use serde_json::{Value, json};
use simulator::policy::Policy;
use simulator::world::{Cluster, Mode, Principal};
use simulator::{Simulation, World};

use crate::scene::{GROUP, Scene};

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
        let scene = Scene::new(Simulation::new(world.with_schedule_group(GROUP)))
            .with_schedules()
            .with("TARGET_ROLE_NAME", "eks-break-glass-target")
            .with("ALLOWED_ACCOUNTS", "444455556666")
            .with("ALLOWED_POLICIES", "AmazonEKSClusterAdminPolicy,AmazonEKSAdminPolicy");
        let status =
            scene.send(&event).await.unwrap_or_else(|failed| panic!("{}: {failed:?}", path.display()))["status"]
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
        assert!(read("src/request.rs").contains(&format!("(\"{column}\", ")), "`{column}` is no field of an event");
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

/// Words in capitals that stand first in a call: the codes of warnings and findings.
fn codes(source: &str, calls: &[&str]) -> BTreeSet<String> {
    let after_a_call = calls.iter().flat_map(|call| source.split(call).skip(1));
    let quoted = after_a_call.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
    quoted.filter(|text| text.chars().all(|c| c.is_ascii_uppercase() || c == '_')).map(str::to_owned).collect()
}

/// The first column of the table under a heading.
fn table(document: &str, heading: &str) -> BTreeSet<String> {
    let (_, section) = document.split_once(heading).unwrap();
    let section = section.split("\n## ").next().unwrap();
    section.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned())).collect()
}

#[test]
fn the_documented_warnings_are_those_of_the_code() {
    let mut of_the_code = BTreeSet::new();
    for path in ["grant", "revoke", "inspect", "execute", "mode_change"] {
        of_the_code.extend(codes(&read(&format!("src/{path}.rs")), &["journal.warn("]));
    }
    of_the_code.extend(codes(&read("src/handler.rs"), &["ANNOUNCEMENT_FAILED: &str ="]));
    for path in ["grant", "revoke"] {
        of_the_code.extend(codes(&read(&format!("src/plan/{path}.rs")), &["plan.warn("]));
    }
    of_the_code.extend(codes(&read("src/outcome.rs"), &["code: "]));
    assert_eq!(table(&read("docs/events.md"), "## Warnings"), of_the_code);
}

#[test]
fn the_documented_findings_are_those_of_the_code() {
    let of_the_code = codes(&read("src/findings.rs"), &["self.add("]);
    assert_eq!(table(&read("docs/events.md"), "## Findings"), of_the_code);
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

#[test]
fn the_guide_to_chat_has_every_form_of_the_command_and_a_map_that_can_be_read() {
    let forms: Vec<_> = grammar::forms().map(|(form, purpose)| format!("| `{form}` | {purpose} |")).collect();
    let guide = read("docs/chat.md");
    assert!(guide.contains(&forms.join("\n")), "{}", forms.join("\n"));
    for block in blocks(&guide, "json") {
        let aliases: Aliases = serde_json::from_str(&block).unwrap();
        assert!(!aliases.clusters.is_empty() && !aliases.principals.is_empty());
    }
}

/// The pure files know no async, no SDK, no clock, no environment and no log.
#[test]
fn what_decides_does_nothing() {
    for path in [
        "announce",
        "arn",
        "chat/approval",
        "chat/conversation",
        "chat/grammar",
        "chat/incoming",
        "chat/message",
        "chat/mrkdwn",
        "chat/settings",
        "chat/signature",
        "error",
        "expiry",
        "findings",
        "guard",
        "history",
        "json",
        "kubeconfig",
        "next_steps",
        "observation",
        "outcome",
        "ownership",
        "pattern",
        "plan/end",
        "plan/grant",
        "plan/mod",
        "plan/revoke",
        "request",
        "review",
        "scope",
        "session_policy",
        "settings",
        "text",
        "words",
    ] {
        let source = read(&format!("src/{path}.rs"));
        for forbidden in ["async ", ".await", "aws_sdk", "tokio", "Timestamp::now", "clock::", "std::env", "println"] {
            assert!(!source.contains(forbidden), "src/{path}.rs has `{forbidden}`");
        }
    }
}

#[test]
fn only_the_adapter_knows_the_sdk_and_only_the_handler_the_runtime() {
    let files = ["src", "src/chat", "src/bin"].map(|folder| fs::read_dir(root().join(folder)).unwrap());
    for file in files.into_iter().flatten() {
        let path = file.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let source = fs::read_to_string(&path).unwrap();
        assert!(!source.contains("aws_sdk"), "{name} knows the SDK");
        let may = ["handler.rs", "main.rs", "chat.rs"].contains(&name.as_str());
        assert!(!source.contains("use lambda_runtime") || may, "{name}");
    }
}

/// `aws eks update-kubeconfig` writes the same; the AWS CLI itself is asked in `tests/witness`.
#[tokio::test(start_paused = true)]
async fn the_kubeconfig_holds_for_clusters_with_names_that_yaml_would_read_as_something_else() {
    for name in ["true", "null", "1e3", "0x1F"] {
        let world = World::new()
            .with_cluster(Cluster::new(name, Mode::Api))
            .with_principal(Principal::new("arn:aws:iam::111122223333:role/x"));
        let event = json!({"clusterName": name, "principalArn": "arn:aws:iam::111122223333:role/x"});
        let result = Scene::new(Simulation::new(world)).send(&event).await.unwrap();
        assert!(result["kubeconfig"].as_str().unwrap().contains(&format!("- \"{name}\"\n")));
    }
}
