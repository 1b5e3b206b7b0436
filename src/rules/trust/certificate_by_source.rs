use crate::rules::{Context, Outcome, Violation, nothing_tried, rule, tried, views::why_not};

rule! {
    /// Who gets which certificate depends on where it comes from.
    ///
    /// ## What it checks
    ///
    /// One address of the server shows different certificates to different vantage points, in the usual handshake of each.
    ///
    /// ## Why it matters
    ///
    /// Whoever looks from inside sees a good certificate, and senders see another. A proxy or a split configuration may be
    /// meant; forgotten, it is found out when the outer certificate expires. Servers that take turns show different
    /// certificates, too.
    ///
    /// ## Remedy
    ///
    /// Show the same certificate to everyone, or watch both.
    ///
    /// - Postfix: the services of master.cf that listen inside and outside may have `-o smtpd_tls_chain_files` of their own.
    /// - Exim: `tls_certificate` may depend on `$sender_host_address` or `$interface_address`.
    /// - Sendmail: one certificate for all; look at what stands before it.
    /// - OpenSMTPD: each `listen` line names its `pki`.
    /// - Exchange: each connector has a `TlsCertificateName`, and the one whose `RemoteIPRanges` fit best decides.
    ///
    /// ## References
    ///
    /// - RFC 8446, 4.4.2.2
    "certificate-by-source" { practice: PublicCa, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    let seen: Vec<_> = tried(context).filter_map(|(index, view)| Some((index, view, view.session.certificates.seen()?.first()?))).collect();
    if tried(context).next().is_none() {
        return nothing_tried(context);
    }
    let mut violations = Vec::new();
    for (place, (index, view, leaf)) in seen.iter().enumerate() {
        let earlier = seen[..place].iter().find(|(_, other, _)| other.address == view.address);
        let Some((first, other, known)) = earlier.filter(|(_, _, known)| known.der() != leaf.der()) else { continue };
        let mut violation = Violation::new(format!(
            "{} shows one certificate to {} and another to {}",
            view.address,
            other.vantage_text(),
            view.vantage_text()
        ));
        for (vantage, certificate) in [(other.vantage_text(), known), (view.vantage_text(), leaf)] {
            let what = certificate.details().map_or("unreadable".to_owned(), |details| details.subject.to_string());
            violation = violation.evidence(format!("to {vantage}: {}", crate::rules::short(&what)));
        }
        violation.views = vec![*first, *index];
        violations.push(violation);
    }
    match (violations.is_empty(), seen.len()) {
        (false, _) => Outcome::Violated(violations),
        (true, 0) => match tried(context).find(|(_, view)| view.session.certificates.seen().is_none()) {
            Some((_, view)) => Outcome::Undetermined(format!(
                "the usual handshake from {} showed no certificate to compare with others: {}",
                view.vantage_text(),
                why_not(view, &view.session.certificates)
            )),
            // It was sent an empty list.
            None => Outcome::NotApplicable("no certificate was sent".to_owned()),
        },
        (true, 1) => Outcome::NotApplicable("a certificate was seen from one vantage point only".to_owned()),
        (true, _) => Outcome::Passed(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::{Failure, Observed, View},
        rules::test_facts::{World, kind},
    };

    #[test]
    fn only_one_address_counts() {
        let world = World::correct();
        let judge = |port: u16| {
            let other = World::self_signed();
            kind(&world.judge_from(2, &RULE, |views| {
                views[1].session.certificates = Observed::Seen(vec![other]);
                views[1].address.set_port(port);
            }))
        };
        assert_eq!(judge(25), "violated");
        assert_eq!(judge(26), "passed");
        assert_eq!(kind(&world.judge_from(2, &RULE, |_| {})), "passed");
        assert_eq!(kind(&world.judge(&RULE)), "not-applicable");
    }

    /// A certificate may have been seen all the same, in answer to another hello than the usual.
    #[test]
    fn what_is_not_there_to_compare_is_named_by_vantage_point() {
        let lose = |view: &mut View| {
            view.session.tls = Observed::Failed(Failure::Closed);
            view.session.certificates = Observed::NotAttempted("the handshake failed".to_owned());
        };
        let world = World::correct();
        assert_eq!(kind(&world.judge_from(1, &RULE, |views| lose(&mut views[0]))), "undetermined");
        assert_eq!(kind(&world.judge_from(2, &RULE, |views| lose(&mut views[1]))), "not-applicable");
        let outcome = world.judge_from(2, &RULE, |views| views.iter_mut().for_each(lose));
        let Outcome::Undetermined(why) = &outcome else { panic!("{outcome:?}") };
        assert!(why.starts_with("the usual handshake from "), "{why}");
        assert!(why.ends_with("showed no certificate to compare with others: connection closed by the server"), "{why}");
    }
}
