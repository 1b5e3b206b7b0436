//! Hellos of 256 to 511 bytes, which some load balancers take for something else and drop (RFC 7685, 1).
//!
//! Where such a hello gets no answer that helps, and no other of its size ever did, it is found out whether the size is why.
//! Then it is sent again, padded beyond that, and so is each one to come.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

use tokio::sync::OnceCell;

use super::{
    ask::{Asker, Heard, Said, Tally},
    borne::Size,
};
use crate::{
    facts::{Failure, HelloTrait, Intolerance, Observed, Refusal, Sni},
    hello::ClientHello,
    tls::{Alert, Version},
};

/// To so many bytes a hello is padded that would have fewer (RFC 7685, 4).
const BEYOND: usize = 512;

/// What is known of hellos of that size.
#[derive(Default)]
pub(super) struct Middle {
    /// Whether they are not borne, found out once.
    found: OnceCell<Option<Intolerance>>,
    /// Why the first got no answer that got none.
    lost: OnceLock<Failure>,
    /// How many questions of any size got none.
    unanswered: AtomicU32,
}

impl Asker<'_> {
    /// Asks until there is an answer, or patience ends: then the last failure.
    pub(super) async fn ask(&self, hello: &ClientHello, sni: Sni, tally: &mut Tally) -> Result<Said, Failure> {
        let said = self.ask_beyond_the_middle(hello, sni, tally).await;
        if matches!(said, Err(Failure::Closed | Failure::Reset | Failure::TimedOut { .. })) {
            self.middle.unanswered.fetch_add(1, Ordering::Relaxed);
        }
        said
    }

    async fn ask_beyond_the_middle(&self, hello: &ClientHello, sni: Sni, tally: &mut Tally) -> Result<Said, Failure> {
        if Size::of(hello) != Size::Middle {
            return self.ask_as_it_is(hello, sni, tally).await;
        }
        if !self.bearing().middle_sized {
            return self.ask_padded(hello, sni, tally).await;
        }
        let said = self.ask_as_it_is(hello, sni, tally).await;
        let is_about_version = match &said {
            Ok(Said::Took(_) | Said::Refused(Refusal::OtherVersion(_), _)) => true,
            Ok(Said::Refused(refusal, _)) => *refusal == Refusal::Alert(Alert::PROTOCOL_VERSION),
            Err(_) => false,
        };
        // Turned away or lost: nothing came that would tell.
        if let Err(failure) = &said {
            self.middle.lost.get_or_init(|| failure.clone());
        }
        if is_about_version || self.bears_middle() || self.is_at_its_end() {
            return said;
        }
        // Nothing to compare with.
        if !self.heard().iter().any(Heard::has_chosen) {
            return said;
        }
        let mut effort = tally.beside();
        let of = HelloTrait::MiddleSized;
        let found = self.middle.found.get_or_init(|| async { self.contrast(of, Version::Tls12, &mut effort).await }).await;
        tally.absorb(effort);
        if found.as_ref().is_none_or(|found| found.how.seen().is_none() || found.of != of) {
            return said;
        }
        self.learn(|bearing| bearing.middle_sized = false);
        self.forget(|hello| Size::of(hello) == Size::Middle);
        self.ask_padded(hello, sni, tally).await
    }

    async fn ask_padded(&self, hello: &ClientHello, sni: Sni, tally: &mut Tally) -> Result<Said, Failure> {
        // Before TLS 1.0 nothing can be padded.
        if hello.version < Version::Tls10 {
            let why = "the server cannot bear a hello of that size, and in this version it has no other";
            return Err(Failure::Tls(why.to_owned()));
        }
        let pads_with_ticket = !self.bearing().padding;
        self.ask_as_it_is(&ClientHello { padded_to: BEYOND, pads_with_ticket, ..hello.clone() }, sni, tally).await
    }

    /// Whether anything was chosen of a hello of that size.
    fn bears_middle(&self) -> bool {
        self.heard().iter().any(|heard| heard.has_chosen() && Size::of(&heard.asked) == Size::Middle)
    }

    /// What is to be said of hellos of that size: that they are not borne, or that it could not be told, since they were lost.
    pub(super) fn middle_intolerance(&self) -> Option<Intolerance> {
        let found = self.middle.found.get().cloned().flatten();
        let lost = || self.middle.lost.get().map(|failure| Observed::Failed(failure.clone()));
        match found {
            Some(found) if found.how.seen().is_some() => Some(found),
            _ if self.bears_middle() => None,
            found => {
                let how = found.map(|found| found.how).or_else(lost)?;
                Some(Intolerance { of: HelloTrait::MiddleSized, how })
            }
        }
    }

    /// How many questions got no answer, however often they were asked.
    pub(super) fn lost(&self) -> u32 {
        self.middle.unanswered.load(Ordering::Relaxed)
    }
}
