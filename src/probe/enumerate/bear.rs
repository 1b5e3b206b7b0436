//! Which hellos a server cannot bear, told apart from what it refuses and from lost connections.

use super::{
    ask::{Asker, Said, Tally},
    lists::First,
    shape,
};
use crate::{
    facts::{Failure, HelloTrait, Intolerance, Observed, Refusal, Sni},
    hello::{ClientHello, Extra},
    tls::{Alert, Suite, Version},
};

/// How often a hello must go unanswered, with a plainer one answered each time beside it, before it is said that the
/// server cannot bear it. Connections that are lost by chance would not keep to that.
const ROUNDS: u32 = 5;
/// An alert is an answer: so often is enough.
const ALERTS: u32 = 2;
/// What the first hello has that a plain one has not.
pub(super) const IN_FIRST_HELLO: [HelloTrait; 4] =
    [HelloTrait::UnknownExtension, HelloTrait::ManySuites, HelloTrait::Large, HelloTrait::Huge];

impl Asker<'_> {
    /// The first question about TLS 1.2, with everything that a hello can hold. Where nothing comes back, plainer ones
    /// say why; the answer is then that to the first hello which the server bears.
    pub(super) async fn first_question(&self, tally: &mut Tally) -> (Option<First>, Observed<Vec<Intolerance>>) {
        let hello = ClientHello { padded_to: shape::HUGE, ..self.hello(Version::Tls12, &shape::suites(), Sni::Target) };
        let first = self.ask(&hello, Sni::Target, tally).await;
        let failure = match &first {
            Err(failure) => failure.clone(),
            Ok(Said::Refused(refusal @ Refusal::Alert(alert), _)) if *alert != Alert::PROTOCOL_VERSION => {
                Failure::Tls(refusal.to_string())
            }
            Ok(_) => return (Some(first), Observed::Seen(Vec::new())),
        };
        let mut effort = Tally::new("what the server can bear in a hello");
        let plain = self.ask(&self.plain_hello(Version::Tls12), Sni::Target, &mut effort).await;
        match (&first, plain) {
            (Err(_), Err(_)) => {
                tally.absorb(effort);
                return (Some(first), Observed::Failed(failure));
            }
            // It refuses that version, however it is offered.
            (Ok(_), Ok(Said::Refused(Refusal::Alert(_), _))) => {
                tally.absorb(effort);
                return (Some(first), Observed::Seen(Vec::new()));
            }
            (Ok(_), Err(lost)) => {
                tally.absorb(effort);
                return (Some(first), Observed::Failed(lost));
            }
            (_, Ok(_)) => {}
        }
        let mut found = Vec::new();
        for of in IN_FIRST_HELLO {
            let is_implied = of == HelloTrait::Huge && !self.bearing().large;
            if is_implied {
                continue;
            }
            if let Some(intolerance) = self.contrast(of, Version::Tls12, &mut effort).await {
                match of {
                    _ if intolerance.how.seen().is_none() => {}
                    HelloTrait::UnknownExtension => self.learn(|bearing| bearing.unknown_extension = false),
                    HelloTrait::ManySuites => self.learn(|bearing| bearing.many_suites = false),
                    HelloTrait::Large => self.learn(|bearing| bearing.large = false),
                    // No other hello of ours is that large.
                    HelloTrait::Huge => {}
                    HelloTrait::MiddleSized
                    | HelloTrait::Fragmented
                    | HelloTrait::Tls13
                    | HelloTrait::Tls12
                    | HelloTrait::OwnName => {}
                }
                found.push(intolerance);
            }
        }
        tally.absorb(effort);
        if found.iter().all(|intolerance| intolerance.how.seen().is_none()) {
            // A plainer hello passed, and no trait alone explains it: the smallest hello is the safe one.
            self.learn(|bearing| (bearing.large, bearing.unknown_extension) = (false, false));
            return (None, Observed::Failed(failure));
        }
        (None, Observed::Seen(found))
    }

    /// For a server that refused the usual hello and the first one: whether it did so for its name. Then the answer to the
    /// first without it, where that is one.
    pub(super) async fn whether_for_its_name(&self, refusal: Refusal, tally: &mut Tally) -> Option<First> {
        let older = ClientHello { server_name: None, ..self.hello(Version::Tls12, &shape::suites(), Sni::Target) };
        let newest = ClientHello { server_name: None, ..self.hello(Version::Tls13, &Suite::tls13(), Sni::Target) };
        let said = self.ask(&older, Sni::Target, tally).await;
        let is_taken = |said: &First| matches!(said, Ok(Said::Took(_) | Said::Refused(Refusal::OtherVersion(_), _)));
        if is_taken(&said) {
            self.learn(|bearing| bearing.name_refusal = Some(refusal));
            return Some(said);
        }
        if is_taken(&self.ask(&newest, Sni::Target, tally).await) {
            // With the name it must be refused, too: the usual hello may have been for something else.
            let named = self.ask(&self.hello(Version::Tls13, &Suite::tls13(), Sni::Target), Sni::Target, tally).await;
            if let Ok(Said::Refused(refusal @ Refusal::Alert(_), _)) = named {
                self.learn(|bearing| bearing.name_refusal = Some(refusal));
            }
        }
        None
    }

    /// Whether that trait alone makes a hello of the version `base` unbearable; nothing where one that has it is answered,
    /// or one without it is refused as well.
    ///
    /// Each round the other hello goes first: servers that take turns behind one address would answer an even beat.
    pub(super) async fn contrast(&self, of: HelloTrait, base: Version, tally: &mut Tally) -> Option<Intolerance> {
        let unclear = |failure: Failure| Some(Intolerance { of, how: Observed::Failed(failure) });
        let mut how = String::new();
        for round in 0..ROUNDS {
            let is_odd = round % 2 == 1;
            if is_odd {
                match self.is_plain_taken(base, tally).await {
                    Ok(true) => {}
                    Ok(false) => return None,
                    Err(why) => return unclear(why),
                }
            }
            let is_alert = match self.ask_once(&self.with_trait(of, base), Sni::Target, tally).await {
                Ok(Said::Refused(refusal @ Refusal::Alert(_), _)) => {
                    how = refusal.to_string();
                    true
                }
                Ok(_) => return None,
                Err(lost) if lost.began_tls => {
                    how = lost.failure.to_string();
                    false
                }
                // Turned away: no word about the hello.
                Err(lost) => return unclear(lost.failure),
            };
            if !is_odd {
                match self.is_plain_taken(base, tally).await {
                    Ok(true) => {}
                    Ok(false) => return None,
                    Err(why) => return unclear(why),
                }
            }
            if is_alert && round + 1 >= ALERTS {
                break;
            }
        }
        Some(Intolerance { of, how: Observed::Seen(how) })
    }

    /// Whether a hello without the trait gets an answer, other than the alert that refuses what both offer.
    async fn is_plain_taken(&self, base: Version, tally: &mut Tally) -> Result<bool, Failure> {
        match self.ask_once(&self.plain_hello(base), Sni::Target, tally).await {
            Ok(said) => Ok(matches!(said, Said::Took(_) | Said::Refused(Refusal::OtherVersion(_), _))),
            Err(lost) => Err(lost.failure),
        }
    }

    fn with_trait(&self, of: HelloTrait, base: Version) -> ClientHello {
        let plain = self.plain_hello(base);
        match of {
            HelloTrait::Tls12 => self.plain_hello(Version::Tls12),
            HelloTrait::OwnName => ClientHello { server_name: Some(self.target.name.as_str().to_owned()), ..plain },
            HelloTrait::Tls13 => {
                let suites = Suite::tls13().into_iter().chain(plain.suites).collect();
                // With everything that the plain hello offers by its one number (RFC 8446, 4.2.1).
                let versions = vec![Version::Tls13, Version::Tls12, Version::Tls11, Version::Tls10];
                ClientHello { versions, suites, ..plain }
            }
            // RFC 7685, 1: some servers hang at 256 to 511 bytes, others at more.
            HelloTrait::MiddleSized => ClientHello { padded_to: 400, ..plain },
            HelloTrait::Large => ClientHello { padded_to: 700, ..plain },
            HelloTrait::Huge => ClientHello { padded_to: shape::HUGE, ..plain },
            HelloTrait::Fragmented => ClientHello { in_two_records: true, ..plain },
            HelloTrait::UnknownExtension => {
                let extras = plain.extras.iter().copied().chain([Extra::Unknown]).collect();
                ClientHello { extras, ..plain }
            }
            HelloTrait::ManySuites => {
                // Little more than the limit, so that the size stays out of it.
                let known = shape::suites();
                let suites = known[known.len() - 72..].to_vec();
                ClientHello { suites, ..plain }
            }
        }
    }
}
