//! TLS: rustls with ring, and the certificates that the operating system trusts.

use std::sync::Arc;

use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, pem::PemObject},
};
use rustls_platform_verifier::Verifier;

use super::{Configuration, Error, Result};

/// TLS 1.2 and 1.3, verified as the operating system verifies, with the configuration's own authorities added.
pub(crate) fn client_config(configuration: &Configuration) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = Vec::new();
    for pem in &configuration.root_certificates {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots
                .push(certificate.map_err(|error| {
                    Error::Configuration(format!("root certificates: {error}"))
                })?);
        }
        if roots.len() == before {
            return Err(Error::Configuration(
                "root certificates: no certificate in the PEM data".to_owned(),
            ));
        }
    }
    let verifier = if roots.is_empty() {
        Verifier::new(Arc::clone(&provider))
    } else {
        Verifier::new_with_extra_roots(roots, Arc::clone(&provider))
    };
    let verifier = verifier.map_err(|error| Error::Configuration(format!("TLS: {error}")))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Configuration(format!("TLS: {error}")))?
        .dangerous() // rustls' word for any verifier that is not its own; this one is the operating system's
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    #[cfg(feature = "http2")]
    let config = {
        let mut config = config;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    };
    Ok(config)
}
