//! A certificate authority for the tests, and invalid server certificates.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// The certificate of a server, and whether it requires one of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Certificate {
    Good,
    Expired,
    OtherHost,
    UnknownAuthority,
    /// That of an authority itself.
    Authority,
    /// A valid certificate; the client must send one too.
    ClientAuth,
}

pub(crate) struct Authority {
    root: Issuer<'static, KeyPair>,
    roots: RootCertStore,
    /// Not trusted by the client.
    untrusted: Issuer<'static, KeyPair>,
    directory: tempfile::TempDir,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let directory = tempfile::tempdir().unwrap();
        let (root, certificate) = authority("root");
        std::fs::write(directory.path().join("root.pem"), certificate.pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        Authority {
            root,
            roots,
            untrusted: authority("untrusted").0,
            directory,
        }
    }

    /// Returns the file with the root certificate.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.directory.path().join("root.pem")
    }

    pub(crate) fn server(&self, certificate: Certificate, address: IpAddr) -> Arc<ServerConfig> {
        let name = match certificate {
            Certificate::OtherHost => "elsewhere.example".to_owned(),
            _ => address.to_string(),
        };
        let mut leaf = CertificateParams::new([name]).unwrap();
        if certificate == Certificate::Expired {
            leaf.not_before = date_time_ymd(2001, 1, 1);
            leaf.not_after = date_time_ymd(2002, 1, 1);
        }
        if certificate == Certificate::Authority {
            leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let issuer = match certificate {
            Certificate::UnknownAuthority => &self.untrusted,
            _ => &self.root,
        };
        let key = KeyPair::generate().unwrap();
        let chain = vec![leaf.signed_by(&key, issuer).unwrap().der().clone()];
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if certificate == Certificate::ClientAuth {
            let roots = Arc::new(self.roots.clone());
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        Arc::new(builder.with_single_cert(chain, key).unwrap())
    }
}

fn authority(name: &str) -> (Issuer<'static, KeyPair>, rcgen::Certificate) {
    let mut root = CertificateParams::default();
    root.distinguished_name.push(DnType::CommonName, name);
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = root.self_signed(&key).unwrap();
    (Issuer::new(root, key), certificate)
}
