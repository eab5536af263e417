//! Certificate authority of the sandbox and its certificates.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::random::Random;

/// TLS acceptor of the server and certificate files for clients.
pub(crate) struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) files: Files,
}

impl Tls {
    /// Creates an authority and a server certificate, and with `client_certificates` a client
    /// certificate.
    pub(crate) fn new(client_certificates: bool) -> io::Result<Self> {
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        root.distinguished_name
            .push(DnType::CommonName, "camunda-admin-sandbox root");
        let root_key = KeyPair::generate().map_err(io::Error::other)?;
        let root_certificate = root.self_signed(&root_key).map_err(io::Error::other)?;
        let authority = Issuer::new(root, root_key);

        let files = Files::create()?;
        files.write(ROOT, &root_certificate.pem())?;

        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let builder = if client_certificates {
            let names = ["sandbox client".to_owned()];
            let (certificate, key) =
                issue(&authority, &names, ExtendedKeyUsagePurpose::ClientAuth)?;
            files.write(CLIENT_CERTIFICATE, &certificate.pem())?;
            files.write(CLIENT_KEY, &key.serialize_pem())?;
            let mut roots = RootCertStore::empty();
            roots
                .add(root_certificate.der().clone())
                .map_err(io::Error::other)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(io::Error::other)?;
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };

        let names = ["localhost", "127.0.0.1", "::1", "sandbox.test"].map(String::from);
        let (certificate, key) = issue(&authority, &names, ExtendedKeyUsagePurpose::ServerAuth)?;
        let chain = vec![certificate.der().clone()];
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            files,
        })
    }
}

fn issue(
    authority: &Issuer<'_, KeyPair>,
    names: &[String],
    usage: ExtendedKeyUsagePurpose,
) -> io::Result<(rcgen::Certificate, KeyPair)> {
    let mut leaf = CertificateParams::new(names).map_err(io::Error::other)?;
    leaf.distinguished_name
        .push(DnType::CommonName, "camunda-admin-sandbox");
    leaf.use_authority_key_identifier_extension = true;
    leaf.extended_key_usages = vec![usage];
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let certificate = leaf.signed_by(&key, authority).map_err(io::Error::other)?;
    Ok((certificate, key))
}

const ROOT: &str = "root.pem";
const CLIENT_CERTIFICATE: &str = "client.pem";
const CLIENT_KEY: &str = "client.key";

/// Certificate files for clients, in a temporary directory that is removed on drop.
pub(crate) struct Files {
    directory: PathBuf,
}

impl Files {
    fn create() -> io::Result<Self> {
        let name = format!("camunda-admin-sandbox-{}", Random::new().uuid());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory)?;
        Ok(Self { directory })
    }

    fn write(&self, name: &str, pem: &str) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options
            .open(self.directory.join(name))?
            .write_all(pem.as_bytes())
    }

    /// Returns the path of the root certificate.
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.join(ROOT)
    }

    /// Returns the paths of the client certificate and its key, if client certificates are required.
    pub(crate) fn client(&self) -> Option<(PathBuf, PathBuf)> {
        let certificate = self.directory.join(CLIENT_CERTIFICATE);
        Path::exists(&certificate).then(|| (certificate, self.directory.join(CLIENT_KEY)))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}
