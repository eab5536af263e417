//! Reads PEM files that may hold a private key, without leaving copies of it in freed memory.
//!
//! Must not depend on anything but the buffers of `secret`.

use std::fs::File;
use std::io;
use std::path::Path;

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};

use crate::secret::{Zeroizing, read_to_end};

/// A PEM file, overwritten when dropped.
pub(super) struct PemFile(Zeroizing<Vec<u8>>);

impl PemFile {
    pub(super) fn read(path: &Path) -> io::Result<PemFile> {
        let mut file = File::open(path)?;
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        // More than a file of certificates ever has is read in steps.
        let mut text = Zeroizing::new(Vec::with_capacity(length.min(1024 * 1024) as usize + 1));
        read_to_end(&mut file, &mut text)?;
        Ok(PemFile(text))
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

/// Decodes base64 (RFC 4648, section 4), white space skipped, padding optional.
fn decode(base64: &[u8]) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    const INVALID: &str = "its base64 is not valid";
    let mut bytes = Zeroizing::new(Vec::with_capacity(base64.len() / 4 * 3 + 3));
    let (mut bits, mut count, mut padding) = (0_u32, 0, 0);
    for byte in base64.iter().filter(|byte| !byte.is_ascii_whitespace()) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padding += 1;
                continue;
            }
            _ => return Err(INVALID),
        };
        if padding > 0 {
            return Err(INVALID);
        }
        bits = bits << 6 | u32::from(value);
        count += 1;
        if count == 4 {
            bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
            (bits, count) = (0, 0);
        }
    }
    match (count, padding) {
        (0, 0) => {}
        (2, 0 | 2) => bytes.push((bits >> 4) as u8),
        (3, 0 | 1) => bytes.extend_from_slice(&((bits >> 2) as u16).to_be_bytes()),
        _ => return Err(INVALID),
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(text: &str) -> PemFile {
        PemFile(Zeroizing::new(text.into()))
    }

    #[test]
    fn base64_decodes_as_rfc_4648_says() {
        for (base64, text) in [
            ("", Some("")),
            ("Zg==", Some("f")),
            ("Zm8=", Some("fo")),
            ("Zm9v", Some("foo")),
            ("Zm9v\r\nYg==\n", Some("foob")),
            ("Zm9vYmE", Some("fooba")),
            ("Zm9vYmFy", Some("foobar")),
            ("Z", None),
            ("Zg=", None),
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
    fn first_private_key_of_a_file_is_used() {
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
    fn private_key_that_cannot_be_used_is_explained() {
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
