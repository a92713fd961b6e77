//! A certificate authority of our own, so that clients can speak TLS to the simulator as they do to AWS.

use std::error::Error;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{CipherSuite, ServerConfig};

/// An authority made for one run, and the certificate for `localhost`, `127.0.0.1` and `::1` that it signed.
#[derive(Clone)]
pub struct TestAuthority {
    pem: String,
    acceptor: TlsAcceptor,
}

impl TestAuthority {
    /// Makes a fresh authority; its private key is forgotten at once.
    ///
    /// # Errors
    /// Where no key or certificate can be made.
    pub fn new() -> Result<Self, Box<dyn Error + Send + Sync>> {
        Self::signing_with(KeyPair::generate()?)
    }

    /// The same with a private key that is there, in PEM: one for RSA, which is what AWS's authorities sign with, takes long to make.
    ///
    /// # Errors
    /// Where that is no private key, or no certificate can be made.
    pub fn with_key(pem: &str) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Self::signing_with(KeyPair::from_pem(pem)?)
    }

    fn signing_with(key: KeyPair) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let authority = CertifiedIssuer::self_signed(authority()?, key)?;
        let key = KeyPair::generate()?;
        let certificate = server()?.signed_by(&key, &authority)?;

        let chain = vec![certificate.der().clone(), authority.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der())?;
        let mut provider = ring::default_provider();
        provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        // AWS's endpoints choose the suite, and this one first ("Security policies" in the Elastic Load Balancing user guides).
        config.ignore_client_order = true;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];

        Ok(Self { pem: authority.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// The authority's certificate in PEM: the content of the file that `AWS_CA_BUNDLE` or
    /// `SSL_CERT_FILE` names.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }
}

impl std::fmt::Debug for TestAuthority {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TestAuthority").finish_non_exhaustive()
    }
}

fn authority() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "EKS simulator test authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn server() -> Result<CertificateParams, rcgen::Error> {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "EKS simulator");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}
