//! The event: what a caller, a workflow or the chat function asks for. Read strictly; nothing is guessed.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::access_scope::AccessScope;
use crate::domain::arn::{ClusterRef, PolicyArn};
use crate::domain::principal::Principal;
use crate::domain::region::Region;
use crate::domain::sanitize;
use crate::domain::scheduled_revoke::Restore;
use crate::input::strict_json::{Invalid, Object};

/// The longest `reason`, in characters; more belongs in the incident that it names.
const LONGEST_REASON: usize = 1000;
/// The longest `requestedBy`, in characters.
const LONGEST_REQUESTER: usize = 256;
/// The longest pattern of a namespace, in characters: Kubernetes' own limit for names (RFC 1123 labels).
const LONGEST_NAMESPACE: usize = 63;
/// The most namespaces in one request.
const MOST_NAMESPACES: usize = 100;

/// A whole event, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Which cluster it is about.
    pub cluster: ClusterRef,
    /// Why, in the requester's words.
    pub reason: Option<String>,
    /// Who asks, as the caller claims.
    pub requested_by: Option<String>,
    /// What to do.
    pub action: Action,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Grant access to a principal.
    Grant(Grant),
    /// Revoke what a grant gave.
    Revoke(Revoke),
    /// Look, diagnose, change nothing.
    Inspect(Inspect),
}

impl Action {
    /// The word for it in the event.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Grant(_) => "grant",
            Self::Revoke(_) => "revoke",
            Self::Inspect(_) => "inspect",
        }
    }
}

/// A principal as the event named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedPrincipal {
    /// The text that was sent.
    pub text: String,
    /// What it names.
    pub principal: Principal,
}

/// What a grant asks for.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the event")]
pub struct Grant {
    /// The principal that gets the access.
    pub principal: RequestedPrincipal,
    /// With which access policy.
    pub policy: PolicyArn,
    /// How far.
    pub scope: AccessScope,
    /// For how long; `None` if the event does not say.
    pub duration: Option<SignedDuration>,
    /// Plan only.
    pub dry_run: bool,
    /// How to make sure that it works.
    pub verify: Verify,
    /// How long to wait for a change of authentication mode; `None`: as long as the function may run.
    pub wait: Option<Duration>,
    /// Delete and recreate an entry that looks healthy.
    pub recreate_entry: bool,
    /// The caller knows that the principal is the role of instances or pods.
    pub instance_role: bool,
    /// Skip a required approval.
    pub emergency: bool,
}

/// How a grant, or a revoke, is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Read back from EKS.
    ControlPlane,
    /// Ask the cluster's own API server, too.
    Kubernetes,
}

impl Verify {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "controlPlane" => Ok(Self::ControlPlane),
            "kubernetes" => Ok(Self::Kubernetes),
            _ => Err(format!("`{text}` is neither `controlPlane` nor `kubernetes`")),
        }
    }
}

/// What a revoke asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Revoke {
    /// Whose access.
    pub principal: RequestedPrincipal,
    /// Which policy.
    pub policy: PolicyArn,
    /// What to restore, as the grant recorded it.
    pub restore: Option<Restore>,
    /// The expiry that a scheduled revoke was made for.
    pub expires_at: Option<Timestamp>,
    /// Plan only.
    pub dry_run: bool,
    /// How to make sure that it works.
    pub verify: Verify,
}

/// What an inspection is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspect {
    /// One principal's access; `None`: the cluster's.
    pub principal: Option<RequestedPrincipal>,
}

/// Every field of the event, with the actions that it belongs to.
pub const FIELDS: [(&str, &[&str]); 17] = [
    ("action", ACTIONS),
    ("clusterName", ACTIONS),
    ("principalArn", ACTIONS),
    ("region", ACTIONS),
    ("policyArn", &["grant", "revoke"]),
    ("accessScope", &["grant"]),
    ("duration", &["grant"]),
    ("reason", ACTIONS),
    ("requestedBy", ACTIONS),
    ("dryRun", &["grant", "revoke"]),
    ("verify", &["grant", "revoke"]),
    ("waitSeconds", &["grant"]),
    ("recreateEntry", &["grant"]),
    ("instanceRole", &["grant"]),
    ("emergency", &["grant"]),
    ("restore", &["revoke"]),
    ("expiresAt", &["revoke"]),
];
/// Every action.
pub const ACTIONS: &[&str] = &["grant", "revoke", "inspect"];

impl Request {
    /// Reads an event. `home` is the region that the function runs in.
    ///
    /// # Errors
    /// If the event is malformed, contradicts itself, or names a principal that cannot be granted access.
    pub fn parse(event: &str, home: &Region) -> Result<Self, Invalid> {
        let event = Object::parse("", event, &FIELDS.map(|(name, _)| name))?;
        let action: String = event.get("action")?.unwrap_or_else(|| "grant".to_owned());
        if !ACTIONS.contains(&action.as_str()) {
            return Err(Invalid::at("action", format!("`{action}` is none of `grant`, `revoke`, `inspect`")));
        }
        for name in event.names() {
            let belongs = FIELDS.iter().any(|(field, actions)| *field == name && actions.contains(&action.as_str()));
            if !belongs {
                return Err(Invalid::at(name, format!("it has no meaning for `{action}`")));
            }
        }
        let region = event.parsed("region", Region::parse)?;
        let cluster = required(
            &event,
            "clusterName",
            event.parsed("clusterName", |text| ClusterRef::parse(text, region, home))?,
        )?;
        Ok(Self {
            reason: prose(&event, "reason", LONGEST_REASON)?,
            requested_by: prose(&event, "requestedBy", LONGEST_REQUESTER)?,
            action: match action.as_str() {
                "revoke" => Action::Revoke(Revoke::read(&event, &cluster)?),
                "inspect" => Action::Inspect(Inspect { principal: principal(&event, &cluster)? }),
                _ => Action::Grant(Grant::read(&event, &cluster)?),
            },
            cluster,
        })
    }

    /// The principal as it was sent.
    #[must_use]
    pub fn principal(&self) -> Option<&RequestedPrincipal> {
        match &self.action {
            Action::Grant(grant) => Some(&grant.principal),
            Action::Revoke(revoke) => Some(&revoke.principal),
            Action::Inspect(inspect) => inspect.principal.as_ref(),
        }
    }

    /// Whether it is a grant that skips a required approval.
    #[must_use]
    pub fn is_emergency(&self) -> bool {
        matches!(&self.action, Action::Grant(grant) if grant.emergency)
    }

    /// The access policy that it is about.
    #[must_use]
    pub fn policy(&self) -> Option<&PolicyArn> {
        match &self.action {
            Action::Grant(grant) => Some(&grant.policy),
            Action::Revoke(revoke) => Some(&revoke.policy),
            Action::Inspect(_) => None,
        }
    }
}

impl Grant {
    fn read(event: &Object, cluster: &ClusterRef) -> Result<Self, Invalid> {
        Ok(Self {
            principal: required(event, "principalArn", principal(event, cluster)?)?,
            policy: policy(event, cluster)?,
            scope: scope(event)?.unwrap_or(AccessScope::Cluster),
            duration: event.parsed("duration", duration)?,
            dry_run: event.get("dryRun")?.unwrap_or(false),
            verify: event.parsed("verify", Verify::parse)?.unwrap_or(Verify::ControlPlane),
            wait: event.get("waitSeconds")?.map(|seconds: u32| Duration::from_secs(seconds.into())),
            recreate_entry: event.get("recreateEntry")?.unwrap_or(false),
            instance_role: event.get("instanceRole")?.unwrap_or(false),
            emergency: event.get("emergency")?.unwrap_or(false),
        })
    }
}

impl Revoke {
    fn read(event: &Object, cluster: &ClusterRef) -> Result<Self, Invalid> {
        Ok(Self {
            principal: required(event, "principalArn", principal(event, cluster)?)?,
            policy: policy(event, cluster)?,
            restore: restore(event)?,
            expires_at: event.parsed("expiresAt", str::parse::<Timestamp>)?,
            dry_run: event.get("dryRun")?.unwrap_or(false),
            verify: event.parsed("verify", Verify::parse)?.unwrap_or(Verify::ControlPlane),
        })
    }
}

fn required<T>(event: &Object, name: &str, value: Option<T>) -> Result<T, Invalid> {
    value.ok_or_else(|| Invalid::at(&event.place(name), "the field is missing"))
}

fn principal(event: &Object, cluster: &ClusterRef) -> Result<Option<RequestedPrincipal>, Invalid> {
    event.parsed("principalArn", |text| {
        let principal = Principal::parse(text).map_err(|error| error.to_string())?;
        if principal.partition() == cluster.partition {
            Ok(RequestedPrincipal { text: text.to_owned(), principal })
        } else {
            Err(format!(
                "`{text}` is of partition `{}`, but the cluster is in `{}`",
                principal.partition(),
                cluster.partition
            ))
        }
    })
}

fn policy(event: &Object, cluster: &ClusterRef) -> Result<PolicyArn, Invalid> {
    Ok(event
        .parsed("policyArn", |text| PolicyArn::parse(text, cluster.partition))?
        .unwrap_or_else(|| PolicyArn::named(PolicyArn::CLUSTER_ADMIN, cluster.partition)))
}

fn scope(event: &Object) -> Result<Option<AccessScope>, Invalid> {
    let Some(scope) = event.object("accessScope", &["type", "namespaces"])? else {
        return Ok(None);
    };
    read_scope(&scope).map(Some)
}

/// A scope that EKS had shown. What it takes is not for this program to judge: a revoke that cannot be read ends nothing.
fn scope_as_it_was(record: &Object) -> Result<Option<AccessScope>, Invalid> {
    let Some(scope) = record.object("accessScope", &["type", "namespaces"])? else {
        return Ok(None);
    };
    let kind: String = required(&scope, "type", scope.get("type")?)?;
    let namespaces: Vec<String> = scope.get("namespaces")?.unwrap_or_default();
    match kind.as_str() {
        "cluster" => Ok(Some(AccessScope::Cluster)),
        "namespace" => Ok(Some(AccessScope::Namespaces(namespaces))),
        _ => Err(Invalid::at(&scope.place("type"), format!("`{kind}` is neither `cluster` nor `namespace`"))),
    }
}

fn read_scope(scope: &Object) -> Result<AccessScope, Invalid> {
    let kind: String = required(scope, "type", scope.get("type")?)?;
    let namespaces: Vec<String> = scope.get("namespaces")?.unwrap_or_default();
    let place = scope.place("namespaces");
    match kind.as_str() {
        "cluster" if namespaces.is_empty() => Ok(AccessScope::Cluster),
        "cluster" => Err(Invalid::at(&place, "a scope of type `cluster` has no namespaces; send type `namespace`")),
        "namespace" if namespaces.is_empty() => {
            Err(Invalid::at(&place, "a scope of type `namespace` needs at least one namespace"))
        }
        "namespace" if namespaces.len() > MOST_NAMESPACES => {
            Err(Invalid::at(&place, format!("there are more than {MOST_NAMESPACES}")))
        }
        "namespace" => match namespaces.iter().find(|name| !namespace(name)) {
            None => Ok(AccessScope::Namespaces(namespaces)),
            Some(name) => Err(Invalid::at(
                &place,
                format!("`{name}` is not the name of a namespace, nor a pattern of names with `*`"),
            )),
        },
        _ => Err(Invalid::at(&scope.place("type"), format!("`{kind}` is neither `cluster` nor `namespace`"))),
    }
}

fn namespace(text: &str) -> bool {
    (1..=LONGEST_NAMESPACE).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'*'))
}

fn restore(event: &Object) -> Result<Option<Restore>, Invalid> {
    let Some(record) = event.object("restore", &["version", "entryExisted", "accessScope"])? else {
        return Ok(None);
    };
    let version: u32 = required(&record, "version", record.get("version")?)?;
    if version != Restore::VERSION {
        return Err(Invalid::at(
            &record.place("version"),
            format!("version {version} is not known; this program reads {}", Restore::VERSION),
        ));
    }
    Ok(Some(Restore {
        version,
        entry_existed: required(&record, "entryExisted", record.get("entryExisted")?)?,
        access_scope: scope_as_it_was(&record)?,
    }))
}

/// Reads a length of time: `1h`, `90m`, `PT1H30M`; at least a minute, and no days, whose length depends on where one is.
///
/// # Errors
/// If the text is not such a length.
pub fn duration(text: &str) -> Result<SignedDuration, String> {
    let wanted = "a length of time such as `1h`, `90m` or `PT1H30M`, of at least one minute";
    match text.parse::<SignedDuration>() {
        Ok(duration) if duration >= SignedDuration::from_mins(1) => Ok(duration),
        Ok(_) => Err(format!("`{text}` is too short; wanted is {wanted}")),
        Err(_) => Err(format!("`{text}` is not {wanted}")),
    }
}

/// Text by a person. Line breaks and tabs become spaces; other characters that forge a line or hide are refused.
fn prose(event: &Object, name: &str, longest: usize) -> Result<Option<String>, Invalid> {
    let Some(text) = event.get::<String>(name)? else {
        return Ok(None);
    };
    let place = event.place(name);
    if text.chars().count() > longest {
        return Err(Invalid::at(&place, format!("it is longer than {longest} characters")));
    }
    let text = text.replace("\r\n", " ").replace(['\n', '\r', '\t'], " ");
    if text.chars().any(sanitize::forges) {
        return Err(Invalid::at(&place, "it holds control characters, or characters that hide or turn text"));
    }
    Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
}
