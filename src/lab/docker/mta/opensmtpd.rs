//! A real OpenSMTPD.

use std::fmt::Write as _;

use super::{Mta, Vantages, has_key, keys_and_chains, openssl, versions};
use crate::{
    lab::docker::{container::File, release::Release},
    plan::{Answer, GreetingPlan, Offer, Plan, ServerPlan},
    tls::Version,
};

/// Where the settings are in the container.
const CONFIGURATION: &str = "/etc/smtpd.conf";
/// Where the key and the certificates are in the container.
const CHAIN: &str = "/etc/chain.pem";
/// Where the settings of its TLS library are in the container.
const LIBRARY: &str = "/usr/lib/ssl/openssl.cnf";
/// The line of them that says which versions there are.
const OLDEST: &str = "MinProtocol = TLSv1\n";
/// The settings of every scenario.
const TEMPLATE: &str = include_str!("../../../../lab/opensmtpd/smtpd.conf");

/// OpenSMTPD.
pub(super) struct OpenSmtpd;

impl Mta for OpenSmtpd {
    fn kind(&self) -> &'static str {
        "opensmtpd"
    }

    fn product(&self) -> &'static str {
        "OpenSMTPD"
    }

    fn context(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("Dockerfile", include_str!("../../../../lab/opensmtpd/Dockerfile")),
            ("openssl.cnf", openssl::CONFIGURATION),
            ("start", include_str!("../../../../lab/opensmtpd/start")),
        ]
    }

    fn unlike_it(&self, plan: &Plan) -> Option<&'static str> {
        let server = &plan.server;
        let stack = server.tls.stack.as_ref();
        if let Some(reason) = openssl::unlike_it(server) {
            Some(reason)
        } else if server.credentials.staple.is_some() {
            Some("it staples no OCSP response")
        } else if server.greeting != GreetingPlan::Ready {
            Some("whom it turns away, and how, is a filter's business")
        } else if server.greeting_name != server.ehlo_name {
            Some("its greeting and its reply to EHLO hold the same name")
        } else if !server.omit_keywords.is_empty() {
            Some("it has no list of keywords to leave out")
        } else if matches!(server.offer, Offer::OnlyTo(_)) {
            Some("it offers STARTTLS to every client of a listener or to none")
        } else if server.answer == Answer::Unavailable {
            Some("it does not start without a key where it offers STARTTLS")
        } else if server.second.is_some() {
            Some("its listener has one certificate for each name")
        } else if server.tls.client_certificate.is_some() {
            Some("it asks for certificates of clients only by the names of their authorities")
        } else if openssl::groups(server).is_some() || super::preference(server).is_some() {
            Some("it has no setting for groups, or for whose order decides")
        } else if stack.is_some_and(|stack| stack.dh_group.is_some()) {
            Some("it has no finite-field group")
        } else {
            None
        }
    }

    fn missing_in(&self, release: Release, plan: &Plan) -> Option<&'static str> {
        match release {
            Release::Bookworm if plan.server.offer != Offer::Nobody => {
                Some("OpenSMTPD 6.8 with OpenSSL 3 ends every handshake with internal_error")
            }
            Release::Trixie | Release::Sid
                if versions(&plan.server, &VERSIONS).iter().any(|version| *version < Version::Tls12) =>
            {
                Some("OpenSMTPD 7 has neither TLS 1.0 nor TLS 1.1")
            }
            Release::Bullseye | Release::Bookworm | Release::Trixie | Release::Sid => None,
        }
    }

    fn files(&self, release: Release, server: &ServerPlan, _: &Vantages) -> Vec<File> {
        let readable = |path, text: String| File { path, mode: 0o644, content: text.into_bytes() };
        let mut files = vec![readable(CONFIGURATION, configuration(release, server))];
        if is_old(release) {
            files.push(readable(LIBRARY, openssl::CONFIGURATION.replace(OLDEST, &range(server))));
        }
        if has_key(server) {
            files.push(File { path: CHAIN, mode: 0o600, content: keys_and_chains(server) });
        }
        files
    }
}

/// Whether it is OpenSMTPD 6.8, whose listeners have settings for neither versions nor ciphers.
fn is_old(release: Release) -> bool {
    release < Release::Trixie
}

/// The range of versions in words of OpenSSL's configuration.
fn range(server: &ServerPlan) -> String {
    let offered = versions(server, &VERSIONS);
    let name = |version: Option<&Version>| version.map_or("TLSv1.2", |version| version.name());
    format!("MinProtocol = {}\nMaxProtocol = {}\n", name(offered.iter().min()), name(offered.iter().max()))
}

/// The versions of libtls as it comes.
const VERSIONS: [Version; 2] = [Version::Tls12, Version::Tls13];

/// The smtpd.conf for a plan.
fn configuration(release: Release, server: &ServerPlan) -> String {
    let mut text = String::new();
    let mut tls = String::new();
    if has_key(server) {
        let _ = writeln!(text, "pki lab cert \"{CHAIN}\"\npki lab key \"{CHAIN}\"");
        tls = format!(" {} pki lab", if server.tls.required { "tls-require" } else { "tls" });
        if let Some(list) = openssl::cipher_list(server) {
            // Its own list is above security level 0, at which weak suites are.
            let _ = match is_old(release) {
                true => writeln!(text, "smtp ciphers \"{list}:@SECLEVEL=0\""),
                false => write!(tls, " ciphers \"{list}:@SECLEVEL=0\""),
            };
        }
        if !is_old(release) {
            let names = versions(server, &VERSIONS).into_iter().map(|version| version.name().to_ascii_lowercase());
            let _ = write!(tls, " protocols \"{}\"", names.collect::<Vec<_>>().join(","));
        }
    }
    let _ = writeln!(text, "listen on 0.0.0.0 port 25{tls} hostname \"{}\"", server.ehlo_name);
    text + TEMPLATE
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{
        super::{
            impossible,
            test_plans::{file_in, plan},
        },
        *,
    };
    use crate::scenario::TlsVersion;

    #[rstest]
    #[case::baseline(|_: &mut Plan| (), "listen on 0.0.0.0 port 25 tls pki lab protocols \"tlsv1.2,tlsv1.3\" hostname \"mx.lab.test\"")]
    #[case::nobody(|p: &mut Plan| p.server.offer = Offer::Nobody, "listen on 0.0.0.0 port 25 hostname \"mx.lab.test\"")]
    #[case::required(|p: &mut Plan| p.server.tls.required = true, "listen on 0.0.0.0 port 25 tls-require pki lab protocols \"tlsv1.2,tlsv1.3\" hostname \"mx.lab.test\"")]
    #[case::only_13(|p: &mut Plan| p.server.tls.settings.min = Some(TlsVersion::Tls13), "listen on 0.0.0.0 port 25 tls pki lab protocols \"tlsv1.3\" hostname \"mx.lab.test\"")]
    fn each_knob_has_its_setting(#[case] change: fn(&mut Plan), #[case] line: &str) {
        let plan = plan("opensmtpd", change);
        assert_eq!(impossible(&OpenSmtpd, Release::Trixie, &plan), None);
        let text = file_in(Release::Trixie, &OpenSmtpd, &plan, CONFIGURATION).unwrap();
        assert!(text.lines().any(|known| known == line), "{text}");
    }

    #[test]
    fn the_old_one_is_told_by_its_library() {
        let plan = plan("opensmtpd", |p| p.server.tls.settings.max = Some(TlsVersion::Tls12));
        let file = |path| file_in(Release::Bullseye, &OpenSmtpd, &plan, path).unwrap();
        assert!(file(CONFIGURATION).contains("port 25 tls pki lab hostname"), "{}", file(CONFIGURATION));
        assert!(file(LIBRARY).contains("MinProtocol = TLSv1.2\nMaxProtocol = TLSv1.2\nCipherString"), "{}", file(LIBRARY));
    }

    #[test]
    fn the_release_decides_whether_it_has_tls() {
        let said = impossible(&OpenSmtpd, Release::Bookworm, &plan("opensmtpd", |_| ()));
        assert!(said.unwrap().starts_with("not possible on opensmtpd (bookworm): "));
        let without = plan("opensmtpd", |p| p.server.offer = Offer::Nobody);
        assert_eq!(impossible(&OpenSmtpd, Release::Bookworm, &without), None);
    }
}
