//! What a view was asked of its TLS besides the session: what is taken, what is not, and what it cost.

use super::{MAX_ITEMS, MAX_NAME, MAX_VALUE, Text, style};
use crate::{
    facts::{
        Alpn, Answer, Depth, Features, HelloTrait, KeyAlgorithm, Observed, Offers, Possession, Preference, ServedChain, Sni,
        Taken, VersionOffer, View,
    },
    report::layout::join_some,
    tls::{Authentication, SuiteFamily, Version},
};

/// More versions or questions than there are; only a forged report holds more.
const MOST_ROWS: usize = 80;

/// A list that is asked as a whole.
trait List: Copy + PartialEq + serde::Serialize {}
impl<L: Copy + PartialEq + serde::Serialize> List for L {}

impl Text<'_> {
    /// The section of one view; nothing where nobody asked.
    pub(super) fn offers(&mut self, view: &View) {
        let offers = match &view.offers {
            Observed::Seen(offers) => offers,
            Observed::Failed(failure) => {
                let why = self.show(&format!("not known: {failure}"), MAX_VALUE);
                return self.field(2, "takes", &why);
            }
            Observed::NotAttempted(_) => return,
        };
        let depth = match offers.depth {
            Depth::Quick => {
                let asked_newest = offers
                    .versions
                    .iter()
                    .any(|offer| offer.version == Version::Tls13 && !matches!(offer.answer, Observed::NotAttempted(_)));
                let hellos = match asked_newest {
                    true => "one hello of everything from SSLv3 to TLSv1.2 and one of all of TLSv1.3",
                    false => "one hello of everything from SSLv3 to TLSv1.2",
                };
                format!("{hellos}, since the handshake was refused")
            }
            depth => format!("as asked at --probe {}", depth.name()),
        };
        self.field(2, "takes", &depth);
        let mut rows = vec![["version", "taken", "order", "suites"].map(str::to_owned).to_vec()];
        for offer in offers.versions.iter().take(MOST_ROWS) {
            self.version_rows(offer, &mut rows);
        }
        self.page.table(4, &rows);
        self.lists(offers);
        self.answers(offers);
        if let Some(narrowed) = &offers.narrowed {
            let why = format!("down to {} at one time, since one of more was turned away: {}", narrowed.lanes, narrowed.why);
            let why = self.show(&why, MAX_VALUE);
            self.field(2, "side by side", &why);
        }
        for (index, chain) in offers.chains.iter().enumerate().take(MAX_ITEMS) {
            self.served(view, chain, &offers.chains[..index]);
        }
        if self.options.timings {
            self.costs(offers);
        }
    }

    /// One row for each suite; the first says what is known of the version.
    fn version_rows(&self, offer: &VersionOffer, rows: &mut Vec<Vec<String>>) {
        let (taken, why) = match &offer.answer {
            Observed::Seen(Answer::Accepted) => ("yes", None),
            Observed::Seen(Answer::Refused(refusal)) => ("no", Some(refusal.to_string())),
            Observed::Failed(failure) => ("unknown", Some(failure.to_string())),
            Observed::NotAttempted(_) => ("not asked", None),
        };
        let order = match offer.preference {
            Observed::Seen(Preference::Server) => "server",
            Observed::Seen(Preference::Client) => "client",
            Observed::Failed(_) => "unknown",
            Observed::NotAttempted(_) => "",
        };
        let suites = &offer.suites;
        let mut cells: Vec<String> = suites.accepted.iter().take(MAX_ITEMS).map(ToString::to_string).collect();
        if suites.accepted.len() > MAX_ITEMS {
            cells.push(format!("… and {} more; all with --format json", suites.accepted.len() - MAX_ITEMS));
        }
        cells.extend(why.map(|why| self.show(&why, MAX_NAME)));
        cells.extend(self.rest(suites, SuiteFamily::All, |family, suite| suite.is_in(family)));
        let first = cells.first().cloned().unwrap_or_default();
        rows.push(vec![offer.version.to_string(), taken.to_owned(), order.to_owned(), first]);
        rows.extend(cells.into_iter().skip(1).map(|cell| vec![String::new(), String::new(), String::new(), cell]));
    }

    /// What is known of those that were not taken; nothing where each was refused.
    fn rest<T: Copy, L: List>(&self, taken: &Taken<T, L>, all: L, has: impl Fn(L, T) -> bool) -> Vec<String> {
        let word =
            |list: &L| serde_json::to_value(list).ok().and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default();
        let mut cells = Vec::new();
        if !taken.complete.is_empty() && !taken.complete.contains(&all) {
            // Of some lists a part was taken before the rest was refused.
            let is_taken = |list: L| taken.accepted.iter().any(|item| has(list, *item));
            let words = |list: &L| if is_taken(*list) { format!("all others of {}", word(list)) } else { word(list) };
            cells.push(format!("refused: {}", join_some(&taken.complete.iter().map(words).collect::<Vec<_>>(), MAX_ITEMS, ", ")));
        }
        for (list, failure) in taken.unknown.iter().take(MAX_ITEMS) {
            cells.push(self.show(&format!("unknown: {} ({failure})", word(list)), MAX_NAME));
        }
        cells
    }

    fn lists(&mut self, offers: &Offers) {
        use crate::facts::{GroupList, SchemeList};
        self.list("groups", &offers.groups, GroupList::All, GroupList::has);
        self.list("curves", &offers.curves, GroupList::All, GroupList::has);
        self.list("signs with", &offers.schemes, SchemeList::All, SchemeList::has);
        if !offers.dh.is_empty() {
            let groups: Vec<String> = offers
                .dh
                .iter()
                .map(|group| {
                    let others =
                        if group.suites.len() > 1 { format!(" and {} more", group.suites.len() - 1) } else { String::new() };
                    format!(
                        "{} bits for {}{others}",
                        group.bits,
                        group.suites.first().map(ToString::to_string).unwrap_or_default()
                    )
                })
                .collect();
            self.field(2, "DH groups", &join_some(&groups, MAX_ITEMS, ", "));
        }
    }

    fn list<T: ToString + Copy, L: List>(&mut self, key: &str, taken: &Taken<T, L>, all: L, has: impl Fn(L, T) -> bool) {
        let accepted: Vec<String> = taken.accepted.iter().map(ToString::to_string).collect();
        let mut parts = Vec::new();
        if !accepted.is_empty() {
            parts.push(join_some(&accepted, MAX_ITEMS, ", "));
        } else if taken.complete.contains(&all) {
            parts.push("none".to_owned());
        }
        parts.extend(self.rest(taken, all, has));
        if !parts.is_empty() {
            self.field(2, key, &parts.join("; "));
        }
    }

    fn answers(&mut self, offers: &Offers) {
        self.answer("confirms", &offers.features, |_, features| features_text(features));
        self.answer("ALPN", &offers.alpn, |text, alpn| match alpn {
            Alpn::Ignored => "an unknown protocol is ignored".to_owned(),
            Alpn::Chosen(protocol) => format!("an unknown protocol is answered with {}", text.show(protocol.as_str(), MAX_NAME)),
            Alpn::Refused(refusal) => format!("an unknown protocol is {refusal}"),
        });
        self.answer("cannot bear", &offers.intolerance, |text, found| {
            let words = found.iter().map(|intolerance| match &intolerance.how {
                Observed::Seen(how) => format!("{} ({how})", trait_text(intolerance.of)),
                unseen => format!("{}: could not be told ({})", trait_text(intolerance.of), unseen.why_not()),
            });
            let words = text.show_all(words.take(MAX_ITEMS), MAX_NAME);
            let is_cut = offers.versions.iter().any(|offer| matches!(offer.answer, Observed::Failed(_)));
            match (words.is_empty(), offers.lost) {
                (false, _) => words.join(", "),
                (true, 0) if is_cut => "nothing that was tried, and not everything was".to_owned(),
                (true, 0) => "nothing that was tried".to_owned(),
                (true, lost) => format!("not known: {lost} of the questions got no answer, however often they were asked"),
            }
        });
    }

    /// A row for what was seen or failed; what was not asked is left to the list at the end.
    fn answer<T>(&mut self, key: &str, what: &Observed<T>, words: impl FnOnce(&Self, &T) -> String) {
        let value = match what {
            Observed::Seen(value) => words(self, value),
            Observed::Failed(failure) => self.show(&format!("unknown: {failure}"), MAX_VALUE),
            Observed::NotAttempted(_) => return,
        };
        self.field(2, key, &value);
    }

    /// How one way of asking for a certificate was answered; the certificate where it was not shown before.
    fn served(&mut self, view: &View, served: &ServedChain, earlier: &[ServedChain]) {
        let bears_no_name = view
            .offers
            .seen()
            .and_then(|offers| offers.intolerance.seen())
            .into_iter()
            .flatten()
            .any(|known| known.of == HelloTrait::OwnName);
        let sni_text = |sni| if sni == Sni::Target && bears_no_name { "no name in its place" } else { sni_text(sni) };
        let kind = match served.certificates.seen().and_then(|chain| chain.first()?.details().ok()).map(|leaf| leaf.key.algorithm)
        {
            // They go with the suites that have ECDSA in their names (RFC 8422, 5.10).
            Some(KeyAlgorithm::Ed25519) => "Ed25519",
            Some(KeyAlgorithm::Ed448) => "Ed448",
            _ => authentication_text(served.authentication),
        };
        let asked = format!("{kind}, {}", sni_text(served.sni));
        let own = view.session.certificates.seen().and_then(|chain| chain.first());
        let mut unseen = None;
        let answer = match (&served.answer, &served.certificates) {
            (Observed::Seen(Answer::Refused(refusal)), _) => refusal.to_string(),
            (_, Observed::Seen(chain)) => {
                let version = served.version.map(|version| format!("{version}, ")).unwrap_or_default();
                let proof = match &served.possession {
                    Observed::Seen(Possession::Proven(scheme)) => format!(", key proven, {scheme}"),
                    Observed::Seen(Possession::Refuted(why)) => format!(", key refuted: {why}"),
                    Observed::Seen(Possession::NotVerified(scheme)) => format!(", key not verified, {scheme}"),
                    Observed::Failed(failure) => format!(", key unknown: {failure}"),
                    Observed::NotAttempted(_) => String::new(),
                };
                let first = |served: &ServedChain| served.certificates.seen().and_then(|chain| chain.first().cloned());
                if own.is_some() && chain.first() == own {
                    format!("{version}the certificate of the session{proof}")
                } else if let Some(same) = earlier.iter().find(|earlier| first(earlier).as_ref() == chain.first()) {
                    format!("{version}the same as with {}{proof}", sni_text(same.sni))
                } else {
                    unseen = chain.first();
                    format!("{version}{} sent{proof}", chain.len())
                }
            }
            (Observed::Failed(failure), _) | (_, Observed::Failed(failure)) => format!("unknown: {failure}"),
            (_, Observed::NotAttempted(why)) => format!("not asked: {why}"),
        };
        let answer = self.show(&answer, MAX_VALUE);
        self.field(2, "certificate", &format!("{asked}: {answer}"));
        if let Some(certificate) = unseen {
            self.certificate(1, certificate);
        }
    }

    /// What each question cost; left out of snapshots, since it differs from run to run.
    fn costs(&mut self, offers: &Offers) {
        if offers.questions.is_empty() {
            return;
        }
        let sum =
            |of: fn(&crate::facts::Question) -> u64| offers.questions.iter().map(of).fold(0, u64::saturating_add).to_string();
        let mut rows = vec![["asked", "answered", "lost", "bytes", "ms"].map(str::to_owned).to_vec()];
        for question in offers.questions.iter().take(MOST_ROWS) {
            let numbers = [u64::from(question.answered), u64::from(question.unanswered), question.bytes, question.millis];
            let what = self.show(&question.what, 40);
            rows.push(std::iter::once(what).chain(numbers.map(|number| number.to_string())).collect());
        }
        let sums = [
            sum(|question| u64::from(question.answered)),
            sum(|question| u64::from(question.unanswered)),
            sum(|question| question.bytes),
            sum(|question| question.millis),
        ];
        rows.push(std::iter::once("all".to_owned()).chain(sums).collect());
        let heading = "what the questions cost, in connections, bytes and milliseconds; with --parallel their times overlap";
        self.page.wrapped(style::DIM, "  ", "  ", heading);
        self.page.table(4, &rows);
    }
}

fn features_text(features: &Features) -> String {
    let known = [
        (Some(features.secure_renegotiation), "secure renegotiation"),
        (Some(features.extended_master_secret), "extended master secret"),
        (features.encrypt_then_mac, "encrypt-then-MAC"),
        (Some(features.session_ticket), "session tickets"),
        (Some(features.compression), "compression"),
        (Some(features.ocsp_staple.is_some()), "an OCSP staple"),
    ];
    let of = |wanted: bool| {
        let words: Vec<&str> = known.iter().filter(|(has, _)| *has == Some(wanted)).map(|(_, word)| *word).collect();
        if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
    };
    format!("in {}: {}; not: {}", features.version, of(true), of(false))
}

fn trait_text(of: HelloTrait) -> &'static str {
    match of {
        HelloTrait::Tls13 => "an offer of TLS 1.3",
        HelloTrait::Tls12 => "an offer of TLS 1.2",
        HelloTrait::MiddleSized => "a hello of 256 to 511 bytes",
        HelloTrait::Large => "a hello of more than 512 bytes",
        HelloTrait::Huge => "a hello of more than 1,400 bytes",
        HelloTrait::Fragmented => "a hello in two records",
        HelloTrait::UnknownExtension => "an unknown extension",
        HelloTrait::ManySuites => "many suites",
        HelloTrait::OwnName => "its own name",
        HelloTrait::HybridGroup => "the group X25519MLKEM768",
        HelloTrait::Padding => "the extension that pads a hello",
        HelloTrait::Compression => "an offer of compression",
        HelloTrait::SessionTicket => "the extension session_ticket",
        HelloTrait::StatusRequest => "the extension status_request",
        HelloTrait::EncryptThenMac => "the extension encrypt_then_mac",
        HelloTrait::ExtendedMasterSecret => "the extension extended_master_secret",
        HelloTrait::ManySchemes => "more than 16 signature schemes",
        HelloTrait::ManyGroups => "more than 16 groups",
        HelloTrait::EmptyKeyShare => "an empty key_share",
        HelloTrait::NothingInTls13 => "an offer of TLS 1.3, which it knows and takes nothing of",
    }
}

fn authentication_text(authentication: Authentication) -> &'static str {
    match authentication {
        Authentication::Rsa => "RSA",
        Authentication::Ecdsa => "ECDSA",
        Authentication::Dsa => "DSA",
        Authentication::Anonymous => "anonymous",
        Authentication::Other => "other",
        Authentication::Any => "any kind",
    }
}

fn sni_text(sni: Sni) -> &'static str {
    match sni {
        Sni::Target => "its own name",
        Sni::None => "no server name",
        Sni::Foreign => "a foreign server name",
    }
}
