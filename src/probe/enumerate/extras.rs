//! Questions beside the lists: other server names, ALPN, the other certificate, whose order decides.

use super::{
    ask::{Asker, Heard, Said, Tally},
    evidence,
    lists::{Choice, NOW_ONE_WAY, SEVERAL_ORDERS},
};
use crate::{
    facts::{
        Alpn, Answer, ClientCertificate, Failure, HelloTrait, Intolerance, KeyAlgorithm, Observed, Preference, Question, Refusal,
        ServedChain, Sni, VersionOffer,
    },
    hello::ClientHello,
    probe::{
        handshake::{Handshake, Wanted},
        possession,
    },
    tls::{Alert, Authentication, Suite, Version},
    wire::WireText,
};

/// A protocol that no mail server speaks, and that web servers do (RFC 7301, 6).
const FOREIGN_PROTOCOL: &[u8] = b"h2";

const NO_APPLICATION_PROTOCOL: Alert = Alert(120);

impl Asker<'_> {
    /// The chain that is sent to another server name, asked in the clear. The suites go in the order given; with the
    /// answer comes what was chosen of them.
    pub(super) async fn other_name(
        &self,
        offer: &VersionOffer,
        suites: &[Suite],
        sni: Sni,
    ) -> (ServedChain, Option<Choice>, Option<Question>) {
        let mut tally = Tally::new(match sni {
            Sni::None => "no server name",
            _ => "a foreign server name",
        });
        let mut hello = self.hello(offer.version, suites, sni);
        let mut said = self.ask(&hello, sni, &mut tally).await;
        let chosen = match &said {
            Ok(Said::Took(flight)) => flight.hello.as_ref().map(|hello| hello.suite),
            _ => None,
        };
        let choice = chosen.map(|chosen| Choice { offered: suites.to_vec(), chosen });
        // Behind another name may be another kind of certificate, or other versions: only who takes nothing refuses the name.
        for (version, wider) in [(offer.version, self.certified_suites()), (Version::Tls13, Suite::tls13())] {
            if !matches!(said, Ok(Said::Refused(refusal, _)) if refusal != Refusal::Alert(Alert::UNRECOGNIZED_NAME)) {
                break;
            }
            hello = self.hello(version, &wider, sni);
            said = self.ask(&hello, sni, &mut tally).await;
        }
        (served(said, &hello, Authentication::Any, sni), choice, tally.into_question())
    }

    /// All suites where the server bears them, the common ones else; those with a certificate first.
    fn certified_suites(&self) -> Vec<Suite> {
        let (bearing, all) = (self.bearing(), super::shape::certificate_first());
        if bearing.many_suites && bearing.large { all } else { all.into_iter().filter(super::shape::is_common).collect() }
    }

    /// What becomes of an ALPN offer, asked in the clear; in two records, so that a server which cannot bear that is found
    /// out by the way.
    pub(super) async fn alpn(&self, offer: &VersionOffer) -> (Observed<Alpn>, Option<Intolerance>, Option<Question>) {
        let mut tally = Tally::new("ALPN, in two records");
        let alpn = vec![FOREIGN_PROTOCOL.to_vec()];
        let whole = ClientHello { alpn, ..self.hello(offer.version, &offer.suites.accepted, Sni::Target) };
        let cut = ClientHello { in_two_records: true, ..whole.clone() };
        let mut said = self.ask(&cut, Sni::Target, &mut tally).await;
        let mut intolerance = None;
        let is_alert = |said: &Result<Said, Failure>| matches!(said, Ok(Said::Refused(Refusal::Alert(_), _)));
        let is_cut_refused = is_alert(&said);
        let is_about_alpn = matches!(said, Ok(Said::Refused(Refusal::Alert(NO_APPLICATION_PROTOCOL), _)));
        if !is_about_alpn && matches!(said, Err(_) | Ok(Said::Refused(Refusal::Closed | Refusal::Alert(_), _))) {
            said = self.ask(&whole, Sni::Target, &mut tally).await;
            let is_answered = matches!(said, Ok(Said::Took(_) | Said::Refused(Refusal::Alert(_) | Refusal::OtherVersion(_), _)));
            // Who sends the alert to the whole of it as well refuses ALPN.
            if is_answered && !(is_cut_refused && is_alert(&said)) {
                intolerance = self.contrast(HelloTrait::Fragmented, offer.version, &mut tally).await;
            } else if let Err(failure) = said.as_ref()
                && !matches!(failure, Failure::Local(_))
            {
                intolerance = Some(Intolerance { of: HelloTrait::Fragmented, how: Observed::Failed(failure.clone()) });
            }
        }
        let answer = match said {
            Err(failure) => Observed::Failed(failure),
            Ok(Said::Refused(refusal, _)) => Observed::Seen(Alpn::Refused(refusal)),
            Ok(Said::Took(flight)) => Observed::Seen(match flight.hello.as_ref().and_then(|hello| hello.alpn()) {
                Some(protocol) => Alpn::Chosen(WireText::from_bytes(protocol)),
                None => Alpn::Ignored,
            }),
        };
        (answer, intolerance, tally.into_question())
    }

    /// Whose order decides in a version: the suites that it accepts, in the order contrary to the one in which it chose
    /// them. `choice` is the answer to such an offer, where another question made one.
    pub(super) async fn preference(
        &self,
        offer: &VersionOffer,
        choice: Option<Choice>,
    ) -> (Observed<Preference>, Option<Question>) {
        let accepted = certified(&offer.suites.accepted);
        if accepted.len() < 2 || offer.preference.seen().is_some() {
            return (offer.preference.clone(), None);
        }
        let (chosen, question) = match choice {
            Some(choice) => (Ok(Some(choice.chosen)), None),
            None => {
                let mut tally = Tally::new(format!("whose order decides in {}", offer.version));
                let said = self.ask(&self.hello(offer.version, &contrary(&accepted), Sni::Target), Sni::Target, &mut tally).await;
                let chosen = said.map(|said| match said {
                    Said::Took(flight) => flight.hello.map(|hello| hello.suite),
                    Said::Refused(..) => None,
                });
                (chosen, tally.into_question())
            }
        };
        let first = contrary(&accepted).first().copied();
        let preference = match chosen {
            Ok(_) if first == accepted.first().copied() => {
                Observed::NotAttempted("beside ChaCha20 there is one suite, and no order to compare".to_owned())
            }
            // Chosen first again, though it stands last now.
            Ok(Some(chosen)) if Some(&chosen) == accepted.first() && self.asks_in_chunks(offer.version) => {
                Observed::Failed(Failure::Tls(SEVERAL_ORDERS.to_owned()))
            }
            Ok(Some(chosen)) if Some(&chosen) == accepted.first() => Observed::Seen(Preference::Server),
            Ok(Some(chosen)) if Some(chosen) == first => Observed::Seen(Preference::Client),
            Ok(_) => Observed::NotAttempted(NOW_ONE_WAY.to_owned()),
            Err(failure) => Observed::Failed(failure),
        };
        (preference, question)
    }

    /// For a server that speaks TLS 1.3 only: a finished handshake shows what no hello can.
    pub(super) async fn behind_tls13(&self, what: &str, wanted: Wanted, asked: Authentication) -> (Shaken, Option<Question>) {
        let mut tally = Tally::new(what);
        let sni = match (wanted.with_sni, wanted.server_name == self.target.name.as_str()) {
            (false, _) => Sni::None,
            (true, true) => Sni::Target,
            (true, false) => Sni::Foreign,
        };
        let handshake = self.shake(&wanted, &mut tally).await;
        (shaken(handshake, asked, sni), tally.into_question())
    }

    /// A handshake as the session had it.
    pub(super) fn usual(&self) -> Wanted {
        Wanted::usual(&self.target.name)
    }
}

/// Suites the other way round, but for ChaCha20, which is not the first: some servers take it from a client that wants it
/// most, and decide themselves everywhere else.
pub(super) fn contrary(suites: &[Suite]) -> Vec<Suite> {
    let mut contrary: Vec<Suite> = suites.iter().rev().copied().collect();
    let is_chacha = |suite: &Suite| suite.name().is_some_and(|name| name.contains("CHACHA20"));
    if let Some(other) = contrary.iter().position(|suite| !is_chacha(suite)) {
        contrary.swap(0, other);
    }
    contrary
}

/// The suites that come with a certificate, or all of them where none does.
pub(super) fn certified(suites: &[Suite]) -> Vec<Suite> {
    let is_wanted = |suite: &&Suite| !matches!(suite.authentication(), Authentication::Anonymous | Authentication::Other);
    let found: Vec<_> = suites.iter().filter(is_wanted).copied().collect();
    if found.is_empty() { suites.to_vec() } else { found }
}

/// What a finished handshake showed.
pub(super) struct Shaken {
    pub chain: ServedChain,
    pub alpn: Observed<Alpn>,
    pub client_certificate: Observed<ClientCertificate>,
}

fn shaken(handshake: Result<Handshake, Failure>, asked: Authentication, sni: Sni) -> Shaken {
    let handshake = match handshake {
        Ok(handshake) => handshake,
        Err(failure) => {
            return Shaken {
                chain: ServedChain { authentication: asked, sni, ..lost(&failure) },
                alpn: Observed::Failed(failure.clone()),
                client_certificate: Observed::Failed(failure),
            };
        }
    };
    let Some(certificates) = handshake.certificates else {
        let refusal = handshake.refusal.and_then(|refused| refused.alert).map(Refusal::Alert);
        let failure = handshake.outcome.err().unwrap_or(Failure::Closed);
        let answer = refusal.map_or(Observed::Failed(failure.clone()), |refusal| Observed::Seen(Answer::Refused(refusal)));
        return Shaken {
            chain: ServedChain { authentication: asked, sni, answer, ..lost(&failure) },
            alpn: refusal.map_or(Observed::Failed(failure.clone()), |refusal| Observed::Seen(Alpn::Refused(refusal))),
            client_certificate: Observed::Failed(failure),
        };
    };
    let key = certificates.first().and_then(|leaf| leaf.details().ok()).map(|details| details.key.algorithm);
    Shaken {
        chain: ServedChain {
            authentication: key.map_or(asked, kind_of),
            sni,
            answer: Observed::Seen(Answer::Accepted),
            version: Some(Version::Tls13),
            certificates: Observed::Seen(certificates),
            possession: match handshake.possession {
                Some(possession) => Observed::Seen(possession),
                None => Observed::NotAttempted("the handshake ended before the signature".to_owned()),
            },
        },
        alpn: Observed::Seen(match handshake.alpn {
            Some(protocol) => Alpn::Chosen(WireText::from_bytes(&protocol)),
            None => Alpn::Ignored,
        }),
        client_certificate: Observed::Seen(match handshake.certificate_request {
            Some(ca_bytes) => ClientCertificate::Requested { ca_bytes },
            None => ClientCertificate::NotRequested,
        }),
    }
}

/// The handshake of a sender that has a use for one kind of certificate only.
pub(super) fn only(wanted: Wanted, kind: Authentication) -> Wanted {
    let is_rsa = |scheme: &rustls::SignatureScheme| format!("{scheme:?}").starts_with("RSA");
    let schemes = possession::OFFERED.into_iter().filter(|scheme| is_rsa(scheme) == (kind == Authentication::Rsa)).collect();
    Wanted { schemes, ..wanted }
}

/// A handshake without a server name, or with a foreign one.
pub(super) fn named(wanted: Wanted, sni: Sni) -> Wanted {
    match sni {
        Sni::Target => wanted,
        Sni::None => Wanted { with_sni: false, ..wanted },
        Sni::Foreign => Wanted { server_name: super::shape::FOREIGN_NAME.to_owned(), ..wanted },
    }
}

/// A handshake that offers a protocol which no mail server speaks.
pub(super) fn with_alpn(wanted: Wanted) -> Wanted {
    Wanted { alpn: vec![FOREIGN_PROTOCOL.to_vec()], ..wanted }
}

/// The kind of certificate that such a key is in.
pub(super) fn kind_of(key: KeyAlgorithm) -> Authentication {
    match key {
        KeyAlgorithm::Rsa | KeyAlgorithm::RsaPss => Authentication::Rsa,
        KeyAlgorithm::Ec | KeyAlgorithm::Ed25519 | KeyAlgorithm::Ed448 => Authentication::Ecdsa,
        KeyAlgorithm::Other => Authentication::Any,
    }
}

/// What an answer to one way of asking says of the chain.
pub(super) fn served(said: Result<Said, Failure>, asked: &ClientHello, wanted: Authentication, sni: Sni) -> ServedChain {
    let without = |answer: Observed<Answer>, why: &str| ServedChain {
        authentication: wanted,
        sni,
        answer,
        version: None,
        certificates: Observed::NotAttempted(why.to_owned()),
        possession: Observed::NotAttempted(why.to_owned()),
    };
    match said {
        Err(failure) => ServedChain { authentication: wanted, sni, ..lost(&failure) },
        Ok(Said::Refused(refusal, _)) => without(Observed::Seen(Answer::Refused(refusal)), "the server refused the offer"),
        Ok(Said::Took(flight)) => {
            let version = flight.hello.as_ref().map(|hello| hello.version);
            let heard = Heard { asked: asked.clone(), sni, flight: *flight, number: 0 };
            evidence::chain(&heard).unwrap_or_else(|| ServedChain {
                version,
                ..without(
                    Observed::Seen(Answer::Accepted),
                    if version == Some(Version::Tls13) { "TLS 1.3 encrypts it" } else { "the suite goes without a certificate" },
                )
            })
        }
    }
}

fn lost(failure: &Failure) -> ServedChain {
    ServedChain {
        authentication: Authentication::Any,
        sni: Sni::Target,
        answer: Observed::Failed(failure.clone()),
        version: None,
        certificates: Observed::Failed(failure.clone()),
        possession: Observed::Failed(failure.clone()),
    }
}
