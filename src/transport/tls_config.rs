//! TLS settings: cipher suites, root certificates, client certificate.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;

use ring::digest;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, CipherSuite, ClientConfig, InconsistentKeys, RootCertStore,
    SupportedCipherSuite,
};

use super::pem::{PemFile, read_limited};
use super::response::strip_bom;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::private_file::warn_if_open_to_others;

/// Reads the certificates that the configuration names and builds the TLS settings: TLS 1.2 and
/// 1.3, ring with AES-128 before AES-256, and as roots the certificates of `ca_file` alone, else those
/// of `SSL_CERT_FILE` and `SSL_CERT_DIR`, else the platform's, else the bundled ones.
pub(super) fn client_config(config: &Config) -> Result<Arc<ClientConfig>> {
    let mut provider = rustls::crypto::ring::default_provider();
    prefer_aes_128(&mut provider.cipher_suites);
    let provider = Arc::new(provider);
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("ring has suites for both versions");
    let builder = match config.ca_file() {
        Some(file) => builder.with_root_certificates(roots_from(file)?),
        None => match roots_from_variables(|name| std::env::var_os(name))? {
            Some(roots) => builder.with_root_certificates(roots),
            None => match platform_verifier(provider) {
                Some(verifier) => builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(verifier)),
                None => builder.with_root_certificates(bundled_roots()),
            },
        },
    };
    let config = match (config.client_cert(), config.client_key()) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificates), key_file) => {
            // One file may hold both.
            let key_file = key_file.unwrap_or(certificates);
            let identity = identity_from(certificates, key_file)?;
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity)))
        }
        (None, Some(_)) => {
            return Err(Error::config("`client_key` is set, `client_cert` is not"));
        }
    };
    Ok(Arc::new(config))
}

/// Moves each suite with AES-128 before its counterpart with AES-256, which many servers would choose if
/// it was the first. Its handshake takes less time: SHA-256 has hardware support, SHA-384 has none.
fn prefer_aes_128(suites: &mut [SupportedCipherSuite]) {
    use CipherSuite as Suite;

    for (large, small) in [
        (
            Suite::TLS13_AES_256_GCM_SHA384,
            Suite::TLS13_AES_128_GCM_SHA256,
        ),
        (
            Suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            Suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ),
        (
            Suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            Suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        ),
    ] {
        let position = |wanted| suites.iter().position(|it| it.suite() == wanted);
        if let (Some(large), Some(small)) = (position(large), position(small))
            && large < small
        {
            suites.swap(large, small);
        }
    }
}

/// Returns the same settings without cached TLS sessions.
pub(super) fn without_sessions(config: &ClientConfig) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.resumption = Resumption::default();
    Arc::new(config)
}

fn platform_verifier(provider: Arc<CryptoProvider>) -> Option<rustls_platform_verifier::Verifier> {
    rustls_platform_verifier::Verifier::new(provider)
        .inspect_err(|error| {
            log::warn!(
                "platform certificates not usable, using the bundled ones: error={:?}",
                error.to_string()
            );
        })
        .ok()
}

fn bundled_roots() -> RootCertStore {
    RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    }
}

fn roots_from(file: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates_from("ca_file", file)? {
        roots
            .add(certificate)
            .map_err(|_| unusable_file("ca_file", file, INVALID_CERTIFICATE))?;
    }
    Ok(roots)
}

/// Returns the root certificates that OpenSSL's variables name, or `None` if neither is set. They
/// replace the platform's. A file or directory that cannot be used is an error, because with other
/// roots the client would trust other servers.
fn roots_from_variables(read: impl Fn(&str) -> Option<OsString>) -> Result<Option<RootCertStore>> {
    const FILE: &str = "SSL_CERT_FILE";
    const DIRECTORIES: &str = "SSL_CERT_DIR";
    // On other platforms the operating system verifies certificates and ignores the variables.
    if !cfg!(all(
        unix,
        not(target_vendor = "apple"),
        not(target_os = "android")
    )) {
        return Ok(None);
    }
    let read = |name: &str| read(name).filter(|value| !value.is_empty());
    let (file, directories) = (read(FILE), read(DIRECTORIES));
    let mut certificates = Vec::new();
    if let Some(file) = &file {
        certificates.extend(certificates_from(FILE, Path::new(file))?);
    }
    if let Some(directories) = &directories {
        let (mut readable, mut problem) = (false, None);
        for directory in std::env::split_paths(directories) {
            match certificates_in(&directory) {
                Ok(found) => {
                    readable = true;
                    certificates.extend(found);
                }
                Err(error) => problem = Some(unusable_file(DIRECTORIES, &directory, error)),
            }
        }
        // One of several directories may be missing, as in OpenSSL, which has two by default.
        if !readable || certificates.is_empty() {
            let none = || {
                let message = "it has no certificate in PEM";
                unusable_file(DIRECTORIES, Path::new(directories), message)
            };
            return Err(problem.unwrap_or_else(none));
        }
    }
    if file.is_none() && directories.is_none() {
        return Ok(None);
    }
    let mut roots = RootCertStore::empty();
    let (_, ignored) = roots.add_parsable_certificates(certificates);
    if ignored > 0 {
        log::warn!("root certificates ignored that cannot be parsed: count={ignored}");
    }
    if roots.is_empty() {
        return Err(Error::config(format!(
            "no certificate of {FILE} and {DIRECTORIES} can be parsed"
        )));
    }
    Ok(Some(roots))
}

/// Returns the certificates of all regular files in a directory. Skips files that are not PEM.
fn certificates_in(directory: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        // Opening a pipe would block.
        if path.is_file()
            && let Ok(file) = read_limited(&path)
        {
            let certificates = CertificateDer::pem_slice_iter(strip_bom(&file));
            found.extend(certificates.filter_map(|item| item.ok()));
        }
    }
    // `c_rehash` creates several links to each file.
    found.sort_unstable_by(|one: &CertificateDer<'_>, other| one.as_ref().cmp(other.as_ref()));
    found.dedup();
    Ok(found)
}

/// Reads a client certificate and its private key. Leaves no copy of the key in freed memory.
fn identity_from(certificates: &Path, key_file: &Path) -> Result<CertifiedKey> {
    let read =
        |setting, file| PemFile::read(file).map_err(|error| unusable_file(setting, file, error));
    let chain = read("client_cert", certificates)?
        .certificates()
        .map_err(|problem| unusable_file("client_cert", certificates, problem))?;
    warn_if_open_to_others("private key", key_file);
    let key = read("client_key", key_file)?
        .with_private_key(any_supported_type)
        .map_err(|problem| unusable_file("client_key", key_file, problem))?
        .map_err(|_| {
            let problem = "its private key cannot be parsed or is of a kind that is not supported; \
                           expected RSA, ECDSA (P-256, P-384) or Ed25519";
            unusable_file("client_key", key_file, problem)
        })?;
    let identity = CertifiedKey::new(chain, key);
    match identity.keys_match() {
        // `Unknown`: not supported for this kind of key. `Other`: webpki does not read certificates of this
        // kind, such as those of X.509 version 1, which a server may accept.
        Ok(())
        | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown))
        | Err(rustls::Error::InvalidCertificate(CertificateError::Other(_))) => Ok(identity),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            let problem = "it does not belong to the private key";
            Err(unusable_file("client_cert", certificates, problem))
        }
        Err(_) => Err(unusable_file(
            "client_cert",
            certificates,
            INVALID_CERTIFICATE,
        )),
    }
}

/// What is wrong with a file of certificates that are not X.509.
const INVALID_CERTIFICATE: &str = "a certificate in it cannot be parsed";

/// Returns a digest of the contents of the configured files.
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config) if a file cannot be read.
pub(super) fn identity(config: &Config) -> Result<Vec<u8>> {
    let mut context = digest::Context::new(&digest::SHA256);
    for (setting, file) in [
        ("ca_file", config.ca_file()),
        ("client_cert", config.client_cert()),
        ("client_key", config.client_key()),
    ] {
        let content = file
            .map(|file| read_limited(file).map_err(|error| unusable_file(setting, file, error)));
        let content = content.transpose()?;
        let length = content.as_ref().map(|content| content.len() as u64 + 1);
        context.update(&length.unwrap_or_default().to_le_bytes());
        context.update(content.as_ref().map_or(&[], |content| content.as_slice()));
    }
    Ok(context.finish().as_ref().to_vec())
}

fn certificates_from(setting: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let text = read_limited(file).map_err(|error| unusable_file(setting, file, error))?;
    // The parser would skip a first certificate after a byte-order mark, which some editors add.
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(strip_bom(&text))
        .collect::<Result<_, _>>()
        .map_err(|error| match error {
            pem::Error::MissingSectionEnd { .. } => {
                unusable_file(setting, file, "a certificate in it has no END line")
            }
            _ => unusable_file(setting, file, INVALID_CERTIFICATE),
        })?;
    if certificates.is_empty() {
        return Err(unusable_file(setting, file, "it has no certificate in PEM"));
    }
    Ok(certificates)
}

fn unusable_file(setting: &str, file: &Path, error: impl std::fmt::Display) -> Error {
    Error::config(format!(
        "`{setting}` ({}) cannot be used: {error}",
        file.display()
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[cfg(all(unix, not(target_vendor = "apple")))]
    fn roots(variables: &[(&str, &str)]) -> Result<Option<RootCertStore>> {
        roots_from_variables(|name| {
            let known = variables.iter().find(|(known, _)| *known == name);
            known.map(|(_, value)| (*value).into())
        })
    }

    #[test]
    fn prefer_aes_128_keeps_the_order_of_all_other_suites() {
        let mut suites = rustls::crypto::ring::default_provider().cipher_suites;
        prefer_aes_128(&mut suites);
        let names: Vec<_> = suites
            .iter()
            .filter_map(|suite| suite.suite().as_str())
            .collect();
        let expected = [
            "TLS13_AES_128_GCM_SHA256",
            "TLS13_AES_256_GCM_SHA384",
            "TLS13_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn certificates_from_reads_a_file_with_a_byte_order_mark() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        let pem = || {
            let signed = rcgen::generate_simple_self_signed(["a.example".to_owned()]);
            signed.unwrap().cert.pem()
        };
        fs::write(&path, format!("\u{feff}{}{}", pem(), pem())).unwrap();
        assert_eq!(certificates_from("ca_file", &path).unwrap().len(), 2);
    }

    #[test]
    #[cfg(unix)]
    fn certificates_from_reads_no_endless_file() {
        let error = certificates_from("ca_file", Path::new("/dev/zero")).unwrap_err();
        assert!(error.to_string().contains("larger than 16 MiB"), "{error}");
    }

    /// A certificate of X.509 version 1, as `openssl x509 -req` creates it by default, and its key.
    const VERSION_1: &str = "-----BEGIN CERTIFICATE-----\n\
        MIIBFjCBvQIUJIicOEF/ag36m2pPJWILXwemuUkwCgYIKoZIzj0EAwIwDTELMAkG\n\
        A1UEAwwCdjEwIBcNMjYxMTI5MjA1MzU5WhgPMjEyNjExMDUyMDUzNTlaMA0xCzAJ\n\
        BgNVBAMMAnYxMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEXl0ojGNFVdtoEdHN\n\
        bFvpAviyoliSheR2mmXjU2+BqOE7/w1ZsQZN3Y5AwR9HExbv8cjE3xOcy2mRAuTb\n\
        Q0CcczAKBggqhkjOPQQDAgNIADBFAiAoZlaekismMmKuGNH8XYiyd+2dwzEF/5ez\n\
        j/STywXp6wIhAOWbi1ljpAUmxk0MCp4kmp0qGEsykNg5yQotVvGsY0tR\n\
        -----END CERTIFICATE-----\n";
    const KEY_OF_VERSION_1: &str = "-----BEGIN PRIVATE KEY-----\n\
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg+rebL+ntrXPPcqwe\n\
        PR2wHlvKpsGIgnYVqf8UYTXFmqWhRANCAAReXSiMY0VV22gR0c1sW+kC+LKiWJKF\n\
        5HaaZeNTb4Go4Tv/DVmxBk3djkDBH0cTFu/xyMTfE5zLaZEC5NtDQJxz\n\
        -----END PRIVATE KEY-----\n";

    #[test]
    fn files_with_certificates_and_keys_are_accepted_or_their_problem_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let signed = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        let (good, key) = (signed.cert.pem(), signed.signing_key.serialize_pem());
        let invalid = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let no_base64 = invalid.replace("AAAA", "A*");
        let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let cut = &good[..good.len() / 2];
        let (v1, v1_key) = (VERSION_1, KEY_OF_VERSION_1);
        for (files, problem) in [
            (&[("ca_file", &*good)][..], None),
            (&[("ca_file", v1)], None),
            (
                &[("ca_file", &*format!("{good}{invalid}"))],
                Some("a certificate in it cannot be parsed"),
            ),
            (
                &[("ca_file", &no_base64)],
                Some("a certificate in it cannot be parsed"),
            ),
            (
                &[("ca_file", cut)],
                Some("a certificate in it has no END line"),
            ),
            (&[("client_cert", &good), ("client_key", &key)], None),
            (&[("client_cert", v1), ("client_key", v1_key)], None),
            (
                &[("client_cert", &good), ("client_key", v1_key)],
                Some("it does not belong to the private key"),
            ),
            (
                &[("client_cert", invalid), ("client_key", &key)],
                Some("a certificate in it cannot be parsed"),
            ),
            (
                &[("client_cert", &good), ("client_key", no_key)],
                Some("its private key cannot be parsed or is of a kind that is not supported"),
            ),
        ] {
            let mut config = Config::default();
            for (setting, content) in files {
                let path = directory.path().join(setting);
                fs::write(&path, content).unwrap();
                config.set(setting, path.to_str().unwrap()).unwrap();
            }
            let error = client_config(&config).err().map(|error| error.to_string());
            let is_expected = match (&error, problem) {
                (Some(error), Some(problem)) => error.contains(problem),
                (error, problem) => error.is_none() && problem.is_none(),
            };
            assert!(is_expected, "{problem:?} {error:?}");
        }
    }

    #[test]
    fn identity_depends_on_the_contents_of_the_files() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| {
            let path = directory.path().join(name);
            fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let of = |settings: &[(&str, &str)]| {
            let mut config = Config::default();
            for (key, value) in settings {
                config.set(key, value).unwrap();
            }
            identity(&config).unwrap()
        };
        let (one, two) = (write("one.pem", "a"), write("two.pem", "a"));
        let before = of(&[("ca_file", &one)]);
        assert_eq!(before, of(&[("ca_file", &two)]));
        write("one.pem", "b");
        assert_ne!(before, of(&[("ca_file", &one)]));
        assert_ne!(before, of(&[]));
        assert_ne!(before, of(&[("client_cert", &two)]));
        let empty = write("empty.pem", "");
        assert_ne!(of(&[]), of(&[("ca_file", &empty)]));
    }

    #[test]
    #[cfg(all(unix, not(target_vendor = "apple")))]
    fn roots_from_variables_fails_if_a_file_is_not_usable() {
        crate::limited::limit_this_process();
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let certificate = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        let pem = certificate.cert.pem();
        for (name, text) in [
            ("good.pem", pem.as_str()),
            ("empty.pem", ""),
            ("text", "hello"),
        ] {
            fs::write(path(name), text).unwrap();
        }
        fs::create_dir(path("good")).unwrap();
        fs::create_dir(path("empty")).unwrap();
        for name in ["good/a.pem", "good/1234abcd.0"] {
            fs::write(path(name), &pem).unwrap();
        }
        fs::write(path("good/README"), "no certificate").unwrap();
        // Reading it would block.
        let pipe = std::process::Command::new("mkfifo")
            .arg(path("good/pipe"))
            .status();
        assert!(pipe.unwrap().success());
        fs::create_dir(path("marked")).unwrap();
        fs::write(path("marked/a.pem"), format!("\u{feff}{pem}")).unwrap();

        assert!(roots(&[]).unwrap().is_none());
        assert!(
            roots(&[("SSL_CERT_FILE", ""), ("SSL_CERT_DIR", "")])
                .unwrap()
                .is_none()
        );
        let one_missing = format!("{}:{}", path("missing"), path("good"));
        for good in [
            &[("SSL_CERT_FILE", &path("good.pem")[..])][..],
            &[("SSL_CERT_DIR", &path("good"))],
            &[("SSL_CERT_DIR", &one_missing)],
            &[("SSL_CERT_DIR", &path("marked"))],
            &[
                ("SSL_CERT_FILE", &path("good.pem")),
                ("SSL_CERT_DIR", &path("empty")),
            ],
        ] {
            assert!(!roots(good).unwrap().unwrap().is_empty(), "{good:?}");
        }
        for (name, bad) in [
            ("SSL_CERT_FILE", path("missing")),
            ("SSL_CERT_FILE", path("empty.pem")),
            ("SSL_CERT_FILE", path("text")),
            ("SSL_CERT_FILE", path("good")),
            ("SSL_CERT_DIR", path("missing")),
            ("SSL_CERT_DIR", path("empty")),
            ("SSL_CERT_DIR", path("good.pem")),
        ] {
            let error = roots(&[(name, &bad)]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(&bad), "{error}");
        }
        let one_of_two = [
            ("SSL_CERT_FILE", &path("good.pem")[..]),
            ("SSL_CERT_DIR", &path("missing")),
        ];
        assert!(roots(&one_of_two).is_err());
    }
}
