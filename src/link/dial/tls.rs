//! TLS by rustls with aws-lc-rs and the platform's verifier; one configuration a dialer, so that sessions resume.

use super::DialError;
use crate::model::Reason;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig};
use rustls_platform_verifier::Verifier;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The TLS side of a dialer.
#[derive(Debug)]
pub(super) struct Tls {
    ca: Option<PathBuf>,
    /// Made at the first use: reading the system's roots takes a while. Thrown away when an issuer was not known, so
    /// that a renewed bundle is read without a restart.
    config: Mutex<Option<Arc<ClientConfig>>>,
}

impl Tls {
    pub(super) fn new(ca: Option<PathBuf>) -> Self {
        Self { ca, config: Mutex::default() }
    }

    /// Shakes hands and checks that the server is `host`.
    pub(super) async fn connect(&self, stream: TcpStream, host: &str) -> Result<TlsStream<TcpStream>, DialError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare).map_err(|error| tls(error.to_string()))?;
        let config = self.config().await?;
        match TlsConnector::from(config).connect(name, stream).await {
            Ok(stream) => Ok(stream),
            Err(error) => {
                let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
                if is_unknown_issuer(cause) {
                    *self.config.lock().await = None;
                }
                Err(match cause {
                    Some(cause) => tls(cause.to_string()),
                    None => DialError::Unreachable(Reason::Connect { detail: format!("TLS: {error}") }),
                })
            }
        }
    }

    async fn config(&self) -> Result<Arc<ClientConfig>, DialError> {
        let mut config = self.config.lock().await;
        if let Some(config) = &*config {
            return Ok(Arc::clone(config));
        }
        let ca = self.ca.clone();
        let made = tokio::task::spawn_blocking(move || make(ca.as_deref()));
        let made = made.await.map_err(|error| tls(error.to_string()))?.map_err(|error| tls(error.to_string()))?;
        Ok(Arc::clone(config.insert(Arc::new(made))))
    }
}

fn tls(detail: String) -> DialError {
    DialError::Unreachable(Reason::Tls { detail })
}

fn is_unknown_issuer(cause: Option<&rustls::Error>) -> bool {
    matches!(cause, Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)))
}

fn make(ca: Option<&Path>) -> io::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let extra = match ca {
        Some(path) => authorities(path)?,
        None => Vec::new(),
    };
    let verifier = Verifier::new_with_extra_roots(extra, Arc::clone(&provider)).map_err(io::Error::other)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn authorities(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let wrong = |cause: String| io::Error::other(format!("reading authorities from {}: {cause}", path.display()));
    let found = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() { Err(wrong("no certificate in it".into())) } else { Ok(found) }
}
