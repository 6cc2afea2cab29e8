//! TLS by rustls: the certificate and its key come from files and are read again when the files change. A pair that
//! cannot be used leaves the old one in place.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

/// Where the certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the certificate first, then whatever leads up to a root.
    pub certificate: PathBuf,
    /// PEM: the certificate's private key (PKCS#8, PKCS#1 or SEC1).
    pub key: PathBuf,
}

impl TlsFiles {
    fn load(&self) -> Result<CertifiedKey, TlsError> {
        let certificate = |reason: String| TlsError {
            file: self.certificate.clone(),
            reason,
        };
        let key = |reason: String| TlsError {
            file: self.key.clone(),
            reason,
        };
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| certificate(error.to_string()))?;
        if chain.is_empty() {
            return Err(certificate(
                "it holds no certificate; expected PEM".to_owned(),
            ));
        }
        let private =
            PrivateKeyDer::from_pem_file(&self.key).map_err(|error| key(error.to_string()))?;
        CertifiedKey::from_der(chain, private, &ring::default_provider())
            .map_err(|error| key(error.to_string()))
    }

    fn stamp(&self) -> Stamp {
        [&self.certificate, &self.key].map(|path| file_stamp(path))
    }
}

/// A certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot use {}: {reason}", file.display())]
pub struct TlsError {
    /// The file that is to blame.
    pub file: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// Accepts TLS with whatever pair was read last.
pub(super) struct Tls {
    files: TlsFiles,
    current: Arc<Current>,
    /// What turns a TCP connection into a TLS one.
    pub(super) acceptor: TlsAcceptor,
}

impl Tls {
    /// Reads the pair in `files`.
    ///
    /// # Errors
    /// A file cannot be read, is not PEM, or the key is not the certificate's.
    pub(super) fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let current = Arc::new(Current(ArcSwap::from_pointee(files.load()?)));
        let internal = |error: rustls::Error| TlsError {
            file: files.certificate.clone(),
            reason: error.to_string(),
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(internal)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.ticketer = ring::Ticketer::new().map_err(internal)?;
        Ok(Self {
            files,
            current,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }

    /// Looks at the files every `interval`, for ever, and takes a new pair once the files have stopped changing for
    /// one interval (certificate and key are rarely written at the same moment).
    pub(super) async fn follow(self: Arc<Self>, interval: Duration) {
        let mut used = self.files.stamp();
        let mut seen = used;
        loop {
            tokio::time::sleep(interval).await;
            let stamp = self.files.stamp();
            let settled = stamp == seen;
            seen = stamp;
            if settled && stamp != used {
                used = stamp;
                self.reload();
            }
        }
    }

    fn reload(&self) {
        match self.files.load() {
            Ok(pair) => {
                self.current.0.store(Arc::new(pair));
                tracing::info!(certificate = %self.files.certificate.display(), "TLS certificate reloaded");
            }
            Err(error) => {
                tracing::error!(%error, "the new TLS certificate is not used; the old one stays");
            }
        }
    }
}

/// The pair that new handshakes use.
#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// Enough of both files' metadata to notice a change; a file that cannot be seen is `None`.
type Stamp = [Option<(u64, i64, i64, u64)>; 2];

#[cfg(unix)]
fn file_stamp(path: &Path) -> Option<(u64, i64, i64, u64)> {
    use std::os::unix::fs::MetadataExt;

    let metadata = std::fs::metadata(path).ok()?;
    Some((
        metadata.ino(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.len(),
    ))
}
