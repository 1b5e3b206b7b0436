//! Real MTAs in containers. Each says what its image is built of, what of a plan it cannot do, and
//! which files make it do the rest. What they have in common is here.

mod chasquid;
mod courier;
mod exim;
mod gnutls;
mod opensmtpd;
mod openssl;
mod postfix;
mod sendmail;

use std::{collections::BTreeMap, net::IpAddr};

use super::{container::File, release::Release};
use crate::{
    lab::persona::Persona,
    name::Name,
    plan::{Answer, Credentials, Offer, Plan, ServerPlan},
    scenario::{DialogFault, Order, TlsVersion},
    tls::{Group, Version},
};

/// The MTAs, in the order in which their images are built.
static ALL: [&dyn Mta; 6] =
    [&postfix::Postfix, &exim::Exim, &opensmtpd::OpenSmtpd, &courier::Courier, &chasquid::Chasquid, &sendmail::Sendmail];

/// A real MTA.
pub(super) trait Mta: Sync {
    /// The kind of server, which is also the name of its folder in `lab/`.
    fn kind(&self) -> &'static str;

    /// As people call it.
    fn product(&self) -> &'static str;

    /// What its image is built of: the Dockerfile and what it copies, by path.
    fn context(&self) -> &'static [(&'static str, &'static str)];

    /// Why it cannot do what is planned, where that is not [what none can](unlike_any).
    fn unlike_it(&self, plan: &Plan) -> Option<&'static str>;

    /// Why it cannot serve the plan as that release has it.
    fn missing_in(&self, _release: Release, _plan: &Plan) -> Option<&'static str> {
        None
    }

    /// The files of one scenario, as that release reads them.
    fn files(&self, release: Release, server: &ServerPlan, vantages: &Vantages) -> Vec<File>;

    /// Whether it can begin with TLS, as on port 465 (RFC 8314, 3.3).
    fn begins_with_tls(&self) -> bool {
        false
    }

    /// Whether it can listen on IPv6 as well.
    fn has_ipv6(&self) -> bool {
        false
    }

    /// Whether it lets the first connection in where it is to say that there are too many.
    fn lets_one_in(&self) -> bool {
        false
    }
}

/// The MTA of that kind.
pub(super) fn find(kind: &str) -> Option<&'static dyn Mta> {
    let runs_on = Persona::find(kind).and_then(|persona| persona.runs_on.as_deref()).unwrap_or(kind);
    ALL.into_iter().find(|mta| mta.kind() == runs_on)
}

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static dyn Mta> {
    ALL.into_iter()
}

/// Why an MTA of a release cannot do what is planned; nothing if it can.
pub(super) fn impossible(mta: &dyn Mta, release: Release, plan: &Plan) -> Option<String> {
    if plan.server.dialog.implicit_tls.is_some() && !mta.begins_with_tls() {
        return Some(format!("not possible on {}: its settings for TLS from the first byte are not written", mta.kind()));
    }
    if !plan.over_ipv6.is_empty() && !mta.has_ipv6() {
        return Some(format!("not possible on {}: its settings for IPv6 are not written", mta.kind()));
    }
    if let Some(reason) = unlike_any(plan).or_else(|| mta.unlike_it(plan)) {
        return Some(format!("no real {} does this: {reason}", mta.product()));
    }
    let reason = mta.missing_in(release, plan)?;
    Some(format!("not possible on {} ({release}): {reason}", mta.kind()))
}

/// The addresses that the vantage points of a plan come from.
pub(super) struct Vantages(pub(super) BTreeMap<String, IpAddr>);

impl Vantages {
    /// Those that are offered STARTTLS; nothing where all are, or none.
    fn favoured(&self, offer: &Offer) -> Option<Vec<IpAddr>> {
        let Offer::OnlyTo(names) = offer else { return None };
        Some(self.0.iter().filter(|(name, _)| names.contains(name)).map(|(_, address)| *address).collect())
    }

    /// Whether some of them come over IPv6.
    fn have_ipv6(&self) -> bool {
        self.0.values().any(IpAddr::is_ipv6)
    }

    /// Those that are not, where others are.
    fn slighted(&self, offer: &Offer) -> Vec<IpAddr> {
        let Offer::OnlyTo(names) = offer else { return Vec::new() };
        self.0.iter().filter(|(name, _)| !names.contains(name)).map(|(_, address)| *address).collect()
    }
}

/// Why no real MTA does what is planned.
fn unlike_any(plan: &Plan) -> Option<&'static str> {
    let server = &plan.server;
    let tls = &server.tls;
    Some(if server.offer == Offer::Masked {
        "a middlebox is between it and the client, not in it"
    } else if tls.handshake.is_some() || tls.intolerant_of.is_some() {
        "its TLS library answers every ClientHello, and in full"
    } else if !tls.delay.is_zero() {
        "its handshakes are not slow"
    } else if tls.no_close_notify {
        "it ends TLS with close_notify"
    } else if tls.sni.is_some() {
        "the name in the ClientHello makes no difference to it in the way that is planned"
    } else if tls.client_certificate.is_some_and(|asked| asked.ca_bytes.unwrap_or(0) > 0) {
        "its list of authorities is as long as their names are"
    } else if let Some(reason) = unlike_any_library(server) {
        reason
    } else if (DialogFault { implicit_tls: None, plaintext: None, ..server.dialog.clone() }).says_anything() {
        "its dialog is in order"
    } else if !server.blocks.is_empty() || !server.other_certificate_to.is_empty() {
        "it has one greeting and one set of certificates for each listener"
    } else if server.offered_in_tls {
        "it never offers STARTTLS inside TLS"
    } else if !server.add_keywords.is_empty() {
        "it offers no EHLO keywords but its own"
    } else if !is_text(&server.greeting_name) {
        "its greeting holds printable text only"
    } else if !is_host_name(&server.ehlo_name) {
        "it starts under a valid host name only, and says that in its reply to EHLO"
    } else {
        return None;
    })
}

/// What neither OpenSSL nor GnuTLS nor Go does, as far as an MTA can tell them.
fn unlike_any_library(server: &ServerPlan) -> Option<&'static str> {
    let stack = server.tls.stack.as_ref()?;
    if stack.versions.iter().flatten().any(|version| *version < Version::Tls10) {
        return Some("no TLS library of Debian has SSL 2.0 or SSL 3.0");
    }
    if stack.compression.is_some() || stack.no_secure_renegotiation.is_some() || stack.no_extended_master_secret.is_some() {
        return Some("its TLS library confirms secure renegotiation and the extended master secret, and never compresses");
    }
    if stack.refusal.is_some() {
        return Some("its TLS library alone decides how it refuses");
    }
    if stack.no_encrypt_then_mac.is_some() || stack.no_session_tickets.is_some() || stack.schemes.is_some() {
        return Some("it has no setting for that part of TLS");
    }
    None
}

/// The TLS versions that are planned; `stock` are those of the library as it comes.
fn versions(server: &ServerPlan, stock: &[Version]) -> Vec<Version> {
    let settings = &server.tls.settings;
    match server.tls.stack.as_ref().and_then(|stack| stack.versions.clone()) {
        Some(versions) => versions,
        None if settings.stock.is_some() || is_stock(server) => stock.to_vec(),
        None => {
            let range = settings.min.unwrap_or(TlsVersion::Tls12)..=settings.max.unwrap_or(TlsVersion::Tls13);
            let both = [TlsVersion::Tls12, TlsVersion::Tls13].into_iter();
            both.filter(|version| range.contains(version)).map(Version::from).collect()
        }
    }
}

/// Whether that kind of server is TLS as it comes.
fn is_stock(server: &ServerPlan) -> bool {
    Persona::find(&server.kind).is_some_and(|persona| persona.tls.is_none())
}

/// Whose order decides among the suites, where the plan says it.
fn preference(server: &ServerPlan) -> Option<Order> {
    let plan = &server.tls;
    plan.stack.as_ref().and_then(|stack| stack.preference).or(plan.settings.preference)
}

/// The key exchange groups that are planned, in the server's order; none where the plan does not say.
fn planned_groups(server: &ServerPlan) -> Option<&Vec<Group>> {
    let plan = &server.tls;
    plan.stack.as_ref().and_then(|stack| stack.groups.as_ref()).or(plan.settings.groups.as_ref())
}

/// Whether the server has a key. Without one it says that TLS is not available, or does not offer it.
fn has_key(server: &ServerPlan) -> bool {
    server.answer != Answer::Unavailable && server.offer != Offer::Nobody
}

/// Each key before its own certificates, as PEM.
fn keys_and_chains(server: &ServerPlan) -> Vec<u8> {
    std::iter::once(&server.credentials).chain(&server.second).map(Credentials::to_pem).collect::<String>().into_bytes()
}

/// One line that a setting holds unchanged.
fn is_text(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && text.len() <= 400 && text.chars().all(|c| matches!(c, ' '..='~'))
}

/// What an MTA takes for its own name.
fn is_host_name(text: &str) -> bool {
    let is_number = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    !is_number
        && Name::parse(text).is_ok_and(|name| name.as_str() == text)
        && !text.split('.').any(|l| l.starts_with('-') || l.ends_with('-'))
}

/// Plans for the tests of each MTA.
#[cfg(test)]
mod test_plans {
    use time::OffsetDateTime;

    use super::*;
    use crate::{
        plan::{GreetingPlan, TlsPlan},
        scenario::DialogFault,
        trust::TrustStore,
    };

    /// The plan of a baseline, changed.
    pub(super) fn plan(kind: &str, change: impl FnOnce(&mut Plan)) -> Plan {
        let mut plan = Plan {
            scenario: "test/one".to_owned(),
            now: OffsetDateTime::UNIX_EPOCH,
            trust: TrustStore { name: "lab".to_owned(), public: true, anchors: Vec::new() },
            vantages: vec!["here".to_owned()],
            over_ipv6: Vec::new(),
            server: ServerPlan {
                kind: kind.to_owned(),
                host: Name::parse("mx.lab.test").unwrap(),
                greeting_name: "mx.lab.test".to_owned(),
                ehlo_name: "mx.lab.test".to_owned(),
                add_keywords: Vec::new(),
                omit_keywords: Vec::new(),
                greeting: GreetingPlan::Ready,
                offer: Offer::Everyone,
                answer: Answer::Handshake,
                blocks: Vec::new(),
                other_certificate_to: Vec::new(),
                offered_in_tls: false,
                dialog: DialogFault::default(),
                tls: TlsPlan::default(),
                credentials: Credentials::new(vec![vec![7; 100]], "KEY\n".to_owned()),
                second: None,
                nameless: None,
            },
            publication: None,
            port: 25,
            relay: None,
            pointer: Vec::new(),
            installed: None,
        };
        change(&mut plan);
        plan
    }

    /// Two vantage points, `here` and `there`.
    pub(super) fn vantages() -> Vantages {
        let vantages = [("here", "172.18.0.1"), ("there", "172.18.0.2")];
        Vantages(vantages.into_iter().map(|(name, address)| (name.to_owned(), address.parse().unwrap())).collect())
    }

    /// The text of one of the files of a plan.
    pub(super) fn file(mta: &dyn Mta, plan: &Plan, path: &str) -> Option<String> {
        file_in(Release::default(), mta, plan, path)
    }

    /// The same in another release.
    pub(super) fn file_in(release: Release, mta: &dyn Mta, plan: &Plan, path: &str) -> Option<String> {
        let files = mta.files(release, &plan.server, &vantages());
        files.into_iter().find(|file| file.path == path).map(|file| String::from_utf8(file.content).unwrap())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{test_plans::plan, *};
    use crate::{
        lab::persona::Persona,
        scenario::{Flight, HandshakeEnd, HandshakeFault},
    };

    #[test]
    fn each_has_a_persona_and_a_recipe() {
        for mta in all() {
            assert!(Persona::find(mta.kind()).is_some(), "{}", mta.kind());
            assert!(mta.context()[0].1.contains("ARG BASE\nFROM ${BASE}\n"), "{}", mta.kind());
            assert_eq!(mta.context()[0].0, "Dockerfile");
        }
    }

    #[rstest]
    #[case(|p: &mut Plan| p.server.offer = Offer::Masked, "middlebox")]
    #[case(|p: &mut Plan| p.server.tls.handshake = Some(HandshakeFault { at: Flight::ClientHello, r#do: HandshakeEnd::Close }), "ClientHello")]
    #[case(|p: &mut Plan| p.server.offered_in_tls = true, "inside TLS")]
    #[case(|p: &mut Plan| p.server.add_keywords = vec!["X".to_owned()], "keywords")]
    #[case(|p: &mut Plan| p.server.greeting_name = "a\nmynetworks = 0.0.0.0/0".to_owned(), "printable")]
    #[case(|p: &mut Plan| p.server.ehlo_name = "not a name".to_owned(), "host name")]
    #[case(|p: &mut Plan| p.server.ehlo_name = "192.0.2.1".to_owned(), "host name")]
    fn what_none_can_do_has_a_reason(#[case] change: fn(&mut Plan), #[case] reason: &str) {
        for mta in all() {
            let said = impossible(mta, Release::default(), &plan(mta.kind(), change)).unwrap();
            assert!(said.contains(mta.product()) && said.contains(reason), "{said}");
        }
    }
}
