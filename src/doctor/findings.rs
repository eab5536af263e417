//! Findings of the network steps and of certificates: status, message and advice.

use std::time::{Duration, SystemTime};

use super::report::Status;
use crate::transport::certificate::Certificate;
use crate::transport::probe::{CertificateProblem, Finding, Step, StepError};

/// Difference of the clocks, in seconds, from which the check warns.
const SKEW_WARNING: f64 = 30.0;
/// Difference of the clocks, in seconds, from which the check fails.
const SKEW_FAILURE: f64 = 300.0;
/// Remaining validity of a certificate below which the check warns.
const EXPIRY_WARNING: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// The latest date that `httpdate` can format: 9999-12-31T23:59:59Z, since 1970.
const LATEST_DATE: Duration = Duration::from_secs(253_402_300_799);

pub(super) fn describe_finding(finding: &Finding) -> (Status, String) {
    match finding {
        Finding::Resolved(addresses) => {
            let addresses: Vec<_> = addresses.iter().map(|it| it.ip().to_string()).collect();
            (Status::Ok, addresses.join(", "))
        }
        Finding::Connected(address) => (Status::Ok, format!("connected to {address}")),
        Finding::Encrypted {
            version,
            certificate: None,
        } => (Status::Ok, (*version).to_owned()),
        Finding::Encrypted {
            version,
            certificate: Some(certificate),
        } => {
            let (status, message) = describe_certificate(certificate, SystemTime::now());
            (status, format!("{version}; {message}"))
        }
        Finding::Responded { status, .. } => (Status::Ok, format!("responds (HTTP {status})")),
    }
}

pub(super) fn describe_certificate(certificate: &Certificate, now: SystemTime) -> (Status, String) {
    let Certificate {
        subject,
        issuer,
        not_after,
    } = certificate;
    let (status, validity) = match not_after.duration_since(now) {
        Ok(left) => (
            match left < EXPIRY_WARNING {
                true => Status::Warning,
                false => Status::Ok,
            },
            format!("valid for {} days", left.as_secs() / (24 * 60 * 60)),
        ),
        Err(_) => (Status::Failed, "expired".to_owned()),
    };
    let until = httpdate::fmt_http_date((*not_after).min(SystemTime::UNIX_EPOCH + LATEST_DATE));
    (
        status,
        format!("certificate of {subject}, issued by {issuer}, {validity} (until {until})"),
    )
}

pub(super) fn describe_clock(skew: Option<f64>) -> (Status, String) {
    let Some(skew) = skew else {
        let message = "the server sent no time";
        return (Status::Skipped, message.to_owned());
    };
    let status = match skew.abs() {
        skew if skew >= SKEW_FAILURE => Status::Failed,
        skew if skew >= SKEW_WARNING => Status::Warning,
        _ => Status::Ok,
    };
    let message = match (skew.abs(), skew > 0.0) {
        // The header has a resolution of one second.
        (..1.0, _) => "agrees with the clock of the server within 1 s".to_owned(),
        (difference, true) => format!("{difference:.0} s behind the clock of the server"),
        (difference, false) => format!("{difference:.0} s ahead of the clock of the server"),
    };
    (status, message)
}

/// Returns what to do about a step that failed.
pub(super) fn advice_for(step: Step, error: &StepError) -> Option<&'static str> {
    match step {
        Step::Dns => Some("check the host name, the DNS servers, and whether a proxy is required"),
        Step::Tcp => Some("check the firewall, and whether a proxy is required (HTTPS_PROXY)"),
        Step::Tls => error.certificate.map(advice_for_certificate),
        Step::Http => None,
    }
}

fn advice_for_certificate(problem: CertificateProblem) -> &'static str {
    match problem {
        CertificateProblem::Untrusted => {
            "if a private certificate authority or a TLS proxy issued the certificate, set `ca_file` \
             (CAMUNDA_CUSTOM_ROOT_CERT_PATH)"
        }
        CertificateProblem::Expired | CertificateProblem::NotValidYet => {
            "check the clock of this machine; if it is correct, the operator of the server, or of a \
             TLS proxy in between, must renew the certificate"
        }
        CertificateProblem::OtherHost => {
            "check the host name of the URL; a proxy or a captive portal may have responded instead \
             of the server"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_on_a_certificate_depends_on_its_problem() {
        let advice = |certificate| {
            let error = StepError {
                message: "m".to_owned(),
                certificate,
            };
            advice_for(Step::Tls, &error)
        };
        for (problem, expected) in [
            (CertificateProblem::Expired, "check the clock"),
            (CertificateProblem::NotValidYet, "check the clock"),
            (CertificateProblem::OtherHost, "check the host name"),
            (
                CertificateProblem::Untrusted,
                "if a private certificate authority",
            ),
        ] {
            let advice = advice(Some(problem)).unwrap();
            assert!(advice.starts_with(expected), "{problem}: {advice}");
        }
        assert_eq!(advice(None), None);
    }

    #[test]
    fn clock_skew_warns_from_30_s_and_fails_from_5_min() {
        for (skew, status, message) in [
            (
                Some(0.4),
                Status::Ok,
                "agrees with the clock of the server within 1 s",
            ),
            (
                Some(29.0),
                Status::Ok,
                "29 s behind the clock of the server",
            ),
            (
                Some(-30.0),
                Status::Warning,
                "30 s ahead of the clock of the server",
            ),
            (
                Some(300.0),
                Status::Failed,
                "300 s behind the clock of the server",
            ),
            (None, Status::Skipped, "the server sent no time"),
        ] {
            assert_eq!(describe_clock(skew), (status, message.to_owned()));
        }
    }

    #[test]
    fn certificate_can_be_valid_until_the_last_second_of_time() {
        let certificate = Certificate {
            subject: "CN=api".to_owned(),
            issuer: "CN=ca".to_owned(),
            // 9999-12-31T23:59:60Z: a leap second.
            not_after: SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_800),
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
        let expected = "certificate of CN=api, issued by CN=ca, valid for 0 days (until Fri, 31 Dec \
                        9999 23:59:59 GMT)";
        assert_eq!(
            describe_certificate(&certificate, now),
            (Status::Warning, expected.to_owned())
        );
    }

    #[test]
    fn certificate_warns_before_it_expires() {
        let not_after = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let certificate = Certificate {
            subject: "CN=api".to_owned(),
            issuer: "CN=ca".to_owned(),
            not_after,
        };
        let day = Duration::from_secs(24 * 60 * 60);
        for (now, status, validity) in [
            (not_after - 15 * day, Status::Ok, "valid for 15 days"),
            (not_after - 13 * day, Status::Warning, "valid for 13 days"),
            (not_after + day, Status::Failed, "expired"),
        ] {
            let expected = format!(
                "certificate of CN=api, issued by CN=ca, {validity} \
                 (until Fri, 15 Jan 2027 08:00:00 GMT)"
            );
            assert_eq!(describe_certificate(&certificate, now), (status, expected));
        }
    }
}
