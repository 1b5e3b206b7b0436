//! What a host shows a sender, from one vantage point: whether it offers TLS, what comes of the handshake, which
//! certificate.

use std::cell::OnceCell;

pub use super::certificate::Trust;
use super::{
    certificate::{Judged, says},
    client::{Client, Library},
};
use crate::{
    facts::{
        Answer, Certificate, CertificateDetails, Depth, Failure, GroupList, HelloTrait, Intolerance, Observed, Offers,
        Possession, ServedChain, Sni, Vantage, View,
    },
    finding::{Outcome, Violation},
    name::Name,
    rules::{self, Context},
    smtp::Reply,
    tls::{Authentication, Suite, SuiteFamily, Version},
};

/// Defects of certificates that GnuTLS minds whether it verifies or not.
const GNUTLS_HANDSHAKE: [(&str, &[&str]); 3] = [
    ("malformed-certificate", &[rules::GNUTLS_CANNOT_READ_IT]),
    ("key-usage-without-signature", &[""]),
    ("invalid-path", &["two different algorithms", "extension twice", "may not be used in TLS, by its key usage"]),
];

/// What comes of TLS with a sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// The handshake is finished, and the dialog goes on inside.
    Done,
    /// STARTTLS is not offered.
    NotOffered(String),
    /// STARTTLS is refused, and the connection goes on. What is said of this client is not said of senders, and is unknown.
    Refused {
        /// The reply.
        why: String,
        /// Whether its code is 5xx.
        is_permanent: bool,
    },
    /// The handshake fails.
    Failed(String),
    /// The handshake is finished, and the server closes with a reply, as it does with everyone like this client.
    TurnedAway(String),
    /// It cannot be told; the text says why.
    Unknown(String),
}

/// A host as senders at one vantage point see it.
#[derive(Debug)]
pub struct Host<'a> {
    /// The name that senders look up.
    pub name: &'a Name,
    /// The place of the view.
    pub view: usize,
    /// What is said to MAIL without TLS, where that is refused.
    pub refuses_clear: Option<String>,
    context: &'a Context<'a>,
    seen: &'a View,
    /// The chains that were sent to hellos with its name, each certificate once.
    named: Vec<&'a [Certificate]>,
    /// Those that were sent to hellos without one, where that was tried.
    nameless: Option<Vec<&'a [Certificate]>>,
    judged: OnceCell<Vec<(&'a [Certificate], Judged)>>,
}

/// The host from each vantage point that this machine could try.
pub fn hosts<'a>(context: &'a Context<'a>) -> Vec<Host<'a>> {
    let is_tried =
        |view: &View| !matches!(view.session.connection, Observed::NotAttempted(_) | Observed::Failed(Failure::Local(_)));
    let views = context.facts.views.iter().enumerate().filter(|(_, view)| is_tried(view));
    views.map(|(index, view)| Host::new(context, index, view)).collect()
}

impl<'a> Host<'a> {
    fn new(context: &'a Context<'a>, index: usize, view: &'a View) -> Self {
        let served = |sni: Sni| {
            let chains = view.offers.seen().into_iter().flat_map(|offers| &offers.chains);
            chains.filter(move |served| served.sni == sni)
        };
        let chain = |served: &'a ServedChain| served.certificates.seen().map(Vec::as_slice).filter(|chain| !chain.is_empty());
        let mut named: Vec<&[Certificate]> = view.session.certificates.seen().map(Vec::as_slice).into_iter().collect();
        named.extend(served(Sni::Target).filter_map(chain));
        let nameless: Vec<&[Certificate]> = served(Sni::None).filter_map(chain).collect();
        let refused = view.mail_in_clear.seen().filter(|reply| !reply.is_positive());
        Self {
            name: &context.facts.target.name,
            view: index,
            refuses_clear: refused.map(|reply| format!("MAIL without TLS is answered {}", cut(&reply.to_string()))),
            context,
            seen: view,
            named: distinct(named),
            nameless: (!nameless.is_empty()).then(|| distinct(nameless)),
            judged: OnceCell::new(),
        }
    }

    /// Where it was looked at from.
    pub(super) fn vantage(&self) -> &'a Vantage {
        &self.seen.vantage
    }

    /// The same in words.
    pub(super) fn vantage_text(&self) -> String {
        self.seen.vantage_text()
    }

    /// The address that was looked at.
    pub(super) fn address(&self) -> std::net::IpAddr {
        self.seen.address.ip()
    }

    /// Why there is no dialog at all; none where there is one.
    pub fn why_unreachable(&self) -> Option<String> {
        let session = &self.seen.session;
        let is_old = session.helo.seen().is_some_and(Reply::is_positive);
        if let Observed::Failed(Failure::Throttled(reply)) = &session.starttls {
            return Some(format!("the server closes with {}", cut(&reply.to_string())));
        }
        if session.ehlo.seen().is_some() || is_old {
            return None;
        }
        let why = [session.connection.why_not(), session.greeting.why_not(), session.ehlo.why_not()];
        Some(cut(why.iter().find(|why| !why.is_empty()).map_or("no reply to EHLO was seen", String::as_str)))
    }

    /// What comes of TLS with a sender.
    pub fn tls(&self, client: &Client) -> Tls {
        let session = &self.seen.session;
        if let Some(why) = self.why_unreachable() {
            return Tls::Unknown(why);
        }
        if let (true, Some(greeting)) = (client.is_postfix, session.greeting.seen().filter(|greeting| is_masked(greeting))) {
            let how = match greeting.lines.iter().all(|line| line.as_str().trim().is_empty()) {
                true => "empty",
                false => "written over",
            };
            let why = format!("the greeting is {how}, and Postfix says HELO to such a server (smtp_pix_workarounds)");
            return Tls::NotOffered(why);
        }
        let keyword = session.ehlo.seen().and_then(|ehlo| ehlo.keywords.iter().find(|keyword| keyword.is("STARTTLS")));
        match keyword {
            // Postfix ends a keyword at the equals sign too.
            None if client.is_postfix
                && session.ehlo.seen().is_some_and(|ehlo| {
                    ehlo.keywords.iter().any(|keyword| {
                        keyword.name.as_str().split('=').next().is_some_and(|name| name.eq_ignore_ascii_case("STARTTLS"))
                    })
                }) =>
            {
                return Tls::Unknown(
                    "STARTTLS is offered with an equals sign, which Postfix takes for it, and what comes of it is not known"
                        .to_owned(),
                );
            }
            None => return Tls::NotOffered("STARTTLS is not offered".to_owned()),
            Some(keyword) if client.minds_case && keyword.name.as_str() != "STARTTLS" => {
                return Tls::NotOffered(format!("STARTTLS is offered as {}, which Exim does not take for it", keyword.name));
            }
            Some(_) => {}
        }
        if let Some(why) = rules::unsteady(self.seen) {
            return Tls::Unknown(why);
        }
        match &session.starttls {
            Observed::Seen(reply) if reply.is_positive() => self.handshake(client),
            Observed::Seen(reply) if reply.refuses_starttls() => Tls::Refused {
                why: format!("STARTTLS is answered {}", cut(&reply.to_string())),
                is_permanent: !reply.is_transient(),
            },
            // A limit or a list is of this client, and a temporary reply may be of anything: what others get is not known.
            Observed::Seen(reply) => {
                Tls::Unknown(format!("STARTTLS is answered {}, and what other clients get is not known", cut(&reply.to_string())))
            }
            Observed::Failed(failure) => Tls::Unknown(format!("no reply to STARTTLS: {}", cut(&failure.to_string()))),
            Observed::NotAttempted(why) => Tls::Unknown(cut(why)),
        }
    }

    fn handshake(&self, client: &Client) -> Tls {
        let session = &self.seen.session;
        let is_certificate_demanded = self.is_violated("client-certificate-required");
        if let (true, Observed::Failed(Failure::Throttled(reply))) = (is_certificate_demanded, &session.ehlo_after) {
            return Tls::TurnedAway(format!("inside TLS the server says {}", cut(&reply.to_string())));
        }
        if is_certificate_demanded {
            return Tls::Failed("the server demands a client certificate".to_owned());
        }
        if client.library == Library::GnuTls
            && let Some(why) = GNUTLS_HANDSHAKE.iter().find_map(|(rule, words)| self.violation(rule, words))
        {
            return Tls::Failed(format!("GnuTLS does not take the certificate in a handshake: {why}"));
        }
        if client.library == Library::OpenSsl
            && let Some(why) = self.violation("oversized-chain", &["OpenSSL takes"])
        {
            return Tls::Failed(format!("OpenSSL takes no more than 100 KiB: {why}"));
        }
        if let Some(Possession::Refuted(why)) = session.possession.seen() {
            return Tls::Failed(format!("the server does not hold the key of its certificate: {}", cut(why)));
        }
        if let Some((version, why)) = rules::refuted_in_clear(self.seen) {
            return Tls::Failed(format!(
                "the server does not hold the key of its certificate, as it shows in {version}: {}",
                cut(why)
            ));
        }
        if let (false, Some((version, why))) = (client.always_has_tls13, rules::refuted_below_tls13(self.seen)) {
            return Tls::Failed(format!(
                "{} has no TLS 1.3 everywhere, and in {version} the server does not hold the key of its certificate: {}",
                client.name,
                cut(why)
            ));
        }
        if let Some(tls) = self.seen.offers.seen().and_then(|offers| intolerance(client, offers)) {
            return tls;
        }
        if let (false, Some(offers)) = (client.names_server, self.seen.offers.seen())
            && let Some(why) = refusal_without_name(offers)
        {
            return Tls::Failed(format!("a hello without a server name is {why}"));
        }
        match &session.tls {
            Observed::Seen(tls) => {
                if let Observed::Failed(Failure::Throttled(reply) | Failure::Blocked(reply)) = &session.ehlo_after {
                    let said = cut(&reply.to_string());
                    return Tls::Unknown(format!("inside TLS the server says {said}, and what other clients get is not known"));
                }
                if let Observed::Failed(failure) = &session.ehlo_after {
                    return Tls::Unknown(format!(
                        "TLS was begun, and no usable reply to EHLO came inside: {}",
                        cut(&failure.to_string())
                    ));
                }
                let suite = Suite::from_name(&tls.suite).filter(|suite| (client.suites)(*suite));
                let group = tls.group.as_ref().and_then(|group| group.parse().ok());
                let is_hybrid = tls.group.as_ref().is_some_and(|group| group.contains("MLKEM"));
                let is_own_group = group.is_none_or(|group| (client.groups)(group)) || is_hybrid;
                let version = Version::from_name(&tls.version);
                let is_known_version = client.always_has_tls13 || version != Some(Version::Tls13) || self.takes_tls12();
                match (suite, is_own_group && is_known_version) {
                    (Some(_), true) => self.with_key(client),
                    _ => match self.seen.offers.seen() {
                        Some(offers) => self.by_offers(client, offers),
                        None => Tls::Unknown(format!("whether {} finds something in common with it was not asked", client.name)),
                    },
                }
            }
            Observed::Failed(Failure::Unsolicited(text)) if client.is_postfix => Tls::Unknown(format!(
                "Postfix forgets what comes before TLS (`{}`), and what comes of the handshake then is not known",
                cut(text.as_str())
            )),
            // Noise instead of TLS may have been put there; a reply of SMTP is the server's own.
            Observed::Failed(failure) if failure.in_clear().is_some() => {
                Tls::Failed(format!("the TLS handshake fails: {}", cut(&failure.to_string())))
            }
            Observed::Failed(failure) => {
                let why = cut(&failure.to_string());
                match self.seen.offers.seen() {
                    Some(offers) if is_about_offer(failure) || cannot_bear_hybrid(offers) => self.by_offers(client, offers),
                    Some(offers) if refuses_all(offers) => Tls::Failed(format!("every TLS handshake fails: {why}")),
                    _ => Tls::Unknown(format!("the handshake with this checker fails, and what others get is not known: {why}")),
                }
            }
            Observed::NotAttempted(why) => Tls::Unknown(cut(why)),
        }
    }

    /// A handshake that is finished but for the key of the certificate.
    fn with_key(&self, client: &Client) -> Tls {
        let chains = self.chains(client);
        if chains.is_empty() {
            return Tls::Unknown("no certificate was seen".to_owned());
        }
        let is_taken = |chain: &&&[Certificate]| {
            chain.first().and_then(|leaf| leaf.details().ok()).is_some_and(|leaf| (client.keys)(&leaf.key))
        };
        // Its key may be one that is taken, and whoever verifies nothing may not read the rest.
        if let Some(why) = chains.iter().find_map(|chain| chain.first()?.details().err()) {
            return Tls::Unknown(format!("the certificate cannot be read here: {why}"));
        }
        match chains.iter().filter(is_taken).count() {
            0 => {
                let key = chains[0].first().and_then(|leaf| leaf.details().ok()).map(|leaf| leaf.key.to_string());
                let key = key.unwrap_or_else(|| "a key that cannot be read".to_owned());
                Tls::Failed(format!("{} does not take the key of the certificate, {key}", client.name))
            }
            _ if !self.is_key_shown() => {
                Tls::Unknown("nothing that the server sends before the end of a handshake proves its key".to_owned())
            }
            _ => Tls::Done,
        }
    }

    /// Whether a handshake was finished, or a signature in the clear was seen; how it turned out is judged elsewhere.
    fn is_key_shown(&self) -> bool {
        let served = self.seen.offers.seen().into_iter().flat_map(|offers| &offers.chains);
        let mut of_name = served.filter(|served| served.sni == Sni::Target);
        self.seen.session.tls.seen().is_some() || of_name.any(|served| served.possession.seen().is_some())
    }

    /// What the lists of what the server takes say.
    fn by_offers(&self, client: &Client, offers: &Offers) -> Tls {
        let newest = self.by_versions(client, offers, Version::Tls13);
        match (newest, client.always_has_tls13) {
            // Without an offer of TLS 1.3 the server may take an older version.
            (Tls::Failed(why), false) => match self.by_versions(client, offers, Version::Tls12) {
                Tls::Failed(_) => Tls::Failed(why),
                _ => Tls::Unknown(format!("{why}, and whether {} offers TLS 1.3 is not known", client.name)),
            },
            (newest, _) => newest,
        }
    }

    /// The same for a sender that offers no version above that.
    fn by_versions(&self, client: &Client, offers: &Offers, newest: Version) -> Tls {
        let (mut doubt, mut failed) = (None, None);
        for version in Version::ALL.into_iter().rev().filter(|version| (client.oldest..=newest).contains(version)) {
            let Some(offer) = offers.version(version) else { continue };
            match &offer.answer {
                Observed::Seen(Answer::Accepted) => {}
                Observed::Seen(Answer::Refused(_)) => continue,
                unseen => {
                    doubt.get_or_insert(format!("whether the server takes {version} is not known: {}", cut(&unseen.why_not())));
                    continue;
                }
            }
            let common: Vec<Suite> = offer.suites.accepted.iter().copied().filter(|suite| (client.suites)(*suite)).collect();
            if !common.is_empty()
                && common.iter().all(|suite| suite.authentication() == Authentication::Anonymous)
                && common.iter().any(|suite| self.is_anonymous(client, offers, *suite))
            {
                return Tls::Done;
            }
            let usable = common.iter().find(|suite| self.has_exchange(client, offers, **suite));
            let later = offers.groups.accepted.iter().find(|group| (client.later_groups)(**group));
            return match usable {
                Some(_) => match self.with_key(client) {
                    // Without a certificate it is as good as any where nobody verifies.
                    Tls::Failed(_) if common.iter().any(|suite| self.is_anonymous(client, offers, *suite)) => Tls::Done,
                    // A server that has no certificate for a client in TLS 1.3 goes on with TLS 1.2.
                    Tls::Failed(why) if version == Version::Tls13 => {
                        failed = Some(why);
                        continue;
                    }
                    other => other,
                },
                None if let (Version::Tls13, false, Some(group)) = (version, common.is_empty(), later) => Tls::Unknown(format!(
                    "{} offers {group}, which the server takes in {version}, in some of its releases only, and nothing else of it",
                    client.name
                )),
                None if version == Version::Tls13 && !common.is_empty() && !offers.groups.complete.contains(&GroupList::All) => {
                    Tls::Unknown(format!("which groups of {version} the server takes was not asked to the end"))
                }
                None if offer.suites.complete.contains(&SuiteFamily::All) => {
                    let why = if common.is_empty() { "no cipher suite" } else { "no group" };
                    Tls::Failed(format!("{} shares {why} of {version} with the server", client.name))
                }
                None => Tls::Unknown(format!("which suites of {version} the server takes was not asked to the end")),
            };
        }
        match doubt {
            Some(why) => Tls::Unknown(why),
            None if let Some(why) = failed => Tls::Failed(why),
            None => Tls::Failed(format!("{} offers {} and newer, and the server takes none of it", client.name, client.oldest)),
        }
    }

    /// Whether the key exchange of a suite finds a group.
    fn has_exchange(&self, client: &Client, offers: &Offers, suite: Suite) -> bool {
        if suite.is_tls13() {
            return offers.groups.accepted.is_empty() || offers.groups.accepted.iter().any(|group| (client.groups)(*group));
        }
        let name = suite.name().unwrap_or_default();
        if name.starts_with("TLS_ECDH") {
            return offers.curves.accepted.is_empty() || offers.curves.accepted.iter().any(|group| (client.groups)(*group));
        }
        if name.starts_with("TLS_DH") {
            let of_suite = || offers.dh.iter().filter(|group| group.suites.contains(&suite));
            return of_suite().all(|group| group.bits >= client.least_dh);
        }
        true
    }

    fn is_anonymous(&self, client: &Client, offers: &Offers, suite: Suite) -> bool {
        suite.authentication() == Authentication::Anonymous && self.has_exchange(client, offers, suite)
    }

    fn takes_tls12(&self) -> bool {
        // Where it was not asked: who has TLS 1.3 and has switched TLS 1.2 off is told by a thorough look.
        let Some(offers) = self.seen.offers.seen() else { return true };
        !matches!(offers.version(Version::Tls12).map(|offer| &offer.answer), Some(Observed::Seen(Answer::Refused(_))))
    }

    fn is_violated(&self, rule: &str) -> bool {
        self.violation(rule, &[""]).is_some()
    }

    /// What a rule finds in this view, where it is in some of these words.
    fn violation(&self, rule: &str, words: &[&str]) -> Option<String> {
        let Outcome::Violated(violations) = rules::find(rule)?.judge(self.context) else { return None };
        let is_meant =
            |violation: &Violation| violation.views.contains(&self.view) && words.iter().any(|words| says(violation, words));
        violations.into_iter().find(is_meant).map(|violation| violation.message)
    }

    /// The chains that a sender may get.
    pub(super) fn chains(&self, client: &Client) -> &[&'a [Certificate]] {
        match (&self.nameless, client.names_server) {
            // With a name or without, it is one of several certificates.
            (Some(nameless), false) if !nameless.iter().all(|chain| is_among(chain, &self.named)) => nameless,
            _ => &self.named,
        }
    }

    /// The certificate that a sender gets; why that cannot be told otherwise.
    pub fn leaf(&self, client: &Client) -> Result<&'a CertificateDetails, String> {
        match self.chains(client) {
            [] => Err("no certificate was seen".to_owned()),
            [chain] => {
                let leaf = chain.first().ok_or_else(|| "the server sent no certificate".to_owned())?;
                leaf.details().map_err(|why| format!("the certificate cannot be read: {why}"))
            }
            _ => Err("the server has several certificates, and which one this sender gets is not known".to_owned()),
        }
    }

    /// Whether a sender takes the certificate for that of this host.
    pub fn trust(&self, client: &Client) -> Trust {
        self.judge(client, true)
    }

    /// The same, whatever its name is.
    pub fn path_trust(&self, client: &Client) -> Trust {
        self.judge(client, false)
    }

    fn judge(&self, client: &Client, with_name: bool) -> Trust {
        let judged = self.judged.get_or_init(|| {
            let mut all = self.named.clone();
            all.extend(self.nameless.iter().flatten());
            distinct(all).into_iter().map(|chain| (chain, Judged::of(self.context, self.seen, chain))).collect()
        });
        let of = |chain: &&[Certificate]| judged.iter().find(|(known, _)| known == chain).map(|(_, judged)| judged);
        let mut all: Vec<Trust> =
            self.chains(client).iter().filter_map(of).map(|judged| judged.trust(client.library, with_name)).collect();
        all.dedup();
        match all.len() {
            0 => Trust::Unknown("no certificate was seen".to_owned()),
            1 => all.remove(0),
            _ => Trust::Unknown("the server has several certificates, and which one this sender gets is not known".to_owned()),
        }
    }
}

fn is_among(chain: &[Certificate], chains: &[&[Certificate]]) -> bool {
    chains.iter().any(|known| known.first() == chain.first())
}

/// Whether a greeting is what Postfix takes for that of a Cisco PIX; the hyphen behind the code of a line that is not the
/// last one is in the way.
fn is_masked(greeting: &Reply) -> bool {
    greeting.lines.len() <= 1
        && greeting.lines.iter().all(|line| line.as_str().chars().all(|c| matches!(c, '2' | '0' | ' ' | '*' | '\t')))
}

/// Each certificate of a server once.
fn distinct(chains: Vec<&[Certificate]>) -> Vec<&[Certificate]> {
    let mut all: Vec<&[Certificate]> = Vec::new();
    for chain in chains {
        if !all.iter().any(|known| known.first() == chain.first()) {
            all.push(chain);
        }
    }
    all
}

/// Whether a handshake fails for what the checker offers, so that others may fare better.
fn is_about_offer(failure: &Failure) -> bool {
    let Failure::Tls(why) = failure else { return false };
    let words = ["handshake_failure", "insufficient_security", "protocol_version"];
    why == Failure::OLDER_VERSION || words.iter().any(|word| why.ends_with(word))
}

/// Whether the handshake of the checker fails for the group X25519MLKEM768, which not every sender offers.
fn cannot_bear_hybrid(offers: &Offers) -> bool {
    let found = offers.intolerance.seen().into_iter().flatten();
    found.into_iter().any(|known| known.of == HelloTrait::HybridGroup && known.how.seen().is_some())
}

/// Whether every version is known to be refused.
fn refuses_all(offers: &Offers) -> bool {
    offers.versions.iter().all(|offer| matches!(offer.answer, Observed::Seen(Answer::Refused(_))))
}

/// How hellos without a server name are refused; none where one was answered, or none was sent.
fn refusal_without_name(offers: &Offers) -> Option<String> {
    let nameless = || offers.chains.iter().filter(|chain| chain.sni == Sni::None);
    let refusal = nameless().find_map(|chain| match &chain.answer {
        Observed::Seen(Answer::Refused(refusal)) => Some(refusal.to_string()),
        _ => None,
    })?;
    nameless().all(|chain| matches!(chain.answer, Observed::Seen(Answer::Refused(_)))).then_some(refusal)
}

/// What becomes of the hello of a sender, where the server cannot bear some.
fn intolerance(client: &Client, offers: &Offers) -> Option<Tls> {
    let all = match &offers.intolerance {
        Observed::Seen(all) => all,
        // It was asked for, and not told; a quick look does not ask.
        Observed::Failed(failure) if client.hello.is_some() && offers.depth != Depth::Quick => {
            let why = cut(&failure.to_string());
            return Some(Tls::Unknown(format!("what kinds of hello the server bears could not be told: {why}")));
        }
        _ => return None,
    };
    if client.is_postfix && cannot_bear_hybrid(offers) {
        let why =
            "the server cannot bear the group X25519MLKEM768, which Postfix offers or not as its OpenSSL does (from 3.5 on)";
        return Some(Tls::Unknown(why.to_owned()));
    }
    let has_nothing_in_tls13 = |known: &Intolerance| known.of == HelloTrait::NothingInTls13 && known.how.seen().is_some();
    if !client.always_has_tls13 && all.iter().any(has_nothing_in_tls13) {
        let name = client.name;
        let why = format!("the server takes nothing of TLS 1.3 and refuses who offers it, and whether {name} does is not known");
        return Some(Tls::Unknown(why));
    }
    let is_own = |of: HelloTrait| client.hello.is_some_and(|traits| traits.contains(&of));
    let found = all.iter().find(|intolerance| is_own(intolerance.of))?;
    let what = match found.of {
        HelloTrait::Tls13 => "an offer of TLS 1.3",
        HelloTrait::NothingInTls13 => "an offer of TLS 1.3, which it knows and takes nothing of",
        HelloTrait::ManySuites => "more than 64 suites",
        _ => "a hello of that size",
    };
    Some(match found.how.seen() {
        Some(how) => Tls::Failed(format!("the server cannot bear {what}: {}", cut(how))),
        None => Tls::Unknown(format!("whether the server bears {what} is not known: {}", cut(&found.how.why_not()))),
    })
}

/// A text from a server, cut where a reader has seen enough of it.
fn cut(text: &str) -> String {
    const MOST: usize = 160;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..crate::wire::whole(text, end)]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        rules::test_facts::World,
        senders::client::{EXCHANGE, EXIM, POSTFIX},
    };

    #[test]
    fn who_may_have_tls12_only_does_not_get_past_a_wrong_signature_in_it() {
        let world = World::correct();
        let mut facts = world.facts(1);
        facts.views[0].offers = Observed::Seen(Offers::good().with(|offers| {
            offers.chains[0].version = Some(Version::Tls12);
            offers.chains[0].possession = Observed::Seen(Possession::Refuted("rsa_pkcs1_sha256".to_owned()));
        }));
        let context = world.context(&facts);
        let hosts = hosts(&context);
        assert_eq!(hosts[0].tls(&POSTFIX), Tls::Done);
        assert!(matches!(hosts[0].tls(&EXCHANGE), Tls::Failed(_)));
    }

    /// X448 is in the lists of OpenSSL and GnuTLS, a finite field in that of GnuTLS and of the later releases of Postfix.
    #[rstest]
    #[case("x448", "done", "done")]
    #[case("secp521r1", "done", "done")]
    #[case("ffdhe2048", "unknown", "done")]
    #[case("ffdhe4096", "failed", "done")]
    #[case("brainpoolP256r1tls13", "failed", "failed")]
    fn a_group_that_the_checker_does_not_offer_may_be_that_of_senders(
        #[case] group: &str,
        #[case] postfix: &str,
        #[case] exim: &str,
    ) {
        let kind = |tls: Tls| match tls {
            Tls::Done => "done",
            Tls::Failed(_) => "failed",
            Tls::Unknown(_) => "unknown",
            _ => "other",
        };
        let world = World::correct();
        let mut facts = world.facts(1);
        let failure = Failure::Tls("the server sent the alert handshake_failure".to_owned());
        facts.views[0].session.tls = Observed::Failed(failure);
        facts.views[0].offers = Observed::Seen(Offers::good().groups(&[group]));
        let context = world.context(&facts);
        let host = &hosts(&context)[0];
        assert_eq!([kind(host.tls(&POSTFIX)), kind(host.tls(&EXIM))], [postfix, exim]);
        // It may offer TLS 1.2 alone.
        assert_eq!(kind(host.tls(&EXCHANGE)), "unknown");
    }

    #[test]
    fn who_takes_nothing_of_tls13_stops_who_offers_it() {
        let world = World::correct();
        let mut facts = world.facts(1);
        let how = Observed::Seen("refused with the alert handshake_failure".to_owned());
        facts.views[0].offers = Observed::Seen(
            Offers::good()
                .refuse(Version::Tls13)
                .with(|offers| offers.intolerance = Observed::Seen(vec![Intolerance { of: HelloTrait::NothingInTls13, how }])),
        );
        let context = world.context(&facts);
        let host = &hosts(&context)[0];
        assert!(matches!(host.tls(&POSTFIX), Tls::Failed(_)));
        assert!(matches!(host.tls(&EXCHANGE), Tls::Unknown(_)));
    }

    #[rstest]
    #[case(&[""], true)]
    #[case(&["***2**0*"], true)]
    #[case(&["", ""], false)]
    #[case(&["***", "***"], false)]
    #[case(&["mx.example.test"], false)]
    fn a_hyphen_in_the_greeting_is_in_the_way_of_the_workaround(#[case] lines: &[&str], #[case] expected: bool) {
        let greeting = Reply { code: 220, lines: lines.iter().map(|line| (*line).into()).collect(), bare_lf: false };
        assert_eq!(is_masked(&greeting), expected);
    }
}
