//! EKS: the IAM roles of a cluster's managed node groups and Fargate profiles.

use super::Aws;
use crate::domain::api_error::{ApiError, ApiErrorKind};
use crate::domain::operation::Operation;

impl Aws {
    /// The names of the cluster's managed node groups.
    ///
    /// # Errors
    /// If EKS doesn't answer completely.
    pub async fn list_nodegroups(&self, cluster: &str) -> Result<Vec<String>, ApiError> {
        let operation = Operation::ListNodegroups;
        let (mut names, mut next_token) = (Vec::new(), None);
        loop {
            let call = self.clients.eks.list_nodegroups().cluster_name(cluster).set_next_token(next_token).send();
            let page = self.answer(operation, call).await?;
            names.extend(page.nodegroups.ok_or_else(|| ApiError::unreadable(operation, "there is no list in it"))?);
            next_token = page.next_token;
            if next_token.is_none() {
                return Ok(names);
            }
        }
    }

    /// The ARN of a node group's role; `None` if EKS shows none, or the node group is gone.
    ///
    /// # Errors
    /// If EKS doesn't answer.
    pub async fn describe_nodegroup(&self, cluster: &str, name: &str) -> Result<Option<String>, ApiError> {
        let operation = Operation::DescribeNodegroup;
        let call = self.clients.eks.describe_nodegroup().cluster_name(cluster).nodegroup_name(name).send();
        match self.answer(operation, call).await {
            Ok(answer) => {
                let nodegroup = answer.nodegroup;
                nodegroup
                    .map(|nodegroup| nodegroup.node_role)
                    .ok_or_else(|| ApiError::unreadable(operation, "there is no node group in it"))
            }
            Err(error) if error.kind == ApiErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The names of the cluster's Fargate profiles.
    ///
    /// # Errors
    /// If EKS doesn't answer completely.
    pub async fn list_fargate_profiles(&self, cluster: &str) -> Result<Vec<String>, ApiError> {
        let operation = Operation::ListFargateProfiles;
        let (mut names, mut next_token) = (Vec::new(), None);
        loop {
            let call = self.clients.eks.list_fargate_profiles().cluster_name(cluster).set_next_token(next_token).send();
            let page = self.answer(operation, call).await?;
            let listed = page.fargate_profile_names;
            names.extend(listed.ok_or_else(|| ApiError::unreadable(operation, "there is no list in it"))?);
            next_token = page.next_token;
            if next_token.is_none() {
                return Ok(names);
            }
        }
    }

    /// The ARN of a Fargate profile's pod execution role; `None` if EKS shows none, or the profile is gone.
    ///
    /// # Errors
    /// If EKS doesn't answer.
    pub async fn describe_fargate_profile(&self, cluster: &str, name: &str) -> Result<Option<String>, ApiError> {
        let operation = Operation::DescribeFargateProfile;
        let call = self.clients.eks.describe_fargate_profile().cluster_name(cluster).fargate_profile_name(name).send();
        match self.answer(operation, call).await {
            Ok(answer) => {
                let profile = answer.fargate_profile;
                profile
                    .map(|profile| profile.pod_execution_role_arn)
                    .ok_or_else(|| ApiError::unreadable(operation, "there is no Fargate profile in it"))
            }
            Err(error) if error.kind == ApiErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
