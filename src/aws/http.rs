//! One connector for all clients, and whose certificates it trusts. Why: `docs/decisions/0002-tls.md`.

use std::time::Duration;

use aws_sdk_eks::config::IntoShared as _;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::trust_fallback::TrustFallback;
use crate::domain::region::{Partition, Region};

/// A connection that is not there by then is tried again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Amazon Trust Services' roots, and the Starfield root that AWS names beside them
/// (<https://www.amazontrust.com/repository/>): what AWS's endpoints are signed by.
const AMAZON_ROOTS: &[u8] = include_bytes!("roots.pem");

/// The connector for AWS's endpoints. The operator's bundle, if there is one, replaces everything. Otherwise: Amazon's own roots,
/// compiled in, if AWS's endpoints in the partition are known to use them, then the system's store. In China, the sovereign and the secret
/// partitions: the system's store alone.
///
/// # Errors
/// If the CA bundle can't be read, or holds no certificate.
pub(super) fn aws_connector(home: &Region, ca_bundle: Option<&str>) -> Result<SharedHttpConnector, String> {
    match (ca_bundle, Partition::of_region(home)) {
        (Some(path), _) => connector(bundle(path)?),
        (None, Partition::Aws | Partition::AwsUsGov) => {
            let compiled_in = connector(TrustStore::empty().with_pem_certificate(AMAZON_ROOTS))?;
            Ok(SharedHttpConnector::new(TrustFallback::new(compiled_in, || connector(TrustStore::default()))))
        }
        (None, _) => connector(TrustStore::default()),
    }
}

/// A connector that trusts one cluster's CA, given in PEM, and nothing else.
///
/// # Errors
/// If that is no certificate.
pub(super) fn cluster_connector(pem: &[u8]) -> Result<SharedHttpConnector, String> {
    connector(trusting(pem).map_err(|why| format!("the cluster's CA cannot be used: {why}"))?)
}

/// A trust store of these certificates. They are checked first, because the connector panics at one that it can't read.
fn trusting(pem: &[u8]) -> Result<TrustStore, String> {
    let certificates: Vec<CertificateDer<'_>> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("it holds no certificate in PEM".to_owned());
    }
    for certificate in &certificates {
        webpki::anchor_from_trusted_cert(certificate).map_err(|error| error.to_string())?;
    }
    Ok(TrustStore::empty().with_pem_certificate(pem))
}

/// A connector for the web: the operator's bundle, if there is one, else the system's root certificates, which the runtime keeps up to date.
///
/// # Errors
/// If the CA bundle cannot be read, or holds no certificate.
pub fn public_connector(ca_bundle: Option<&str>) -> Result<SharedHttpConnector, String> {
    connector(match ca_bundle {
        Some(path) => bundle(path)?,
        None => TrustStore::default(),
    })
}

fn connector(trusted: TrustStore) -> Result<SharedHttpConnector, String> {
    let tls = TlsContext::builder().with_trust_store(trusted).build().map_err(|error| error.to_string())?;
    Ok(Connector::builder()
        .connector_settings(HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build())
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(tls)
        .proxy_config(ProxyConfig::from_env())
        .build()
        .into_shared())
}

fn bundle(path: &str) -> Result<TrustStore, String> {
    let pem = std::fs::read(path).map_err(|error| format!("the CA bundle `{path}` cannot be read: {error}"))?;
    trusting(&pem).map_err(|why| format!("the CA bundle `{path}` cannot be used: {why}"))
}
