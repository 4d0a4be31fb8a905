//! TLS towards v2: takes what the configuration trusts, gives handshakes by rustls, HTTP/1.1 by ALPN.

use std::{fmt, io, path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::shadow::{client::upstream::Upstream, options::TlsOptions};

/// Why no client can be made for an upstream.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file of authorities can't be read.
    #[error("can't read the CA file {}: {error}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It isn't PEM, or one of its certificates is none.
    #[error("certificate {number} of the CA file {} is not valid: {reason}", path.display())]
    CaCertificate {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        number: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing in it.
    #[error("the CA file {} has no certificate: give a PEM file with BEGIN CERTIFICATE lines", .0.display())]
    CaEmpty(PathBuf),
    /// The system trusts nobody.
    #[error(
        "the system has no trusted certificates: install ca-certificates, or give the upstream's tls.ca_file"
    )]
    NoRoots,
    /// No certificate can have such a name.
    #[error("{0:?} is no name that a certificate can have: give the upstream's tls.server_name")]
    ServerName(String),
    /// rustls doesn't accept the configuration.
    #[error("can't set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Makes TLS connections to one upstream.
#[derive(Clone)]
pub(in crate::shadow) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
    /// Of the file of authorities.
    file: Option<[u8; 32]>,
}

impl Tls {
    /// Reads the trusted certificates.
    pub(in crate::shadow) fn new(upstream: &Upstream, options: &TlsOptions) -> Result<Self, ClientError> {
        let name = options.server_name.as_deref().unwrap_or_else(|| upstream.host()).to_owned();
        let name = ServerName::try_from(name.clone()).map_err(|_| ClientError::ServerName(name))?;
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let (mut config, file) = if options.insecure {
            let anyone = Arc::new(AnyCertificate(provider));
            let builder = builder.dangerous().with_custom_certificate_verifier(anyone);
            (builder.with_no_client_auth(), fingerprint(options))
        } else {
            let (roots, file) = roots(options)?;
            (builder.with_root_certificates(roots).with_no_client_auth(), file)
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { connector: Arc::new(config).into(), name, file })
    }

    /// Whether the file of authorities is still the one that was read.
    pub(in crate::shadow) fn is_current(&self, options: &TlsOptions) -> bool {
        fingerprint(options) == self.file
    }

    pub(in crate::shadow) async fn handshake<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.connector.connect(self.name.clone(), stream).await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Of the file of authorities; none if there is none.
fn fingerprint(options: &TlsOptions) -> Option<[u8; 32]> {
    std::fs::read(options.ca_file.as_ref()?).ok().map(digest)
}

fn digest(pem: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(pem).into()
}

/// What is trusted, and the fingerprint of the file that says so, which is read once.
fn roots(options: &TlsOptions) -> Result<(RootCertStore, Option<[u8; 32]>), ClientError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = &options.ca_file else {
        let found = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        return if added == 0 { Err(ClientError::NoRoots) } else { Ok((roots, None)) };
    };
    let pem = std::fs::read(path).map_err(|error| ClientError::CaFile { path: path.clone(), error })?;
    for (index, certificate) in CertificateDer::pem_slice_iter(&pem).enumerate() {
        let invalid = |reason| ClientError::CaCertificate { path: path.clone(), number: index + 1, reason };
        let certificate = certificate.map_err(|error| invalid(error.to_string()))?;
        roots.add(certificate).map_err(|error| invalid(error.to_string()))?;
    }
    if roots.is_empty() { Err(ClientError::CaEmpty(path.clone())) } else { Ok((roots, Some(digest(&pem)))) }
}

/// Takes any certificate, as `insecure` says.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
