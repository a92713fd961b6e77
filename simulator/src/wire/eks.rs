//! EKS's requests: rest-json, with percent-encoded ARNs in the path.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Request};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{decode, url_pairs};
use crate::operation::{ApiError, EntryChange, NewEntry, Operation, Page, Scope};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateBody {
    principal_arn: String,
    r#type: Option<String>,
    username: Option<String>,
    kubernetes_groups: Option<Vec<String>>,
    tags: Option<BTreeMap<String, String>>,
    client_request_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UpdateBody {
    username: Option<String>,
    kubernetes_groups: Option<Vec<String>>,
    client_request_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AssociateBody {
    policy_arn: String,
    access_scope: ScopeBody,
}

#[derive(Deserialize)]
struct ScopeBody {
    r#type: Option<String>,
    namespaces: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct TagBody {
    tags: BTreeMap<String, String>,
}

/// Reads a request by its method and path.
pub(super) fn read(request: &Request<Bytes>, query: &BTreeMap<String, String>) -> Result<Operation, ApiError> {
    let segments: Vec<String> = request.uri().path().split('/').skip(1).map(decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let body = request.body();
    match (request.method(), segments.as_slice()) {
        (&Method::GET, ["access-policies"]) => Ok(Operation::ListAccessPolicies { page: page(query)? }),
        (method, ["tags", arn]) => read_tags(method, arn, request),
        (&Method::GET, ["clusters"]) => Ok(Operation::ListClusters { page: page(query)? }),
        (&Method::GET, ["clusters", name, "node-groups"]) => {
            Ok(Operation::ListNodegroups { cluster: owned(name), page: page(query)? })
        }
        (&Method::GET, ["clusters", name, "node-groups", nodegroup]) => {
            Ok(Operation::DescribeNodegroup { cluster: owned(name), nodegroup: owned(nodegroup) })
        }
        (&Method::GET, ["clusters", name, "fargate-profiles"]) => {
            Ok(Operation::ListFargateProfiles { cluster: owned(name), page: page(query)? })
        }
        (&Method::GET, ["clusters", name, "fargate-profiles", profile]) => {
            Ok(Operation::DescribeFargateProfile { cluster: owned(name), profile: owned(profile) })
        }
        (&Method::GET, ["clusters", name]) => Ok(Operation::DescribeCluster { name: owned(name) }),
        (&Method::POST, ["clusters", name, "update-config"]) => {
            let mut config: Map<String, Value> = json(body)?;
            let token = config.remove("clientRequestToken");
            Ok(Operation::UpdateClusterConfig {
                name: owned(name),
                config,
                token: token.and_then(|token| token.as_str().map(str::to_owned)),
            })
        }
        (&Method::GET, ["clusters", name, "updates"]) => {
            Ok(Operation::ListUpdates { name: owned(name), page: page(query)? })
        }
        (&Method::GET, ["clusters", name, "updates", id]) => {
            Ok(Operation::DescribeUpdate { name: owned(name), id: owned(id) })
        }
        (method, ["clusters", cluster, "access-entries", rest @ ..]) => {
            read_entries(method, owned(cluster), rest, query, body)
        }
        _ => Err(ApiError::unknown_operation()),
    }
}

fn read_entries(
    method: &Method,
    cluster: String,
    rest: &[&str],
    query: &BTreeMap<String, String>,
    body: &Bytes,
) -> Result<Operation, ApiError> {
    Ok(match (method, rest) {
        (&Method::GET, []) => Operation::ListAccessEntries {
            cluster,
            policy: query.get("associatedPolicyArn").cloned(),
            page: page(query)?,
        },
        (&Method::POST, []) => {
            let body: CreateBody = json(body)?;
            Operation::CreateAccessEntry {
                cluster,
                token: body.client_request_token,
                entry: NewEntry {
                    principal: body.principal_arn,
                    kind: body.r#type,
                    username: body.username,
                    groups: body.kubernetes_groups.unwrap_or_default(),
                    tags: body.tags.unwrap_or_default(),
                },
            }
        }
        (&Method::GET, [principal]) => Operation::DescribeAccessEntry { cluster, principal: owned(principal) },
        (&Method::DELETE, [principal]) => Operation::DeleteAccessEntry { cluster, principal: owned(principal) },
        (&Method::POST, [principal]) => {
            let body: UpdateBody = json(body)?;
            Operation::UpdateAccessEntry {
                cluster,
                principal: owned(principal),
                change: EntryChange { username: body.username, groups: body.kubernetes_groups },
                token: body.client_request_token,
            }
        }
        (&Method::GET, [principal, "access-policies"]) => {
            Operation::ListAssociatedAccessPolicies { cluster, principal: owned(principal), page: page(query)? }
        }
        (&Method::POST, [principal, "access-policies"]) => {
            let AssociateBody { policy_arn, access_scope } = json(body)?;
            Operation::AssociateAccessPolicy {
                cluster,
                principal: owned(principal),
                policy: policy_arn,
                scope: Scope {
                    kind: access_scope.r#type.unwrap_or_default(),
                    namespaces: access_scope.namespaces.unwrap_or_default(),
                },
            }
        }
        (&Method::DELETE, [principal, "access-policies", policy]) => {
            Operation::DisassociateAccessPolicy { cluster, principal: owned(principal), policy: owned(policy) }
        }
        _ => return Err(ApiError::unknown_operation()),
    })
}

fn read_tags(method: &Method, arn: &str, request: &Request<Bytes>) -> Result<Operation, ApiError> {
    let arn = owned(arn);
    match *method {
        Method::GET => Ok(Operation::ListTagsForResource { arn }),
        Method::POST => Ok(Operation::TagResource { arn, tags: json::<TagBody>(request.body())?.tags }),
        Method::DELETE => {
            let given = url_pairs(request.uri().query().unwrap_or_default());
            let keys = given.into_iter().filter(|(name, _)| name == "tagKeys").map(|(_, key)| key);
            Ok(Operation::UntagResource { arn, keys: keys.collect() })
        }
        _ => Err(ApiError::unknown_operation()),
    }
}

fn page(query: &BTreeMap<String, String>) -> Result<Page, ApiError> {
    let max_results = query.get("maxResults").map(|text| text.parse()).transpose();
    Ok(Page {
        max_results: max_results.map_err(|_| ApiError::invalid_parameter("maxResults is not a number"))?,
        next_token: query.get("nextToken").cloned(),
    })
}

fn owned(text: &str) -> String {
    text.to_owned()
}

fn json<T: DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::unreadable(error.to_string()))
}
