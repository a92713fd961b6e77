//! The access policies that EKS knows, and who can have them.

use serde_json::json;

use crate::operation::{Answer, ApiError, Page};
use crate::services::page::paged;

/// Those that anybody's `STANDARD` entry can have (facts §4.2; "Access policy permissions" in the UG).
const FOR_ANYBODY: [&str; 21] = [
    "AIDevOpsAgentAccessPolicy",
    "AmazonAIOpsAssistantPolicy",
    "AmazonARCRegionSwitchScalingPolicy",
    "AmazonEKSACKPolicy",
    "AmazonEKSAdminPolicy",
    "AmazonEKSAdminViewPolicy",
    "AmazonEKSArgoCDClusterPolicy",
    "AmazonEKSArgoCDPolicy",
    "AmazonEKSClusterAdminPolicy",
    "AmazonEKSEditPolicy",
    "AmazonEKSKROPolicy",
    "AmazonEKSSecretAdminPolicy",
    "AmazonEKSSecretReaderPolicy",
    "AmazonEKSViewPolicy",
    "AmazonEMRJobPolicy",
    "AmazonSagemakerHyperpodClusterPolicy",
    "AmazonSagemakerHyperpodControllerPolicy",
    "AmazonSagemakerHyperpodSpacePolicy",
    "AmazonSagemakerHyperpodSpaceTemplatePolicy",
    "AmazonSagemakerHyperpodSystemNamespacePolicy",
    "AmazonSagemakerHyperpodUserClusterPolicy",
];

/// Those that EKS keeps for its own service-linked roles.
const FOR_EKS: [&str; 11] = [
    "AmazonEKSBlockStorageClusterPolicy",
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSComputeClusterPolicy",
    "AmazonEKSComputePolicy",
    "AmazonEKSEventPolicy",
    "AmazonEKSHybridPolicy",
    "AmazonEKSLoadBalancingClusterPolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingClusterPolicy",
    "AmazonEKSNetworkingPolicy",
    "AmazonEKSPodIdentityPolicy",
];

/// The one that nodes of Auto Mode have: entries of type `EC2` (facts §3.4).
const FOR_NODES: &str = "AmazonEKSAutoNodePolicy";

/// Whether EKS associates a policy with an entry of that type, on a cluster of that partition.
///
/// An ARN that is not one of EKS is malformed; one that looks like EKS's and names nothing, another partition's included, is
/// not found (facts §4.3; measured by cdk-preflight, rules policy-arn-form and policy-arn-partition).
pub(crate) fn check(policy: &str, kind: &str, partition: &str) -> Result<(), ApiError> {
    let name = policy.strip_prefix(&format!("arn:{partition}:eks::aws:cluster-access-policy/"));
    match (kind, name) {
        ("EC2", Some(FOR_NODES)) => Ok(()),
        ("STANDARD", Some(name)) if FOR_ANYBODY.contains(&name) => Ok(()),
        ("STANDARD", Some(name)) if name == FOR_NODES || FOR_EKS.contains(&name) => {
            Err(ApiError::invalid_parameter("The specified policyArn can only be associated with service-linked roles"))
        }
        ("STANDARD", _) => Err(ApiError::not_found("The specified policyArn could not be found.")),
        _ => Err(ApiError::not_standard()),
    }
}

/// `ListAccessPolicies`: the same in every cluster.
pub(crate) fn list(partition: &str, page: &Page) -> Result<Answer, ApiError> {
    let mut names: Vec<_> = FOR_ANYBODY.iter().chain(&FOR_EKS).chain([&FOR_NODES]).collect();
    names.sort();
    let shown = names
        .into_iter()
        .map(|name| json!({ "name": name, "arn": format!("arn:{partition}:eks::aws:cluster-access-policy/{name}") }));
    paged("accessPolicies", shown.collect(), page).map(Answer::Json)
}
