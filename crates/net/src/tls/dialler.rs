//! Dials TLS: to a peer whose certificate must be good for a name, or to one that is only to be safe
//! from those who listen (opportunistic, RFC 7435).

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use crate::error::Error;
use crate::stream::Stream;
use crate::world::World;

/// Where systems keep the authorities that they trust, as one file.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Opens TLS connections.
pub struct TlsDialler {
    verified: TlsConnector,
    any: TlsConnector,
}

impl fmt::Debug for TlsDialler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsDialler").finish_non_exhaustive()
    }
}

impl TlsDialler {
    /// A dialler that trusts the authorities in `roots` (PEM), or without it those that the system
    /// trusts. `protocols` is offered as ALPN.
    ///
    /// # Errors
    /// [`Error::File`] when `roots` cannot be read or holds no certificate. A system without a list of
    /// authorities is no error: then no name can be verified, and opportunistic connections work.
    pub fn new(roots: Option<&Path>, protocols: &[&str]) -> Result<Self, Error> {
        let mut store = RootCertStore::empty();
        let system = || SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| path.is_file());
        if let Some(path) = roots.map(Path::to_owned).or_else(system) {
            let wrong = |source: Box<dyn std::error::Error + Send + Sync>| Error::File {
                path: path.clone(),
                doing: "read the trusted authorities",
                source,
            };
            let octets = fs::read(&path).map_err(|error| wrong(error.into()))?;
            let certificates = CertificateDer::pem_slice_iter(&octets).flatten();
            let (added, _) = store.add_parsable_certificates(certificates);
            if added == 0 {
                return Err(wrong("it holds no certificate".into()));
            }
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = || {
            ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .map_err(|error| Error::local("set up TLS", error))
        };
        let protocols: Vec<_> = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let mut verified = builder()?.with_root_certificates(store).with_no_client_auth();
        let unverified = Arc::new(Unverified(Arc::clone(&provider)));
        let mut any =
            builder()?.dangerous().with_custom_certificate_verifier(unverified).with_no_client_auth();
        verified.alpn_protocols.clone_from(&protocols);
        any.alpn_protocols = protocols;
        any.enable_sni = false;
        Ok(Self { verified: Arc::new(verified).into(), any: Arc::new(any).into() })
    }

    /// The same for somebody who said so: every certificate is good, whoever it is for. The name is sent
    /// nevertheless.
    #[must_use]
    pub fn trusting_anybody(mut self) -> Self {
        let mut config = ClientConfig::clone(self.any.config());
        config.enable_sni = true;
        self.verified = Arc::new(config).into();
        self
    }

    /// Connects to `remote`, whose certificate must be good for `name`; with `None` any will do.
    ///
    /// # Errors
    /// Those of the connection; `InvalidData` when the handshake fails or the certificate is not good.
    pub async fn connect(&self, world: &World, remote: SocketAddr, name: Option<&str>) -> io::Result<Stream> {
        self.secure(world.connect(remote).await?, remote, name).await
    }

    /// Puts TLS on a connection to `remote` that is open, as [`TlsDialler::connect`] does.
    ///
    /// # Errors
    /// `InvalidInput` for a stream that has TLS already; `InvalidData` when the handshake fails or the
    /// certificate is not good.
    pub async fn secure(&self, stream: Stream, remote: SocketAddr, name: Option<&str>) -> io::Result<Stream> {
        self.secure_for(stream, remote, name, &[]).await
    }

    /// The same, with `protocols` offered as ALPN in place of those of the dialler, unless there are none.
    ///
    /// # Errors
    /// As [`TlsDialler::secure`].
    pub async fn secure_for(
        &self,
        stream: Stream,
        remote: SocketAddr,
        name: Option<&str>,
        protocols: &[&str],
    ) -> io::Result<Stream> {
        let plain = stream
            .into_plain()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the stream has TLS already"))?;
        let (connector, name) = match name {
            Some(name) => {
                let name = ServerName::try_from(name.to_owned())
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
                (&self.verified, name)
            }
            None => (&self.any, ServerName::IpAddress(remote.ip().into())),
        };
        let secured = if protocols.is_empty() {
            connector.connect(name, plain).await?
        } else {
            let protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
            connector.with_alpn(protocols).connect(name, plain).await?
        };
        Ok(Stream::tls(secured.into()))
    }
}

/// Takes every certificate, but still wants the peer to hold its key.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
