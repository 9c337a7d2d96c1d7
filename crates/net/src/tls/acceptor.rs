//! Accepts TLS with the certificate for the server name (RFC 6066 §3), from a table that can be
//! replaced at any time: connections in progress keep theirs, new ones get the new.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::error::Error;
use crate::stream::Stream;

/// Certificates by name, with one for clients that name none or an unknown one.
#[derive(Debug, Clone, Default)]
pub struct Certificates {
    by_name: BTreeMap<String, Arc<CertifiedKey>>,
    default: Option<Arc<CertifiedKey>>,
}

impl Certificates {
    /// Adds a chain and its key for `names`; a name may begin with `*.`. The first one added also
    /// serves clients whose name is not here.
    ///
    /// # Errors
    /// [`Error::Local`] when the key does not fit the certificate or has an unknown kind.
    pub fn add(
        &mut self,
        names: &[String],
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<(), Error> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let certified = CertifiedKey::from_der(chain, key, &provider)
            .map_err(|error| Error::local("use a certificate with its key", error))?;
        let certified = Arc::new(certified);
        self.default.get_or_insert_with(|| Arc::clone(&certified));
        for name in names {
            self.by_name.insert(name.to_ascii_lowercase(), Arc::clone(&certified));
        }
        Ok(())
    }

    /// Adds a chain and its key from PEM files.
    ///
    /// # Errors
    /// [`Error::File`] naming the file that is missing, unreadable or not PEM; [`Error::Local`] when
    /// key and certificate do not fit.
    pub fn add_files(&mut self, names: &[String], chain: &Path, key: &Path) -> Result<(), Error> {
        let file = |path: &Path, doing, source: Box<dyn std::error::Error + Send + Sync>| Error::File {
            path: path.to_owned(),
            doing,
            source,
        };
        let read = |path: &Path, doing| fs::read(path).map_err(|error| file(path, doing, error.into()));
        let octets = read(chain, "read the certificate chain")?;
        let parsed: Vec<_> = CertificateDer::pem_slice_iter(&octets)
            .collect::<Result<_, _>>()
            .map_err(|error| file(chain, "read the certificate chain", error.to_string().into()))?;
        if parsed.is_empty() {
            return Err(file(chain, "read the certificate chain", "it holds no certificate".into()));
        }
        let octets = read(key, "read the private key")?;
        let parsed_key = PrivateKeyDer::from_pem_slice(&octets)
            .map_err(|error| file(key, "read the private key", error.to_string().into()))?;
        self.add(names, parsed, parsed_key)
    }

    fn is_same_as(&self, other: &Self) -> bool {
        let same = |a: &Arc<CertifiedKey>, b: &Arc<CertifiedKey>| a.cert == b.cert;
        let default = match (&self.default, &other.default) {
            (Some(a), Some(b)) => same(a, b),
            (a, b) => a.is_none() == b.is_none(),
        };
        let pairs = self.by_name.iter().zip(&other.by_name);
        default
            && self.by_name.len() == other.by_name.len()
            && pairs.into_iter().all(|((a_name, a), (b_name, b))| a_name == b_name && same(a, b))
    }

    fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let exact = |name: &str| self.by_name.get(name).cloned();
        name.map(str::to_ascii_lowercase)
            .and_then(|name| {
                exact(&name)
                    .or_else(|| name.split_once('.').and_then(|(_, rest)| exact(&format!("*.{rest}"))))
            })
            .or_else(|| self.default.clone())
    }
}

/// The table, behind a pointer that [`TlsAcceptor::replace`] swaps.
#[derive(Debug)]
struct ByName(ArcSwap<Certificates>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load().find(hello.server_name())
    }
}

/// Accepts TLS on connections of a door.
pub struct TlsAcceptor {
    by_name: Arc<ByName>,
    acceptor: tokio_rustls::TlsAcceptor,
}

impl fmt::Debug for TlsAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAcceptor").field("certificates", &self.by_name).finish_non_exhaustive()
    }
}

impl TlsAcceptor {
    /// An acceptor for TLS 1.2 and 1.3 that offers `protocols` by ALPN (RFC 7301), such as `http/1.1`.
    ///
    /// # Errors
    /// [`Error::Local`] when the cryptography provider refuses these versions.
    pub fn new(certificates: Certificates, protocols: &[&str]) -> Result<Self, Error> {
        let by_name = Arc::new(ByName(ArcSwap::from_pointee(certificates)));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::local("set up TLS", error))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&by_name) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()
            .map_err(|error| Error::local("set up TLS session tickets", error))?;
        Ok(Self { by_name, acceptor: Arc::new(config).into() })
    }

    /// Serves new connections with other certificates from now on. Tells whether any name, or the
    /// lack of one, has another certificate than before.
    pub fn replace(&self, certificates: Certificates) -> bool {
        let new = Arc::new(certificates);
        let old = self.by_name.0.swap(Arc::clone(&new));
        !old.is_same_as(&new)
    }

    /// Puts TLS on a connection that the peer wants it for: at a door that begins with TLS, or after a
    /// command such as STARTTLS. Whoever read octets behind that command must have thrown them away, for
    /// they came in the clear. How long to wait is the caller's to say.
    ///
    /// # Errors
    /// `InvalidInput` for a stream that has TLS already; those of the connection and the handshake.
    pub async fn accept(&self, stream: Stream) -> io::Result<Stream> {
        let plain = stream
            .into_plain()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the stream has TLS already"))?;
        Ok(Stream::tls(self.acceptor.accept(plain).await?.into()))
    }
}
