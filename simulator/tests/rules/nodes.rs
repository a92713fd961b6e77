//! Lists of clusters, and where the roles of nodes show: node groups, Fargate profiles and EKS Auto Mode.

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use simulator::World;
use simulator::operation::{Operation, Page};
use simulator::policy::Policy;
use simulator::wire;
use simulator::world::{Cluster, Mode, Principal};

use crate::{call, describe_cluster, list, refusal, seconds, set_mode};

const NODES: &str = "arn:aws:iam::111122223333:role/nodes";
const PODS: &str = "arn:aws:iam::111122223333:role/pods";

fn cluster(mode: Mode) -> Cluster {
    Cluster::new("prod", mode).with_nodegroup("b", NODES).with_nodegroup("a", NODES).with_fargate_profile("pods", PODS)
}

fn world() -> World {
    World::new().with_cluster(cluster(Mode::ConfigMap))
}

fn page(max_results: usize, next_token: Option<&str>) -> Page {
    Page { max_results: Some(max_results), next_token: next_token.map(str::to_owned) }
}

fn list_nodegroups(page: Page) -> Operation {
    Operation::ListNodegroups { cluster: "prod".to_owned(), page }
}

fn list_profiles() -> Operation {
    Operation::ListFargateProfiles { cluster: "prod".to_owned(), page: Page::default() }
}

fn describe_nodegroup(name: &str) -> Operation {
    Operation::DescribeNodegroup { cluster: "prod".to_owned(), nodegroup: name.to_owned() }
}

fn describe_profile(name: &str) -> Operation {
    Operation::DescribeFargateProfile { cluster: "prod".to_owned(), profile: name.to_owned() }
}

#[test]
fn node_groups_show_their_roles_whatever_the_mode() {
    let mut world = world();
    let shown = call(&mut world, &describe_nodegroup("a")).unwrap();
    let nodegroup = &shown["nodegroup"];
    assert_eq!((&nodegroup["nodegroupName"], &nodegroup["clusterName"]), (&json!("a"), &json!("prod")));
    assert_eq!((&nodegroup["nodeRole"], &nodegroup["status"]), (&json!(NODES), &json!("ACTIVE")));
    let shown = call(&mut world, &describe_profile("pods")).unwrap();
    assert_eq!(shown["fargateProfile"]["podExecutionRoleArn"], PODS);
}

#[test]
fn node_groups_are_listed_in_pages() {
    let mut world = world();
    let first = call(&mut world, &list_nodegroups(page(1, None))).unwrap();
    assert_eq!(first["nodegroups"], json!(["a"]));
    let second = call(&mut world, &list_nodegroups(page(1, first["nextToken"].as_str()))).unwrap();
    assert_eq!(second, json!({ "nodegroups": ["b"], "nextToken": null }));
    assert_eq!(call(&mut world, &list_profiles()).unwrap()["fargateProfileNames"], json!(["pods"]));
}

#[test]
fn what_does_not_exist_is_not_found_in_eks_s_words() {
    for (operation, message) in [
        (describe_nodegroup("x"), "No node group found for name: x."),
        (describe_profile("x"), "No Fargate Profile found with name: x."),
    ] {
        assert_eq!(refusal(&mut world(), &operation), (404, "ResourceNotFoundException", message.to_owned()));
        let no_cluster = refusal(&mut World::new(), &operation).2;
        assert_eq!(no_cluster, "No cluster found for name: prod.");
    }
}

#[test]
fn auto_mode_shows_in_the_description() {
    let cluster = Cluster::new("prod", Mode::Api).with_auto_mode(NODES);
    let shown = call(&mut World::new().with_cluster(cluster), &describe_cluster()).unwrap();
    let compute = &shown["cluster"]["computeConfig"];
    assert_eq!((&compute["enabled"], &compute["nodeRoleArn"]), (&json!(true), &json!(NODES)));
}

#[test]
fn lists_act_on_the_cluster_and_descriptions_on_what_is_described() {
    let arn = |resource: &str| format!("arn:aws:eks:eu-west-1:111122223333:{resource}");
    for (operation, resource) in [
        (list_nodegroups(Page::default()), arn("cluster/prod")),
        (list_profiles(), arn("cluster/prod")),
        (describe_nodegroup("a"), arn("nodegroup/prod/a/*-*")),
        (describe_profile("pods"), arn("fargateprofile/prod/pods/*-*")),
        (Operation::ListClusters { page: Page::default() }, "*".to_owned()),
    ] {
        let statement =
            json!({ "Effect": "Allow", "Action": format!("eks:{}", operation.name()), "Resource": resource });
        let policy = Policy::parse(&json!({ "Statement": statement }).to_string()).unwrap();
        call(&mut world().with_policy(policy), &operation).unwrap();
        let message = refusal(&mut world().with_policy(Policy::allowing(&[])), &operation).2;
        let start = resource.split("*-").next().unwrap();
        assert!(message.contains(&format!(" on resource: {start}")), "{message}");
    }
}

#[test]
fn entries_of_nodes_are_made_at_the_switch_or_not() {
    let after_the_switch = |cluster: Cluster| {
        let mut world = World::new()
            .with_cluster(cluster)
            .with_principal(Principal::new(NODES))
            .with_principal(Principal::new(PODS));
        call(&mut world, &set_mode("API_AND_CONFIG_MAP")).unwrap();
        world.advance_to(seconds(300));
        let entries = call(&mut world, &list()).unwrap()["accessEntries"].clone();
        let kinds: Vec<_> = world.snapshot("prod").into_values().map(|entry| entry.kind).collect();
        (entries, kinds)
    };
    let (entries, kinds) = after_the_switch(cluster(Mode::ConfigMap));
    assert_eq!(entries, json!([NODES, PODS]));
    assert_eq!(kinds, ["EC2_LINUX", "FARGATE_LINUX"]);
    assert_eq!(after_the_switch(cluster(Mode::ConfigMap).without_node_entries()).0, json!([]));
}

#[test]
fn clusters_are_those_of_the_account_and_region() {
    let mut world = World::new()
        .with_cluster(Cluster::new("b", Mode::Api))
        .with_cluster(Cluster::new("a", Mode::Api))
        .with_cluster(Cluster::new("elsewhere", Mode::Api).at("111122223333", "us-east-1"))
        .with_cluster(Cluster::new("theirs", Mode::Api).at("444455556666", "eu-west-1"));
    let first = call(&mut world, &Operation::ListClusters { page: page(1, None) }).unwrap();
    assert_eq!(first["clusters"], json!(["a"]));
    let rest = call(&mut world, &Operation::ListClusters { page: page(5, first["nextToken"].as_str()) }).unwrap();
    assert_eq!(rest, json!({ "clusters": ["b"], "nextToken": null }));
}

#[test]
fn their_requests_are_read() {
    let cluster = "prod".to_owned();
    for (uri, operation) in [
        ("/clusters?maxResults=7", Operation::ListClusters { page: page(7, None) }),
        ("/clusters/prod/node-groups?maxResults=7", list_nodegroups(page(7, None))),
        ("/clusters/prod/node-groups/a%20b", describe_nodegroup("a b")),
        (
            "/clusters/prod/fargate-profiles?nextToken=from-1",
            Operation::ListFargateProfiles {
                cluster,
                page: Page { max_results: None, next_token: Some("from-1".to_owned()) },
            },
        ),
        ("/clusters/prod/fargate-profiles/pods", describe_profile("pods")),
    ] {
        let credential = "Credential=AKIAEXAMPLE/20261124/eu-west-1/eks/aws4_request";
        let request = Request::get(uri).header("authorization", credential).body(Bytes::new()).unwrap();
        assert_eq!(wire::read(&request).unwrap().operation, operation);
    }
}

#[test]
fn the_arn_of_a_node_group_ends_in_an_id() {
    let shown: Value = call(&mut world(), &describe_nodegroup("b")).unwrap();
    let arn = shown["nodegroup"]["nodegroupArn"].as_str().unwrap();
    assert!(arn.starts_with("arn:aws:eks:eu-west-1:111122223333:nodegroup/prod/b/"), "{arn}");
}
