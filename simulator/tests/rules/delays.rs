//! Changes that AWS does not know yet.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;
use simulator::World;
use simulator::operation::Scope;
use simulator::world::{Cluster, Delays, Entry, KubernetesAccess, Mode, Principal};

use crate::{
    ADMIN_POLICY, ROLE, associate, call, create, delete, describe, disassociate, list, refusal, seconds, set_mode,
    world,
};

const VIEW_POLICY: &str = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy";

fn delays(entry: u64, kubernetes: u64, mode: u64) -> Delays {
    let seconds = Duration::from_secs;
    Delays { entry: seconds(entry), kubernetes: seconds(kubernetes), mode: seconds(mode) }
}

#[test]
fn nothing_is_late_unless_it_is_asked_for() {
    assert_eq!(World::new().delays, Delays::default());
    let realistic = Delays::realistic();
    assert!(!realistic.entry.is_zero() && !realistic.kubernetes.is_zero() && !realistic.mode.is_zero());
}

#[test]
fn eks_learns_of_a_new_principal_after_iam() {
    let new = Principal::made_at(ROLE, World::START).with_eks_lag(Duration::from_mins(1));
    let mut world = world(Mode::Api).with_principal(new);
    let get_role = simulator::operation::Operation::GetRole { name: "Ops".to_owned() };
    call(&mut world, &get_role).unwrap();
    assert!(refusal(&mut world, &create(ROLE)).2.ends_with("invalid principal."));
    world.advance_to(seconds(60));
    call(&mut world, &create(ROLE)).unwrap();
}

#[test]
fn a_principal_is_not_there_before_it_is_made_nor_after_it_is_deleted() {
    let mut world = world(Mode::Api).with_principal(Principal::made_at(ROLE, seconds(10)).deleted_at(seconds(20)));
    let get_role = simulator::operation::Operation::GetRole { name: "Ops".to_owned() };
    for (now, is_there) in [(9, false), (10, true), (19, true), (20, false)] {
        world.advance_to(seconds(now));
        assert_eq!(call(&mut world, &get_role).is_ok(), is_there, "{now}");
    }
}

#[test]
fn a_new_entry_is_not_seen_at_once() {
    let mut world = world(Mode::Api).with_delays(delays(5, 0, 0));
    call(&mut world, &create(ROLE)).unwrap();
    for operation in [describe(ROLE), associate(ROLE, ADMIN_POLICY, Scope::cluster())] {
        assert_eq!(refusal(&mut world, &operation).0, 404);
    }
    assert_eq!(call(&mut world, &list()).unwrap()["accessEntries"], json!([]));
    assert_eq!(refusal(&mut world, &create(ROLE)).1, "ResourceInUseException", "but it is there");
    world.advance_to(seconds(5));
    call(&mut world, &associate(ROLE, ADMIN_POLICY, Scope::cluster())).unwrap();
}

#[test]
fn the_api_server_honours_a_grant_later_than_eks_shows_it() {
    let mut world = world(Mode::Api).with_delays(delays(0, 20, 0));
    call(&mut world, &create(ROLE)).unwrap();
    call(&mut world, &associate(ROLE, ADMIN_POLICY, Scope::cluster())).unwrap();
    assert_eq!(world.kubernetes_access("prod", ROLE), KubernetesAccess::Unauthorized);
    world.advance_to(seconds(20));
    assert!(world.kubernetes_access("prod", ROLE).is_cluster_admin());
}

#[test]
fn what_the_api_server_knew_holds_until_it_learns_otherwise() {
    let entry = Entry::new(ROLE).with_policy("AmazonEKSClusterAdminPolicy", Scope::cluster());
    let mut world = world(Mode::Api).with_entry("prod", entry).with_delays(delays(0, 20, 0));
    let is_admin = |world: &World| world.kubernetes_access("prod", ROLE).is_cluster_admin();
    call(&mut world, &associate(ROLE, VIEW_POLICY, Scope::cluster())).unwrap();
    assert!(is_admin(&world), "another policy takes nothing away");
    world.advance_to(seconds(20));
    call(&mut world, &disassociate(ROLE, ADMIN_POLICY)).unwrap();
    assert!(is_admin(&world), "the policy is still honoured");
    world.advance_to(seconds(40));
    assert!(!is_admin(&world));
    call(&mut world, &delete(ROLE)).unwrap();
    assert_ne!(world.kubernetes_access("prod", ROLE), KubernetesAccess::Unauthorized);
    world.advance_to(seconds(60));
    assert_eq!(world.kubernetes_access("prod", ROLE), KubernetesAccess::Unauthorized);
}

#[test]
fn entries_are_refused_for_a_while_after_the_mode_was_changed() {
    let mut world = world(Mode::ConfigMap).with_delays(delays(0, 0, 5));
    call(&mut world, &set_mode("API_AND_CONFIG_MAP")).unwrap();
    world.advance_to(seconds(94));
    assert_eq!(refusal(&mut world, &list()).1, "InvalidRequestException");
    world.advance_to(seconds(95));
    call(&mut world, &list()).unwrap();
}

#[test]
fn a_stale_entry_does_not_outrank_aws_auth_and_a_good_one_does() {
    let mut cluster = Cluster::new("prod", Mode::ApiAndConfigMap);
    cluster.aws_auth.push(ROLE.to_owned());
    let world = World::new().with_cluster(cluster).with_principal(Principal::new(ROLE));
    let stale = world.clone().with_entry("prod", Entry::new(ROLE).made_for_id("AROAEARLIER"));
    assert!(stale.kubernetes_access("prod", ROLE).is_cluster_admin());
    let good = world.with_entry("prod", Entry::new(ROLE));
    assert_eq!(good.kubernetes_access("prod", ROLE), KubernetesAccess::Mapped(Vec::new()));
}

#[test]
fn time_never_goes_back() {
    let mut world = World::new();
    world.advance_to(seconds(10));
    world.advance_to(seconds(5));
    assert_eq!(world.now() - World::START, SignedDuration::from_secs(10));
}
