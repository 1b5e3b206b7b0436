//! What each library says of a certificate: the defects that the rules find, and who minds them.
//!
//! The rules know why a sender that verifies refuses; the table here knows which library is one of those senders. What was
//! seen of the real ones is in `docs/outside-tools.md` and `docs/senders.md`.

use super::client::Library;
use crate::{
    facts::{Certificate, Facts, Observed, SanEntry, View},
    finding::{Outcome, ResultType, Violation},
    rules::{self, Context, Missing, missing_issuer},
};

/// What a library says of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It takes it.
    Verified,
    /// It does not.
    Refused {
        /// Why, in words.
        why: String,
        /// What a sender would report.
        result_type: ResultType,
    },
    /// It cannot be told; the text says why.
    Unknown(String),
}

/// Who minds a defect.
struct Minded {
    rule: &'static str,
    by: &'static [Library],
    /// Words of the finding or its evidence that it counts with.
    needs: Option<&'static str>,
    /// Where it counts, besides.
    only: fn(&View, &[Certificate]) -> bool,
    /// What some do not mind, or perhaps not: by words of the finding or its evidence.
    except: &'static [(Library, &'static str, Minds)],
}

/// Whether a library minds what others do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Minds {
    /// It does not.
    No,
    /// It cannot be told.
    Perhaps,
}

use Minds::{No, Perhaps};

use Library::{GnuTls, OpenSsl, Other, Schannel};

const EVERYBODY: &[Library] = &[OpenSsl, GnuTls, Schannel, Other];

const fn minded(rule: &'static str, by: &'static [Library]) -> Minded {
    Minded { rule, by, needs: None, only: |_, _| true, except: &[] }
}

const fn minded_where(rule: &'static str, by: &'static [Library], only: fn(&View, &[Certificate]) -> bool) -> Minded {
    Minded { rule, by, needs: None, only, except: &[] }
}

/// What is wrong with the path to the root.
const PATH: &[Minded] = &[
    minded("self-signed", EVERYBODY),
    minded("private-ca", EVERYBODY),
    // Schannel fetches what is missing: `what_windows_fetches`.
    minded("unknown-issuer", &[OpenSsl, GnuTls, Other]),
    minded("incomplete-chain", &[OpenSsl, GnuTls, Other]),
    minded("bad-signature", EVERYBODY),
    Minded { except: &[(Other, "", Perhaps)], ..minded("odd-salt", &[GnuTls, Other]) },
    Minded {
        except: &[
            // Exim asks GnuTLS for no purpose, and GnuTLS does not know every kind of name that is constrained.
            (GnuTls, "extended key usage", No),
            (GnuTls, "GnuTLS does not compare", No),
            // The ways of OpenSSL.
            (GnuTls, "GnuTLS and rustls-webpki find it", No),
            (GnuTls, "GnuTLS may", Perhaps),
            (GnuTls, "neither by basic constraints nor by a key usage", No),
            (GnuTls, rules::GNUTLS_KNOWS_IT, No),
            (GnuTls, "by its Netscape certificate type", No),
            (GnuTls, "has a date that OpenSSL does not read", Perhaps),
            (Schannel, rules::GNUTLS_KNOWS_IT, Perhaps),
            (Schannel, "by its Netscape certificate type", Perhaps),
            (Other, rules::GNUTLS_KNOWS_IT, Perhaps),
            (Other, "by its Netscape certificate type", Perhaps),
            (Schannel, DOES_NOT_GO_BACK, No),
            (Schannel, DOES_NOT_LOOK, No),
            (Other, DOES_NOT_GO_BACK, Perhaps),
            (Other, DOES_NOT_LOOK, Perhaps),
        ],
        ..minded("invalid-path", EVERYBODY)
    },
    Minded {
        needs: Some("GnuTLS 3.7, which Debian's Exim uses, refuses the path"),
        ..minded("expired-cross-certificate", &[GnuTls])
    },
    minded("certificate-expired", EVERYBODY),
    minded("not-yet-valid", EVERYBODY),
    minded("validity-inverted", EVERYBODY),
    minded("issuer-expired", &[OpenSsl, GnuTls, Other]),
    // Where a certificate says where its issuer is to be had, Windows may find a newer one there.
    minded_where("issuer-expired", &[Schannel], |_, chain| !says_where(chain)),
    Minded { except: &[(Schannel, "", Perhaps)], ..minded_where("issuer-expired", &[Schannel], |_, chain| says_where(chain)) },
    // GnuTLS may take another certificate of that CA from the store.
    Minded { except: &[(GnuTls, "certificate in the trust store", Perhaps)], ..minded("root-expired", EVERYBODY) },
    Minded {
        except: &[(GnuTls, "rustls-webpki and GnuTLS accept it", No)],
        ..minded("key-identifier-mismatch", &[OpenSsl, GnuTls])
    },
    minded("anchor-not-a-root", &[OpenSsl]),
    Minded { except: &[(GnuTls, rules::GNUTLS_TAKES_IT, No)], ..minded("issuer-spelled-otherwise", &[GnuTls, Other]) },
    Minded {
        // It knows certificatePolicies, inhibitAnyPolicy and proxyCertInfo, whoever else does not.
        except: &[(GnuTls, "2.5.29.32", No), (GnuTls, "2.5.29.54", No), (GnuTls, "1.3.6.1.5.5.7.1.14", No)],
        ..minded("rare-critical-extension", &[GnuTls])
    },
    minded("weak-signature-hash", EVERYBODY),
    minded("broken-rsa-key", &[OpenSsl, GnuTls, Schannel]),
    // smtp_tls_scert_verifydepth is 9; GnuTLS follows 16.
    minded_where("long-path", &[OpenSsl], |_, chain| chain.len() > 11),
    minded_where("long-path", &[GnuTls], |_, chain| chain.len() > 16),
    // GnuTLS looks at what is stapled, and holds a server to its promise; Exchange asks the CA.
    minded("must-staple-without-staple", &[GnuTls]),
    Minded {
        // Answers that say nothing are passed over, and it does not look whether one is of the future.
        except: &[
            (GnuTls, "the responder answers", No),
            (GnuTls, "does not know the certificate", No),
            (GnuTls, "is from the future", No),
        ],
        ..minded("bad-staple", &[GnuTls])
    },
    minded_where("certificate-revoked", &[GnuTls], |view, _| matches!(view.session.staple.seen(), Some(Some(_)))),
    minded("certificate-revoked", &[Schannel]),
];

/// Whether a certificate says where its issuer is to be had (RFC 5280, 4.2.2.1).
fn says_where(chain: &[Certificate]) -> bool {
    chain.iter().any(|certificate| certificate.details().is_ok_and(|details| !details.ca_issuers.is_empty()))
}

/// Of `invalid-path`: what only OpenSSL does.
const DOES_NOT_GO_BACK: &str = "and does not go back";
const DOES_NOT_LOOK: &str = "and does not look for its issuer";

/// What is wrong with the names. Without a dNSName the CN counts for OpenSSL, GnuTLS and Schannel alike.
const NAMES: &[Minded] = &[
    minded("host-mismatch", EVERYBODY),
    minded("common-name-only", &[Other]),
    // GnuTLS takes a CN for a name where it is the only one and no other kind of name is certified for a host
    // (`gnutls_x509_crt_check_hostname2`).
    minded_where("common-name-only", &[GnuTls], |_, chain| {
        chain.first().and_then(|leaf| leaf.details().ok()).is_some_and(|leaf| {
            let is_host = |entry: &SanEntry| matches!(entry, SanEntry::Ip(_)) || entry.to_string().starts_with("URI");
            leaf.common_names.len() > 1 || leaf.subject_alt_names.iter().any(is_host)
        })
    }),
    Minded {
        needs: Some("directly below a top-level label"),
        // Postfix compares names by itself.
        except: &[(OpenSsl, "", Perhaps)],
        ..minded("wildcard-on-public-suffix", &[OpenSsl, GnuTls])
    },
    Minded {
        except: &[(OpenSsl, "", Perhaps), (Schannel, "", Perhaps)],
        ..minded("wildcard-over-underscore", &[OpenSsl, Schannel])
    },
];

/// What the rules say of one chain, judged once for all libraries.
#[derive(Clone, Debug)]
pub struct Judged {
    path: Vec<Said>,
    names: Vec<Said>,
}

#[derive(Clone, Debug)]
struct Said {
    by: &'static [Library],
    except: &'static [(Library, &'static str, Minds)],
    /// Each violation; or why it cannot be told.
    outcome: Result<Vec<Violation>, String>,
    result_type: ResultType,
}

impl Said {
    /// What a library makes of it; none where it does not mind.
    fn of(&self, library: Library) -> Option<Trust> {
        let violations = match &self.outcome {
            Ok(violations) => violations,
            Err(why) => return Some(Trust::Unknown(why.clone())),
        };
        let minds = |violation: &Violation| {
            let exception = self.except.iter().find(|(by, words, _)| *by == library && says(violation, words));
            exception.map(|(.., minds)| *minds)
        };
        let refused = violations.iter().find(|violation| minds(violation).is_none());
        let doubted = violations.iter().find(|violation| minds(violation) == Some(Minds::Perhaps));
        match (refused, doubted) {
            (Some(violation), _) => Some(Trust::Refused { why: violation.message.clone(), result_type: self.result_type }),
            (_, Some(violation)) => Some(Trust::Unknown(format!("whether it minds this is not known: {}", violation.message))),
            _ => None,
        }
    }
}

/// Whether words stand in a finding or its evidence.
pub(super) fn says(violation: &Violation, words: &str) -> bool {
    violation.message.contains(words) || violation.evidence.iter().any(|line| line.contains(words))
}

impl Judged {
    /// Judges a chain as if the session of the view had brought it.
    pub(super) fn of(context: &Context, view: &View, chain: &[Certificate]) -> Self {
        let mut alone = view.clone();
        alone.session.certificates = Observed::Seen(chain.to_vec());
        alone.offers = Observed::NotAttempted("one chain at a time".to_owned());
        let facts = Facts { views: vec![alone], ..context.facts.clone() };
        let context = Context::new(&facts, context.stores, context.policy, context.now);
        let counts = |minded: &&Minded| (minded.only)(view, chain);
        let say = |table: &'static [Minded]| table.iter().filter(counts).filter_map(|minded| said(&context, minded)).collect();
        let mut path: Vec<Said> = say(PATH);
        path.extend(what_windows_fetches(&context));
        Self { path, names: say(NAMES) }
    }

    /// What a library says of it, the name included or not.
    pub(super) fn trust(&self, library: Library, with_name: bool) -> Trust {
        let names: &[Said] = if with_name { &self.names } else { &[] };
        let mut doubt = None;
        for said in self.path.iter().chain(names).filter(|said| said.by.contains(&library)) {
            match said.of(library) {
                Some(refused @ Trust::Refused { .. }) => return refused,
                Some(other) => doubt = doubt.or(Some(other)),
                None => {}
            }
        }
        doubt.unwrap_or(Trust::Verified)
    }
}

/// What one rule says; none where it finds nothing that counts.
fn said(context: &Context, minded: &Minded) -> Option<Said> {
    let rule = rules::find(minded.rule)?;
    let counts = |violation: &Violation| minded.needs.is_none_or(|words| says(violation, words));
    let outcome = match rule.judge(context) {
        Outcome::Violated(violations) => Ok(violations.into_iter().filter(counts).collect::<Vec<_>>()),
        Outcome::Undetermined(why) if minded.needs.is_none() => Err(why),
        _ => return None,
    };
    let result_type = rule.result_type.unwrap_or(ResultType::ValidationFailure);
    outcome.as_ref().map_or(true, |found| !found.is_empty()).then_some(Said {
        by: minded.by,
        except: minded.except,
        outcome,
        result_type,
    })
}

/// Where the path ends too early, Windows fetches the issuer from where the certificate says (RFC 5280, 4.2.2.1).
fn what_windows_fetches(context: &Context) -> Option<Said> {
    let outcome = match missing_issuer(context)? {
        Missing::Nowhere(why) => Ok(vec![Violation::new(why)]),
        Missing::Unknown(why) => Err(why),
        Missing::Mended => return None,
    };
    Some(Said { by: &[Schannel], except: &[], outcome, result_type: ResultType::CertificateNotTrusted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_defect_is_a_rule() {
        for minded in PATH.iter().chain(NAMES) {
            assert!(rules::find(minded.rule).is_some(), "{}", minded.rule);
        }
    }
}
