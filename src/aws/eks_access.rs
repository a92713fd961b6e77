//! EKS: access entries and their access policies.

use aws_sdk_eks::types;

use super::unconfirmed::Unconfirmed;
use super::{Aws, timestamp};
use crate::domain::access_entry::{AccessEntry, AccessPolicy, EntryState, NewEntry};
use crate::domain::access_scope::AccessScope;
use crate::domain::api_error::{ApiError, ApiErrorKind};
use crate::domain::operation::Operation;
use crate::domain::principal::PrincipalArn;

impl Aws {
    /// The principals of all access entries.
    ///
    /// # Errors
    /// [`ApiErrorKind::ModeWithoutEntries`] if the cluster has none by its mode.
    pub async fn list_access_entries(&self, cluster: &str) -> Result<Vec<String>, ApiError> {
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
    pub async fn describe_access_entry(&self, cluster: &str, principal: &PrincipalArn) -> Result<EntryState, ApiError> {
        let operation = Operation::DescribeAccessEntry;
        let call =
            self.clients.eks.describe_access_entry().cluster_name(cluster).principal_arn(principal.as_str()).send();
        match self.answer(operation, call).await {
            Ok(answer) => answer
                .access_entry
                .map(|entry| EntryState::Present(read_entry(entry)))
                .ok_or_else(|| ApiError::unreadable(operation, "there is no access entry in it")),
            Err(error) => match error.kind {
                ApiErrorKind::EntryNotFound | ApiErrorKind::NotFound => Ok(EntryState::Absent),
                ApiErrorKind::ModeWithoutEntries => Ok(EntryState::Unreadable),
                _ => Err(error),
            },
        }
    }

    /// The policies associated with the principal's access entry; none of an entry that can have none. `None`: EKS shows no entry.
    ///
    /// # Errors
    /// If EKS does not say. An answer without a list is no empty list: taken for one, a grant would narrow what is there.
    pub async fn list_associated_access_policies(
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
                        ApiErrorKind::EntryNotFound | ApiErrorKind::NotFound | ApiErrorKind::ModeWithoutEntries => {
                            Ok(None)
                        }
                        ApiErrorKind::NotStandard => Ok(Some(Vec::new())),
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

    /// Creates an access entry of type `STANDARD`.
    ///
    /// # Errors
    /// [`ApiErrorKind::InUse`] if there is one; [`ApiErrorKind::InvalidPrincipal`] if EKS does not know the principal, or not yet.
    pub async fn create_access_entry(
        &self,
        cluster: &str,
        principal: &PrincipalArn,
        entry: &NewEntry,
        token: Option<&str>,
    ) -> Result<(), ApiError> {
        let unconfirmed = Unconfirmed::default();
        let call = self
            .clients
            .eks
            .create_access_entry()
            .cluster_name(cluster)
            .principal_arn(principal.as_str())
            .set_client_request_token(token.map(str::to_owned))
            .r#type("STANDARD")
            .set_username(entry.username.clone())
            // No list rather than an empty one, so that the role's conditions on it are not asked.
            .set_kubernetes_groups(Some(entry.groups.clone()).filter(|groups| !groups.is_empty()))
            .set_tags(Some(entry.tags.clone().into_iter().collect()).filter(|_| !entry.tags.is_empty()))
            .customize()
            .interceptor(unconfirmed.clone())
            .send();
        let operation = Operation::CreateAccessEntry;
        let answer = self.answer(operation, call).await.map_err(|error| unconfirmed.mark(error))?;
        answer.access_entry.map(drop).ok_or_else(|| ApiError::unreadable(operation, "there is no access entry in it"))
    }

    /// Deletes the principal's access entry, and its associations with it.
    ///
    /// # Errors
    /// If EKS does not; that there is none is what was wanted.
    pub async fn delete_access_entry(&self, cluster: &str, principal: &PrincipalArn) -> Result<(), ApiError> {
        let unconfirmed = Unconfirmed::default();
        let call = self
            .clients
            .eks
            .delete_access_entry()
            .cluster_name(cluster)
            .principal_arn(principal.as_str())
            .customize()
            .interceptor(unconfirmed.clone())
            .send();
        match self.answer(Operation::DeleteAccessEntry, call).await.map_err(|error| unconfirmed.mark(error)) {
            Err(error) if !matches!(error.kind, ApiErrorKind::EntryNotFound | ApiErrorKind::NotFound) => Err(error),
            _ => Ok(()),
        }
    }

    /// Associates a policy with the principal's access entry, in the place of an earlier scope.
    ///
    /// # Errors
    /// [`ApiErrorKind::EntryNotFound`] if there is no entry, or not yet; [`ApiErrorKind::PolicyNotFound`] if there is no such policy.
    pub async fn associate_access_policy(
        &self,
        cluster: &str,
        principal: &PrincipalArn,
        policy: &str,
        scope: &AccessScope,
    ) -> Result<(), ApiError> {
        let unconfirmed = Unconfirmed::default();
        let call = self
            .clients
            .eks
            .associate_access_policy()
            .cluster_name(cluster)
            .principal_arn(principal.as_str())
            .policy_arn(policy)
            .access_scope(write_scope(scope))
            .customize()
            .interceptor(unconfirmed.clone())
            .send();
        let operation = Operation::AssociateAccessPolicy;
        let answer = self.answer(operation, call).await.map_err(|error| unconfirmed.mark(error))?;
        let policy = answer.associated_access_policy;
        policy.map(drop).ok_or_else(|| ApiError::unreadable(operation, "there is no policy in it"))
    }

    /// Disassociates a policy from the principal's access entry.
    ///
    /// # Errors
    /// If EKS does not; that it is not there is what was wanted.
    pub async fn disassociate_access_policy(
        &self,
        cluster: &str,
        principal: &PrincipalArn,
        policy: &str,
    ) -> Result<(), ApiError> {
        let unconfirmed = Unconfirmed::default();
        let call = self
            .clients
            .eks
            .disassociate_access_policy()
            .cluster_name(cluster)
            .principal_arn(principal.as_str())
            .policy_arn(policy)
            .customize()
            .interceptor(unconfirmed.clone())
            .send();
        match self.answer(Operation::DisassociateAccessPolicy, call).await.map_err(|error| unconfirmed.mark(error)) {
            Err(error)
                if !matches!(
                    error.kind,
                    ApiErrorKind::EntryNotFound | ApiErrorKind::PolicyNotFound | ApiErrorKind::NotFound
                ) =>
            {
                Err(error)
            }
            _ => Ok(()),
        }
    }
}

fn read_entry(entry: types::AccessEntry) -> AccessEntry {
    AccessEntry {
        arn: entry.access_entry_arn,
        // EKS means STANDARD if it says nothing (cluster-api-provider-aws issue 6003).
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
