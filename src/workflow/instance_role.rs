//! Finds out whether a principal is the role of instances or pods, and whether nodes of the cluster use it.

use futures_util::stream::{self, StreamExt as _};

use crate::aws::Aws;
use crate::domain::api_error::ApiError;
use crate::domain::cluster::Cluster;
use crate::domain::failure::Failure;
use crate::domain::identity::{Identity, InstanceRole, NodeRole};
use crate::domain::principal::{Principal, PrincipalArn};
use crate::domain::record::{StepName, StepOutcome};
use crate::platform::clock::Stopwatch;
use crate::workflow::recorder::Recorder;

/// The AWS services that run instances or pods in a role that they assume, with the ending of their names in aws-cn. Source: the
/// EKS User Guide on node, Fargate and Pod Identity roles.
const INSTANCE_SERVICES: [&str; 4] =
    ["ec2.amazonaws.com", "ec2.amazonaws.com.cn", "eks-fargate-pods.amazonaws.com", "pods.eks.amazonaws.com"];
/// How many node groups or Fargate profiles are read at once.
const AT_ONCE: usize = 16;

/// Whether the principal is the role of instances or pods, and then, whether nodes of this cluster use it.
///
/// # Errors
/// If AWS can't answer now; a missing permission leaves it unknown.
pub async fn find(
    aws: &Aws,
    requested: &Principal,
    cluster: &Cluster,
    principal: &PrincipalArn,
    trust: Option<&Identity>,
    recorder: &mut Recorder,
) -> Result<InstanceRole, Failure> {
    let service = trust
        .and_then(|identity| identity.trusted_services.as_ref())
        .and_then(|services| services.iter().find(|service| INSTANCE_SERVICES.contains(&service.as_str())));
    let of_auto_mode = cluster.auto_mode_node_role.as_deref() == Some(principal.as_str());
    let evidence = match (requested, service) {
        // The cluster itself says so, even if IAM says nothing.
        _ if of_auto_mode => "EKS Auto Mode runs nodes in it".to_owned(),
        (_, Some(service)) => format!("its trust policy lets {service} assume it"),
        (Principal::Session(session), None) if session.is_of_instance() => {
            format!("the session `{}` is named after an EC2 instance", session.session_name)
        }
        _ => return Ok(InstanceRole::default()),
    };
    let node_role = if of_auto_mode {
        NodeRole::Yes("EKS Auto Mode".to_owned())
    } else {
        let watch = Stopwatch::start();
        let found = node_role(aws, &cluster.name, principal).await;
        let (outcome, detail) = match &found {
            Ok(Some(user)) => (StepOutcome::Succeeded, format!("{user} uses the role")),
            Ok(None) => (StepOutcome::Succeeded, "no node group and no Fargate profile uses the role".to_owned()),
            Err(error) => (StepOutcome::Skipped, error.to_string()),
        };
        recorder.step(StepName::LookUpNodeRoles, outcome, watch.elapsed(), detail);
        match found {
            Ok(Some(user)) => NodeRole::Yes(user),
            Ok(None) => NodeRole::No,
            Err(error) if error.kind.is_transient() => return Err(Failure::from(error)),
            Err(error) => NodeRole::Unknown(error.to_string()),
        }
    };
    Ok(InstanceRole { evidence: Some(evidence), node_role })
}

/// What of the cluster uses a role for its nodes or pods.
async fn node_role(aws: &Aws, cluster: &str, principal: &PrincipalArn) -> Result<Option<String>, ApiError> {
    let groups = async {
        let mut roles = stream::iter(aws.list_nodegroups(cluster).await?)
            .map(async |name| aws.describe_nodegroup(cluster, &name).await.map(|role| (name, role)))
            .buffer_unordered(AT_ONCE);
        while let Some(answer) = roles.next().await {
            let (name, role) = answer?;
            if role.as_deref() == Some(principal.as_str()) {
                return Ok(Some(format!("node group `{name}`")));
            }
        }
        Ok(None)
    };
    let profiles = async {
        let mut roles = stream::iter(aws.list_fargate_profiles(cluster).await?)
            .map(async |name| aws.describe_fargate_profile(cluster, &name).await.map(|role| (name, role)))
            .buffer_unordered(AT_ONCE);
        while let Some(answer) = roles.next().await {
            let (name, role) = answer?;
            if role.as_deref() == Some(principal.as_str()) {
                return Ok(Some(format!("Fargate profile `{name}`")));
            }
        }
        Ok(None)
    };
    match tokio::join!(groups, profiles) {
        // One that says yes is enough.
        (Ok(Some(user)), _) | (_, Ok(Some(user))) => Ok(Some(user)),
        (Err(error), _) | (_, Err(error)) => Err(error),
        (Ok(None), Ok(None)) => Ok(None),
    }
}
