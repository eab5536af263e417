//! Reads PEM files that may hold a private key, without leaving copies of it in freed memory.
//!
//! Must not depend on anything but the buffers of `secret`.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet, decoded_len_estimate};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};

use crate::secret::{Zeroizing, read_to_end};

/// A PEM file, overwritten when dropped.
pub(super) struct PemFile(Zeroizing<Vec<u8>>);

/// Maximum size of a file; the certificate authorities of a system have 200 KiB.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Reads a file of limited size: a path such as `/dev/zero` must not use up the memory.
pub(super) fn read_limited(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    // Larger than any file of certificates; the vector grows if a file is larger.
    let mut text = Zeroizing::new(Vec::with_capacity(length.min(1024 * 1024) as usize + 1));
    read_to_end(&mut file.take(MAX_BYTES + 1), &mut text)?;
    match text.len() as u64 > MAX_BYTES {
        true => Err(io::Error::other("it is larger than 16 MiB")),
        false => Ok(text),
    }
}

impl PemFile {
    pub(super) fn read(path: &Path) -> io::Result<PemFile> {
        read_limited(path).map(PemFile)
    }

    /// Returns the certificates, in order.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, &'static str> {
        let certificates = self
            .sections()
            .filter(|(label, _)| *label == b"CERTIFICATE");
        let certificates = certificates.map(|(_, base64)| {
            let mut der = decode(base64)?;
            Ok(CertificateDer::from(std::mem::take(&mut *der)))
        });
        let certificates: Vec<_> = certificates.collect::<Result<_, &'static str>>()?;
        match certificates.is_empty() {
            true => Err("it has no certificate in PEM"),
            false => Ok(certificates),
        }
    }

    /// Calls `use_key` with the first private key.
    pub(super) fn with_private_key<T>(
        &self,
        use_key: impl FnOnce(&PrivateKeyDer<'_>) -> T,
    ) -> Result<T, &'static str> {
        const ENCRYPTED: &str =
            "its private key is encrypted, which is not supported; decrypt it with `openssl pkey`";
        for (label, base64) in self.sections() {
            if label == b"ENCRYPTED PRIVATE KEY" {
                return Err(ENCRYPTED);
            }
            let known: [&[u8]; 3] = [b"PRIVATE KEY", b"RSA PRIVATE KEY", b"EC PRIVATE KEY"];
            let Some(kind) = known.iter().position(|known| *known == label) else {
                continue;
            };
            if base64.trim_ascii_start().starts_with(b"Proc-Type:") {
                return Err(ENCRYPTED);
            }
            let der = decode(base64)?;
            let der = der.as_slice();
            return Ok(use_key(&match kind {
                0 => PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der)),
                1 => PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(der)),
                _ => PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(der)),
            }));
        }
        Err("it has no private key in PEM")
    }

    /// Returns the label and the text of each section.
    fn sections(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            loop {
                let begin = find(rest, b"-----BEGIN ")? + b"-----BEGIN ".len();
                rest = &rest[begin..];
                let label = &rest[..find(rest, b"-----")?];
                rest = &rest[label.len() + b"-----".len()..];
                // A section without an end is none, as what follows it may be another.
                let end = find(rest, b"-----")?;
                let text = &rest[..end];
                if rest[end..].starts_with(b"-----END ") {
                    rest = &rest[end + b"-----END ".len()..];
                    return Some((label, text));
                }
                rest = &rest[end..];
            }
        })
    }
}

impl std::fmt::Debug for PemFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PemFile(…)")
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// Decodes base64 (RFC 4648, section 4) with optional padding; skips white space.
fn decode(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    const ENGINE: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let mut base64 = Zeroizing::new(Vec::with_capacity(text.len()));
    base64.extend(text.iter().filter(|byte| !byte.is_ascii_whitespace()));
    let mut bytes = Zeroizing::new(vec![0; decoded_len_estimate(base64.len())]);
    let length = ENGINE
        .decode_slice(base64.as_slice(), &mut bytes)
        .map_err(|_| "its base64 is not valid")?;
    bytes.truncate(length);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(text: &str) -> PemFile {
        PemFile(Zeroizing::new(text.into()))
    }

    #[test]
    fn decode_accepts_base64_with_and_without_padding() {
        for (base64, text) in [
            ("", Some("")),
            ("Zg==", Some("f")),
            ("Zm8=", Some("fo")),
            ("Zm9v", Some("foo")),
            ("Zm9v\r\nYg==\n", Some("foob")),
            ("Zm9vYmE", Some("fooba")),
            ("Zm9vYmFy", Some("foobar")),
            ("Z", None),
            ("Zg=", Some("f")),
            ("Zg==Zg==", None),
            ("Zm9v=", None),
            ("Zm-v", None),
        ] {
            let decoded = decode(base64.as_bytes()).ok();
            let decoded = decoded.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
            assert_eq!(decoded.as_deref(), text, "{base64}");
        }
    }

    #[test]
    fn with_private_key_uses_the_first_key_of_a_file() {
        let file = pem(
            "text before\n-----BEGIN CERTIFICATE-----\nZm9v\n-----END CERTIFICATE-----\n\
             -----BEGIN EC PARAMETERS-----\nZm8=\n-----END EC PARAMETERS-----\n\
             -----BEGIN EC PRIVATE KEY-----\nZm9vYmFy\n-----END EC PRIVATE KEY-----\n\
             -----BEGIN CERTIFICATE-----\nYmFy\n-----END CERTIFICATE-----\n",
        );
        let certificates = file.certificates().unwrap();
        assert_eq!(
            certificates,
            [&b"foo"[..], b"bar"].map(CertificateDer::from)
        );
        let key = file.with_private_key(|key| {
            (
                key.secret_der().to_vec(),
                matches!(key, PrivateKeyDer::Sec1(_)),
            )
        });
        assert_eq!(key.unwrap(), (b"foobar".to_vec(), true));
    }

    #[test]
    fn with_private_key_names_the_problem_of_an_unusable_key() {
        for (text, part) in [
            ("", "no private key"),
            (
                "-----BEGIN CERTIFICATE-----\nZm9v\n-----END CERTIFICATE-----\n",
                "no private key",
            ),
            ("-----BEGIN PRIVATE KEY-----\nZm9v\n", "no private key"),
            (
                "-----BEGIN PRIVATE KEY-----\nZm9*\n-----END PRIVATE KEY-----\n",
                "base64",
            ),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nZm9v\n-----END ENCRYPTED PRIVATE KEY-----\n",
                "encrypted",
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nZm9v\n-----END RSA PRIVATE KEY-----\n",
                "encrypted",
            ),
        ] {
            let problem = pem(text).with_private_key(|_| ()).unwrap_err();
            assert!(problem.contains(part), "{text}: {problem}");
        }
    }
}
