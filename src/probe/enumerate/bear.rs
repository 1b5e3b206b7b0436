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
/// How often a hello of the same size is sent that is not padded, before the size is blamed.
const FILLED: u32 = 2;
/// TLS 1.3 with everything that a plain hello offers by its one number (RFC 8446, 4.2.1).
const TLS13_AND_OLDER: [Version; 4] = [Version::Tls13, Version::Tls12, Version::Tls11, Version::Tls10];
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
                match intolerance.of {
                    _ if intolerance.how.seen().is_none() => {}
                    HelloTrait::UnknownExtension => self.learn(|bearing| bearing.unknown_extension = false),
                    HelloTrait::ManySuites => self.learn(|bearing| bearing.many_suites = false),
                    HelloTrait::Large => self.learn(|bearing| bearing.large = false),
                    // No other hello of ours is that large.
                    HelloTrait::Huge => {}
                    // The others are not in question here, or what finds them learns of it.
                    _ => {}
                }
                found.push(intolerance);
            }
        }
        // Where none of these explains it, one of the lesser things may.
        for of in shape::SINGLE {
            if found.iter().any(|intolerance| intolerance.how.seen().is_some()) {
                break;
            }
            if let Some(intolerance) =
                self.contrast(of, Version::Tls12, &mut effort).await.filter(|found| found.how.seen().is_some())
            {
                self.learn(|bearing| bearing.spare(of));
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
            return self.is_for_its_name(refusal, tally).await.then_some(said);
        }
        // A lost connection says less than an alert: nothing more is made of it.
        if refusal == Refusal::Closed {
            return None;
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

    /// Whether such refusals are for the name, where the same was taken without. An alert is an answer; a connection must be
    /// lost each time, and none without the name.
    async fn is_for_its_name(&self, refusal: Refusal, tally: &mut Tally) -> bool {
        self.learn(|bearing| bearing.name_refusal = Some(refusal));
        if refusal != Refusal::Closed {
            return true;
        }
        let found = self.contrast(HelloTrait::OwnName, Version::Tls12, tally).await;
        let is_for_name = found.is_some_and(|found| found.how.seen().is_some());
        if !is_for_name {
            self.learn(|bearing| bearing.name_refusal = None);
        }
        is_for_name
    }

    /// Whether that trait alone makes a hello of the version `base` unbearable; nothing where one that has it is answered,
    /// or one without it is refused as well.
    ///
    /// Each round the other hello goes first: servers that take turns behind one address would answer an even beat.
    pub(super) async fn contrast(&self, of: HelloTrait, base: Version, tally: &mut Tally) -> Option<Intolerance> {
        let found = self.contrast_as_it_is(of, base, tally).await?;
        let is_of_size = matches!(of, HelloTrait::MiddleSized | HelloTrait::Large | HelloTrait::Huge);
        if is_of_size && found.how.seen().is_some() && self.bearing().padding {
            // The extension that pads may be why, and not the size: then the same size is borne without it.
            self.learn(|bearing| bearing.padding = false);
            for _ in 0..FILLED {
                let said = self.ask_once(&self.with_trait(of, base), Sni::Target, tally).await;
                if matches!(said, Ok(Said::Took(_) | Said::Refused(Refusal::OtherVersion(_), _))) {
                    return Some(Intolerance { of: HelloTrait::Padding, ..found });
                }
            }
            self.learn(|bearing| bearing.padding = true);
        }
        Some(found)
    }

    async fn contrast_as_it_is(&self, of: HelloTrait, base: Version, tally: &mut Tally) -> Option<Intolerance> {
        let unclear = |failure: Failure| Some(Intolerance { of, how: Observed::Failed(failure) });
        let mut how = String::new();
        for round in 0..ROUNDS {
            let is_odd = round % 2 == 1;
            if is_odd {
                match self.is_other_taken(of, base, tally).await {
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
                match self.is_other_taken(of, base, tally).await {
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
    async fn is_other_taken(&self, of: HelloTrait, base: Version, tally: &mut Tally) -> Result<bool, Failure> {
        let other = match of {
            // Like the usual hello, but for the group.
            HelloTrait::HybridGroup => self.with_trait(HelloTrait::Tls13, base),
            _ => self.plain_hello(base),
        };
        match self.ask_once(&other, Sni::Target, tally).await {
            Ok(said) => Ok(matches!(said, Said::Took(_) | Said::Refused(Refusal::OtherVersion(_), _))),
            Err(lost) => Err(lost.failure),
        }
    }

    /// For a server that got no further than the usual hello: whether that is for the group X25519MLKEM768 in it. Then no
    /// hello to come has it, nor the others of its kind where they are not borne either.
    pub(super) async fn hybrid_intolerance(&self, tally: &mut Tally) -> Option<Intolerance> {
        let of = HelloTrait::HybridGroup;
        match self.is_other_taken(of, Version::Tls12, tally).await {
            Ok(true) => {}
            Ok(false) => return None,
            Err(failure) => return Some(Intolerance { of, how: Observed::Failed(failure) }),
        }
        let found = self.contrast(of, Version::Tls12, tally).await?;
        if found.how.seen().is_none() {
            return Some(found);
        }
        let mut hello = self.with_trait(HelloTrait::Tls13, Version::Tls12);
        hello.groups.extend(shape::post_quantum_groups().into_iter().filter(|group| *group != shape::HYBRID));
        let said = self.ask_once(&hello, Sni::Target, tally).await;
        let bears_others = matches!(said, Ok(Said::Took(_) | Said::Refused(Refusal::OtherVersion(_), _)));
        self.learn(|bearing| (bearing.hybrid_group, bearing.post_quantum_groups) = (false, bears_others));
        Some(found)
    }

    /// For a server that refuses a hello with TLS 1.3 beside older versions: what it is in it that it refuses. None where it takes
    /// one with all groups, suites and schemes, so that the few of the other were at fault and not the version.
    pub(super) async fn within_tls13(&self, found: Intolerance, tally: &mut Tally) -> Option<Intolerance> {
        let unclear = |failure: Failure| Some(Intolerance { of: found.of, how: Observed::Failed(failure) });
        let common = shape::suites().into_iter().filter(shape::is_common);
        let suites: Vec<_> = Suite::tls13().into_iter().chain(common).collect();
        let everything = ClientHello { versions: TLS13_AND_OLDER.to_vec(), ..self.hello(Version::Tls13, &suites, Sni::Target) };
        match self.ask(&everything, Sni::Target, tally).await {
            Ok(Said::Took(_) | Said::Refused(Refusal::OtherVersion(_), _)) => return None,
            Ok(Said::Refused(Refusal::Alert(alert), _)) if alert != Alert::MISSING_EXTENSION => {}
            Ok(Said::Refused(..)) => return Some(found),
            // Lost as the other was: one and the same thing. Anything else may have been an accident.
            Err(failure) if found.how.seen() == Some(&failure.to_string()) => return Some(found),
            Err(failure) => return unclear(failure),
        }
        // Who chooses TLS 1.3 must miss supported_groups beside key_share, and say so (RFC 8446, 9.2); who stumbles over the
        // version has no reason to.
        let groupless = ClientHello { groups: Vec::new(), ..everything };
        match self.ask(&groupless, Sni::Target, tally).await {
            Ok(Said::Refused(Refusal::Alert(Alert::MISSING_EXTENSION), _)) => {
                Some(Intolerance { of: HelloTrait::NothingInTls13, ..found })
            }
            Ok(_) => Some(found),
            Err(failure) => unclear(failure),
        }
    }

    fn with_trait(&self, of: HelloTrait, base: Version) -> ClientHello {
        let plain = ClientHello { pads_with_ticket: !self.bearing().padding, ..self.plain_hello(base) };
        match of {
            HelloTrait::Tls12 => self.plain_hello(Version::Tls12),
            HelloTrait::OwnName => ClientHello { server_name: Some(self.target.name.as_str().to_owned()), ..plain },
            HelloTrait::Tls13 => {
                let suites = Suite::tls13().into_iter().chain(plain.suites).collect();
                // A group that is known to be taken goes along, so that only the version can be at fault.
                let known = super::evidence::groups_of(&self.heard());
                let new: Vec<_> = known.into_iter().filter(|group| !plain.groups.contains(group)).collect();
                let groups = plain.groups.into_iter().chain(new).collect();
                ClientHello { versions: TLS13_AND_OLDER.to_vec(), suites, groups, ..plain }
            }
            HelloTrait::HybridGroup => {
                let hello = self.with_trait(HelloTrait::Tls13, base);
                let groups = hello.groups.iter().copied().chain([shape::HYBRID]).collect();
                ClientHello { groups, ..hello }
            }
            // RFC 7685, 1: some servers hang at 256 to 511 bytes, others at more.
            HelloTrait::MiddleSized => ClientHello { padded_to: 400, ..plain },
            HelloTrait::Large => ClientHello { padded_to: 700, ..plain },
            HelloTrait::Huge => ClientHello { padded_to: shape::HUGE, ..plain },
            HelloTrait::Compression => ClientHello { deflate: true, ..plain },
            HelloTrait::ManySchemes => ClientHello { schemes: shape::schemes(), ..plain },
            HelloTrait::ManyGroups => ClientHello { groups: shape::curves(), ..plain },
            HelloTrait::SessionTicket
            | HelloTrait::StatusRequest
            | HelloTrait::EncryptThenMac
            | HelloTrait::ExtendedMasterSecret => {
                let wanted = shape::EXTENSIONS.into_iter().filter(|(known, _)| *known == of).map(|(_, extra)| extra);
                ClientHello { extras: plain.extras.iter().copied().chain(wanted).collect(), ..plain }
            }
            // Found out by the way, and told apart there.
            HelloTrait::Padding | HelloTrait::EmptyKeyShare | HelloTrait::NothingInTls13 => plain,
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
