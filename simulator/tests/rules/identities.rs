//! What an access entry lets its principal use.

use std::time::Duration;

use simulator::World;
use simulator::operation::{EntryChange, Operation, Scope};
use simulator::world::{Cluster, Delays, Entry, KubernetesAccess, Mode, Principal};

use crate::{ADMIN_POLICY, ROLE, associate, call, delete, seconds, world};

fn admin() -> Vec<(String, Scope)> {
    vec![(ADMIN_POLICY.to_owned(), Scope::cluster())]
}

fn entry() -> Entry {
    Entry::new(ROLE).with_group("deployers").with_policy(ADMIN_POLICY, Scope::cluster())
}

#[test]
fn an_entry_gives_policies_a_username_and_groups() {
    let world = world(Mode::Api).with_entry("prod", entry());
    assert_eq!(world.usable_access("prod", ROLE), admin());
    let username = "arn:aws:sts::111122223333:assumed-role/Ops/{{SessionName}}".to_owned();
    assert_eq!(world.kubernetes_identity("prod", ROLE), Some((username, vec!["deployers".to_owned()])));
}

#[test]
fn a_stale_entry_gives_nothing() {
    let stale = entry().made_for_id("AROAEARLIER");
    let world = world(Mode::Api).with_entry("prod", stale);
    assert_eq!(world.usable_access("prod", ROLE), []);
    assert_eq!(world.kubernetes_identity("prod", ROLE), None);
}

#[test]
fn an_entry_of_a_principal_that_is_recreated_goes_stale() {
    let principal = Principal::new(ROLE).recreated_at(seconds(10));
    let mut world = World::new()
        .with_cluster(Cluster::new("prod", Mode::Api))
        .with_principal(principal)
        .with_entry("prod", entry());
    assert_eq!(world.usable_access("prod", ROLE), admin());
    world.advance_to(seconds(10));
    assert_eq!(world.usable_access("prod", ROLE), []);
}

#[test]
fn aws_auth_gives_access_without_an_entry() {
    let mut cluster = Cluster::new("prod", Mode::ApiAndConfigMap);
    cluster.aws_auth.push(ROLE.to_owned());
    let world = World::new().with_cluster(cluster).with_principal(Principal::new(ROLE));
    assert!(world.kubernetes_access("prod", ROLE).is_cluster_admin());
    assert_eq!(world.usable_access("prod", ROLE), []);
    assert_eq!(world.kubernetes_identity("prod", ROLE), None);
}

#[test]
fn changes_are_usable_when_they_have_reached_the_api_server() {
    let delays = Delays { kubernetes: Duration::from_secs(20), ..Delays::default() };
    let mut world = world(Mode::Api).with_entry("prod", Entry::new(ROLE)).with_delays(delays);
    call(&mut world, &associate(ROLE, ADMIN_POLICY, Scope::cluster())).unwrap();
    let change = EntryChange { username: Some("ops:x".to_owned()), groups: Some(vec!["ops".to_owned()]) };
    let update =
        Operation::UpdateAccessEntry { cluster: "prod".to_owned(), principal: ROLE.to_owned(), change, token: None };
    call(&mut world, &update).unwrap();
    assert_eq!(world.usable_access("prod", ROLE), []);
    assert_eq!(world.kubernetes_identity("prod", ROLE).unwrap().1, [""; 0]);
    world.advance_to(seconds(20));
    assert_eq!(world.usable_access("prod", ROLE), admin());
    assert_eq!(world.kubernetes_identity("prod", ROLE), Some(("ops:x".to_owned(), vec!["ops".to_owned()])));
    call(&mut world, &delete(ROLE)).unwrap();
    assert_eq!(world.usable_access("prod", ROLE), admin());
    world.advance_to(seconds(40));
    assert_eq!(world.usable_access("prod", ROLE), []);
}

#[test]
fn entries_count_for_nothing_in_config_map_mode() {
    let world = world(Mode::ConfigMap).with_entry("prod", entry());
    assert_eq!(world.usable_access("prod", ROLE), []);
    assert_eq!(world.kubernetes_access("prod", ROLE), KubernetesAccess::Unauthorized);
}
