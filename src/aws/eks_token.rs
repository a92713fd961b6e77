//! The bearer token of an EKS cluster: a signed question to STS, "who am I?", which the cluster's authenticator asks in our place.
//!
//! Source of the form: `aws eks get-token` of the AWS CLI, and what aws-iam-authenticator accepts (`pkg/token`): `https`, the path `/`,
//! no other parameters than these, each once, and the cluster's name among the signed headers.

use std::time::{Duration, SystemTime};

use aws_sdk_sts::config::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::domain::region::{Partition, Region};

/// What the presigned request says of its own life; EKS takes it for 15 minutes whatever it says.
const VALID_FOR: Duration = Duration::from_mins(1);
/// The longest token that a cluster takes, in bytes.
const LONGEST: usize = 4096;
/// The header that ties the token to one cluster.
const CLUSTER_HEADER: &str = "x-k8s-aws-id";

/// What is encoded in the value of a query. Source: "Create a canonical request" in the IAM User Guide.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A token for the cluster of that name, for the identity of these credentials. It is a secret.
///
/// # Errors
/// If the request cannot be signed.
pub(super) fn token(
    credentials: &Credentials,
    region: &Region,
    cluster: &str,
    now: Timestamp,
) -> Result<String, String> {
    let host = format!("sts.{region}.{}", Partition::of_region(region).dns_suffix());
    let url = format!("https://{host}/?Action=GetCallerIdentity&Version=2011-06-15");
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(VALID_FOR);
    let identity = credentials.clone().into();
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(region.as_str())
        .name("sts")
        .time(SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_second().unsigned_abs()))
        .settings(settings)
        .build()
        .map_err(|error| error.to_string())?
        .into();
    let headers = [("host", host.as_str()), (CLUSTER_HEADER, cluster)];
    let request = SignableRequest::new("GET", url.as_str(), headers.into_iter(), SignableBody::Bytes(&[]))
        .map_err(|error| error.to_string())?;
    let (instructions, _) = sign(request, &parameters).map_err(|error| error.to_string())?.into_parts();
    let mut signed = url;
    for (name, value) in instructions.params() {
        signed.extend(["&", name, "="]);
        signed.extend(utf8_percent_encode(value, RESERVED));
    }
    let token = format!("k8s-aws-v1.{}", BASE64_URL_SAFE_NO_PAD.encode(signed));
    if token.len() > LONGEST {
        return Err(format!("the token would have {} bytes, and clusters take at most {LONGEST}", token.len()));
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(region: &str, session: Option<&str>) -> Result<String, String> {
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", session.map(str::to_owned), None, "test");
        let token = token(
            &credentials,
            &Region::parse(region).map_err(|error| error.to_string())?,
            "prod",
            Timestamp::UNIX_EPOCH,
        )?;
        let encoded = token.trim_start_matches("k8s-aws-v1.");
        let url = BASE64_URL_SAFE_NO_PAD.decode(encoded).map_err(|error| error.to_string())?;
        String::from_utf8(url).map_err(|error| error.to_string())
    }

    #[test]
    fn each_partition_has_its_own_host_and_the_region_its_own_endpoint() -> Result<(), String> {
        for (region, host) in [
            ("eu-west-1", "sts.eu-west-1.amazonaws.com"),
            ("us-east-1", "sts.us-east-1.amazonaws.com"),
            ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
            ("us-gov-west-1", "sts.us-gov-west-1.amazonaws.com"),
            ("us-iso-east-1", "sts.us-iso-east-1.c2s.ic.gov"),
            ("us-isob-east-1", "sts.us-isob-east-1.sc2s.sgov.gov"),
        ] {
            let url = url(region, Some("session"))?;
            assert!(url.starts_with(&format!("https://{host}/?Action=GetCallerIdentity&Version=2011-06-15&")), "{url}");
            assert!(url.contains("&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id&"), "{url}");
            assert!(url.contains("&X-Amz-Expires=60&") && url.contains("&X-Amz-Security-Token=session"), "{url}");
        }
        Ok(())
    }

    #[test]
    fn a_token_that_no_cluster_would_take_is_not_made() {
        let refused = url("eu-west-1", Some(&"x".repeat(3000)));
        assert!(refused.is_err_and(|why| why.contains("4096")));
    }
}
