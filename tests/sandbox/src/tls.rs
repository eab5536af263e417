//! A certificate authority of the sandbox's own, and a certificate for it to serve with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::random::Random;

/// What a server with TLS needs, and the file by which clients come to trust it.
pub(crate) struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) root: RootFile,
}

impl Tls {
    pub(crate) fn new() -> io::Result<Self> {
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        root.distinguished_name
            .push(DnType::CommonName, "camunda-admin-sandbox root");
        let root_key = KeyPair::generate().map_err(io::Error::other)?;
        let root_certificate = root.self_signed(&root_key).map_err(io::Error::other)?;
        let issuer = Issuer::new(root, root_key);

        let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
        let mut leaf = CertificateParams::new(names).map_err(io::Error::other)?;
        leaf.distinguished_name
            .push(DnType::CommonName, "camunda-admin-sandbox");
        leaf.use_authority_key_identifier_extension = true;
        leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let leaf_key = KeyPair::generate().map_err(io::Error::other)?;
        let leaf_certificate = leaf
            .signed_by(&leaf_key, &issuer)
            .map_err(io::Error::other)?;

        let chain = vec![leaf_certificate.der().clone()];
        let key = PrivateKeyDer::Pkcs8(leaf_key.serialize_der().into());
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            root: RootFile::write(&root_certificate.pem())?,
        })
    }
}

/// The root certificate in a directory of its own, removed when dropped.
pub(crate) struct RootFile {
    directory: PathBuf,
    path: PathBuf,
}

impl RootFile {
    fn write(pem: &str) -> io::Result<Self> {
        let name = format!("camunda-admin-sandbox-{}", Random::new().uuid());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory)?;
        let file = Self {
            path: directory.join("root.pem"),
            directory,
        };
        fs::write(&file.path, pem)?;
        Ok(file)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RootFile {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}
