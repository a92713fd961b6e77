//! EKS: clusters, their updates, and tags.

use std::collections::BTreeMap;

use aws_sdk_eks::types;

use super::Aws;
use super::unconfirmed::Unconfirmed;
use crate::domain::api_error::{ApiError, ApiErrorKind};
use crate::domain::cluster::{AuthenticationMode, Cluster, ClusterKind};
use crate::domain::operation::Operation;

/// An update of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Its status.
    pub status: UpdateStatus,
    /// Why it failed, in EKS's words.
    pub errors: Vec<String>,
}

/// The status of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateStatus {
    /// EKS is carrying it out.
    InProgress,
    /// EKS carried it out.
    Successful,
    /// It failed, or was cancelled.
    Failed,
}

impl Aws {
    /// The names of all clusters of the account in the region.
    ///
    /// # Errors
    /// If EKS doesn't answer completely.
    pub async fn list_clusters(&self) -> Result<Vec<String>, ApiError> {
        let operation = Operation::ListClusters;
        let (mut names, mut next_token) = (Vec::new(), None);
        loop {
            let call = self.clients.eks.list_clusters().set_next_token(next_token).send();
            let page = self.answer(operation, call).await?;
            names.extend(page.clusters.ok_or_else(|| ApiError::unreadable(operation, "there is no list in it"))?);
            next_token = page.next_token;
            if next_token.is_none() {
                return Ok(names);
            }
        }
    }

    /// The cluster.
    ///
    /// # Errors
    /// [`ApiErrorKind::ClusterNotFound`] if there is none.
    pub async fn describe_cluster(&self, name: &str) -> Result<Cluster, ApiError> {
        let operation = Operation::DescribeCluster;
        let call = self.clients.eks.describe_cluster().name(name).send();
        let answer = self.answer(operation, call).await.map_err(|error| match error.kind {
            ApiErrorKind::NotFound => ApiError { kind: ApiErrorKind::ClusterNotFound, ..error },
            _ => error,
        })?;
        let cluster = answer.cluster.ok_or_else(|| ApiError::unreadable(operation, "there is no cluster in it"))?;
        read_cluster(cluster).map_err(|what| ApiError::unreadable(operation, what))
    }

    /// Starts the change of the authentication mode to `API_AND_CONFIG_MAP`. Returns the id of the update. Calls with the same client
    /// request token have one effect; without one, the SDK makes one for each call.
    ///
    /// # Errors
    /// [`ApiErrorKind::InUse`] while another update is in progress; [`ApiErrorKind::ModeUnsupported`] if the mode is not `CONFIG_MAP` any more.
    pub async fn update_cluster_config(&self, cluster: &str, token: Option<&str>) -> Result<Option<String>, ApiError> {
        let unconfirmed = Unconfirmed::default();
        let call = self
            .clients
            .eks
            .update_cluster_config()
            .name(cluster)
            .set_client_request_token(token.map(str::to_owned))
            .access_config(
                types::UpdateAccessConfigRequest::builder()
                    .authentication_mode(types::AuthenticationMode::ApiAndConfigMap)
                    .build(),
            )
            .customize()
            .interceptor(unconfirmed.clone())
            .send();
        let operation = Operation::UpdateClusterConfig;
        let answer = self.answer(operation, call).await.map_err(|error| unconfirmed.mark(error))?;
        let update = answer.update.ok_or_else(|| ApiError::unreadable(operation, "there is no update in it"))?;
        Ok(update.id)
    }

    /// An update of the cluster.
    ///
    /// # Errors
    /// If EKS does not say.
    pub async fn describe_update(&self, cluster: &str, id: &str) -> Result<Update, ApiError> {
        let operation = Operation::DescribeUpdate;
        let call = self.clients.eks.describe_update().name(cluster).update_id(id).send();
        let update = self
            .answer(operation, call)
            .await?
            .update
            .ok_or_else(|| ApiError::unreadable(operation, "there is no update in it"))?;
        let errors = update.errors.unwrap_or_default();
        Ok(Update {
            status: match update.status {
                Some(types::UpdateStatus::Successful) => UpdateStatus::Successful,
                Some(types::UpdateStatus::Failed | types::UpdateStatus::Cancelled) => UpdateStatus::Failed,
                _ => UpdateStatus::InProgress,
            },
            errors: errors
                .into_iter()
                .map(|error| {
                    let code = error.error_code.map_or("Unknown".to_owned(), |code| code.as_str().to_owned());
                    format!("{code}: {}", error.error_message.unwrap_or_default())
                })
                .collect(),
        })
    }

    /// Adds tags to a cluster or an access entry.
    ///
    /// # Errors
    /// [`ApiErrorKind::NotFound`] if there is no such resource.
    pub async fn tag_resource(&self, arn: &str, tags: &BTreeMap<String, String>) -> Result<(), ApiError> {
        let unconfirmed = Unconfirmed::default();
        let call = self
            .clients
            .eks
            .tag_resource()
            .resource_arn(arn)
            .set_tags(Some(tags.clone().into_iter().collect()))
            .customize()
            .interceptor(unconfirmed.clone())
            .send();
        self.answer(Operation::TagResource, call).await.map(drop).map_err(|error| unconfirmed.mark(error))
    }
}

fn read_cluster(cluster: types::Cluster) -> Result<Cluster, &'static str> {
    let authentication_mode = match cluster.access_config.and_then(|config| config.authentication_mode) {
        // Older clusters say nothing, and mean this.
        None | Some(types::AuthenticationMode::ConfigMap) => AuthenticationMode::ConfigMap,
        Some(types::AuthenticationMode::ApiAndConfigMap) => AuthenticationMode::ApiAndConfigMap,
        Some(types::AuthenticationMode::Api) => AuthenticationMode::Api,
        Some(_) => return Err("the authentication mode is one that this program does not know"),
    };
    let kind = match (&cluster.connector_config, &cluster.outpost_config) {
        (Some(_), _) => ClusterKind::Connected,
        // Newer local clusters have an etcd instance type, and access entries.
        (None, Some(outpost)) if outpost.etcd_instance_type.is_none() => ClusterKind::OutpostsLocal,
        _ => ClusterKind::Regional,
    };
    let network = cluster.resources_vpc_config;
    let health = cluster.health.and_then(|health| health.issues).unwrap_or_default();
    let auto_mode_node_role = cluster.compute_config.and_then(|config| config.node_role_arn);
    Ok(Cluster {
        name: cluster.name.ok_or("a cluster has no name")?,
        arn: cluster.arn.ok_or("a cluster has no ARN")?,
        status: cluster.status.map_or("UNKNOWN".to_owned(), |status| status.as_str().to_owned()),
        version: cluster.version,
        platform_version: cluster.platform_version,
        endpoint: cluster.endpoint,
        certificate_authority: cluster.certificate_authority.and_then(|ca| ca.data),
        authentication_mode,
        kind,
        health: health
            .into_iter()
            .map(|issue| {
                let code = issue.code.map_or("Other".to_owned(), |code| code.as_str().to_owned());
                format!("{code}: {}", issue.message.unwrap_or_default())
            })
            .collect(),
        public_endpoint: network.as_ref().is_none_or(|network| network.endpoint_public_access),
        private_endpoint: network.as_ref().is_some_and(|network| network.endpoint_private_access),
        auto_mode_node_role,
        public_access_cidrs: network.and_then(|network| network.public_access_cidrs).unwrap_or_default(),
    })
}
