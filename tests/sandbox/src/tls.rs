//! Certificate authority of the sandbox and its certificates.

use std::fs::{self, File, OpenOptions};
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

use crate::private_file;
use crate::random::Random;

/// Defect of the server certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateFault {
    /// `expired`: the certificate expired in 2000.
    Expired,
    /// `wrong_name`: the certificate is for another host.
    WrongName,
    /// `unknown_ca`: the certificate is from an authority that no client trusts.
    UnknownCa,
}

impl CertificateFault {
    /// All faults.
    pub const ALL: [Self; 3] = [Self::Expired, Self::WrongName, Self::UnknownCa];

    /// Returns the name used by the control API and the command line, for example `expired`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::WrongName => "wrong_name",
            Self::UnknownCa => "unknown_ca",
        }
    }

    /// Returns the fault with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }
}

/// TLS acceptors of the server and certificate files for clients.
pub(crate) struct Tls {
    pub(crate) acceptors: Acceptors,
    pub(crate) files: Files,
}

/// One acceptor per certificate, so that no session of another certificate is resumed.
#[derive(Clone)]
pub(crate) struct Acceptors {
    valid: TlsAcceptor,
    defective: [TlsAcceptor; 3],
}

impl Acceptors {
    pub(crate) fn get(&self, fault: Option<CertificateFault>) -> &TlsAcceptor {
        match fault {
            None => &self.valid,
            Some(CertificateFault::Expired) => &self.defective[0],
            Some(CertificateFault::WrongName) => &self.defective[1],
            Some(CertificateFault::UnknownCa) => &self.defective[2],
        }
    }
}

impl Tls {
    /// Creates an authority and server certificates, and with `client_certificates` a client
    /// certificate. The certificates are also valid for `host`.
    pub(crate) fn new(client_certificates: bool, host: &str) -> io::Result<Self> {
        let (authority, root) = new_authority("camunda-admin-sandbox root")?;
        let files = Files::create()?;
        files.write(ROOT, &root.pem())?;

        let mut trusted = None;
        if client_certificates {
            let names = ["sandbox client".to_owned()];
            let usage = ExtendedKeyUsagePurpose::ClientAuth;
            let (certificate, key) = issue(&authority, &names, usage, false)?;
            files.write(CLIENT_CERTIFICATE, &certificate.pem())?;
            files.write(CLIENT_KEY, &key.serialize_pem())?;
            let mut roots = RootCertStore::empty();
            roots.add(root.der().clone()).map_err(io::Error::other)?;
            trusted = Some(Arc::new(roots));
        }

        let mut names = ["localhost", "127.0.0.1", "::1", "sandbox.test"]
            .map(String::from)
            .to_vec();
        if !names.iter().any(|name| name == host) {
            names.push(host.to_owned());
        }
        let other_names = ["other.invalid".to_owned()];
        let (unknown_authority, _) = new_authority("camunda-admin-sandbox unknown root")?;
        let acceptor = |authority: &Issuer<'_, KeyPair>, names: &[String], is_expired: bool| {
            let usage = ExtendedKeyUsagePurpose::ServerAuth;
            let (certificate, key) = issue(authority, names, usage, is_expired)?;
            new_acceptor(&certificate, &key, trusted.clone())
        };
        Ok(Self {
            acceptors: Acceptors {
                valid: acceptor(&authority, &names, false)?,
                defective: [
                    acceptor(&authority, &names, true)?,
                    acceptor(&authority, &other_names, false)?,
                    acceptor(&unknown_authority, &names, false)?,
                ],
            },
            files,
        })
    }
}

fn new_authority(name: &str) -> io::Result<(Issuer<'static, KeyPair>, rcgen::Certificate)> {
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    root.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let certificate = root.self_signed(&key).map_err(io::Error::other)?;
    Ok((Issuer::new(root, key), certificate))
}

/// Returns an acceptor with this certificate, which requires a client certificate if there are
/// trusted roots.
fn new_acceptor(
    certificate: &rcgen::Certificate,
    key: &KeyPair,
    trusted: Option<Arc<RootCertStore>>,
) -> io::Result<TlsAcceptor> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let builder = match trusted {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(io::Error::other)?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let chain = vec![certificate.der().clone()];
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn issue(
    authority: &Issuer<'_, KeyPair>,
    names: &[String],
    usage: ExtendedKeyUsagePurpose,
    is_expired: bool,
) -> io::Result<(rcgen::Certificate, KeyPair)> {
    let mut leaf = CertificateParams::new(names).map_err(io::Error::other)?;
    leaf.distinguished_name
        .push(DnType::CommonName, "camunda-admin-sandbox");
    leaf.use_authority_key_identifier_extension = true;
    leaf.extended_key_usages = vec![usage];
    if is_expired {
        leaf.not_before = rcgen::date_time_ymd(1999, 1, 1);
        leaf.not_after = rcgen::date_time_ymd(2000, 1, 1);
    }
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let certificate = leaf.signed_by(&key, authority).map_err(io::Error::other)?;
    Ok((certificate, key))
}

const ROOT: &str = "root.pem";
const CLIENT_CERTIFICATE: &str = "client.pem";
const CLIENT_KEY: &str = "client.key";

/// Certificate directories begin with this; the lock files beside them end with `LOCK_SUFFIX`.
const DIRECTORY_PREFIX: &str = "camunda-admin-sandbox-";
const LOCK_SUFFIX: &str = ".lock";

/// Certificate files for clients, in a temporary directory that is removed on drop.
///
/// A file beside the directory is locked while the sandbox runs. The directory of a sandbox that was
/// killed is removed by the next one, because its lock is free.
pub(crate) struct Files {
    directory: PathBuf,
    lock_path: PathBuf,
    _lock: File,
}

impl Files {
    fn create() -> io::Result<Self> {
        let parent = std::env::temp_dir();
        remove_abandoned(&parent);
        loop {
            let name = format!("{DIRECTORY_PREFIX}{}", Random::new().uuid());
            let directory = parent.join(&name);
            let lock_path = parent.join(name + LOCK_SUFFIX);
            let in_directory = |error: io::Error| {
                let message = format!(
                    "create certificate directory {}: {error}",
                    directory.display()
                );
                io::Error::new(error.kind(), message)
            };
            let lock = private_file::create(&lock_path).map_err(in_directory)?;
            lock.lock().map_err(in_directory)?;
            if !lock_path.exists() {
                // Another sandbox removed the file before it was locked.
                continue;
            }
            let files = Self {
                directory: directory.clone(),
                lock_path,
                _lock: lock,
            };
            #[cfg_attr(not(unix), allow(unused_mut))]
            let mut builder = fs::DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(&directory).map_err(in_directory)?;
            // The umask of the process may have withheld a part of the mode.
            #[cfg(unix)]
            fs::set_permissions(
                &directory,
                std::os::unix::fs::PermissionsExt::from_mode(0o700),
            )
            .map_err(in_directory)?;
            return Ok(files);
        }
    }

    fn write(&self, name: &str, pem: &str) -> io::Result<()> {
        let path = self.directory.join(name);
        private_file::create(&path)
            .and_then(|mut file| file.write_all(pem.as_bytes()))
            .map_err(|error| {
                io::Error::new(error.kind(), format!("write {}: {error}", path.display()))
            })
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
        let _ = fs::remove_file(&self.lock_path);
    }
}

/// Returns whether a file belongs to the user of this process.
#[cfg(unix)]
fn is_own(metadata: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(metadata) == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_own(_: &fs::Metadata) -> bool {
    true
}

/// Removes the directories and lock files of this user's sandboxes that were killed. Ignores errors.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let lock_path = entry.path();
        let is_ours = |path: &Path, is_kind: fn(&fs::Metadata) -> bool| {
            fs::symlink_metadata(path).is_ok_and(|metadata| is_kind(&metadata) && is_own(&metadata))
        };
        let name = entry.file_name();
        let Some(name) = name
            .to_str()
            .and_then(|name| name.strip_suffix(LOCK_SUFFIX))
            .filter(|name| name.starts_with(DIRECTORY_PREFIX))
        else {
            continue;
        };
        if !is_ours(&lock_path, fs::Metadata::is_file) {
            continue;
        }
        let Ok(lock) = OpenOptions::new().write(true).open(&lock_path) else {
            continue;
        };
        if lock.try_lock().is_err() {
            continue;
        }
        let directory = parent.join(name);
        if is_ours(&directory, fs::Metadata::is_dir) {
            let _ = fs::remove_dir_all(&directory);
        }
        let _ = fs::remove_file(&lock_path);
    }
}
