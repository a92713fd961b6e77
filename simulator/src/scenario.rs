//! Worlds with names, for people who try things out and for programs that measure.

use std::time::Duration;

use serde_json::json;

use crate::operation::Scope;
use crate::policy::Policy;
use crate::world::{ACCOUNT, Caller, Cluster, Entry, Mode, ModeChange, Principal, REGION, World};

/// The SSO role that was made when the permission set was provisioned again.
const NEW_SSO_ROLE: &str = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_ClusterAdmin_0f1e2d3c4b5a6978";
/// The one that it replaced, which aws-auth still maps.
const OLD_SSO_ROLE: &str = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_ClusterAdmin_1122334455667788";
const ADMIN_ROLE: &str = "arn:aws:iam::111122223333:role/new-cluster-admin";
const CLUSTER: &str = "prod";
/// The access key id of the principal that should get access; its secret is `simulated`.
pub const PRINCIPALS_KEY: &str = "principal";
/// The schedule group that the function may use.
pub const SCHEDULE_GROUP: &str = "eks-break-glass";
/// AWS takes a minute and a half; a user who tries things out should not have to.
const MODE_CHANGE: Duration = Duration::from_secs(5);

/// A world with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    /// The name.
    pub name: &'static str,
    /// What is the matter, in a sentence.
    pub summary: &'static str,
    /// The cluster that it is about.
    pub cluster: &'static str,
    /// The principal that should get in.
    pub principal: &'static str,
    /// Where the cluster is.
    pub region: &'static str,
}

impl Default for Scenario {
    fn default() -> Self {
        Self::SSO_ROLE_REPLACED
    }
}

impl Scenario {
    const SSO_ROLE_REPLACED: Self = Self {
        name: "sso-role-replaced",
        summary: "An SSO role was replaced; the cluster, in CONFIG_MAP mode, still maps the old one.",
        cluster: CLUSTER,
        principal: NEW_SSO_ROLE,
        region: REGION,
    };
    const API_MODE: Self = Self {
        name: "api-mode",
        summary: "The cluster has access entries, but none for the principal.",
        principal: ADMIN_ROLE,
        ..Self::SSO_ROLE_REPLACED
    };
    const STALE_ENTRY: Self = Self {
        name: "stale-entry",
        summary: "A role was deleted and recreated; its access entry is stale: it looks healthy and gives no access.",
        principal: ADMIN_ROLE,
        ..Self::SSO_ROLE_REPLACED
    };
    const ARTICLE_PERMISSIONS: Self = Self {
        name: "article-permissions",
        summary: "As sso-role-replaced, and the function may do just what the article's role may.",
        ..Self::SSO_ROLE_REPLACED
    };

    const FLEET: Self = Self {
        name: "fleet",
        summary: "A hundred clusters in three accounts, four of them broken, each in another way.",
        cluster: "fleet-003",
        principal: "arn:aws:iam::111122223333:role/oncall",
        ..Self::SSO_ROLE_REPLACED
    };

    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::SSO_ROLE_REPLACED, Self::API_MODE, Self::STALE_ENTRY, Self::ARTICLE_PERMISSIONS, Self::FLEET];

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.name == name)
    }

    /// A session of the principal.
    fn session(self) -> Caller {
        let name = self.principal.rsplit('/').next().unwrap_or_default();
        Caller {
            arn: format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/jane.doe@example.com"),
            account: ACCOUNT.to_owned(),
            user_id: "AROAEXAMPLEPRINCIPAL0:jane.doe@example.com".to_owned(),
            policy: Policy::allow_all(),
        }
    }

    /// The world that it begins with.
    #[must_use]
    pub fn world(self) -> World {
        self.world_with(None)
    }

    /// The same, with a change of authentication mode that takes so long.
    #[must_use]
    pub fn world_with(self, mode_change: Option<Duration>) -> World {
        let mode_change = ModeChange { takes: mode_change.unwrap_or(MODE_CHANGE), ..ModeChange::default() };
        if self == Self::FLEET {
            return fleet(&mode_change);
        }
        let mode =
            if matches!(self, Self::API_MODE | Self::STALE_ENTRY) { Mode::ApiAndConfigMap } else { Mode::ConfigMap };
        let mut cluster = Cluster::new(CLUSTER, mode).with_mode_change(mode_change);
        cluster.aws_auth.push(OLD_SSO_ROLE.to_owned());
        let world = World::new()
            .with_caller(PRINCIPALS_KEY, self.session())
            .with_secret(PRINCIPALS_KEY, "simulated")
            .with_assumable_role(self.principal, ACCOUNT, None, Policy::allow_all())
            .with_cluster(cluster)
            .with_schedule_group(SCHEDULE_GROUP)
            .with_principal(Principal::new(OLD_SSO_ROLE).deleted_at(World::START))
            .with_principal(Principal::made_at(NEW_SSO_ROLE, World::START))
            .with_principal(Principal::new(ADMIN_ROLE));
        match self {
            Self::STALE_ENTRY => {
                let entry = Entry::new(ADMIN_ROLE)
                    .with_group("deployers")
                    .with_policy("AmazonEKSClusterAdminPolicy", Scope::cluster());
                world
                    .with_principal(Principal::new(ADMIN_ROLE).recreated_at(World::START))
                    .with_entry(CLUSTER, entry.made_for_id("AROAEXAMPLEEARLIERROLE"))
            }
            Self::ARTICLE_PERMISSIONS => world.with_policy(Policy::article()),
            _ => world,
        }
    }
}

/// The accounts and regions of a fleet: cluster `fleet-NNN` is in the one at place NNN modulo 3.
const FLEET: [(&str, &str); 3] = [(ACCOUNT, REGION), ("222233334444", "eu-central-1"), ("333344445555", "us-east-1")];
/// The role that a function in another account takes on.
const TARGET_ROLE: &str = "eks-break-glass-target";

/// A hundred clusters for a role `oncall` in each of three accounts. Most have access entries and none for the role.
fn fleet(mode_change: &ModeChange) -> World {
    let mut world = World::new();
    for (account, _) in FLEET {
        let target = format!("arn:aws:iam::{account}:role/{TARGET_ROLE}");
        world =
            world.with_principal(Principal::new(&format!("arn:aws:iam::{account}:role/oncall"))).with_assumable_role(
                &target,
                ACCOUNT,
                None,
                Policy::allow_all().without_on("*", "arn:*:eks:*:*:cluster/fleet-040"),
            );
    }
    for (number, (account, region)) in (0..100).zip(FLEET.into_iter().cycle()) {
        let name = format!("fleet-{number:03}");
        let mode = if number % 25 == 10 { Mode::ConfigMap } else { Mode::ApiAndConfigMap };
        let cluster = Cluster::new(&name, mode).at(account, region).with_mode_change(mode_change.clone());
        let arn = cluster.arn();
        let oncall = Entry::new(&format!("arn:aws:iam::{account}:role/oncall"));
        world = match number {
            // Not there any more.
            20 => world,
            60 => world.with_cluster(cluster.describing("connectorConfig", json!({ "provider": "OTHER" }))),
            // The role of nodes.
            80 => world.with_cluster(cluster).with_entry(&arn, oncall.of_kind("EC2_LINUX")),
            // In already.
            30 | 50 => world
                .with_cluster(cluster)
                .with_entry(&arn, oncall.with_policy("AmazonEKSClusterAdminPolicy", Scope::cluster())),
            _ => world.with_cluster(cluster),
        };
    }
    world
}
