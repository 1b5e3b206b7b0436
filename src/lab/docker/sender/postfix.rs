//! Postfix as a sender: one client service for each policy, chosen by the recipient.

use std::fmt::Write as _;

use super::{Delivery, Destination, Ending, from};
use crate::lab::docker::container::File;

const MAIN: &str = include_str!("../../../../lab/senders/postfix-main.cf");
const MASTER: &str = include_str!("../../../../lab/senders/postfix-master.cf");

/// The levels of smtp_tls_security_level; `map` is whatever smtp_tls_policy_maps says, above `may`.
pub(super) const POLICIES: &[&str] = &["none", "may", "encrypt", "verify", "secure", "fingerprint", "map"];

/// The levels for a domain: one pin and one line of a table are for one host.
pub(super) const DOMAIN_POLICIES: &[&str] = &["none", "may", "encrypt", "verify", "secure", "dane", "dane-only"];

pub(super) fn files(to: &Destination, policies: &[&str]) -> Vec<File> {
    let mut main = MAIN.to_owned();
    let _ = writeln!(main, "smtp_tls_CAfile = /etc/postfix/roots.pem\ntransport_maps = texthash:/etc/postfix/transport");
    let mut master = MASTER.to_owned();
    let mut transport = String::new();
    let (host, port) = (&to.host, to.address.port());
    for policy in policies {
        let level = if *policy == "map" { "may" } else { policy };
        let _ = writeln!(
            master,
            "to-{policy} unix - - n - - smtp\n  -o syslog_name=postfix-{policy}\n  -o smtp_tls_security_level={level}"
        );
        if to.domain.is_some() {
            // TLSA records count where DNSSEC is asked for.
            let support = if policy.starts_with("dane") { "dnssec" } else { "enabled" };
            let _ = writeln!(
                master,
                "  -o smtp_host_lookup=dns\n  -o smtp_dns_support_level={support}\n  -o smtp_mx_session_limit=5\n  -o \
                 smtp_tls_secure_cert_match=hostname"
            );
        }
        if *policy == "fingerprint" {
            let pin = to.fingerprint.as_deref().map(colons).unwrap_or_default();
            let _ = writeln!(master, "  -o smtp_tls_fingerprint_digest=sha256\n  -o smtp_tls_fingerprint_cert_match={pin}");
        }
        if *policy == "map" {
            let _ = writeln!(
                master,
                "  -o smtp_tls_policy_maps=texthash:/etc/postfix/policy\n  -o smtp_tls_fingerprint_digest=sha256"
            );
        }
        // A server of the lab may listen anywhere; the table of policies knows it by the port, too.
        let port = if port == 25 { String::new() } else { format!(":{port}") };
        let hop = to.domain.as_ref().map_or_else(|| format!("[{host}]{port}"), ToString::to_string);
        let _ = writeln!(transport, "{policy}@{} to-{policy}:{hop}", to.addressed());
    }
    let mut files = vec![
        file("/etc/postfix/main.cf", main),
        file("/etc/postfix/master.cf", master),
        file("/etc/postfix/transport", transport),
        file("/etc/postfix/roots.pem", to.roots.clone()),
    ];
    files.extend(to.policy_map.clone().map(|map| file("/etc/postfix/policy", map)));
    files
}

fn file(path: &'static str, text: String) -> File {
    File { path, mode: 0o644, content: text.into_bytes() }
}

fn colons(hex: &str) -> String {
    hex.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).to_ascii_uppercase()).collect::<Vec<_>>().join(":")
}

pub(super) fn script(domain: &str, policies: &[&str]) -> String {
    let words = policies.join(" ");
    format!(
        "for p in {words}; do printf 'Subject: test\\n\\ntest\\n' | /usr/sbin/sendmail -i -f '<>' \"$p@{domain}\" || exit 1; done"
    )
}

/// Reads what became of one message. Where the handshake fails, `may` goes on in the clear at its second attempt, and so does
/// `dane` where there are no TLSA records: the first is not final.
pub(super) fn read(log: &str, domain: &str, policy: &str) -> (Delivery, bool) {
    let (service, recipient) = (format!("postfix-{policy}/smtp["), format!("to=<{policy}@{domain}>"));
    let mut tls = None;
    let (mut ending, mut words, mut attempts) = (Ending::Unknown, String::new(), 0);
    for line in log.lines().filter(|line| line.contains(&service)) {
        if let Some((word, _)) = line.split_once(" TLS connection established to ") {
            tls = word.rsplit(' ').next();
        } else if ["Cannot start TLS", "SSL_connect error", "lost connection with"].iter().any(|words| line.contains(words)) {
            tls = None;
        }
        if !line.contains(&recipient) {
            continue;
        }
        attempts += 1;
        words = from(line, "dsn=").to_owned();
        ending = if line.contains("status=sent") {
            match tls {
                None => Ending::SentClear,
                Some("Verified") => Ending::SentVerified,
                Some(_) => Ending::SentEncrypted,
            }
        } else if line.contains("status=bounced") {
            Ending::Bounced
        } else {
            tls = None;
            Ending::Deferred
        };
        if ending != Ending::Deferred {
            break;
        }
    }
    let is_final = match ending {
        Ending::Unknown => false,
        Ending::Deferred if matches!(policy, "may" | "map" | "dane") => attempts >= 2,
        _ => true,
    };
    (Delivery { policy: policy.to_owned(), ending, words }, is_final)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const ESTABLISHED: &str =
        "postfix-may/smtp[7]: Untrusted TLS connection established to mx.lab.test[10.0.0.1]:25: TLSv1.3 with cipher X";

    #[rstest]
    #[case(&["postfix-may/smtp[7]: A1: to=<may@to.lab.test>, relay=x, dsn=2.0.0, status=sent (250 ok)"], Ending::SentClear, true)]
    #[case(&[ESTABLISHED, "postfix-may/smtp[7]: A1: to=<may@to.lab.test>, dsn=2.0.0, status=sent (250 ok)"], Ending::SentEncrypted, true)]
    #[case(&["postfix-may/smtp[7]: A1: to=<may@to.lab.test>, dsn=4.7.5, status=deferred (Cannot start TLS: handshake failure)"], Ending::Deferred, false)]
    #[case(&[ESTABLISHED, "postfix-may/smtp[7]: A1: to=<may@to.lab.test>, dsn=4.7.5, status=deferred (x)",
        "postfix-may/smtp[7]: A1: to=<may@to.lab.test>, dsn=2.0.0, status=sent (250 ok)"], Ending::SentClear, true)]
    #[case(&["postfix-encrypt/smtp[7]: A1: to=<encrypt@to.lab.test>, dsn=4.7.5, status=deferred (x)"], Ending::Unknown, false)]
    fn the_log_says_what_became_of_it(#[case] lines: &[&str], #[case] ending: Ending, #[case] is_final: bool) {
        let (delivery, seen_final) = read(&lines.join("\n"), "to.lab.test", "may");
        assert_eq!((delivery.ending, seen_final), (ending, is_final));
    }
}
