//! What a walk found, in words that outlive the search: where the path ends, and what was sent besides.

use super::{Checked, Climb, End, Found, Issuer, Judgement, MAX_CERTIFICATES, Relation, Search, Walk};
use crate::{
    facts::{Certificate, CertificateDetails},
    rules::short,
    wire::WireText,
};

impl Search<'_> {
    /// `climb` is where OpenSSL gets to.
    pub(super) fn describe(&mut self, walk: Walk, climb: Option<&Climb>, chain: &[Certificate]) -> Judgement {
        let Walk { mut path, end } = walk;
        let top = path.last().copied().unwrap_or(0);
        let (mut root, mut found_anchor) = (None, None);
        let end = match end {
            Found::Unknown(why) => End::Undecided(why),
            _ if self.is_cut && !matches!(end, Found::Anchor { .. }) => {
                End::Undecided(format!("more than {MAX_CERTIFICATES} certificates were sent, and only these many are looked at"))
            }
            Found::Anchor { anchor, public } => {
                let (store, certificate) = &self.anchors[anchor];
                let store = store.name.clone();
                let is_root =
                    |index: &usize| *index != 0 && self.is_same_authority(*index, certificate) && self.is_self_issued(*index);
                root = (0..self.sent.len()).find(is_root);
                path.retain(|index| Some(*index) != root);
                found_anchor = Some(Certificate::from_der(certificate.as_raw()));
                End::Trusted { store, public }
            }
            Found::SelfSigned if path.len() == 1 => End::SelfSigned,
            Found::SelfSigned => {
                root = path.pop();
                End::PrivateRoot { subject: text(chain, top, |details| details.subject.as_str()) }
            }
            Found::WrongSignature => {
                End::WrongSignature { index: top, issuer: text(chain, top, |details| details.issuer.as_str()) }
            }
            // What cannot be read might be the missing link.
            Found::Nothing if self.sent.iter().any(Option::is_none) => {
                End::Undecided("a certificate that was sent cannot be read".to_owned())
            }
            Found::Nothing => {
                let issuer = text(chain, top, |details| details.issuer.as_str());
                let circle =
                    path.iter().find(|below| self.is_issued_by(top, Issuer::Sent(**below)) == Some(Checked::Right)).copied();
                match (circle, self.witness(&path, chain)) {
                    (Some(issuer), _) => End::Circle { index: top, issuer },
                    (None, Some((witness, store))) => End::Gap { index: top, issuer, witness, store },
                    (None, None) => {
                        // LDAP without a host is of an Active Directory: a private CA.
                        let is_http = |place: &WireText| place.as_str().to_ascii_lowercase().starts_with("http:");
                        let fetchable = chain[top].details().is_ok_and(|details| details.ca_issuers.iter().any(is_http));
                        End::UnknownIssuer { index: top, issuer, fetchable }
                    }
                }
            }
        };
        let related: Vec<usize> = path.iter().copied().chain(root).collect();
        let mut extra = self.relations(&related, &end, chain);
        let is_trusted = matches!(end, End::Trusted { .. });
        let misled = climb.filter(|_| is_trusted).and_then(|climb| climb.misled(&related));
        for (index, relation) in &mut extra {
            if misled.as_ref().is_some_and(|misled| misled.taken == Some(*index)) && *relation == Relation::Unrelated {
                *relation = Relation::Misleading;
            }
        }
        Judgement { path, root, extra, end, anchor: found_anchor, misled }
    }

    fn is_self_issued(&self, index: usize) -> bool {
        self.sent[index].as_ref().is_some_and(|certificate| certificate.subject().as_raw() == certificate.issuer().as_raw())
    }

    /// A CA certificate outside of the path that leads to a trust anchor.
    fn witness(&mut self, path: &[usize], chain: &[Certificate]) -> Option<(usize, String)> {
        let all = vec![true; self.sent.len()];
        (1..self.sent.len()).find_map(|index| {
            let is_ca = chain[index].details().is_ok_and(|details| details.is_ca);
            if path.contains(&index) || !is_ca {
                return None;
            }
            match self.walk(index, &all).end {
                Found::Anchor { anchor, .. } => Some((index, self.anchors[anchor].0.name.clone())),
                _ => None,
            }
        })
    }

    /// What the certificates besides those of the path have to do with it.
    fn relations(&mut self, path: &[usize], end: &End, chain: &[Certificate]) -> Vec<(usize, Relation)> {
        let mut related = path.to_vec();
        let mut extra: Vec<usize> = (0..self.sent.len()).filter(|index| !related.contains(index)).collect();
        let mut relations = Vec::new();
        extra.retain(|index| {
            let earlier = (0..*index).find(|earlier| chain[*earlier].der() == chain[*index].der());
            relations.extend(earlier.map(|earlier| (*index, Relation::Repeats(earlier))));
            earlier.is_none()
        });
        // An alternative may hang on another one, so this goes on until nothing is added.
        while let Some(at) = extra.iter().position(|index| self.is_alternative(*index, &related)) {
            let index = extra.remove(at);
            related.push(index);
            relations.push((index, Relation::Alternative));
        }
        for index in extra {
            let is_ca = chain[index].details().map_or(true, |details| details.is_ca);
            relations.push((
                index,
                match end {
                    End::Gap { .. } if is_ca && self.leads_to_an_anchor(index) => Relation::BeyondTheGap,
                    End::Gap { .. }
                    | End::UnknownIssuer { .. }
                    | End::Circle { .. }
                    | End::WrongSignature { .. }
                    | End::Undecided(_)
                        if is_ca =>
                    {
                        Relation::Unclear
                    }
                    _ => Relation::Unrelated,
                },
            ));
        }
        relations.sort_by_key(|(index, _)| *index);
        relations
    }

    fn leads_to_an_anchor(&mut self, index: usize) -> bool {
        let all = vec![true; self.sent.len()];
        self.sent[index].is_some() && matches!(self.walk(index, &all).end, Found::Anchor { .. })
    }

    /// Whether a certificate is one more of a CA on the path, or the issuer of one.
    fn is_alternative(&mut self, index: usize, related: &[usize]) -> bool {
        related.iter().any(|known| {
            let is_issuer = self.is_issued_by(*known, Issuer::Sent(index)) == Some(Checked::Right);
            let sent = self.sent[index].as_ref();
            is_issuer || (*known != 0 && sent.is_some_and(|certificate| self.is_same_authority(*known, certificate)))
        })
    }
}

/// A text of a certificate, cut where a reader has seen enough of it.
fn text(chain: &[Certificate], index: usize, field: fn(&CertificateDetails) -> &str) -> String {
    chain[index].details().map_or_else(|_| "?".to_owned(), |details| short(field(details)))
}
