//! A real Sendmail.

use std::fmt::Write as _;

use x509_cert::{Certificate, der::Decode as _};

use super::{Mta, Vantages, has_key, openssl, versions};
use crate::{
    lab::docker::{container::File, release::Release},
    plan::{Answer, Credentials, GreetingPlan, Offer, Plan, ServerPlan},
    scenario::Order,
    tls::Version,
};

/// Where the settings of one scenario are in the container; a start script adds them to the others.
const SETTINGS: &str = "/etc/mail/scenario.cf";
/// Where the settings for single clients are in the container.
const ACCESS: &str = "/etc/mail/access";
/// Where the server's own certificate is in the container; it reads no other from that file.
const CERTIFICATE: &str = "/etc/mail/chain.pem";
const KEY: &str = "/etc/mail/key.pem";
/// Where the certificates are in the container that it builds the rest of its chain of.
const AUTHORITIES: &str = "/etc/mail/authorities.pem";
const DH_FILE: &str = "/etc/mail/dh.pem";
/// What can be excluded.
const VERSIONS: [(Version, &str); 4] = [
    (Version::Tls10, "SSL_OP_NO_TLSv1"),
    (Version::Tls11, "SSL_OP_NO_TLSv1_1"),
    (Version::Tls12, "SSL_OP_NO_TLSv1_2"),
    // SSL_OP_NO_TLSv1_3, a name that Sendmail 8.15 does not know.
    (Version::Tls13, "0x20000000"),
];

/// Sendmail.
pub(super) struct Sendmail;

impl Mta for Sendmail {
    fn kind(&self) -> &'static str {
        "sendmail"
    }

    fn product(&self) -> &'static str {
        "Sendmail"
    }

    fn context(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("Dockerfile", include_str!("../../../../lab/sendmail/Dockerfile")),
            ("lab.mc", include_str!("../../../../lab/sendmail/lab.mc")),
            ("openssl.cnf", openssl::CONFIGURATION),
            ("start", include_str!("../../../../lab/sendmail/start")),
        ]
    }

    fn unlike_it(&self, plan: &Plan) -> Option<&'static str> {
        let server = &plan.server;
        if let Some(reason) = openssl::unlike_it(server) {
            Some(reason)
        } else if openssl::groups(server).is_some() {
            Some("it has one curve, P-256")
        } else if server.credentials.staple.is_some() {
            Some("it staples no OCSP response")
        } else if server.second.is_some() {
            Some("it is given one certificate here")
        } else if has_key(server) && !is_path(&server.credentials) {
            Some("it sends the certificates that lead from its own to its authorities, in that order")
        } else if server.tls.client_certificate.is_some() {
            Some("it asks for certificates of clients by the names of its authorities")
        } else if server.tls.required {
            Some("where TLS is missing it refuses the recipient, not the sender")
        } else if server.answer == Answer::Unavailable {
            Some("without a key it does not offer STARTTLS")
        } else if server.greeting != GreetingPlan::Ready {
            Some("it greets with 220 whom it turns away, and refuses the commands")
        } else if !server.omit_keywords.is_empty() {
            Some("it has no list of keywords to leave out")
        } else {
            None
        }
    }

    fn files(&self, _: Release, server: &ServerPlan, vantages: &Vantages) -> Vec<File> {
        // It takes nothing that others may read or write.
        let secret = |path, content| File { path, mode: 0o600, content };
        let access = match server.offer {
            Offer::Nobody => "Srv_Features: S\n".to_owned(),
            _ => vantages.slighted(&server.offer).iter().map(|address| format!("Srv_Features:{address} S\n")).collect(),
        };
        let mut files = vec![secret(SETTINGS, settings(server).into_bytes()), secret(ACCESS, access.into_bytes())];
        if has_key(server) {
            let Credentials { chain, key_pem, .. } = &server.credentials;
            let pem = |chain: &[Vec<u8>]| Credentials::new(chain.to_vec(), String::new()).chain_pem().into_bytes();
            let (own, rest) = chain.split_at(chain.len().min(1));
            files.push(secret(CERTIFICATE, pem(own)));
            files.push(secret(KEY, key_pem.clone().into_bytes()));
            // The file may not be empty.
            files.push(secret(AUTHORITIES, pem(if rest.is_empty() { own } else { rest })));
            files.extend(openssl::dh_parameters(server).map(|content| secret(DH_FILE, content)));
        }
        files
    }
}

/// Whether each certificate is followed by its issuer's.
fn is_path(credentials: &Credentials) -> bool {
    let parsed: Result<Vec<_>, _> = credentials.chain.iter().map(|der| Certificate::from_der(der)).collect();
    parsed.is_ok_and(|chain| chain.windows(2).all(|pair| pair[0].tbs_certificate.issuer == pair[1].tbs_certificate.subject))
}

/// The lines of sendmail.cf for a plan.
fn settings(server: &ServerPlan) -> String {
    let mut text = format!("Dj{}\n", server.ehlo_name);
    let mut set = |name: &str, value: &str| {
        let _ = writeln!(text, "O {name}={value}");
    };
    // It puts `ESMTP` behind the first word by itself.
    set("SmtpGreetingMessage", &format!("{} Sendmail $v/$Z; $b", server.greeting_name.replace('$', "$$")));
    set("CipherList", &format!("{}:@SECLEVEL=0", openssl::cipher_list(server).as_deref().unwrap_or("DEFAULT")));
    let offered = versions(server, &openssl::VERSIONS);
    let excluded = VERSIONS.iter().filter(|(version, _)| !offered.contains(version)).map(|(_, option)| *option);
    let preference = (super::preference(server) == Some(Order::Server)).then_some("SSL_OP_CIPHER_SERVER_PREFERENCE");
    let options: Vec<_> = excluded.chain(preference).map(|option| format!("+{option}")).collect();
    if !options.is_empty() {
        set("ServerSSLOptions", &options.join(" "));
    }
    if openssl::dh_parameters(server).is_some() {
        set("DHParameters", DH_FILE);
    }
    text
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{
        super::{
            impossible,
            test_plans::{file, plan},
        },
        *,
    };
    use crate::scenario::TlsVersion;

    /// A baseline without the placeholder that is no certificate.
    fn bare(change: fn(&mut Plan)) -> Plan {
        let mut plan = plan("sendmail", |p| p.server.credentials.chain.clear());
        change(&mut plan);
        plan
    }

    #[rstest]
    #[case::name(|p: &mut Plan| p.server.ehlo_name = "other.lab.test".to_owned(), SETTINGS, "Djother.lab.test")]
    #[case::greeting(|p: &mut Plan| p.server.greeting_name = "$x".to_owned(), SETTINGS, "O SmtpGreetingMessage=$$x Sendmail $v/$Z; $b")]
    #[case::both(|_: &mut Plan| (), SETTINGS, "O ServerSSLOptions=+SSL_OP_NO_TLSv1 +SSL_OP_NO_TLSv1_1")]
    #[case::only_12(|p: &mut Plan| p.server.tls.settings.max = Some(TlsVersion::Tls12), SETTINGS, "O ServerSSLOptions=+SSL_OP_NO_TLSv1 +SSL_OP_NO_TLSv1_1 +0x20000000")]
    #[case::only_to(|p: &mut Plan| p.server.offer = Offer::OnlyTo(vec!["there".to_owned()]), ACCESS, "Srv_Features:172.18.0.1 S")]
    fn each_knob_has_its_setting(#[case] change: fn(&mut Plan), #[case] path: &str, #[case] line: &str) {
        let plan = bare(change);
        assert_eq!(impossible(&Sendmail, Release::default(), &plan), None);
        let text = file(&Sendmail, &plan, path).unwrap();
        assert!(text.lines().any(|known| known == line), "{text}");
    }

    #[test]
    fn without_tls_there_is_no_key() {
        assert_eq!(file(&Sendmail, &bare(|p| p.server.offer = Offer::Nobody), KEY), None);
    }

    #[test]
    fn a_chain_that_is_no_path_has_a_reason() {
        let said = impossible(&Sendmail, Release::default(), &plan("sendmail", |_| ()));
        assert!(said.unwrap().contains("in that order"));
    }
}
