//! TLS: the certificate authority, client certificates, and faults of certificates.

use std::net::TcpStream;
use std::sync::Arc;

use camunda_admin_sandbox::{CertificateFault, Sandbox};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::api::{Connection, Reply};

fn variable(sandbox: &Sandbox, name: &str) -> Option<String> {
    sandbox
        .environment()
        .into_iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value)
}

fn ip_ranges(sandbox: &Sandbox, host: &str, show_certificate: bool) -> std::io::Result<Reply> {
    let root = variable(sandbox, "CAMUNDA_CUSTOM_ROOT_CERT_PATH").unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(root).unwrap())
        .unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = if show_certificate {
        let chain = variable(sandbox, "CAMUNDA_CUSTOM_CERT_CHAIN_PATH").unwrap();
        let key = variable(sandbox, "CAMUNDA_CUSTOM_PRIVATE_KEY_PATH").unwrap();
        let chain = vec![CertificateDer::from_pem_file(chain).unwrap()];
        builder
            .with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap())
            .unwrap()
    } else {
        builder.with_no_client_auth()
    };
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let address = sandbox
        .base_url()
        .strip_prefix("https://")
        .unwrap()
        .to_owned();
    let tcp = TcpStream::connect(address).unwrap();
    Connection::over(StreamOwned::new(tls, tcp)).exchange("GET", "/meta/ip-ranges", &[], b"")
}

#[test]
fn tls_uses_own_certificate_authority() {
    let sandbox = Sandbox::builder().tls(true).start();
    assert!(variable(&sandbox, "CAMUNDA_CUSTOM_CERT_CHAIN_PATH").is_none());
    for host in ["127.0.0.1", "localhost"] {
        ip_ranges(&sandbox, host, false).unwrap().expect(200);
    }
    ip_ranges(&sandbox, "example.com", false).unwrap_err();

    let root = variable(&sandbox, "CAMUNDA_CUSTOM_ROOT_CERT_PATH").unwrap();
    assert!(std::path::Path::new(&root).exists());
    drop(sandbox);
    assert!(!std::path::Path::new(&root).exists());
}

#[test]
fn client_certificates_are_required() {
    let sandbox = Sandbox::builder().client_certificates(true).start();
    ip_ranges(&sandbox, "127.0.0.1", false).unwrap_err();
    ip_ranges(&sandbox, "127.0.0.1", true).unwrap().expect(200);
}

#[test]
fn environment_without_tls_has_no_certificates() {
    let sandbox = Sandbox::start();
    assert!(sandbox.base_url().starts_with("http://127.0.0.1:"));
    assert!(variable(&sandbox, "CAMUNDA_CUSTOM_ROOT_CERT_PATH").is_none());
}

#[test]
fn certificate_faults_fail_verification_until_removed() {
    for (fault, name, message) in [
        (CertificateFault::Expired, "expired", "Expired"),
        (CertificateFault::WrongName, "wrong_name", "NotValidForName"),
        (CertificateFault::UnknownCa, "unknown_ca", "UnknownIssuer"),
    ] {
        let sandbox = Sandbox::builder().certificate_fault(fault).start();
        let check = || {
            let error = ip_ranges(&sandbox, "127.0.0.1", false).unwrap_err();
            let text = format!("{error:?}");
            assert!(text.contains(message), "{text}");
        };
        check();
        let set = |fault: serde_json::Value| {
            let settings = serde_json::json!({ "certificate_fault": fault });
            let changes = serde_json::json!({ "settings": settings });
            sandbox.control(changes).unwrap();
        };
        set(serde_json::Value::Null);
        ip_ranges(&sandbox, "127.0.0.1", false).unwrap().expect(200);
        set(name.into());
        check();
    }
}

#[test]
fn certificate_is_valid_for_public_host() {
    let sandbox = Sandbox::builder()
        .tls(true)
        .public_url("https://api.test")
        .start();
    let root = variable(&sandbox, "CAMUNDA_CUSTOM_ROOT_CERT_PATH").unwrap();
    assert!(std::path::Path::new(&root).exists());
    assert_eq!(sandbox.base_url(), "https://api.test");
}
