//! IAM roles: their trust policies, and their paths.

use bytes::Bytes;
use http::{Method, Request};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};
use simulator::operation::{Operation, Page};
use simulator::policy::Policy;
use simulator::wire;
use simulator::world::{Cluster, Mode, Principal};
use simulator::{Simulation, World};

use crate::{ROLE, USER, call, create, delete, describe, refusal};

/// Every printable character of ASCII but the space, in a path.
fn strange_role() -> String {
    let path: String = ('\u{21}'..='\u{7e}').collect();
    format!("arn:aws:iam::111122223333:role/{path}/Ops")
}

fn inside<'a>(xml: &'a str, element: &str) -> &'a str {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    xml.split_once(&open).and_then(|(_, rest)| rest.split_once(&close)).map_or("", |(text, _)| text)
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

fn get_role() -> Operation {
    Operation::GetRole { name: "Ops".to_owned() }
}

fn list_roles(path_prefix: &str) -> Operation {
    Operation::ListRoles { path_prefix: Some(path_prefix.to_owned()), page: Page::default() }
}

/// The trust policy of a role, as an answer shows it.
fn trust(answer: &Value) -> Value {
    let shown = inside(answer.as_str().unwrap(), "AssumeRolePolicyDocument");
    assert!(!shown.contains(['{', '"', ':', '/', ' ']), "{shown}");
    serde_json::from_str(&percent_decode_str(shown).decode_utf8().unwrap()).unwrap()
}

fn document(principal: &Value) -> Value {
    let statement = json!({ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" });
    json!({ "Version": "2012-10-17", "Statement": [statement] })
}

#[test]
fn a_role_trusts_its_account_by_default() {
    let mut world = World::new().with_principal(Principal::new(ROLE));
    let expected = document(&json!({ "AWS": "arn:aws:iam::111122223333:root" }));
    for operation in [get_role(), list_roles("/")] {
        assert_eq!(trust(&call(&mut world, &operation).unwrap()), expected);
    }
}

#[test]
fn the_trust_policy_names_the_services() {
    for (services, expected) in [
        (vec!["ec2.amazonaws.com"], json!("ec2.amazonaws.com")),
        (
            vec!["ec2.amazonaws.com", "eks-fargate-pods.amazonaws.com"],
            json!(["ec2.amazonaws.com", "eks-fargate-pods.amazonaws.com"]),
        ),
    ] {
        let mut world = World::new().with_principal(Principal::new(ROLE).trusting(&services));
        let expected = document(&json!({ "Service": expected }));
        for operation in [get_role(), list_roles("/")] {
            assert_eq!(trust(&call(&mut world, &operation).unwrap()), expected);
        }
    }
}

#[test]
fn a_trust_policy_is_returned_as_it_was_written() {
    let written = r#"{"Statement": [], "Version": "2008-10-17 & more"}"#;
    let mut world = World::new().with_principal(Principal::new(ROLE).with_trust_policy(written));
    let answer = call(&mut world, &get_role()).unwrap();
    let shown = inside(answer.as_str().unwrap(), "AssumeRolePolicyDocument");
    assert_eq!(percent_decode_str(shown).decode_utf8().unwrap(), written);
}

#[test]
fn a_user_has_no_trust_policy() {
    let mut world = World::new().with_principal(Principal::new(USER));
    let answer = call(&mut world, &Operation::GetUser { name: "alice".to_owned() }).unwrap();
    assert!(!answer.as_str().unwrap().contains("AssumeRolePolicyDocument"));
}

#[test]
fn a_path_may_have_every_printable_character() {
    let role = strange_role();
    let path = role.strip_prefix("arn:aws:iam::111122223333:role").unwrap().strip_suffix("Ops").unwrap();
    let mut world = World::new().with_cluster(Cluster::new("prod", Mode::Api)).with_principal(Principal::new(&role));
    for operation in [get_role(), list_roles("/"), list_roles(path), list_roles("/!\"#$%&'")] {
        let answer = call(&mut world, &operation).unwrap();
        let xml = answer.as_str().unwrap();
        assert_eq!((unescape(inside(xml, "Arn")), unescape(inside(xml, "Path"))), (role.clone(), path.to_owned()));
    }
    let answer = call(&mut world, &list_roles("/other/")).unwrap();
    assert!(!answer.as_str().unwrap().contains("<member>"));
    let other_path = role.replace('!', "");
    assert!(refusal(&mut world, &create(&other_path)).2.ends_with("invalid principal."));
    call(&mut world, &create(&role)).unwrap();
    assert_eq!(call(&mut world, &describe(&role)).unwrap()["accessEntry"]["principalArn"], role.as_str());
    call(&mut world, &delete(&role)).unwrap();
}

#[test]
fn a_path_is_part_of_the_resource_in_policies() {
    let role = strange_role();
    let resource = role.replace('$', "${$}").replace('*', "${*}").replace('?', "${?}");
    let allowed = |resource: &str| {
        let statement = json!({ "Effect": "Allow", "Action": "iam:GetRole", "Resource": resource });
        let document = json!({ "Version": "2012-10-17", "Statement": statement });
        World::new().with_principal(Principal::new(&role)).with_policy(Policy::parse(&document.to_string()).unwrap())
    };
    call(&mut allowed(&resource), &get_role()).unwrap();
    call(&mut allowed(&resource.replace("${*}", "x")), &get_role()).unwrap_err();
}

#[tokio::test]
async fn a_path_survives_the_wire() {
    let role = strange_role();
    let world = World::new().with_cluster(Cluster::new("prod", Mode::Api)).with_principal(Principal::new(&role));
    let simulation = Simulation::new(world);
    let encoded = utf8_percent_encode(&role, NON_ALPHANUMERIC).to_string();
    let request = |method: Method, uri: &str, service: &str, body: String| {
        let credential = format!("Credential=AKIAEXAMPLE/20261124/eu-west-1/{service}/aws4_request");
        Request::builder().method(method).uri(uri).header("authorization", credential).body(Bytes::from(body)).unwrap()
    };
    let uri = format!("/clusters/prod/access-entries/{encoded}");
    let read = wire::read(&request(Method::GET, &uri, "eks", String::new())).unwrap();
    assert_eq!(read.operation, describe(&role));
    let body = json!({ "principalArn": role }).to_string();
    let created = simulation.serve(request(Method::POST, "/clusters/prod/access-entries", "eks", body)).await.unwrap();
    assert_eq!(created.status(), 200);
    let shown = simulation.serve(request(Method::GET, &uri, "eks", String::new())).await.unwrap();
    let shown: Value = serde_json::from_slice(shown.body()).unwrap();
    assert_eq!(shown["accessEntry"]["principalArn"], role.as_str());
    let path = utf8_percent_encode(role.strip_prefix("arn:aws:iam::111122223333:role").unwrap(), NON_ALPHANUMERIC);
    let prefix = path.to_string().strip_suffix("Ops").unwrap().to_owned();
    let body = format!("Action=ListRoles&Version=2010-05-08&PathPrefix={prefix}");
    let listed = simulation.serve(request(Method::POST, "/", "iam", body)).await.unwrap();
    let xml = String::from_utf8(listed.body().to_vec()).unwrap();
    assert_eq!(unescape(inside(&xml, "Arn")), role);
}
