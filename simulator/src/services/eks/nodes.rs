//! Node groups, Fargate profiles and EKS Auto Mode: where a cluster's nodes have their roles from (facts §12.4; the Amazon EKS API
//! Reference).

use serde_json::{Value, json};

use crate::operation::{ApiError, Operation};
use crate::services::page::paged;
use crate::state::cluster::Cluster;
use crate::state::nodes::{NODEGROUPS, Nodes, PROFILES};

impl Cluster {
    /// With a managed node group. EKS makes an entry of type `EC2_LINUX` for its role when the authentication mode changes from
    /// `CONFIG_MAP`, unless [`without_node_entries`](Self::without_node_entries) says otherwise.
    #[must_use]
    pub fn with_nodegroup(mut self, name: &str, role_arn: &str) -> Self {
        let id = NODEGROUPS + self.nodegroups.len() as u64;
        self.nodegroups.push(Nodes::new(name, role_arn, id));
        self
    }

    /// With a Fargate profile. EKS makes an entry of type `FARGATE_LINUX` for its role as it does for node groups.
    #[must_use]
    pub fn with_fargate_profile(mut self, name: &str, pod_execution_role_arn: &str) -> Self {
        let id = PROFILES + self.fargate_profiles.len() as u64;
        self.fargate_profiles.push(Nodes::new(name, pod_execution_role_arn, id));
        self
    }

    /// With EKS Auto Mode, whose nodes have this role.
    #[must_use]
    pub fn with_auto_mode(self, node_role_arn: &str) -> Self {
        let compute = json!({
            "enabled": true,
            "nodePools": ["general-purpose", "system"],
            "nodeRoleArn": node_role_arn,
        });
        self.describing("computeConfig", compute)
    }

    /// EKS makes no entries for node groups and Fargate profiles when the authentication mode changes: AWS's texts contradict each
    /// other (facts §12.4).
    #[must_use]
    pub fn without_node_entries(mut self) -> Self {
        self.makes_node_entries = false;
        self
    }

    /// The roles that EKS makes entries for when the mode changes, and the types of these entries.
    pub(crate) fn migrated_roles(&self) -> Vec<(&str, &'static str)> {
        if !self.makes_node_entries {
            return Vec::new();
        }
        let nodegroups = self.nodegroups.iter().map(|nodes| (nodes.role.as_str(), "EC2_LINUX"));
        nodegroups.chain(self.fargate_profiles.iter().map(|nodes| (nodes.role.as_str(), "FARGATE_LINUX"))).collect()
    }

    /// # Errors
    /// What EKS would answer.
    pub(crate) fn call_nodes(&self, operation: &Operation) -> Result<Value, ApiError> {
        let names = |all: &[Nodes]| {
            let mut names: Vec<_> = all.iter().map(|nodes| nodes.name.clone()).collect();
            names.sort();
            names.into_iter().map(Value::from).collect::<Vec<_>>()
        };
        match operation {
            Operation::ListNodegroups { page, .. } => paged("nodegroups", names(&self.nodegroups), page),
            Operation::ListFargateProfiles { page, .. } => {
                paged("fargateProfileNames", names(&self.fargate_profiles), page)
            }
            // The message: eks-workshop-v2 issue 915, eksctl issue 7747.
            Operation::DescribeNodegroup { nodegroup, .. } => {
                let found = self.nodegroups.iter().find(|nodes| nodes.name == *nodegroup);
                let nodes =
                    found.ok_or_else(|| ApiError::not_found(format!("No node group found for name: {nodegroup}.")))?;
                Ok(json!({ "nodegroup": self.nodegroup_json(nodes) }))
            }
            // The message: eksctl, `pkg/fargate/client_test.go`; moto, `moto/eks/models.py`.
            Operation::DescribeFargateProfile { profile, .. } => {
                let found = self.fargate_profiles.iter().find(|nodes| nodes.name == *profile);
                let nodes = found
                    .ok_or_else(|| ApiError::not_found(format!("No Fargate Profile found with name: {profile}.")))?;
                Ok(json!({ "fargateProfile": self.profile_json(nodes) }))
            }
            _ => Err(ApiError::unknown_operation()),
        }
    }

    fn nodegroup_json(&self, nodes: &Nodes) -> Value {
        json!({
            "nodegroupName": nodes.name,
            "nodegroupArn": self.nodes_arn("nodegroup", &nodes.name, &nodes.id),
            "clusterName": self.name,
            "version": "1.33",
            "releaseVersion": "1.33.5-20261101",
            "createdAt": 1_700_000_100.5,
            "modifiedAt": 1_700_000_100.5,
            "status": "ACTIVE",
            "capacityType": "ON_DEMAND",
            "scalingConfig": { "minSize": 1, "maxSize": 3, "desiredSize": 2 },
            "instanceTypes": ["m7i.large"],
            "subnets": [],
            "amiType": "AL2023_x86_64_STANDARD",
            "nodeRole": nodes.role,
            "diskSize": 20,
            "health": { "issues": [] },
            "updateConfig": { "maxUnavailable": 1 },
            "tags": {},
        })
    }

    fn profile_json(&self, nodes: &Nodes) -> Value {
        json!({
            "fargateProfileName": nodes.name,
            "fargateProfileArn": self.nodes_arn("fargateprofile", &nodes.name, &nodes.id),
            "clusterName": self.name,
            "createdAt": 1_700_000_100.5,
            "podExecutionRoleArn": nodes.role,
            "subnets": [],
            "selectors": [{ "namespace": "default" }],
            "status": "ACTIVE",
            "tags": {},
        })
    }

    /// The ARN of what an operation describes. Of one that doesn't exist, the id is not known.
    pub(crate) fn described_nodes_arn(&self, kind: &str, name: &str) -> Option<String> {
        let all = if kind == "nodegroup" { &self.nodegroups } else { &self.fargate_profiles };
        all.iter().find(|nodes| nodes.name == name).map(|nodes| self.nodes_arn(kind, name, &nodes.id))
    }

    /// `nodegroup/CLUSTER/NAME/UUID` and `fargateprofile/CLUSTER/NAME/UUID` (Service Authorization Reference for EKS).
    fn nodes_arn(&self, kind: &str, name: &str, id: &str) -> String {
        format!("arn:{}:eks:{}:{}:{kind}/{}/{name}/{id}", self.partition(), self.region, self.account, self.name)
    }
}
