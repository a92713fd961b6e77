//! The simulator's rules, each by itself: what AWS does, in a sentence, and a world that shows it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that does not find what it looks for should say where"
)]

mod altered_schedules;
mod delays;
mod entries;
mod faults;
mod gates;
mod identities;
mod limits;
mod modes;
mod nodes;
mod permissions;
mod policies;
mod principals;
mod scheduler;
mod services;
mod session_policies;
mod tokens;
mod wire;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use simulator::World;
use simulator::operation::{Answer, ApiError, NewEntry, Operation, Page, Scope};
use simulator::world::{Cluster, Mode, Principal, REGION};

const ROLE: &str = "arn:aws:iam::111122223333:role/team/Ops";
const USER: &str = "arn:aws:iam::111122223333:user/alice";
const ADMIN_POLICY: &str = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy";

/// A cluster called `prod`, a role, a user, and a function that may do everything.
fn world(mode: Mode) -> World {
    World::new()
        .with_cluster(Cluster::new("prod", mode))
        .with_principal(Principal::new(ROLE))
        .with_principal(Principal::new(USER))
}

fn seconds(seconds: i64) -> Timestamp {
    World::START + SignedDuration::from_secs(seconds)
}

/// What the function's call is answered with.
fn call(world: &mut World, operation: &Operation) -> Result<Value, ApiError> {
    call_as(world, "AKIAFUNCTION", operation)
}

fn call_as(world: &mut World, access_key_id: &str, operation: &Operation) -> Result<Value, ApiError> {
    let caller = world.caller(access_key_id).clone();
    world.call(&caller, REGION, operation).map(|answer| match answer {
        Answer::Json(value) => value,
        Answer::Xml(text) => json!(text),
    })
}

/// The code and message of a refusal.
fn refusal(world: &mut World, operation: &Operation) -> (u16, &'static str, String) {
    let error = call(world, operation).unwrap_err();
    (error.status, error.code, error.message)
}

fn new_entry(principal: &str) -> NewEntry {
    NewEntry { principal: principal.to_owned(), ..NewEntry::default() }
}

fn create_from(entry: NewEntry) -> Operation {
    Operation::CreateAccessEntry { cluster: "prod".to_owned(), entry, token: None }
}

fn create(principal: &str) -> Operation {
    create_from(new_entry(principal))
}

fn describe(principal: &str) -> Operation {
    Operation::DescribeAccessEntry { cluster: "prod".to_owned(), principal: principal.to_owned() }
}

fn delete(principal: &str) -> Operation {
    Operation::DeleteAccessEntry { cluster: "prod".to_owned(), principal: principal.to_owned() }
}

fn associate(principal: &str, policy: &str, scope: Scope) -> Operation {
    Operation::AssociateAccessPolicy {
        cluster: "prod".to_owned(),
        principal: principal.to_owned(),
        policy: policy.to_owned(),
        scope,
    }
}

fn disassociate(principal: &str, policy: &str) -> Operation {
    Operation::DisassociateAccessPolicy {
        cluster: "prod".to_owned(),
        principal: principal.to_owned(),
        policy: policy.to_owned(),
    }
}

fn list_policies(principal: &str) -> Operation {
    Operation::ListAssociatedAccessPolicies {
        cluster: "prod".to_owned(),
        principal: principal.to_owned(),
        page: Page::default(),
    }
}

fn list() -> Operation {
    Operation::ListAccessEntries { cluster: "prod".to_owned(), policy: None, page: Page::default() }
}

fn describe_cluster() -> Operation {
    Operation::DescribeCluster { name: "prod".to_owned() }
}

fn set_mode(mode: &str) -> Operation {
    update_config(&json!({ "accessConfig": { "authenticationMode": mode } }), None)
}

fn update_config(config: &Value, token: Option<&str>) -> Operation {
    Operation::UpdateClusterConfig {
        name: "prod".to_owned(),
        config: config.as_object().unwrap().clone(),
        token: token.map(str::to_owned),
    }
}

/// A cluster's status and mode, as `DescribeCluster` shows them.
fn status_and_mode(world: &mut World) -> (String, String) {
    let shown = call(world, &describe_cluster()).unwrap();
    let text = |pointer: &str| shown.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    (text("/cluster/status"), text("/cluster/accessConfig/authenticationMode"))
}
