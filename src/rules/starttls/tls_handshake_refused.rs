use std::collections::BTreeSet;

use super::{Offer, broken_off, not_finished};
use crate::{
    facts::{ClientCertificate, Depth, Failure, HelloTrait, KeyAlgorithm, Observed, Possession, PublicKey, Session, Sni, Turns, VersionOffer, View, usual},
    rules::{
        Context, Outcome, ResultType, Violation, join, nothing_tried,
        offers::{Asked, Known, OLDER_VERSION, SSL3_TO_TLS12, is_weak},
        refuted_below_tls13, refuted_in_clear, rule, short, tried,
    },
    smtp::Reply,
    tls::{Authentication, Group, GroupKind, Suite, Version},
};

rule! {
    /// STARTTLS is accepted, and the TLS handshake fails.
    ///
    /// ## What it checks
    ///
    /// The server answered STARTTLS with 220, and the TLS handshake with a client that speaks TLS 1.2
    /// and 1.3 and has no certificate ended in a fatal alert of the server, or in a choice of an older version.
    ///
    /// The alerts `handshake_failure` and `insufficient_security` leave it open: the server may know
    /// suites or groups that other senders offer, and this checker does not. Two more hellos offer everything from
    /// SSL 3.0 to TLS 1.2, and everything of TLS 1.3; their answers decide: an older version, suites that nobody offers
    /// any more, groups of that kind, a signature by another key than the certificate's and a refusal of both violate the rule; a
    /// suite that other senders have does not, where the server proves its key with it. A connection
    /// that is dropped, falls silent or makes no sense, also after the handshake, leaves it open. An alert that comes before
    /// the server was sent a hello is about nothing that was offered; when it is there again, nobody gets TLS there.
    ///
    /// ## Why it matters
    ///
    /// Senders of today have the same trouble. Many go on in clear text or defer the mail. The usual
    /// cause is a server that knows no TLS above 1.1, or one that demands certificates of its clients.
    ///
    /// ## Remedy
    ///
    /// Mend what the message names: a certificate that is demanded of clients (demand none on port 25), a certificate of the
    /// server's own that is missing or belongs to another key, groups or Diffie-Hellman parameters that nobody offers. Else
    /// offer TLS 1.2 and 1.3 with ECDHE key exchange on x25519 and secp256r1.
    ///
    /// - Postfix: `smtpd_tls_protocols = >=TLSv1.2` on Postfix 3.6 or later; leave `smtpd_tls_ciphers = medium`; where the
    ///   key of the certificate is the reason, one with RSA or P-256 in the file of `smtpd_tls_chain_files`.
    /// - Exim: with OpenSSL, `openssl_options = +no_sslv2 +no_sslv3 +no_tlsv1 +no_tlsv1_1`; with GnuTLS, remove
    ///   limits from `tls_require_ciphers`.
    /// - Sendmail: remove limits from `CipherList` and `ServerSSLOptions`; one certificate with RSA or P-256.
    /// - OpenSMTPD: remove `ciphers` and `protocols` from the `listen` line; a certificate with RSA or P-256.
    /// - Exchange: TLS 1.2 must be on in Schannel, under `SCHANNEL\Protocols\TLS 1.2\Server` of the registry.
    ///
    /// ## References
    ///
    /// - RFC 8446, 6.2
    /// - RFC 8996
    /// - RFC 9325, 3.1.1
    "tls-handshake-refused" { practice: OpportunisticTls, severity: Fail, result_type: Some(ResultType::ValidationFailure) }
}

fn judge(context: &Context) -> Outcome {
    let is_implicit = context.facts.target.is_implicit();
    let judged = |index: usize, view: &View| match if is_implicit { Offer::Offered } else { Offer::of(view) } {
        Offer::Unknown(why) => Outcome::Undetermined(why),
        Offer::Absent | Offer::Masked(_) => Outcome::NotApplicable("STARTTLS is not offered".to_owned()),
        Offer::Offered => match (&view.session.starttls, &view.session.tls) {
            // In TLS 1.3 a server that demands a client certificate says so after the handshake (RFC 8446, 4.4.2.4).
            (_, Observed::Seen(_)) => match &view.session.ehlo_after {
                Observed::Failed(Failure::Tls(why)) if let Some(alert) = alert(why) => Outcome::Violated(vec![refusal(why, alert)]),
                Observed::Failed(failure) => {
                    let (server, from) = (view.address, view.vantage_text());
                    Outcome::Undetermined(format!("no usable reply to EHLO inside TLS came from {server} to {from}: {failure}"))
                }
                _ if let Some(why) = view.earlier.iter().find_map(refused_before) => not_alike(view, why),
                _ if let Some(Turns { yes, no }) = broken_off(view) => {
                    Outcome::Undetermined(format!(
                        "TLS with {} broke off in {no} of {} connections, and the same hello was answered when it came again",
                        view.address,
                        yes + no
                    ))
                }
                _ => Outcome::Passed(String::new()),
            },
            (_, Observed::Failed(_)) if cannot_bear_hybrid(index, view) => {
                Outcome::NotApplicable("the server refuses hellos that offer X25519MLKEM768, and takes others".to_owned())
            }
            (Observed::Seen(reply), Observed::Failed(Failure::Tls(why))) if reply.is_positive() => refused(index, view, Some(reply), why),
            (_, Observed::Failed(Failure::Tls(why))) if is_implicit => refused(index, view, None, why),
            (_, tls) => Outcome::Undetermined(not_finished(view, tls)),
        },
    };
    let outcome = join(tried(context).map(|(index, view)| (index, judged(index, view)))).unwrap_or_else(|| nothing_tried(context));
    match outcome {
        Outcome::Passed(words) => Outcome::Passed(works(context).unwrap_or(words)),
        other => other,
    }
}

/// The handshake of the session failed; what other hellos showed tells why, where they were sent.
fn refused(index: usize, view: &View, reply: Option<&Reply>, why: &str) -> Outcome {
    let asked = view.offers.seen().map(|offers| Asked { index, view, offers });
    let highest = asked.and_then(|asked| asked.versions().pop());
    let violated = |violation: Violation| {
        let said = reply.map(|reply| format!("reply to STARTTLS: {}", short(&reply.to_string())));
        let violation = said.into_iter().fold(violation, Violation::evidence);
        let taken = asked.iter().flat_map(|asked| asked.suite_lines(|_| true)).map(|line| format!("it takes {line}"));
        Outcome::Violated(vec![taken.fold(violation, Violation::evidence)])
    };
    let at_most = |version: Version| Violation::new(format!("the server takes {version} at most"));
    if let Some((word, times)) = before_the_hello(view, why) {
        return match times {
            1 => Outcome::Undetermined(format!("{} once sent the alert {word} before it was sent a hello", view.address)),
            _ => violated(
                Violation::new(format!("the server ends TLS before it was sent a hello, with the alert {word}"))
                    .evidence("nothing that a client offers is the reason, nor the remedy: look into the log of what begins TLS there"),
            ),
        };
    }
    match alert(why) {
        Some(_) if asked.is_some_and(|asked| cannot_bear(&asked, HelloTrait::NothingInTls13)) => {
            Outcome::NotApplicable("the server refuses hellos that offer TLS 1.3, and takes others".to_owned())
        }
        Some(_) if asked.is_some_and(|asked| cannot_bear(&asked, HelloTrait::OwnName)) => {
            Outcome::NotApplicable("the server refuses its own name, and takes hellos without one".to_owned())
        }
        // Other senders offer more than this checker; only that it offers too little is known.
        Some(word) if is_about_offer(word) || (is_wordless(word) && is_repeated_or_last(view, why) && highest.is_some()) => {
            let unclear = Outcome::Undetermined(format!(
                "{} shares no cipher suite or group with this checker, which offers TLS 1.2 and 1.3 with ECDHE and AEAD on x25519, \
                 P-256 and P-384: {}",
                view.address,
                short(why)
            ));
            let Some(asked) = asked else { return unclear };
            // What is not known may be taken.
            let takes = |version: Version| asked.version(version) != Known::No;
            match highest {
                Some(version) if version < Version::Tls12 && asked.version(Version::Tls12) == Known::No => violated(at_most(version)),
                Some(_) if let Some(curve) = odd_curve(&asked) => {
                    violated(Violation::new(format!("the key of the server's certificate is on {curve}, which senders do not offer")))
                }
                // The server had chosen a suite and sent its certificate: what it wants of the client is another matter.
                Some(_) if view.session.certificates.seen().is_some() => match asked.offers.client_certificate {
                    Observed::Seen(ClientCertificate::Requested { .. }) => violated(refusal(why, "certificate_required")),
                    _ => unclear,
                },
                Some(version) if version >= Version::Tls12 => of_other_suites(&asked, version, why, violated, unclear),
                None if SSL3_TO_TLS12.iter().all(|version| asked.version(*version) == Known::No) && !takes(Version::Tls13) => {
                    violated(Violation::new(format!("the server refuses every TLS handshake: {}", short(why))))
                }
                None if !takes(Version::Tls12) && !takes(Version::Tls13) => {
                    violated(Violation::new(format!("the server refuses TLS 1.2 and 1.3: {}", short(why))))
                }
                _ => unclear,
            }
        }
        // Trouble of its own may be over the next time, and servers behind one address need not agree.
        Some(_) if !is_repeated(view, why) && (why == Failure::INTERNAL_ERROR || asked.is_some_and(|asked| is_taken_elsewhere(&asked))) => {
            not_alike(view, why)
        }
        Some(_) if let Some((asked, version)) = asked.and_then(|asked| Some((asked, usual_in(&asked)?))) => refuses_both(&asked, version, why),
        Some(alert) => violated(refusal(why, alert)),
        None if why == OLDER_VERSION && let Some(version) = highest => violated(at_most(version)),
        None if why == OLDER_VERSION => {
            Outcome::Undetermined(format!("{} chose a version that is neither TLS 1.2 nor 1.3", view.address))
        }
        None => Outcome::Undetermined(format!("nothing came of the TLS handshake with {}: {}", view.address, short(why))),
    }
}

/// The alert, and how often TLS ended with one, where the server was seen to send it before it was sent a hello.
fn before_the_hello<'a>(view: &View, why: &'a str) -> Option<(&'a str, usize)> {
    let is_unasked = |failure: &Failure| failure.is_unasked_alert();
    let earlier = view.earlier.iter().filter(|session| matches!(&session.tls, Observed::Failed(failure) if is_unasked(failure))).count();
    let answers = || view.offers.seen().into_iter().flat_map(|offers| &offers.versions).map(|offer| &offer.answer);
    let is_besides = answers().any(|answer| matches!(answer, Observed::Failed(failure) if is_unasked(failure)));
    let plain = why.strip_suffix(Failure::UNASKED);
    let is_seen = plain.is_some() || earlier > 0 || is_besides;
    let word = alert(plain.unwrap_or(why)).filter(|_| is_seen)?;
    Some((word, 1 + earlier + usize::from(is_besides)))
}

fn is_about_offer(alert: &str) -> bool {
    matches!(alert, "handshake_failure" | "insufficient_security")
}

/// Alerts in which some servers say the same.
fn is_wordless(alert: &str) -> bool {
    matches!(alert, "close_notify" | "unexpected_message" | "decode_error" | "internal_error")
}

/// Whether the alert is no trouble of the moment.
fn is_repeated_or_last(view: &View, why: &str) -> bool {
    why != Failure::INTERNAL_ERROR || is_repeated(view, why)
}

/// What is taken alone was offered in the usual hello as well: something else in that was refused.
fn refuses_both(asked: &Asked, version: Version, why: &str) -> Outcome {
    let (address, why) = (asked.view.address, short(why));
    Outcome::Undetermined(match asked.offers.depth {
        // Nothing was asked about either by itself.
        Depth::Quick => format!(
            "{address} refuses the usual hello ({why}), which offers TLS 1.2 and 1.3 together and the group X25519MLKEM768, and takes one for \
             {version} alone without that group: it cannot bear one of them, or does not answer every handshake alike; --probe standard tells"
        ),
        _ => format!("{address} refuses each hello that offers TLS 1.2 and 1.3 together, and takes one for {version} alone: {why}"),
    })
}

fn cannot_bear_hybrid(index: usize, view: &View) -> bool {
    view.offers.seen().is_some_and(|offers| cannot_bear(&Asked { index, view, offers }, HelloTrait::HybridGroup))
}

/// The version in which a suite of the usual handshake is taken, where nothing says why the whole of it is not.
fn usual_in(asked: &Asked) -> Option<Version> {
    let is_intolerant = cannot_bear(asked, HelloTrait::Tls13);
    let is_for_usual = |offer: &&VersionOffer| offer.suites.accepted.iter().any(|suite| usual::offers_suite(*suite));
    let offer = asked.offers.versions.iter().filter(|offer| offer.version >= Version::Tls12).find(is_for_usual)?;
    (!is_intolerant && asked.view.session.certificates.seen().is_none()).then_some(offer.version)
}

fn cannot_bear(asked: &Asked, of: HelloTrait) -> bool {
    asked.offers.intolerance.seen().is_some_and(|found| found.iter().any(|known| known.of == of && known.how.seen().is_some()))
}

fn not_alike(view: &View, why: &str) -> Outcome {
    Outcome::Undetermined(format!("{} did not answer every handshake alike: {}", view.address, short(why)))
}

/// How a try ended that was answered, and refused.
fn refused_before(session: &Session) -> Option<&str> {
    match &session.tls {
        Observed::Failed(Failure::Tls(why)) if alert(why).is_some() && why != Failure::INTERNAL_ERROR => Some(why),
        _ => None,
    }
}

/// Whether an earlier try ended in the same way.
fn is_repeated(view: &View, why: &str) -> bool {
    view.earlier.iter().any(|session| matches!(&session.tls, Observed::Failed(Failure::Tls(before)) if before == why))
}

/// Whether a hello for TLS 1.3 was taken, though the session, which offers it too, got no further than its own hello.
fn is_taken_elsewhere(asked: &Asked) -> bool {
    asked.view.session.certificates.seen().is_none() && asked.version(Version::Tls13) == Known::Yes
}

/// The server's key, where it is of a kind that only some senders take.
fn odd_key<'a>(asked: &Asked<'a>) -> Option<&'a PublicKey> {
    let served = asked.offers.chains.iter().filter(|served| served.sni == Sni::Target);
    let mut keys = served.filter_map(|served| Some(&served.certificates.seen()?.first()?.details().ok()?.key));
    keys.find(|key| matches!(key.algorithm, KeyAlgorithm::RsaPss | KeyAlgorithm::Ed448))
}

/// The curve of the server's key, where it showed its certificate only to a hello that offers more curves than usual.
fn odd_curve(asked: &Asked) -> Option<&'static str> {
    let served = asked.offers.chains.iter().filter(|served| served.sni == Sni::Target);
    let keys = served.filter_map(|served| Some(&served.certificates.seen()?.first()?.details().ok()?.key));
    let curve = keys.filter(|key| !key.is_on_common_curve()).find_map(|key| key.curve)?;
    asked.view.session.certificates.seen().is_none().then_some(curve)
}

/// The server goes on with suites that this checker cannot finish a handshake with; others can, if senders offer them.
fn of_other_suites(asked: &Asked, version: Version, why: &str, violated: impl Fn(Violation) -> Outcome, unclear: Outcome) -> Outcome {
    let suites = asked.offers.version(version).map(|offer| offer.suites.accepted.as_slice()).unwrap_or_default();
    let has_certificate =
        |suite: Suite| matches!(suite.authentication(), Authentication::Rsa | Authentication::Ecdsa | Authentication::Any);
    let is_anonymous = |suite: &Suite| suite.authentication() == Authentication::Anonymous && !is_weak(*suite);
    let is_meant = |suite: &&Suite| is_offered_today(**suite) && !is_weak(**suite) && has_certificate(**suite);
    let today = || suites.iter().filter(is_meant).filter(|suite| has_long_dh(asked, **suite));
    if let Some((version, why)) = refuted_in_clear(asked.view) {
        let message = format!("no sender finishes a handshake in {version}, the highest version: the server signs with another key");
        return violated(Violation::new(message).evidence(why));
    }
    if let Some(key) = odd_key(asked) {
        return Outcome::Passed(format!("STARTTLS works for senders that take the server's key: {key}"));
    }
    let works_with = |what: String| match is_key_proven(asked) {
        true => Outcome::Passed(format!("STARTTLS works for senders that offer {what}")),
        // Whether the server has the key shows only in a handshake that is finished (RFC 5246, 7.4.7.1).
        false => Outcome::Undetermined(format!(
            "{} goes on with senders that offer {what}, and nothing that it sends before the end of a handshake proves its key",
            asked.view.address
        )),
    };
    let has_usual = today().any(|suite| usual::offers_suite(*suite));
    match today().next().filter(|_| !has_usual) {
        // The suite was not what was missing.
        None if has_usual => match (other_group(asked), today().find(|suite| !needs_curve(**suite))) {
            (Some(group), _) if is_group_offered_today(group) => works_with(group.to_string()),
            (Some(_), Some(suite)) => works_with(format!("{suite} in {version}")),
            (Some(group), None) => violated(
                Violation::new("the server takes no group that senders of today offer").evidence(format!("it takes {group}")),
            ),
            (None, _) if asked.offers.depth != Depth::Quick && !is_repeated(asked.view, why) => not_alike(asked.view, why),
            (None, _) => refuses_both(asked, version, why),
        },
        Some(suite) => works_with(format!("{suite} in {version}")),
        None if asked.more_suites(&[version]) == Known::No && suites.iter().any(is_anonymous) => {
            violated(Violation::new("the server takes suites without a certificate only, which most senders do not offer"))
        }
        None if asked.more_suites(&[version]) == Known::No && !suites.is_empty() => {
            violated(Violation::new("the server takes no suite that senders of today offer"))
        }
        None => unclear,
    }
}

/// A group that the server takes and the handshake of the session does not offer, one that others offer before the rest.
fn other_group(asked: &Asked) -> Option<Group> {
    let is_offered = |group: &Group| usual::offers_group(*group);
    let (curves, groups) = (&asked.offers.curves.accepted, &asked.offers.groups.accepted);
    // Where one of ours is taken too, the group was not it either.
    let all = || curves.iter().chain(groups).copied();
    if all().any(|group| is_offered(&group)) {
        return None;
    }
    all().find(|group| is_group_offered_today(*group)).or_else(|| all().next())
}

/// Whether there is a sender of today that offers a group: the defaults of OpenSSL 3, GnuTLS 3 and Schannel, and Postfix'
/// own list.
fn is_group_offered_today(group: Group) -> bool {
    let is_curve = matches!(group.name(), Some("x25519" | "x448" | "secp256r1" | "secp384r1" | "secp521r1"));
    is_curve || matches!(group.kind(), Some(GroupKind::FiniteField | GroupKind::Hybrid))
}

fn needs_curve(suite: Suite) -> bool {
    suite.is_tls13() || suite.name().is_some_and(|name| name.starts_with("TLS_ECDH"))
}

/// Whether senders bear the Diffie-Hellman group that comes with a suite: OpenSSL takes none below 1024 bits, at whatever
/// level, nor do the others.
fn has_long_dh(asked: &Asked, suite: Suite) -> bool {
    asked.offers.dh.iter().filter(|group| group.suites.contains(&suite)).all(|group| group.bits >= 1024)
}

/// Whether any answer to its name proves that the server has the key of its certificate, or is signed in a way that this
/// build cannot verify.
fn is_key_proven(asked: &Asked) -> bool {
    let served = asked.offers.chains.iter().filter(|served| served.sni == Sni::Target);
    served.filter_map(|served| served.possession.seen()).any(|proof| !matches!(proof, Possession::Refuted(_)))
}

/// Whether there is a sender of today that offers a suite: the defaults of OpenSSL 3, GnuTLS 3 and Schannel, and
/// Postfix' own list, have these ciphers and no Diffie-Hellman with a key of the certificate.
fn is_offered_today(suite: Suite) -> bool {
    let name = suite.name().unwrap_or_default();
    let is_static_dh = ["TLS_DH_RSA_", "TLS_DH_DSS_", "TLS_ECDH_RSA_", "TLS_ECDH_ECDSA_"].iter().any(|key| name.starts_with(key));
    // OpenSSL and GnuTLS leave it out of their defaults for TLS 1.3.
    let is_short = name == "TLS_AES_128_CCM_8_SHA256";
    ["_AES_", "_CHACHA20_", "_CAMELLIA_", "_ARIA_"].iter().any(|cipher| name.contains(cipher)) && !is_static_dh && !is_short
}

fn refusal(why: &str, alert: &str) -> Violation {
    Violation::new(match alert {
        "certificate_required" => format!("the server demands a client certificate: {}", short(why)),
        _ => format!("the server refuses the TLS handshake: {}", short(why)),
    })
}

/// The alert that the server sent, by its name in RFC 8446, 6; none where this end gave up.
pub fn alert(why: &str) -> Option<&str> {
    why.strip_prefix("the server sent the alert ").filter(|word| !word.ends_with(Failure::UNASKED))
}

/// Where a handshake was finished; none where it was nowhere.
fn works(context: &Context) -> Option<String> {
    let finished: Vec<&View> = tried(context).map(|(_, view)| view).filter(|view| view.session.tls.seen().is_some()).collect();
    let vantage_points = finished.iter().map(|view| view.vantage_text()).collect::<BTreeSet<_>>().len();
    let addresses = finished.iter().map(|view| view.address).collect::<BTreeSet<_>>().len();
    let at = if addresses > 1 { format!(" at {addresses} addresses") } else { String::new() };
    let what = if context.facts.target.is_implicit() { "TLS works from the first byte" } else { "STARTTLS is offered and works" };
    // The signature is judged with the keys; but nothing works where it is wrong.
    if finished.iter().any(|view| matches!(view.session.possession, Observed::Seen(Possession::Refuted(_)))) {
        return Some("TLS is offered, and no sender finishes a handshake that is signed with another key".to_owned());
    }
    if let Some((version, _)) = finished.iter().find_map(|view| refuted_below_tls13(view)) {
        return Some(format!("{what} from TLSv1.3 on; in {version} no sender finishes a handshake that is signed wrongly"));
    }
    match vantage_points {
        0 => None,
        1 => Some(format!("{what}{at} from one vantage point")),
        count => Some(format!("{what}{at} from {count} vantage points")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        facts::{Intolerance, Offers},
        rules::test_facts::{World, kind, messages},
    };

    fn failed(why: &str) -> Failure {
        Failure::Tls(why.to_owned())
    }

    #[test]
    fn an_alert_is_a_refusal() {
        let why = "the server sent the alert protocol_version";
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].session.tls = Observed::Failed(failed(why)));
        assert_eq!(messages(&outcome), [format!("the server refuses the TLS handshake: {why}")]);
    }

    /// Who ends TLS before it was offered anything did not refuse what was offered.
    #[rstest]
    #[case::once(&[], Ok("undetermined"))]
    #[case::again(&["handshake_failure before it was sent a hello"], Err("the server ends TLS before it was sent a hello, with the alert handshake_failure"))]
    fn an_alert_before_the_hello_is_about_no_offer(#[case] earlier: &[&str], #[case] expected: Result<&str, &str>) {
        let session = |view: &View, why: &str| {
            let tls = Observed::Failed(failed(&format!("the server sent the alert {why}")));
            Session { tls, ..view.session.clone() }
        };
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            let view = &mut views[0];
            view.earlier = earlier.iter().map(|why| session(view, why)).collect();
            view.session = session(view, "handshake_failure before it was sent a hello");
        });
        match expected {
            Ok(expected) => assert_eq!(kind(&outcome), expected),
            Err(expected) => assert_eq!(messages(&outcome), [expected]),
        }
    }

    /// An alert may have been no answer to the hello that it came behind: the one that was held back tells.
    #[test]
    fn a_hello_that_is_held_back_tells() {
        let mut offers = Offers::unasked(crate::facts::Depth::Quick);
        let unasked = failed(&format!("the server sent the alert handshake_failure{}", Failure::UNASKED));
        offers.versions.iter_mut().for_each(|offer| offer.answer = Observed::Failed(unasked.clone()));
        let expected = "the server ends TLS before it was sent a hello, with the alert handshake_failure";
        assert_eq!(messages(&with_offers("handshake_failure", offers)), [expected]);
    }

    /// Once it is bad luck, twice it is what senders get.
    #[test]
    fn trouble_of_its_own_is_a_refusal_where_it_is_there_again() {
        let judge = |times: usize| {
            World::correct().judge_from(1, &RULE, |views| {
                views[0].session.tls = Observed::Failed(failed(Failure::INTERNAL_ERROR));
                views[0].earlier = vec![views[0].session.clone(); times - 1];
            })
        };
        assert_eq!(kind(&judge(1)), "undetermined");
        assert_eq!(messages(&judge(2)), [format!("the server refuses the TLS handshake: {}", Failure::INTERNAL_ERROR)]);
    }

    /// Two servers behind one address, one of them too old.
    #[test]
    fn a_refusal_beside_a_good_answer_leaves_it_open() {
        assert_eq!(kind(&with_offers("protocol_version", Offers::good())), "undetermined");
        let how = Failure::Closed.to_string();
        let intolerant = Offers::good().refuse(Version::Tls13).with(|offers| {
            offers.intolerance = Observed::Seen(vec![Intolerance { of: HelloTrait::Tls13, how: Observed::Seen(how) }]);
        });
        assert_eq!(kind(&with_offers("protocol_version", intolerant)), "violated");
    }

    #[test]
    fn a_refusal_before_a_good_handshake_leaves_it_open() {
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            let mut before = views[0].session.clone();
            before.tls = Observed::Failed(failed("the server sent the alert handshake_failure"));
            views[0].earlier = vec![before];
        });
        assert_eq!(kind(&outcome), "undetermined");
    }

    /// One lost connection is a hiccup, half of them are half of the mail.
    #[rstest]
    #[case(Turns { yes: 30, no: 2 }, "passed")]
    #[case(Turns { yes: 90, no: 5 }, "passed")]
    #[case(Turns { yes: 27, no: 27 }, "undetermined")]
    fn connections_that_break_off_leave_it_open(#[case] hellos: Turns, #[case] expected: &str) {
        let offers = Offers::good().with(|offers| offers.hellos = hellos);
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].offers = Observed::Seen(offers.clone()));
        assert_eq!(kind(&outcome), expected);
    }

    /// The usual hello comes seldom: once in two connections is half of them.
    #[rstest]
    #[case::closed(Failure::Closed, "undetermined")]
    #[case::reset(Failure::Reset, "undetermined")]
    #[case::put_off(Failure::Throttled(crate::rules::test_facts::reply(421, "4.7.0 busy")), "passed")]
    fn a_connection_that_breaks_off_before_one_that_does_not(#[case] failure: Failure, #[case] expected: &str) {
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            let mut broken = views[0].session.clone();
            broken.tls = Observed::Failed(failure);
            views[0].earlier = vec![broken];
        });
        assert_eq!(kind(&outcome), expected, "{outcome:?}");
    }

    /// What is taken alone is offered in the usual hello as well.
    #[rstest]
    #[case(0, Depth::Full, "did not answer every handshake alike")]
    #[case(1, Depth::Full, "refuses each hello that offers TLS 1.2 and 1.3 together, and takes one for TLSv1.2 alone")]
    #[case(1, Depth::Quick, "together and the group X25519MLKEM768, and takes one for TLSv1.2 alone without that group")]
    fn who_takes_a_part_of_what_it_refuses_is_not_alike(#[case] before: usize, #[case] depth: Depth, #[case] expected: &str) {
        let offers = only(Version::Tls12, &["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]).with(|offers| offers.depth = depth);
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            views[0].session.tls = Observed::Failed(failed("the server sent the alert handshake_failure"));
            views[0].session.certificates = Observed::NotAttempted("the handshake failed".to_owned());
            views[0].earlier = vec![views[0].session.clone(); before];
            views[0].offers = Observed::Seen(offers);
        });
        assert!(matches!(&outcome, Outcome::Undetermined(why) if why.contains(expected)), "{outcome:?}");
    }

    /// It may offer suites and groups that other senders know; or this end gave up.
    #[rstest]
    #[case("the server sent the alert handshake_failure")]
    #[case("the server sent the alert insufficient_security")]
    #[case("the server sent warning after warning")]
    #[case("the server sent a malformed message of TLS")]
    fn what_this_checker_cannot_do_is_no_refusal(#[case] why: &str) {
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].session.tls = Observed::Failed(failed(why)));
        assert_eq!(kind(&outcome), "undetermined");
    }

    #[test]
    fn an_alert_after_the_handshake_is_a_refusal_too() {
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            views[0].session.ehlo_after = Observed::Failed(failed("the server sent the alert certificate_required"));
        });
        assert_eq!(messages(&outcome), ["the server demands a client certificate: the server sent the alert certificate_required"]);
    }

    /// After the handshake only an alert is an answer to it; but mail was not seen to pass.
    #[rstest]
    #[case(failed("the server sent a malformed message of TLS"))]
    #[case(Failure::Closed)]
    fn other_troubles_after_the_handshake_leave_it_open(#[case] failure: Failure) {
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].session.ehlo_after = Observed::Failed(failure));
        assert_eq!(kind(&outcome), "undetermined");
    }

    /// OpenSSL before 1.1.1 ignores `supported_versions` and chooses what it knows.
    #[test]
    fn an_older_version_is_a_refusal() {
        let why = OLDER_VERSION;
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].session.tls = Observed::Failed(failed(why)));
        // It may be a version that nobody has heard of.
        assert_eq!(kind(&outcome), "undetermined");
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            views[0].session.tls = Observed::Failed(failed(why));
            views[0].offers = Observed::Seen(only(Version::Tls11, &["TLS_RSA_WITH_AES_128_CBC_SHA"]));
        });
        assert_eq!(messages(&outcome), ["the server takes TLSv1.1 at most"]);
    }

    fn with_offers(why: &str, offers: Offers) -> Outcome {
        World::correct().judge_from(1, &RULE, |views| {
            views[0].session.tls = Observed::Failed(failed(&format!("the server sent the alert {why}")));
            views[0].session.certificates = Observed::NotAttempted("the handshake failed".to_owned());
            views[0].offers = Observed::Seen(offers);
        })
    }

    fn only(version: Version, suites: &[&str]) -> Offers {
        Offers::good().refuse(Version::Tls12).refuse(Version::Tls13).accept(version, suites)
    }

    /// What the server takes of everything tells why it refused this checker.
    #[rstest]
    #[case(only(Version::Tls10, &["TLS_RSA_WITH_AES_128_CBC_SHA"]), &["the server takes TLSv1.0 at most"])]
    #[case(only(Version::Tls12, &["TLS_RSA_WITH_RC4_128_SHA"]), &["the server takes no suite that senders of today offer"])]
    #[case(only(Version::Tls12, &["TLS_RSA_WITH_SEED_CBC_SHA", "TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA"]),
        &["the server takes no suite that senders of today offer"])]
    #[case(only(Version::Tls12, &["TLS_DH_anon_WITH_AES_128_CBC_SHA"]),
        &["the server takes suites without a certificate only, which most senders do not offer"])]
    #[case(Offers::good().refuse(Version::Tls12).refuse(Version::Tls13),
        &["the server refuses every TLS handshake: the server sent the alert handshake_failure"])]
    fn offers_say_why(#[case] offers: Offers, #[case] expected: &[&str]) {
        assert_eq!(messages(&with_offers("handshake_failure", offers)), expected);
    }

    #[test]
    fn a_suite_that_others_have_is_no_refusal() {
        let offers = || only(Version::Tls12, &["TLS_RSA_WITH_RC4_128_SHA", "TLS_RSA_WITH_AES_128_CBC_SHA"]);
        let words = "STARTTLS works for senders that offer TLS_RSA_WITH_AES_128_CBC_SHA in TLSv1.2";
        assert_eq!(with_offers("handshake_failure", offers()), Outcome::Passed(words.to_owned()));
        // Any other alert is the answer that every sender gets; what would be taken is evidence.
        let outcome = with_offers("protocol_version", offers());
        assert!(format!("{outcome:?}").contains("it takes TLSv1.2: TLS_RSA_WITH_RC4_128_SHA"), "{outcome:?}");
        // One answer of a server that chose a weak suite does not show what else it takes.
        let one = only(Version::Tls12, &["TLS_RSA_WITH_RC4_128_SHA"]).with(|offers| offers.versions[4].suites.complete.clear());
        assert_eq!(kind(&with_offers("handshake_failure", one)), "undetermined");
        assert_eq!(kind(&with_offers("handshake_failure", Offers::unanswered())), "undetermined");
    }

    /// Before TLS 1.3, this alert is also how a server says that it wants a certificate (RFC 5246, 7.4.6).
    #[rstest]
    #[case(ClientCertificate::Requested { ca_bytes: 0 }, "violated")]
    #[case(ClientCertificate::NotRequested, "undetermined")]
    fn after_the_certificate_suites_were_not_the_reason(#[case] request: ClientCertificate, #[case] expected: &str) {
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            views[0].session.tls = Observed::Failed(failed("the server sent the alert handshake_failure"));
            views[0].offers = Observed::Seen(Offers::good().with(|offers| offers.client_certificate = Observed::Seen(request)));
        });
        assert_eq!(kind(&outcome), expected);
    }

    #[rstest]
    #[case(Failure::Closed)]
    #[case(Failure::Reset)]
    #[case(Failure::TimedOut { millis: 30_000 })]
    fn a_drop_shows_nothing(#[case] failure: Failure) {
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].session.tls = Observed::Failed(failure));
        assert_eq!(kind(&outcome), "undetermined");
    }

    #[test]
    fn a_finished_handshake_passes_with_the_count() {
        let world = World::correct();
        let words = |count| world.judge_from(count, &RULE, |_| {});
        assert_eq!(words(1), Outcome::Passed("STARTTLS is offered and works from one vantage point".to_owned()));
        assert_eq!(words(2), Outcome::Passed("STARTTLS is offered and works from 2 vantage points".to_owned()));
    }

    #[test]
    fn without_an_offer_it_does_not_apply() {
        let outcome = World::correct().judge_from(1, &RULE, |views| World::without_starttls(&mut views[0]));
        assert_eq!(kind(&outcome), "not-applicable");
    }
}
