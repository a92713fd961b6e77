//! The kubeconfig that `aws eks update-kubeconfig` would write, so that one can paste it and go on.

use crate::domain::cluster::Cluster;
use crate::domain::region::Region;

/// The file's text; `None` while the cluster has no endpoint. Local clusters on Outposts name their id in place of
/// their name, but those have no access entries.
#[must_use]
pub fn render(cluster: &Cluster, region: &Region) -> Option<String> {
    let endpoint = quoted(cluster.endpoint.as_deref()?);
    let authority = quoted(cluster.certificate_authority.as_deref()?);
    let arn = quoted(&cluster.arn);
    let name = quoted(&cluster.name);
    let region = quoted(region.as_str());
    Some(format!(
        "apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: {authority}
    server: {endpoint}
  name: {arn}
contexts:
- context:
    cluster: {arn}
    user: {arn}
  name: {arn}
current-context: {arn}
kind: Config
preferences: {{}}
users:
- name: {arn}
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      args:
      - --region
      - {region}
      - eks
      - get-token
      - --cluster-name
      - {name}
      - --output
      - json
      command: aws
"
    ))
}

/// A JSON string is a YAML string, whatever is in it: a cluster may be called `true`, or `1e3`.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
