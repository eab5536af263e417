//! Subject, issuer and expiry of an X.509 certificate (RFC 5280), for `doctor`.
//!
//! Verifies nothing: the TLS handshake does.

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::io::der::{self, Tag};
use untrusted::{Input, Reader};

use crate::calendar::{SECONDS_PER_DAY, days_from_epoch, days_in_month, digits};

/// The facts of a certificate that a person checks first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Certificate {
    pub(crate) subject: String,
    pub(crate) issuer: String,
    /// The Unix epoch if it expired earlier.
    pub(crate) not_after: SystemTime,
}

impl Certificate {
    /// Parses a certificate in DER. Returns `None` if it is not valid.
    pub(super) fn from_der(der: &[u8]) -> Option<Certificate> {
        let mut certificate = enter(&mut Reader::new(Input::from(der)), Tag::Sequence)?;
        let mut fields = enter(&mut certificate, Tag::Sequence)?;
        if fields.peek(Tag::ContextSpecificConstructed0.into()) {
            enter(&mut fields, Tag::ContextSpecificConstructed0)?;
        }
        let _serial_number = enter(&mut fields, Tag::Integer)?;
        let _signature_algorithm = enter(&mut fields, Tag::Sequence)?;
        let issuer = name(&mut fields)?;
        let mut validity = enter(&mut fields, Tag::Sequence)?;
        let _not_before = time(&mut validity)?;
        let not_after = time(&mut validity)?;
        Some(Certificate {
            subject: name(&mut fields)?,
            issuer,
            not_after,
        })
    }
}

/// Reads a value with this tag, and returns a reader of its contents.
fn enter<'a>(reader: &mut Reader<'a>, tag: Tag) -> Option<Reader<'a>> {
    let contents = der::expect_tag_and_get_value(reader, tag).ok()?;
    Some(Reader::new(contents))
}

/// Reads a value of any type. Returns its tag and its contents.
fn any<'a>(reader: &mut Reader<'a>) -> Option<(u8, &'a [u8])> {
    let (tag, contents) = der::read_tag_and_get_value(reader).ok()?;
    Some((tag, contents.as_slice_less_safe()))
}

/// Reads a `UTCTime` or `GeneralizedTime`.
fn time(reader: &mut Reader<'_>) -> Option<SystemTime> {
    const UTC_TIME: u8 = Tag::UTCTime.into();
    const GENERALIZED_TIME: u8 = Tag::GeneralizedTime.into();

    let (tag, text) = any(reader)?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year = digits(year)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (digits(year)?, rest)
        }
        _ => return None,
    };
    let (rest, b"Z") = rest.split_at_checked(10)? else {
        return None;
    };
    let fields: Option<Vec<i64>> = rest.chunks(2).map(digits).collect();
    let [month, day, hour, minute, second] = fields?[..] else {
        return None;
    };
    if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days_from_epoch(year, month, day);
    let seconds = days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    let since_epoch = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    UNIX_EPOCH.checked_add(since_epoch)
}

/// Reads a name, such as `CN=api.example, O=Example`. An attribute type without an abbreviation is
/// returned as its object identifier, a value that is not a string in hexadecimal.
fn name(reader: &mut Reader<'_>) -> Option<String> {
    const SET: u8 = der::CONSTRUCTED | 0x11;

    let mut text = String::new();
    let mut parts = enter(reader, Tag::Sequence)?;
    while !parts.at_end() {
        let (SET, part) = any(&mut parts)? else {
            return None;
        };
        let mut separator = ", ";
        let mut attributes = Reader::new(Input::from(part));
        while !attributes.at_end() {
            let mut attribute = enter(&mut attributes, Tag::Sequence)?;
            let kind = der::expect_tag_and_get_value(&mut attribute, Tag::OID).ok()?;
            let (tag, value) = any(&mut attribute)?;
            if !text.is_empty() {
                text.push_str(separator);
            }
            separator = " + ";
            text.push_str(&attribute_type(kind.as_slice_less_safe()));
            text.push('=');
            text.push_str(&attribute_value(tag, value));
        }
    }
    Some(text)
}

/// Returns the abbreviation of an attribute type (RFC 4514), or its object identifier.
fn attribute_type(identifier: &[u8]) -> String {
    let abbreviation = match identifier {
        [0x55, 4, 3] => "CN",
        [0x55, 4, 5] => "serialNumber",
        [0x55, 4, 6] => "C",
        [0x55, 4, 7] => "L",
        [0x55, 4, 8] => "ST",
        [0x55, 4, 9] => "STREET",
        [0x55, 4, 10] => "O",
        [0x55, 4, 11] => "OU",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25] => "DC",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1] => "emailAddress",
        _ => return object_identifier(identifier),
    };
    abbreviation.to_owned()
}

/// Returns an object identifier in dotted decimal form, such as `1.2.840.113549`.
fn object_identifier(identifier: &[u8]) -> String {
    let mut text = String::new();
    // Seven bits a byte; the last byte of each number has its highest bit clear.
    for bytes in identifier.split_inclusive(|byte| byte & 0x80 == 0) {
        let number = bytes
            .iter()
            .fold(0_u64, |number, byte| number << 7 | u64::from(byte & 0x7f));
        // The first two numbers are encoded as one.
        let _ = match (text.is_empty(), number / 40) {
            (true, first @ 0..2) => write!(text, "{first}.{}", number % 40),
            (true, _) => write!(text, "2.{}", number - 80),
            (false, _) => write!(text, ".{number}"),
        };
    }
    text
}

/// Returns the value of an attribute for one line of text: U+FFFD replaces control characters.
fn attribute_value(tag: u8, bytes: &[u8]) -> String {
    const UTF8: u8 = 0x0c;
    const NUMERIC: u8 = 0x12;
    const PRINTABLE: u8 = 0x13;
    const TELETEX: u8 = 0x14;
    const IA5: u8 = 0x16;
    const BMP: u8 = 0x1e;

    let text = match tag {
        UTF8 | NUMERIC | PRINTABLE | TELETEX | IA5 => String::from_utf8_lossy(bytes).into_owned(),
        BMP => {
            let units = bytes.chunks(2).map(|unit| match *unit {
                [high, low] => u16::from_be_bytes([high, low]),
                // The beginning of a character.
                _ => 0xfffd,
            });
            String::from_utf16_lossy(&units.collect::<Vec<_>>())
        }
        _ => bytes.iter().fold(String::from("#"), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }),
    };
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{
        CertificateParams, DistinguishedName, DnType, DnValue, Issuer, KeyPair, date_time_ymd,
    };

    use super::*;

    fn value(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
        let contents = contents.concat();
        let length = u8::try_from(contents.len()).unwrap();
        assert!(length < 0x80);
        [&[tag, length], &contents[..]].concat()
    }

    /// Returns the fields of a certificate without a name, up to its subject.
    fn with_not_after(not_after: &[u8]) -> Vec<u8> {
        let not_before = value(0x17, &[b"700101000000Z"]);
        value(
            0x30,
            &[&value(
                0x30,
                &[
                    &value(0x02, &[&[1]]),
                    &value(0x30, &[]),
                    &value(0x30, &[]),
                    &value(0x30, &[&not_before, not_after]),
                    &value(0x30, &[]),
                ],
            )],
        )
    }

    #[test]
    fn from_der_returns_names_and_expiry() {
        let mut ca = CertificateParams::default();
        ca.distinguished_name = DistinguishedName::new();
        ca.distinguished_name.push(DnType::CommonName, "Test CA");
        let key = KeyPair::generate().unwrap();
        let ca = Issuer::new(ca, key);
        let mut leaf = CertificateParams::default();
        leaf.not_after = date_time_ymd(2060, 2, 29);
        let mut subject = DistinguishedName::new();
        subject.push(
            DnType::CountryName,
            DnValue::PrintableString("DE".try_into().unwrap()),
        );
        subject.push(DnType::OrganizationName, "Größe\nund Maß");
        subject.push(
            DnType::CommonName,
            DnValue::BmpString("api.example".try_into().unwrap()),
        );
        subject.push(DnType::CustomDnType(vec![1, 3, 6, 1, 4, 1, 99_999]), "x");
        subject.push(DnType::CustomDnType(vec![2, 999, 3]), "y");
        leaf.distinguished_name = subject;
        let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &ca).unwrap();
        let expected = Certificate {
            subject: "C=DE, O=Größe\u{fffd}und Maß, CN=api.example, 1.3.6.1.4.1.99999=x, 2.999.3=y"
                .to_owned(),
            issuer: "CN=Test CA".to_owned(),
            not_after: UNIX_EPOCH + Duration::from_secs(2_845_238_400),
        };
        assert_eq!(Certificate::from_der(leaf.der()), Some(expected));
        // The signature follows the fields that are read; everything before it is required.
        for length in 0..200 {
            assert_eq!(Certificate::from_der(&leaf.der()[..length]), None);
        }
    }

    #[test]
    fn name_joins_the_attributes_of_one_part() {
        let attribute = |kind: &[u8], tag, text: &[u8]| {
            value(0x30, &[&value(0x06, &[kind]), &value(tag, &[text])])
        };
        let name_of = |der: &[u8]| name(&mut Reader::new(Input::from(der)));
        let part = value(
            0x31,
            &[
                &attribute(&[0x55, 4, 10], 0x0c, b"Example"),
                &attribute(&[0x55, 4, 11], 0x05, &[0xab, 0x01]),
            ],
        );
        let other = value(0x31, &[&attribute(&[0x55, 4, 3], 0x1e, &[0, b'a', 0])]);
        assert_eq!(
            name_of(&value(0x30, &[&part, &other])).as_deref(),
            Some("O=Example + OU=#ab01, CN=a\u{fffd}")
        );
        assert_eq!(name_of(&value(0x30, &[])).as_deref(), Some(""));
        assert_eq!(name_of(&value(0x30, &[&value(0x30, &[])])), None);
    }

    #[test]
    fn time_is_utc_or_generalized() {
        for (tag, text, seconds) in [
            (0x17, "700101000000Z", Some(0)),
            (0x17, "491231235959Z", Some(2_524_607_999)),
            (0x17, "500101000000Z", Some(0)),
            (0x18, "20500101000000Z", Some(2_524_608_000)),
            (0x18, "99991231235959Z", Some(253_402_300_799)),
            (0x18, "19000101000000Z", Some(0)),
            (0x17, "700101000000", None),
            (0x17, "7001010000Z", None),
            (0x17, "70010100000Z", None),
            (0x17, "701301000000Z", None),
            (0x17, "700100000000Z", None),
            (0x17, "700229000000Z", None),
            (0x17, "700101240000Z", None),
            (0x17, "70010100000aZ", None),
            (0x18, "Z", None),
            (0x13, "700101000000Z", None),
        ] {
            let found = Certificate::from_der(&with_not_after(&value(tag, &[text.as_bytes()])));
            let expected = seconds.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(found.map(|it| it.not_after), expected, "{text}");
        }
    }
}
