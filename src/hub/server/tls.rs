//! TLS for the hub's listener from PEM files.

use crate::hub::HubError;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;

/// Reads a certificate chain and its key.
///
/// # Errors
/// [`HubError::Invalid`] that names the file and what is wrong with it.
pub fn tls_config(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, HubError> {
    let bad = |path: &Path, what: &str, cause: &dyn std::fmt::Display| {
        HubError::Invalid(format!("{}: cannot read {what}: {cause}", path.display()))
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|error| bad(cert, "a certificate in PEM", &error))?;
    if chain.is_empty() {
        return Err(bad(cert, "a certificate in PEM", &"there is none in it"));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, "a private key in PEM", &error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| HubError::Invalid(format!("TLS: {error}")))?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| bad(cert, "a certificate that goes with the key", &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
