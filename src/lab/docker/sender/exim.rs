//! Exim as a sender: one router and one transport for each policy, chosen by the recipient.

use std::fmt::Write as _;

use super::{Delivery, Destination, Ending, from};
use crate::lab::docker::container::File;

/// What the smtp transport insists on.
pub(super) const POLICIES: &[&str] = &["default", "require-tls", "verify-hosts"];

/// The same for a domain, where TLSA records may count.
pub(super) const DOMAIN_POLICIES: &[&str] = &["default", "require-tls", "verify-hosts", "dane", "require-dane"];

/// The settings of every delivery.
const HEAD: &str = "\
primary_hostname = sender.lab.test
log_selector = +tls_cipher +tls_certificate_verified
keep_environment =
host_lookup =
disable_ipv6 = true
tls_advertise_hosts =
local_interfaces = 127.0.0.1

begin routers
";

pub(super) fn files(to: &Destination, policies: &[&str]) -> Vec<File> {
    let mut text = HEAD.to_owned();
    let (host, port) = (&to.host, to.address.port());
    for policy in policies {
        let name = policy.replace('-', "_");
        let way = match &to.domain {
            Some(_) => "driver = dnslookup".to_owned(),
            None => format!("driver = manualroute\n  route_list = * {host} byname"),
        };
        let domain = to.addressed();
        let _ = writeln!(text, "\n{name}:\n  {way}\n  local_parts = {policy}\n  domains = {domain}\n  transport = {name}");
    }
    text.push_str("\nbegin transports\n");
    for policy in policies {
        let name = policy.replace('-', "_");
        let _ = writeln!(
            text,
            "\n{name}:\n  driver = smtp\n  port = {port}\n  tls_verify_certificates = /etc/exim4/roots.pem\n  connect_timeout = \
             10s\n  command_timeout = 10s\n  data_timeout = 10s\n  final_timeout = 10s"
        );
        text.push_str(match *policy {
            // It asks for TLSA records wherever the resolver is trusted.
            "default" => "  hosts_try_dane =\n",
            "require-tls" => "  hosts_try_dane =\n  hosts_require_tls = *\n",
            "verify-hosts" => "  hosts_try_dane =\n  hosts_require_tls = *\n  tls_verify_hosts = *\n",
            "require-dane" => "  hosts_require_dane = *\n",
            _ => "",
        });
    }
    // Without a rule a temporary error is a permanent one.
    text.push_str("\nbegin retry\n\n* * F,1d,1h\n");
    let file = |path, text: String| File { path, mode: 0o644, content: text.into_bytes() };
    vec![file("/etc/exim4/exim4.conf", text), file("/etc/exim4/roots.pem", to.roots.clone())]
}

/// Its hints about a host outlive a message: each begins without.
pub(super) fn script(domain: &str, policies: &[&str]) -> String {
    let words = policies.join(" ");
    // The logs are pipes of the right owner only when Exim has become process 1 (lab/exim/start).
    format!(
        "for i in $(seq 400); do case $(cat /proc/1/comm) in exim4) break;; esac; sleep 0.05; done; \
         for p in {words}; do rm -rf /var/spool/exim4/db/*; printf 'Subject: test\\n\\ntest\\n' | exim4 -odi -i -f '<>' \
         \"$p@{domain}\" || exit 1; done"
    )
}

pub(super) fn read(log: &str, domain: &str, policy: &str) -> (Delivery, bool) {
    let recipient = format!(" {policy}@{domain} ");
    let of_message = |mark: &str| log.lines().rev().find(|line| line.contains(&format!("{mark}{recipient}")));
    let (ending, words) = if let Some(line) = of_message("=>") {
        let is_inside = line.contains(" X=");
        let ending = match policy {
            _ if !is_inside => Ending::SentClear,
            "verify-hosts" if line.contains(" CV=yes") => Ending::SentVerified,
            "dane" | "require-dane" if line.contains(" CV=dane") => Ending::SentVerified,
            _ => Ending::SentEncrypted,
        };
        (ending, from(line, "=>"))
    } else if let Some(line) = of_message("**") {
        (Ending::Bounced, from(line, "**"))
    } else if let Some(line) = of_message("==") {
        (Ending::Deferred, from(line, "=="))
    } else {
        (Ending::Unknown, "")
    };
    (Delivery { policy: policy.to_owned(), ending, words: words.to_owned() }, ending != Ending::Unknown)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("=> default@to.lab.test R=default T=default H=mx.lab.test [10.0.0.1] C=\"250 ok\"", "default", Ending::SentClear)]
    #[case(
        "=> default@to.lab.test R=default T=default H=mx.lab.test [10.0.0.1] X=TLS1.3:A:256 CV=yes C=\"250 ok\"",
        "default",
        Ending::SentEncrypted
    )]
    #[case(
        "=> verify-hosts@to.lab.test R=a T=b H=mx.lab.test [10.0.0.1] X=TLS1.3:A:256 CV=yes C=\"250 ok\"",
        "verify-hosts",
        Ending::SentVerified
    )]
    #[case(
        "== verify-hosts@to.lab.test R=a T=b defer (-37) H=mx.lab.test [10.0.0.1] DT=0s: TLS session",
        "verify-hosts",
        Ending::Deferred
    )]
    #[case("** default@to.lab.test R=a T=b H=mx.lab.test [10.0.0.1]: 550 no", "default", Ending::Bounced)]
    #[case("", "default", Ending::Unknown)]
    fn the_log_says_what_became_of_it(#[case] line: &str, #[case] policy: &str, #[case] ending: Ending) {
        let log = format!("2026-01-01 00:00:00 1abc-0001-XY {line}\n");
        assert_eq!(read(&log, "to.lab.test", policy).0.ending, ending);
    }
}
