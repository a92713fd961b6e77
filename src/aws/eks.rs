//! EKS: clusters, their updates, access entries and access policies.

use std::collections::BTreeMap;

use aws_sdk_eks::primitives::DateTime;
use aws_sdk_eks::types;
use jiff::Timestamp;

use super::lost::Lost;
use super::{ApiError, Aws, Kind, Operation};
use crate::observation::{AccessEntry, AccessPolicy, AuthenticationMode, Cluster, ClusterKind, EntryState};
use crate::principal::PrincipalArn;
use crate::scope::AccessScope;

/// What an access entry is made with. Its type is always `STANDARD`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewEntry {
    /// The Kubernetes username; `None` leaves it to EKS.
    pub username: Option<String>,
    /// The Kubernetes groups.
    pub groups: Vec<String>,
    /// The tags; any at all need `eks:TagResource`.
    pub tags: BTreeMap<String, String>,
}

/// An update of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Where it stands.
    pub status: UpdateStatus,
    /// Why it failed, in EKS's words.
    pub errors: Vec<String>,
}

/// Where an update of a cluster stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateStatus {
    /// It is being carried out.
    InProgress,
    /// It was carried out.
    Successful,
    /// It was given up.
    Failed,
}

impl Aws {
    /// The cluster.
    ///
    /// # Errors
    /// [`Kind::ClusterNotFound`] if there is none.
    pub async fn cluster(&self, name: &str) -> Result<Cluster, ApiError> {
        let operation = Operation::DescribeCluster;
        let call = self.clients.eks.describe_cluster().name(name).send();
        let answer = self.answer(operation, call).await.map_err(|error| match error.kind {
            Kind::NotFound => ApiError { kind: Kind::ClusterNotFound, ..error },
            _ => error,
        })?;
        let cluster = answer.cluster.ok_or_else(|| ApiError::unreadable(operation, "there is no cluster in it"))?;
        read_cluster(cluster).map_err(|what| ApiError::unreadable(operation, what))
    }

    /// Starts the change to `API_AND_CONFIG_MAP`; the id of the update.
    ///
    /// # Errors
    /// [`Kind::InUse`] while another update is in progress; [`Kind::ModeUnsupported`] if the mode is not `CONFIG_MAP` any more.
    pub async fn open_access_entries(&self, cluster: &str) -> Result<Option<String>, ApiError> {
        let lost = Lost::default();
        let call = self
            .clients
            .eks
            .update_cluster_config()
            .name(cluster)
            .access_config(
                types::UpdateAccessConfigRequest::builder()
                    .authentication_mode(types::AuthenticationMode::ApiAndConfigMap)
                    .build(),
            )
            .customize()
            .interceptor(lost.clone())
            .send();
        let operation = Operation::UpdateClusterConfig;
        let answer = self.answer(operation, call).await.map_err(|error| lost.told(error))?;
        let update = answer.update.ok_or_else(|| ApiError::unreadable(operation, "there is no update in it"))?;
        Ok(update.id)
    }

    /// Where an update of the cluster stands.
    ///
    /// # Errors
    /// If EKS does not say.
    pub async fn update(&self, cluster: &str, id: &str) -> Result<Update, ApiError> {
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

    /// The principals of all access entries.
    ///
    /// # Errors
    /// [`Kind::ModeWithoutEntries`] if the cluster has none by its mode.
    pub async fn entry_principals(&self, cluster: &str) -> Result<Vec<String>, ApiError> {
        let operation = Operation::ListAccessEntries;
        let (mut principals, mut next_token) = (Vec::new(), None);
        loop {
            let call = self.clients.eks.list_access_entries().cluster_name(cluster).set_next_token(next_token).send();
            let page = self.answer(operation, call).await?;
            let entries = page.access_entries;
            principals.extend(entries.ok_or_else(|| ApiError::unreadable(operation, "there is no list in it"))?);
            next_token = page.next_token;
            if next_token.is_none() {
                return Ok(principals);
            }
        }
    }

    /// The principal's access entry, without its policies.
    ///
    /// # Errors
    /// If EKS does not say; that there is none, or can be none, is an answer.
    pub async fn entry(&self, cluster: &str, principal: &PrincipalArn) -> Result<EntryState, ApiError> {
        let operation = Operation::DescribeAccessEntry;
        let call =
            self.clients.eks.describe_access_entry().cluster_name(cluster).principal_arn(principal.as_str()).send();
        match self.answer(operation, call).await {
            Ok(answer) => answer
                .access_entry
                .map(|entry| EntryState::Present(read_entry(entry)))
                .ok_or_else(|| ApiError::unreadable(operation, "there is no access entry in it")),
            Err(error) => match error.kind {
                Kind::EntryNotFound | Kind::NotFound => Ok(EntryState::Absent),
                Kind::ModeWithoutEntries => Ok(EntryState::Unreadable),
                _ => Err(error),
            },
        }
    }

    /// The policies associated with the principal's access entry; none of an entry that can have none. `None`: EKS shows no entry.
    ///
    /// # Errors
    /// If EKS does not say. An answer without a list is no empty list: taken for one, a grant would narrow what is there.
    pub async fn policies(
        &self,
        cluster: &str,
        principal: &PrincipalArn,
    ) -> Result<Option<Vec<AccessPolicy>>, ApiError> {
        let operation = Operation::ListAssociatedAccessPolicies;
        let (mut policies, mut next_token) = (Vec::new(), None);
        loop {
            let call = self.clients.eks.list_associated_access_policies().cluster_name(cluster);
            let call = call.principal_arn(principal.as_str()).set_next_token(next_token).send();
            let page = match self.answer(operation, call).await {
                Ok(page) => page,
                Err(error) => {
                    return match error.kind {
                        Kind::EntryNotFound | Kind::NotFound | Kind::ModeWithoutEntries => Ok(None),
                        Kind::NotStandard => Ok(Some(Vec::new())),
                        _ => Err(error),
                    };
                }
            };
            let listed = page.associated_access_policies;
            for policy in listed.ok_or_else(|| ApiError::unreadable(operation, "there is no list in it"))? {
                policies.push(read_policy(policy).map_err(|what| ApiError::unreadable(operation, what))?);
            }
            next_token = page.next_token;
            if next_token.is_none() {
                return Ok(Some(policies));
            }
        }
    }

    /// Makes an access entry of type `STANDARD`.
    ///
    /// # Errors
    /// [`Kind::InUse`] if there is one; [`Kind::InvalidPrincipal`] if EKS does not know the principal, or not yet.
    pub async fn create_entry(
        &self,
        cluster: &str,
        principal: &PrincipalArn,
        entry: &NewEntry,
    ) -> Result<(), ApiError> {
        let lost = Lost::default();
        let call = self
            .clients
            .eks
            .create_access_entry()
            .cluster_name(cluster)
            .principal_arn(principal.as_str())
            .r#type("STANDARD")
            .set_username(entry.username.clone())
            // No list rather than an empty one, so that the role's conditions on it are not asked.
            .set_kubernetes_groups(Some(entry.groups.clone()).filter(|groups| !groups.is_empty()))
            .set_tags(Some(entry.tags.clone().into_iter().collect()).filter(|_| !entry.tags.is_empty()))
            .customize()
            .interceptor(lost.clone())
            .send();
        let operation = Operation::CreateAccessEntry;
        let answer = self.answer(operation, call).await.map_err(|error| lost.told(error))?;
        answer.access_entry.map(drop).ok_or_else(|| ApiError::unreadable(operation, "there is no access entry in it"))
    }

    /// Deletes the principal's access entry, and its associations with it.
    ///
    /// # Errors
    /// If EKS does not; that there is none is what was wanted.
    pub async fn delete_entry(&self, cluster: &str, principal: &PrincipalArn) -> Result<(), ApiError> {
        let lost = Lost::default();
        let call = self
            .clients
            .eks
            .delete_access_entry()
            .cluster_name(cluster)
            .principal_arn(principal.as_str())
            .customize()
            .interceptor(lost.clone())
            .send();
        match self.answer(Operation::DeleteAccessEntry, call).await.map_err(|error| lost.told(error)) {
            Err(error) if !matches!(error.kind, Kind::EntryNotFound | Kind::NotFound) => Err(error),
            _ => Ok(()),
        }
    }

    /// Associates a policy with the principal's access entry, in the place of an earlier scope.
    ///
    /// # Errors
    /// [`Kind::EntryNotFound`] if there is no entry, or not yet; [`Kind::PolicyNotFound`] if there is no such policy.
    pub async fn associate_policy(
        &self,
        cluster: &str,
        principal: &PrincipalArn,
        policy: &str,
        scope: &AccessScope,
    ) -> Result<(), ApiError> {
        let lost = Lost::default();
        let call = self
            .clients
            .eks
            .associate_access_policy()
            .cluster_name(cluster)
            .principal_arn(principal.as_str())
            .policy_arn(policy)
            .access_scope(write_scope(scope))
            .customize()
            .interceptor(lost.clone())
            .send();
        let operation = Operation::AssociateAccessPolicy;
        let answer = self.answer(operation, call).await.map_err(|error| lost.told(error))?;
        let policy = answer.associated_access_policy;
        policy.map(drop).ok_or_else(|| ApiError::unreadable(operation, "there is no policy in it"))
    }

    /// Takes a policy off the principal's access entry.
    ///
    /// # Errors
    /// If EKS does not; that it is not there is what was wanted.
    pub async fn disassociate_policy(
        &self,
        cluster: &str,
        principal: &PrincipalArn,
        policy: &str,
    ) -> Result<(), ApiError> {
        let lost = Lost::default();
        let call = self
            .clients
            .eks
            .disassociate_access_policy()
            .cluster_name(cluster)
            .principal_arn(principal.as_str())
            .policy_arn(policy)
            .customize()
            .interceptor(lost.clone())
            .send();
        match self.answer(Operation::DisassociateAccessPolicy, call).await.map_err(|error| lost.told(error)) {
            Err(error) if !matches!(error.kind, Kind::EntryNotFound | Kind::PolicyNotFound | Kind::NotFound) => {
                Err(error)
            }
            _ => Ok(()),
        }
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
        public_access_cidrs: network.and_then(|network| network.public_access_cidrs).unwrap_or_default(),
    })
}

fn read_entry(entry: types::AccessEntry) -> AccessEntry {
    AccessEntry {
        arn: entry.access_entry_arn,
        // EKS means STANDARD where it says nothing (cluster-api-provider-aws issue 6003).
        r#type: entry.r#type.filter(|text| !text.is_empty()).unwrap_or_else(|| "STANDARD".to_owned()),
        username: entry.username.filter(|name| !name.is_empty()),
        kubernetes_groups: entry.kubernetes_groups.unwrap_or_default(),
        tags: entry.tags.unwrap_or_default().into_iter().collect(),
        created_at: entry.created_at.as_ref().and_then(timestamp),
        modified_at: entry.modified_at.as_ref().and_then(timestamp),
        access_policies: Vec::new(),
    }
}

fn read_policy(policy: types::AssociatedAccessPolicy) -> Result<AccessPolicy, &'static str> {
    let scope = policy.access_scope.ok_or("an associated policy has no scope")?;
    Ok(AccessPolicy {
        policy_arn: policy.policy_arn.ok_or("an associated policy has no ARN")?,
        access_scope: match scope.r#type {
            Some(types::AccessScopeType::Cluster) => AccessScope::Cluster,
            Some(types::AccessScopeType::Namespace) => AccessScope::Namespaces(scope.namespaces.unwrap_or_default()),
            _ => return Err("an associated policy has a scope that this program does not know"),
        },
        associated_at: policy.associated_at.as_ref().and_then(timestamp),
    })
}

fn write_scope(scope: &AccessScope) -> types::AccessScope {
    match scope {
        AccessScope::Cluster => types::AccessScope::builder().r#type(types::AccessScopeType::Cluster).build(),
        AccessScope::Namespaces(namespaces) => types::AccessScope::builder()
            .r#type(types::AccessScopeType::Namespace)
            .set_namespaces(Some(namespaces.clone()))
            .build(),
    }
}

/// Milliseconds are as exact as EKS is.
pub(super) fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::from_millisecond(time.to_millis().ok()?).ok()
}
