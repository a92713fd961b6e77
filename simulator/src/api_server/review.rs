//! An access review as it was sent: in JSON, or as kubectl sends it, in protobuf ("Kubernetes Protobuf encoding" in the Kubernetes
//! API concepts; `k8s.io/api/authorization/v1/generated.proto`).

use serde::Deserialize;

use crate::world::Attributes;

/// The mark that a body in protobuf begins with.
const PROTOBUF: &[u8] = b"k8s\0";

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    Resource { verb: String, group: String, resource: String, namespace: String },
    NonResource { verb: String, path: String },
}

impl Asked {
    /// Reads a request's body.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        match body.strip_prefix(PROTOBUF) {
            Some(envelope) => protobuf(envelope),
            None => json(body),
        }
    }

    pub(super) fn attributes(&self) -> Attributes<'_> {
        match self {
            Self::Resource { verb, group, resource, namespace } => {
                Attributes::Resource { verb, group, resource, namespace }
            }
            Self::NonResource { verb, path } => Attributes::NonResource { verb, path },
        }
    }
}

#[derive(Deserialize)]
struct Review {
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    resource_attributes: Option<OnResource>,
    non_resource_attributes: Option<Path>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OnResource {
    verb: String,
    group: String,
    resource: String,
    namespace: String,
}

#[derive(Deserialize)]
struct Path {
    verb: String,
    path: String,
}

fn json(body: &[u8]) -> Option<Asked> {
    let Review { spec } = serde_json::from_slice(body).ok()?;
    match (spec.resource_attributes, spec.non_resource_attributes) {
        (Some(OnResource { verb, group, resource, namespace }), None) => {
            Some(Asked::Resource { verb, group, resource, namespace })
        }
        (None, Some(Path { verb, path })) => Some(Asked::NonResource { verb, path }),
        _ => None,
    }
}

/// The envelope holds the review in field 2, that its spec in field 2, and that the attributes in field 1 or 2.
fn protobuf(envelope: &[u8]) -> Option<Asked> {
    let spec = field(field(envelope, 2)?, 2)?;
    let text = |message, number| field(message, number).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let or_empty = |message, number| text(message, number).unwrap_or_default();
    match (field(spec, 1), field(spec, 2)) {
        (Some(resource), None) => Some(Asked::Resource {
            namespace: or_empty(resource, 1),
            verb: or_empty(resource, 2),
            group: or_empty(resource, 3),
            resource: or_empty(resource, 5),
        }),
        (None, Some(path)) => Some(Asked::NonResource { path: or_empty(path, 1), verb: or_empty(path, 2) }),
        _ => None,
    }
}

/// A field of a message that has bytes in it.
fn field(mut message: &[u8], number: u64) -> Option<&[u8]> {
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match tag & 7 {
            0 => drop(varint(&mut message)?),
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                let (bytes, rest) = message.split_at_checked(length)?;
                if tag >> 3 == number {
                    return Some(bytes);
                }
                message = rest;
            }
            _ => return None,
        }
    }
    None
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
