use super::each_end;
use crate::{
    facts::Certificate,
    rules::{
        Context, Outcome, ResultType, Violation, certificate_text,
        constraints::{self, Faults},
        path::{self, DeadEnd, End, Judgement, Misled},
        rule,
        second_opinion::{self, Opinion},
    },
};

rule! {
    /// The certification path breaks a constraint.
    ///
    /// ## What it checks
    ///
    /// The path reaches a trust anchor, and verifiers refuse it all the same: an issuer is not a CA or
    /// may not sign certificates, the path is longer than a CA allows, a name is outside of a CA's
    /// name constraints, a certificate is not meant for TLS servers, a critical extension is unknown, or a curve is
    /// spelled out.
    /// Or OpenSSL does not find the path: it takes the first certificate sent that has the issuer's name
    /// and key identifier, does not go back from there, and that one leads nowhere.
    ///
    /// ## Why it matters
    ///
    /// Every sender that verifies by such a path refuses the certificate, and says no more than "not trusted".
    ///
    /// ## Remedy
    ///
    /// Have the certificate issued anew, with the profile for TLS servers (extended key usage
    /// `serverAuth`). If the fault is in an intermediate, the CA must replace it; if it is in
    /// the root, take a certificate that leads to another one. A certificate that misleads OpenSSL is removed from the file.
    ///
    /// - Postfix, Exim, Sendmail, OpenSMTPD: `openssl req -new -key mx.key -out mx.csr`, and the CA signs it anew.
    /// - Exchange: `Get-ExchangeCertificate -Thumbprint ... | New-ExchangeCertificate -GenerateRequest`, likewise.
    ///
    /// ## References
    ///
    /// - RFC 5280, 6.1
    /// - RFC 5280, 4.2.1.3
    /// - RFC 5280, 4.2.1.9
    /// - RFC 5280, 4.2.1.10
    /// - RFC 5280, 4.2.1.12
    "invalid-path" { practice: PublicCa, severity: Fail, result_type: Some(ResultType::CertificateNotTrusted) }
}

fn judge(context: &Context) -> Outcome {
    each_end(context, |chain, judgement| {
        if !matches!(judgement.end, End::Trusted { .. }) {
            return Outcome::NotApplicable("the path does not reach a trust anchor".to_owned());
        }
        if judgement.anchor.as_ref().is_some_and(|anchor| anchor.der() == chain[0].der()) {
            return Outcome::Passed(String::new());
        }
        match (&judgement.misled, constrained(context, chain, judgement)) {
            (None, outcome) => outcome,
            (Some(misled), outcome) => {
                let more = if let Outcome::Violated(violations) = outcome { violations } else { Vec::new() };
                Outcome::Violated(std::iter::once(dead_end(context, chain, judgement, misled)).chain(more).collect())
            }
        }
    })
}

/// The path that OpenSSL does not find, and what it takes instead.
fn dead_end(context: &Context, chain: &[Certificate], judgement: &Judgement, misled: &Misled) -> Violation {
    let what = |index: usize| certificate_text(chain, index);
    let child = what(misled.child);
    let words = match (misled.taken, &misled.end) {
        (Some(taken), _) => {
            format!("OpenSSL takes {} for the issuer of {child}, finds no valid path by it, and does not go back", what(taken))
        }
        (None, DeadEnd::WrongAnchor { subject, .. }) => {
            format!("OpenSSL takes another trust anchor ({subject}) for the issuer of {child}, and does not go back")
        }
        (None, _) => format!("OpenSSL takes {child} for a self-signed one, and does not look for its issuer"),
    };
    let end = match &misled.end {
        DeadEnd::SelfSigned(index) if misled.taken.is_none() => {
            format!("{} names itself for its issuer, and no key: a key identifier of its authority would tell", what(*index))
        }
        DeadEnd::SelfSigned(index) => format!("its path ends at {}, which is self-signed and no trust anchor", what(*index)),
        DeadEnd::NoIssuer(index) => {
            // What a private store has does not count here.
            let trusted = if context.stores.iter().all(|store| store.public) { "trusted" } else { "in a public store" };
            format!("its path ends at {}, whose issuer is neither sent nor {trusted}", what(*index))
        }
        DeadEnd::WrongSignature(index) => {
            format!("the signature on {} was not made by the key of what it takes for the issuer", what(*index))
        }
        DeadEnd::WrongAnchor { index, subject, store } => {
            format!("the signature on {} was not made by the key of {subject} in {store}", what(*index))
        }
    };
    let details = || judgement.path.iter().filter_map(|index| chain.get(*index)?.details().ok());
    let is_valid = details().all(|details| details.not_before <= context.now && context.now <= details.not_after);
    let key = |certificate: &Certificate| certificate.details().ok().map(|details| details.key.sha256.clone());
    // What the path has in the place of what OpenSSL takes.
    let place = judgement.path.iter().position(|index| *index == misled.child);
    let right = place.and_then(|place| judgement.path.get(place + 1)).map(|right| &chain[*right]).or(judgement.anchor.as_ref());
    let is_key_of = |taken: usize| right.is_some_and(|right| key(right) == key(&chain[taken]));
    // As certtool of GnuTLS 3.7 judges it: it leaves out a self-signed certificate between others, and goes on behind it.
    let others = match (misled.taken, &misled.end) {
        _ if !is_valid => "not all of it is valid now",
        (Some(taken), DeadEnd::SelfSigned(index)) if *index == taken && is_key_of(taken) => "GnuTLS and rustls-webpki find it",
        (None, _) => "rustls-webpki finds it, GnuTLS may",
        _ => "rustls-webpki finds it, GnuTLS does not",
    };
    let way = climb(chain, judgement);
    Violation::new(words).evidence(end).evidence(format!("another path leads to a trust anchor: {way}; {others}"))
}

/// What breaks a rule on the path, whoever finds it.
fn constrained(context: &Context, chain: &[Certificate], judgement: &Judgement) -> Outcome {
    let Faults { found: faults, doubt } = constraints::faults(chain, judgement, context.stores, context.now);
    if let (true, Some(doubt)) = (faults.is_empty(), doubt) {
        return Outcome::Undetermined(doubt.to_owned());
    }
    let opinion = second_opinion::ask(chain, judgement, context.stores, context.now);
    let (faults, dissent) = match (opinion, faults.is_empty()) {
        (Opinion::Accepts | Opinion::RefusesForOtherReasons, true) => return Outcome::Passed(String::new()),
        // It may have tried another certificate of that name, or not know the algorithm: our own eyes have looked at the names.
        (Opinion::RefusesSignature(_), true) if constraints::are_names_judged(&chain[0]) => {
            return Outcome::Passed(String::new());
        }
        (Opinion::Undecided(why) | Opinion::RefusesSignature(why), true) => return Outcome::Undetermined(why),
        (Opinion::RefusesNames, true) if constraints::are_names_judged(&chain[0]) => {
            return Outcome::Passed("rustls-webpki refuses its name constraints, OpenSSL does not".to_owned());
        }
        (Opinion::RefusesNames, true) => {
            let why = "rustls-webpki refuses its name constraints, and not all names of the server's certificate can be read";
            return Outcome::Undetermined(why.to_owned());
        }
        // What OpenSSL knows is a matter of its own.
        (Opinion::RefusesExtension, true) => return Outcome::Passed(String::new()),
        // Likewise.
        (Opinion::RefusesUsage(_), true) if !constraints::gated(chain, judgement).is_empty() => {
            return Outcome::Passed(String::new());
        }
        (Opinion::Refuses(why) | Opinion::RefusesUsage(why), true) => (vec![why], None),
        (Opinion::Accepts, false) => (faults, Some("rustls-webpki accepts the path all the same".to_owned())),
        (_, false) => (faults, None),
    };
    let is_good = |other: &Judgement| constraints::faults(chain, other, context.stores, context.now).is_none();
    let is_taken = judgement.misled.is_none();
    let other = is_taken.then(|| path::alternative(chain, judgement, context.stores, context.now, is_good)).flatten();
    let dissent = other.map(|other| other_path(chain, &other)).or(dissent);
    let evidence = format!("the path is: {}", climb(chain, judgement));
    let violations = faults.into_iter().map(|fault| {
        let violation = Violation::new(format!("the path is not valid: {fault}")).evidence(evidence.clone());
        dissent.iter().fold(violation, |violation, words| violation.evidence(words))
    });
    Outcome::Violated(violations.collect())
}

/// The certificates of a path, bottom up.
fn climb(chain: &[Certificate], judgement: &Judgement) -> String {
    let climb: Vec<String> = judgement.path.iter().map(|index| certificate_text(chain, *index)).collect();
    climb.join(", then ")
}

/// A second path that is right helps those who look for one.
fn other_path(chain: &[Certificate], other: &Judgement) -> String {
    format!("another path is valid: {}; rustls-webpki tries every path and finds it, OpenSSL takes the one above", climb(chain, other))
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyUsagePurpose, NameConstraints};
    use rstest::rstest;
    use time::Duration;

    use super::*;
    use crate::rules::test_facts::{Authority, Hash, Key, NOW, World, kind, messages, wrap};

    type Params = rcgen::CertificateParams;
    type Change = fn(&mut Params);

    #[rstest]
    #[case::not_a_ca(|p: &mut Params| p.is_ca = IsCa::ExplicitNoCa, "is not one of a CA")]
    #[case::may_not_sign(|p: &mut Params| p.key_usages = vec![KeyUsagePurpose::CrlSign], "may not sign certificates")]
    #[case::names(|p: &mut Params| p.name_constraints = Some(only("other.test")), "name constraints")]
    #[case::usage(|p: &mut Params| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection], "not meant for TLS servers")]
    fn a_broken_intermediate_is_found(#[case] change: Change, #[case] reason: &str) {
        let mut world = World::correct();
        let issuing = world.root.intermediate_with("Issuing CA", change);
        world.chain = vec![issuing.leaf(|_| {}), issuing.certificate.clone()];
        let outcome = world.judge(&RULE);
        assert!(messages(&outcome)[0].contains(reason), "{outcome:?}");
    }

    /// What OpenSSL does not know, and what nobody does.
    #[rstest]
    #[case(&[2, 5, 29, 14], true)]
    #[case(&[2, 5, 29, 18], true)]
    #[case(&[1, 3, 6, 1, 4, 1, 99_999, 1], false)]
    fn critical_extensions_are_known_to_some(#[case] oid: &[u64], #[case] is_known_to_gnutls: bool) {
        let mut extension = CustomExtension::from_oid_content(oid, vec![0x04, 1, 0]);
        extension.set_criticality(true);
        let outcome = World::correct().judge_leaf(&RULE, |params| params.custom_extensions.push(extension));
        assert_eq!(messages(&outcome)[0].contains(constraints::GNUTLS_KNOWS_IT), is_known_to_gnutls, "{outcome:?}");
    }

    /// The bits of nsCertType: 0 is a client, 1 a server.
    #[rstest]
    #[case(&[3, 2, 7, 0x80], "violated")]
    #[case(&[3, 2, 6, 0xc0], "passed")]
    fn the_netscape_type_counts(#[case] types: &[u8], #[case] expected: &str) {
        let extension = CustomExtension::from_oid_content(&[2, 16, 840, 1, 113_730, 1, 1], types.to_vec());
        let outcome = World::correct().judge_leaf(&RULE, |params| params.custom_extensions.push(extension));
        assert_eq!(kind(&outcome), expected, "{outcome:?}");
    }

    fn only(domain: &str) -> NameConstraints {
        NameConstraints { permitted_subtrees: vec![GeneralSubtree::DnsName(domain.to_owned())], excluded_subtrees: Vec::new() }
    }

    /// A CA that is a trust anchor itself does not stand below itself.
    #[test]
    fn an_intermediate_that_is_an_anchor_counts_once() {
        let mut world = World::correct();
        let issuing = world.root.intermediate_with("Issuing CA", |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
        world.chain = vec![issuing.leaf(|_| {}), issuing.certificate.clone()];
        world.stores[0].anchors = vec![issuing.certificate.der().to_vec().into()];
        let outcome = world.judge(&RULE);
        assert_eq!(kind(&outcome), "passed", "{outcome:?}");
    }

    /// The curve is P-256, by its equation.
    #[test]
    fn a_curve_that_is_spelled_out_is_found() {
        let mut world = World::correct();
        world.chain[0] = world.issuing.reissue(&world.chain[0], |fields| {
            const EC_PUBLIC_KEY: [u8; 9] = [6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
            let parameters = include_bytes!("../../../lab/keys/p256-parameters.der");
            let algorithm = wrap(0x30, &[&EC_PUBLIC_KEY[..], parameters].concat());
            // Its own point, behind an algorithm of 21 bytes and the header of 2.
            let point = fields[6][23..].to_vec();
            fields[6] = wrap(0x30, &[algorithm, point].concat());
        });
        let outcome = world.judge(&RULE);
        assert!(messages(&outcome)[0].contains("has a key whose curve is spelled out"), "{outcome:?}");
    }

    /// What OpenSSL holds against a root that is trusted.
    #[rstest]
    #[case::length(|p: &mut Params| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)), "the root allows a path length of 0")]
    #[case::not_a_ca(|p: &mut Params| p.is_ca = IsCa::ExplicitNoCa, "the root is not one of a CA")]
    #[case::may_not_sign(|p: &mut Params| p.key_usages = vec![KeyUsagePurpose::CrlSign], "the root may not sign certificates")]
    #[case::usage(|p: &mut Params| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth], "not meant for TLS servers")]
    #[case::critical(add_unknown_critical, "the root has a critical extension")]
    fn a_broken_root_is_found(#[case] change: Change, #[case] reason: &str) {
        let mut world = World::correct();
        world.root = Authority::root_of(Key::P256, "Odd Root", change);
        let issuing = world.root.intermediate("Issuing CA");
        world.stores[0].anchors = vec![world.root.certificate.der().to_vec().into()];
        world.chain = vec![issuing.leaf(|_| {}), issuing.certificate.clone()];
        let outcome = world.judge(&RULE);
        assert!(messages(&outcome)[0].contains(reason), "{outcome:?}");
    }

    /// Constraints of other kinds than DNS, as OpenSSL reads them; rustls-webpki does not know them.
    #[rstest]
    #[case("Right", "passed")]
    #[case("Wrong", "violated")]
    fn directory_names_are_constrained_too(#[case] organisation: &str, #[case] expected: &str) {
        let mut world = World::correct();
        let name = |organisation: &str| {
            let mut name = rcgen::DistinguishedName::new();
            name.push(rcgen::DnType::OrganizationName, organisation);
            name
        };
        let issuing = world.root.intermediate_with("Issuing CA", |params| {
            let permitted_subtrees = vec![GeneralSubtree::DirectoryName(name("Right"))];
            params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
        });
        let leaf = issuing.leaf(|params| params.distinguished_name = name(organisation));
        world.chain = vec![leaf, issuing.certificate.clone()];
        assert_eq!(kind(&world.judge(&RULE)), expected);
    }

    /// Good names of every kind that constraints know, and bad ones. Letters, cases and kinds of string do not count.
    #[rstest]
    #[case(GeneralSubtree::Rfc822Name("example.test".to_owned()), rcgen::SanType::Rfc822Name("a@example.test".try_into().unwrap()), "passed")]
    #[case(GeneralSubtree::Rfc822Name("example.test".to_owned()), rcgen::SanType::Rfc822Name("a@other.test".try_into().unwrap()), "violated")]
    #[case(
        GeneralSubtree::IpAddress(rcgen::CidrSubnet::from_v4_prefix([192, 0, 2, 0], 24)),
        rcgen::SanType::IpAddress([192, 0, 2, 7].into()),
        "passed"
    )]
    #[case(
        GeneralSubtree::IpAddress(rcgen::CidrSubnet::from_v4_prefix([192, 0, 2, 0], 24)),
        rcgen::SanType::IpAddress([198, 51, 100, 7].into()),
        "violated"
    )]
    fn other_kinds_are_constrained_too(#[case] permitted: GeneralSubtree, #[case] name: rcgen::SanType, #[case] expected: &str) {
        let mut world = World::correct();
        let issuing = world.root.intermediate_with("Issuing CA", |params| {
            params.name_constraints = Some(NameConstraints { permitted_subtrees: vec![permitted.clone()], excluded_subtrees: Vec::new() });
        });
        let leaf = issuing.leaf(|params| params.subject_alt_names.push(name.clone()));
        world.chain = vec![leaf, issuing.certificate.clone()];
        assert_eq!(kind(&world.judge(&RULE)), expected);
    }

    #[test]
    fn behind_a_dot_stand_only_names_below() {
        let judge = |excluded: &str| {
            let mut world = World::correct();
            let issuing = world.root.intermediate_with("Issuing CA", |params| {
                let excluded_subtrees = vec![GeneralSubtree::DnsName(excluded.to_owned())];
                params.name_constraints = Some(NameConstraints { permitted_subtrees: Vec::new(), excluded_subtrees });
            });
            world.chain = vec![issuing.leaf(|_| {}), issuing.certificate.clone()];
            kind(&world.judge(&RULE))
        };
        assert_eq!([judge("mx.example.test"), judge(".example.test"), judge(".mx.example.test")], ["violated", "violated", "passed"]);
    }

    /// Of two certificates of one CA the first is taken, as OpenSSL does; the other is told of.
    #[test]
    fn a_better_path_is_named_and_the_first_one_counts() {
        let mut world = World::correct();
        let bad = world.root.certify_with(&world.issuing, |params| params.is_ca = IsCa::ExplicitNoCa);
        let (leaf, good) = (world.chain[0].clone(), world.issuing.certificate.clone());
        world.chain = vec![leaf.clone(), good.clone(), bad.clone()];
        assert_eq!(kind(&world.judge(&RULE)), "passed");
        world.chain = vec![leaf, bad, good];
        let outcome = world.judge(&RULE);
        assert!(messages(&outcome)[0].contains("certificate 2 (CN=Issuing CA) is not one of a CA"), "{outcome:?}");
        let expected = "another path is valid: the server's certificate, then certificate 3 (CN=Issuing CA)";
        assert!(format!("{outcome:?}").contains(expected), "{outcome:?}");
    }

    /// What OpenSSL takes first leads nowhere, and it does not go back; sent last, the same does no harm.
    #[rstest]
    #[case::unknown_root(|world: &mut World| world.chain.insert(1, Authority::root("Gone CA").certify(&world.issuing)), "whose issuer is neither sent nor trusted")]
    #[case::another_key(|world: &mut World| world.chain.insert(1, world.root.intermediate("Issuing CA").certificate), "was not made by the key")]
    #[case::self_signed(
        |world: &mut World| {
            let new = Authority::root("New Root CA");
            let issuing = new.intermediate("New Issuing CA");
            let cross = world.root.certify(&new);
            world.chain = vec![issuing.leaf(|_| {}), new.certificate.clone(), issuing.certificate, cross];
        },
        "self-signed and no trust anchor"
    )]
    fn a_dead_end_of_openssl_is_found(#[case] spoil: fn(&mut World), #[case] reason: &str) {
        let mut world = World::correct();
        spoil(&mut world);
        let outcome = world.judge(&RULE);
        assert!(messages(&outcome)[0].starts_with("OpenSSL takes certificate 2 (CN="), "{outcome:?}");
        assert!(format!("{outcome:?}").contains(reason), "{outcome:?}");
        assert_eq!(kind(&world.judge(crate::rules::find("unrelated-certificate").unwrap())), "passed");
        let misleading = world.chain.remove(1);
        world.chain.push(misleading);
        assert_eq!(kind(&world.judge(&RULE)), "passed");
    }

    /// Its subject is that of its issuer, and it names no key: OpenSSL looks no further (errors 18 and 19).
    #[test]
    fn what_only_looks_self_signed_is_found() {
        let mut world = World::correct();
        let named_so = |params: &mut Params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(rcgen::DnType::CommonName, "World Root CA");
            params.use_authority_key_identifier_extension = false;
        };
        world.chain = vec![world.root.leaf(named_so)];
        let outcome = world.judge(&RULE);
        let words = "OpenSSL takes the server's certificate for a self-signed one, and does not look for its issuer";
        assert_eq!(messages(&outcome), [words]);
        assert!(format!("{outcome:?}").contains("GnuTLS may"), "{outcome:?}");
        // Who names its key is not taken for one below the root of that name.
        let named = |params: &mut Params| params.use_authority_key_identifier_extension = true;
        let issuing = world.root.intermediate_with("World Root CA", named_so);
        world.chain = vec![issuing.leaf(named), issuing.certificate.clone()];
        assert!(messages(&world.judge(&RULE))[0].starts_with("OpenSSL takes certificate 2 (CN=World Root CA) for a self-signed one"));
        // With the key identifier, nothing is mistaken.
        let issuing = world.root.intermediate_with("World Root CA", named);
        world.chain = vec![issuing.leaf(named), issuing.certificate.clone()];
        assert_eq!(kind(&world.judge(&RULE)), "passed");
    }

    /// OpenSSL asks the store first, takes what fits, and looks at the signature when it is too late (error 7).
    #[test]
    fn a_namesake_in_the_store_is_named() {
        let mut world = World::correct();
        let named_no_key = |params: &mut Params| params.use_authority_key_identifier_extension = false;
        world.chain[0] = world.issuing.leaf(named_no_key);
        assert_eq!(kind(&world.judge(&RULE)), "passed");
        let namesake = Authority::root("Issuing CA").certificate;
        world.stores[0].anchors.push(namesake.der().to_vec().into());
        let outcome = world.judge(&RULE);
        assert!(messages(&outcome)[0].starts_with("OpenSSL takes another trust anchor (CN=Issuing CA) for the issuer of the server's"));
        assert!(format!("{outcome:?}").contains("was not made by the key of CN=Issuing CA in world"), "{outcome:?}");
        assert!(!format!("{outcome:?}").contains("neither sent nor trusted"), "{outcome:?}");
        // The right one of that name is found where it comes first.
        world.stores[0].anchors.insert(0, world.issuing.certificate.der().to_vec().into());
        assert_eq!(kind(&world.judge(&RULE)), "passed");
    }

    /// A self-signed namesake with another key leads GnuTLS astray as well.
    #[test]
    fn gnutls_finds_no_path_behind_another_key() {
        let mut world = World::correct();
        world.chain[0] = world.issuing.leaf(|params| params.use_authority_key_identifier_extension = false);
        world.chain.insert(1, Authority::root("Issuing CA").certificate);
        let outcome = world.judge(&RULE);
        assert!(format!("{outcome:?}").contains("rustls-webpki finds it, GnuTLS does not"), "{outcome:?}");
    }

    /// Of three certificates of one CA two are bad.
    #[test]
    fn a_better_path_is_looked_for_more_than_once() {
        let mut world = World::correct();
        let bad = |domain: &str| world.root.certify_with(&world.issuing, |params| params.name_constraints = Some(only(domain)));
        world.chain.splice(1..1, [bad("other.test"), bad("third.test")]);
        let outcome = world.judge(&RULE);
        assert!(format!("{outcome:?}").contains("then certificate 4 (CN=Issuing CA)"), "{outcome:?}");
    }

    /// The order in which OpenSSL looks is the same whoever trusts the store.
    #[rstest]
    #[case(true)]
    #[case(false)]
    fn the_first_path_counts_in_every_store(#[case] public: bool) {
        let mut world = World::correct();
        world.stores[0].public = public;
        let upper = world.root.intermediate("Upper CA");
        let limited = world.root.certify_with(&world.issuing, |params| params.name_constraints = Some(only("other.test")));
        let long = upper.certify(&world.issuing);
        let leaf = world.chain[0].clone();
        world.chain = vec![leaf.clone(), long.clone(), upper.certificate.clone(), limited.clone()];
        assert_eq!(kind(&world.judge(&RULE)), "passed");
        world.chain = vec![leaf, limited, upper.certificate.clone(), long];
        assert_eq!(kind(&world.judge(&RULE)), "violated");
    }

    /// A CA that renewed its key is one CA (RFC 5280, 4.2.1.9).
    #[test]
    fn a_renewed_key_does_not_lengthen_the_path() {
        let mut world = World::correct();
        let upper = world.root.intermediate_with("Same CA", |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
        let lower = upper.intermediate_with("Same CA", |params| params.use_authority_key_identifier_extension = true);
        world.chain = vec![lower.leaf(|_| {}), lower.certificate.clone(), upper.certificate.clone()];
        assert_eq!(kind(&world.judge(&RULE)), "passed");
    }

    #[test]
    fn a_path_longer_than_allowed_is_found() {
        let mut world = World::correct();
        let upper = world.root.intermediate_with("Upper CA", |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
        let lower = upper.intermediate("Lower CA");
        world.chain = vec![lower.leaf(|_| {}), lower.certificate.clone(), upper.certificate.clone()];
        assert!(messages(&world.judge(&RULE))[0].contains("path length"));
    }

    #[rstest]
    #[case::client_only(|p: &mut Params| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth], "not meant for TLS servers")]
    #[case::critical(add_unknown_critical, "critical extension")]
    #[case::signs_certificates(|p: &mut Params| p.key_usages = vec![KeyUsagePurpose::KeyCertSign], "may not be used in TLS")]
    fn a_broken_server_certificate_is_found(#[case] change: Change, #[case] reason: &str) {
        let mut world = World::correct();
        world.chain[0] = world.issuing.leaf(change);
        let outcome = world.judge(&RULE);
        assert!(messages(&outcome)[0].contains(reason), "{outcome:?}");
    }

    fn add_unknown_critical(params: &mut Params) {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions.push(extension);
    }

    /// Dates have rules of their own.
    #[rstest]
    #[case::expired(|p: &mut Params| p.not_after = NOW - Duration::days(3))]
    #[case::not_yet(|p: &mut Params| p.not_before = NOW + Duration::days(3))]
    #[case::no_names(|p: &mut Params| p.subject_alt_names.clear())]
    fn other_faults_are_not_this_one(#[case] change: Change) {
        let mut world = World::correct();
        world.chain[0] = world.issuing.leaf(change);
        assert_eq!(kind(&world.judge(&RULE)), "passed");
    }

    /// The second judge verifies no SHA-224, SHA-1 or short key, and looks at names after that only; the first looks at them itself.
    #[rstest]
    #[case::plain(|_: &mut Params| {}, "passed")]
    #[case::for_servers(|p: &mut Params| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth], "passed")]
    #[case::not_a_ca(|p: &mut Params| p.is_ca = IsCa::ExplicitNoCa, "violated")]
    #[case::names(|p: &mut Params| p.name_constraints = Some(only("other.test")), "violated")]
    #[case::usage(|p: &mut Params| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection], "violated")]
    #[case::critical(add_unknown_critical, "violated")]
    fn what_no_verifier_looked_at_is_not_right(#[case] change: Change, #[case] expected: &str) {
        for hash in [Hash::Sha224, Hash::Sha1] {
            let mut world = World::correct();
            let issuing = world.root.intermediate_of(Key::Rsa(2048), "Issuing CA", change);
            world.chain = vec![hash.resign(issuing.leaf(|_| {}), &issuing), issuing.certificate.clone()];
            assert_eq!(kind(&world.judge(&RULE)), expected);
        }
    }

    #[test]
    fn neither_is_what_an_anchor_limits() {
        let mut world = World::correct();
        let anchor = world.root.intermediate_of(Key::Rsa(2048), "Anchor CA", |p| p.name_constraints = Some(only("other.test")));
        world.chain = vec![Hash::Sha224.resign(anchor.leaf(|_| {}), &anchor)];
        world.stores[0].anchors = vec![anchor.certificate.der().to_vec().into()];
        assert_eq!(kind(&world.judge(&RULE)), "violated");
    }

    /// A CA with a new key, certified by its old one: OpenSSL takes the certificate that comes first, which is on the path too.
    #[rstest]
    #[case(true, "violated")]
    #[case(false, "passed")]
    fn a_new_key_behind_the_old_one_is_not_found(#[case] is_old_first: bool, #[case] expected: &str) {
        let mut world = World::correct();
        let old = world.root.intermediate("Rolling CA");
        let new = old.intermediate_with("Rolling CA", |params| params.use_authority_key_identifier_extension = true);
        let leaf = new.leaf(|params| params.use_authority_key_identifier_extension = false);
        let (first, second) = if is_old_first { (&old, &new) } else { (&new, &old) };
        world.chain = vec![leaf, first.certificate.clone(), second.certificate.clone()];
        let outcome = world.judge(&RULE);
        assert_eq!(kind(&outcome), expected, "{outcome:?}");
        if is_old_first {
            assert!(format!("{outcome:?}").contains("OpenSSL takes certificate 2 (CN=Rolling CA) for the issuer of the server's"));
        }
    }

    #[test]
    fn without_a_trusted_path_it_does_not_apply() {
        let mut world = World::correct();
        world.chain.truncate(1);
        assert_eq!(kind(&world.judge(&RULE)), "not-applicable");
    }
}
