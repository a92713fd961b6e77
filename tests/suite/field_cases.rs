//! Cases from the field that a grant answers, each by its number.

use eks_break_glass::domain::failure::ErrorName;
use serde_json::{Value, json};
use simulator::World;
use simulator::policy::Policy;
use simulator::world::{Cluster, Entry, Mode, Principal};

use crate::expiry::{entries, grant, merged};
use crate::harness::{lacking, warnings};
use crate::security::{OLD_SSO, VIEW, harness, world};

const NEW_SSO: &str = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_ClusterAdmin_1111111111111111";

#[tokio::test(start_paused = true)]
async fn field_3_and_4_role_of_instances_is_granted_nothing_unless_the_caller_knows() {
    let karpenter = "arn:aws:iam::111122223333:role/KarpenterNodeRole-prod";
    let session = "arn:aws:sts::111122223333:assumed-role/KarpenterNodeRole-prod/i-0123456789abcdef0";
    for service in ["ec2.amazonaws.com", "eks-fargate-pods.amazonaws.com", "pods.eks.amazonaws.com"] {
        let world = world(Mode::ApiAndConfigMap).with_principal(Principal::new(karpenter).trusting(&[service]));
        for principal in [karpenter, session] {
            let harness = harness(world.clone());
            let event = grant(&json!({"principalArn": principal}));
            let failed = harness.send(&event).await.unwrap_err();
            assert_eq!(failed.name, ErrorName::InvalidRequest, "{principal}");
            assert!(
                failed.message.contains("`instanceRole`") && failed.message.contains(karpenter),
                "{}",
                failed.message
            );
            assert!(entries(&harness).is_empty());
            let knowing = harness.send(&merged(event, &json!({"instanceRole": true}))).await.unwrap();
            assert_eq!(knowing["status"], "GRANTED");
        }
    }
    // The session's name shows it, too, where IAM may not be asked.
    let world = world(Mode::ApiAndConfigMap)
        .with_principal(Principal::new(karpenter))
        .with_policy(lacking(&["iam:GetRole"]))
        .with_entry("prod", Entry::new(karpenter));
    let failed = harness(world).send(&grant(&json!({"principalArn": session}))).await.unwrap_err();
    assert_eq!(failed.name, ErrorName::InvalidRequest);
    // Others take no further call.
    let plain = harness(self::world(Mode::Api));
    plain.send(&grant(&json!({}))).await.unwrap();
    assert!(
        plain
            .aws
            .calls()
            .iter()
            .all(|call| !call.operation.contains("Nodegroup") && !call.operation.contains("Fargate"))
    );
}

#[tokio::test(start_paused = true)]
async fn node_role_of_the_cluster_is_a_conflict_whatever_is_set() {
    let nodes = "arn:aws:iam::111122223333:role/eks-nodes";
    let clusters: [(&str, Cluster); 3] = [
        ("node group `workers`", Cluster::new("prod", Mode::Api).with_nodegroup("workers", nodes)),
        ("Fargate profile `batch`", Cluster::new("prod", Mode::Api).with_fargate_profile("batch", nodes)),
        ("EKS Auto Mode", Cluster::new("prod", Mode::Api).with_auto_mode(nodes)),
    ];
    for (user, cluster) in clusters {
        for instance_role in [false, true] {
            let world = world(Mode::Api).with_cluster(cluster.clone()).with_principal(
                Principal::new(nodes).trusting(&["ec2.amazonaws.com", "eks-fargate-pods.amazonaws.com"]),
            );
            let harness = harness(world);
            let event = grant(&json!({"principalArn": nodes, "instanceRole": instance_role}));
            let failed = harness.send(&event).await.unwrap_err();
            assert_eq!(failed.name, ErrorName::AccessEntryConflict, "{user}");
            assert!(
                failed.message.contains(user) && failed.message.contains("Nothing was changed."),
                "{}",
                failed.message
            );
        }
    }
    // Where the function isn't allowed to look, the caller's word decides, and the result says so.
    let world = world(Mode::Api)
        .with_cluster(Cluster::new("prod", Mode::Api).with_nodegroup("workers", nodes))
        .with_principal(Principal::new(nodes).trusting(&["ec2.amazonaws.com"]))
        .with_policy(lacking(&["eks:ListNodegroups", "eks:ListFargateProfiles"]));
    let result = harness(world).send(&grant(&json!({"principalArn": nodes, "instanceRole": true}))).await.unwrap();
    assert!(warnings(&result).contains(&"NODE_ROLES_UNKNOWN".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn field_9_entry_that_overrides_aws_auth_warns() {
    for (mode, warned) in [(Mode::ApiAndConfigMap, true), (Mode::ConfigMap, true), (Mode::Api, false)] {
        let event = grant(&json!({"policyArn": VIEW, "accessScope": {"type": "namespace", "namespaces": ["team-a"]}}));
        let result = harness(world(mode)).with("ALLOWED_POLICIES", VIEW).send(&event).await.unwrap();
        assert_eq!(warnings(&result).contains(&"AWS_AUTH_OVERRIDDEN".to_owned()), warned, "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn field_10_session_of_a_replaced_role_is_answered_with_the_present_one() {
    let session =
        "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_ClusterAdmin_0f1e2d3c4b5a6978/jane.doe@example.com";
    for mode in [Mode::ConfigMap, Mode::Api] {
        let world = world(mode)
            .with_principal(Principal::new(OLD_SSO).deleted_at(World::START))
            .with_principal(Principal::new(NEW_SSO));
        for sent in [session, OLD_SSO] {
            let harness = harness(world.clone());
            let failed = harness.send(&grant(&json!({"principalArn": sent}))).await.unwrap_err();
            assert_eq!(failed.name, ErrorName::PrincipalNotFound, "{}", failed.message);
            assert!(failed.message.contains("deleted") && failed.message.contains(NEW_SSO), "{}", failed.message);
            let (_, rest) = failed.message.split_once("send this event: ").unwrap();
            let event: Value = serde_json::Deserializer::from_str(rest).into_iter().next().unwrap().unwrap();
            assert_eq!(harness.send(&event).await.unwrap()["status"], "GRANTED");
        }
    }
    // Of several, the youngest; of the same age, all are named and no event is offered.
    let third = NEW_SSO.replace("1111111111111111", "2222222222222222");
    let older = World::START - jiff::SignedDuration::from_hours(2);
    for (made, offered) in [(older, true), (World::START, false)] {
        let world = world(Mode::Api)
            .with_principal(Principal::new(OLD_SSO).deleted_at(World::START))
            .with_principal(Principal::made_at(NEW_SSO, World::START))
            .with_principal(Principal::made_at(&third, made));
        let failed = harness(world).send(&grant(&json!({"principalArn": session}))).await.unwrap_err();
        assert_eq!(failed.message.contains("send this event"), offered, "{}", failed.message);
        assert_eq!(failed.message.contains(&third), !offered, "{}", failed.message);
    }
}

#[tokio::test(start_paused = true)]
async fn field_16_cluster_that_is_not_there_is_answered_with_account_region_and_nearest_name() {
    let harness = harness(world(Mode::Api));
    for (name, region) in [("Prod", "eu-west-1"), ("prd", "eu-west-1")] {
        let failed = harness.send(&grant(&json!({"clusterName": name, "region": region}))).await.unwrap_err();
        assert_eq!(failed.name, ErrorName::ClusterNotFound);
        for part in ["111122223333", region, "`prod`", name] {
            assert!(failed.message.contains(part), "{part}: {}", failed.message);
        }
    }
    let failed = harness.send(&grant(&json!({"region": "us-east-1"}))).await.unwrap_err();
    assert!(failed.message.contains("us-east-1") && failed.message.contains("no cluster at all"), "{}", failed.message);
    let blind = self::harness(world(Mode::Api).with_policy(lacking(&["eks:ListClusters"])));
    let failed = blind.send(&grant(&json!({"clusterName": "prd"}))).await.unwrap_err();
    assert!(failed.message.contains("111122223333") && !failed.message.contains("nearest"), "{}", failed.message);
}

#[tokio::test(start_paused = true)]
async fn field_17_explicit_deny_is_told_from_a_missing_permission() {
    let denied = |world: World| harness(world.with_authorization_ids());
    let deny = Policy::parse(
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"eks:UpdateClusterConfig","Resource":"*"}]}"#,
    )
    .unwrap();
    for (world, words) in [
        (world(Mode::ConfigMap).with_service_control_policy(deny.clone()), "explicit deny in a service control policy"),
        (
            world(Mode::ConfigMap).with_policy(Policy::allow_all().without(&["eks:UpdateClusterConfig"])),
            "explicit deny in an identity-based policy",
        ),
    ] {
        let failed = denied(world).send(&grant(&json!({}))).await.unwrap_err();
        assert_eq!(failed.name, ErrorName::PermissionDenied);
        assert!(failed.message.contains(words) && failed.message.contains("owner of that"), "{}", failed.message);
        assert!(failed.message.to_lowercase().contains("authorization"), "the id is passed on: {}", failed.message);
    }
    let missing = denied(world(Mode::ConfigMap).with_policy(lacking(&["eks:UpdateClusterConfig"])));
    let failed = missing.send(&grant(&json!({}))).await.unwrap_err();
    assert!(
        failed.message.contains("Allow `eks:UpdateClusterConfig`") && !failed.message.contains("owner of that"),
        "{}",
        failed.message
    );
}
