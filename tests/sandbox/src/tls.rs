//! A certificate authority of the sandbox's own, and the certificates that it hands out.

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

/// What a server with TLS needs, and the files that its clients need.
pub(crate) struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) files: Files,
}

impl Tls {
    /// Makes an authority and a certificate for the server, and where clients have to show
    /// certificates one for them.
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

/// The files for clients, in a directory of their own that goes when this is dropped.
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

    /// The certificate by which clients come to trust the server.
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.join(ROOT)
    }

    /// The certificate and the key that clients have to show, where they have to.
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
