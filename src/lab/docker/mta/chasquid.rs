//! A real chasquid, with the TLS of Go.

use super::{Mta, Vantages};
use crate::{
    lab::docker::{container::File, release::Release},
    plan::{Answer, Credentials, GreetingPlan, Offer, Plan, ServerPlan},
    scenario::TlsVersion,
};

/// Where the settings are in the container.
const CONFIGURATION: &str = "/etc/chasquid/chasquid.conf";
/// Where the certificates are in the container.
const CHAIN: &str = "/etc/chasquid/certs/lab/fullchain.pem";
/// Where the key is in the container.
const KEY: &str = "/etc/chasquid/certs/lab/privkey.pem";
/// The settings of every scenario.
const TEMPLATE: &str = include_str!("../../../../lab/chasquid/chasquid.conf");

/// chasquid.
pub(super) struct Chasquid;

impl Mta for Chasquid {
    fn kind(&self) -> &'static str {
        "chasquid"
    }

    fn product(&self) -> &'static str {
        "chasquid"
    }

    fn context(&self) -> &'static [(&'static str, &'static str)] {
        &[("Dockerfile", include_str!("../../../../lab/chasquid/Dockerfile"))]
    }

    fn unlike_it(&self, plan: &Plan) -> Option<&'static str> {
        let server = &plan.server;
        let tls = &server.tls;
        let is_stock = tls.settings.stock.is_some();
        let has_settings = tls.settings.min == Some(TlsVersion::Tls13)
            || tls.settings.max == Some(TlsVersion::Tls12)
            || tls.settings.preference.is_some()
            || tls.settings.groups.is_some();
        if tls.stack.is_some() || (has_settings && !is_stock) || tls.client_certificate.is_some() {
            Some("it has no settings for TLS")
        } else if server.credentials.staple.is_some() {
            Some("it staples no OCSP response")
        } else if server.second.is_some() {
            Some("it has one certificate for each name")
        } else if server.offer != Offer::Everyone || server.answer != Answer::Handshake {
            Some("it does not start without a certificate, and offers STARTTLS to every client")
        } else if tls.required {
            Some("it takes mail without TLS")
        } else if server.greeting != GreetingPlan::Ready {
            Some("it greets every client with 220")
        } else if server.greeting_name != server.ehlo_name {
            Some("its greeting and its reply to EHLO hold the same name")
        } else if !server.omit_keywords.is_empty() {
            Some("it has no list of keywords to leave out")
        } else {
            None
        }
    }

    fn files(&self, _: Release, server: &ServerPlan, _: &Vantages) -> Vec<File> {
        let readable = |path, text: String| File { path, mode: 0o644, content: text.into_bytes() };
        let Credentials { key_pem, .. } = &server.credentials;
        vec![
            readable(CONFIGURATION, format!("hostname: \"{}\"\n{TEMPLATE}", server.ehlo_name)),
            readable(CHAIN, server.credentials.chain_pem()),
            File { path: KEY, mode: 0o600, content: key_pem.clone().into_bytes() },
        ]
    }
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

    #[test]
    fn its_one_setting_is_its_name() {
        let plan = plan("chasquid", |p| {
            p.server.greeting_name = "other.lab.test".to_owned();
            p.server.ehlo_name = "other.lab.test".to_owned();
        });
        assert_eq!(impossible(&Chasquid, Release::default(), &plan), None);
        assert!(file(&Chasquid, &plan, CONFIGURATION).unwrap().starts_with("hostname: \"other.lab.test\"\n"));
        assert_eq!(file(&Chasquid, &plan, KEY).unwrap(), "KEY\n");
    }

    #[rstest]
    #[case(|p: &mut Plan| p.server.offer = Offer::Nobody, "every client")]
    #[case(|p: &mut Plan| p.server.tls.settings.max = Some(TlsVersion::Tls12), "settings")]
    #[case(|p: &mut Plan| p.server.ehlo_name = "other.lab.test".to_owned(), "same name")]
    fn what_it_cannot_do_has_a_reason(#[case] change: fn(&mut Plan), #[case] reason: &str) {
        assert!(impossible(&Chasquid, Release::default(), &plan("chasquid", change)).unwrap().contains(reason));
    }
}
