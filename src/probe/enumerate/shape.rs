//! The shapes of the hellos that are asked with, and the order of their suites.

use super::ask::Asker;
use crate::{
    facts::{HelloTrait, Refusal, Sni, usual},
    hello::{ClientHello, Extra},
    tls::{Authentication, Group, GroupKind, SignatureScheme, Suite, Version},
};

/// The number of suites that some servers stop reading after.
pub(super) const CHUNK: usize = 64;
/// The bytes of a hello with a post-quantum key share, which no packet of 1,500 bytes holds (draft-ietf-tls-ecdhe-mlkem).
pub(super) const HUGE: usize = 1700;
/// A name that no mail server can have a certificate for (RFC 6761, 6.4).
pub(super) const FOREIGN_NAME: &str = "foreign.invalid";

/// What the server is known to bear in a hello; the best is assumed until shown otherwise.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a quirk of its own")]
pub(super) struct Bearing {
    /// More than [`CHUNK`] suites.
    pub many_suites: bool,
    /// Whether that was seen: it chose a suite that stood behind the first [`CHUNK`].
    pub many_suites_seen: bool,
    /// More than 512 bytes.
    pub large: bool,
    /// 256 to 511 bytes.
    pub middle_sized: bool,
    /// The group X25519MLKEM768.
    pub hybrid_group: bool,
    /// Any other post-quantum group.
    pub post_quantum_groups: bool,
    /// An extension that it does not know.
    pub unknown_extension: bool,
    /// The extension that pads a hello.
    pub padding: bool,
    /// Which of [`SINGLE`] it cannot bear.
    pub spared: [bool; SINGLE.len()],
    /// How it refuses the name that it is called by, where it does.
    pub name_refusal: Option<Refusal>,
}

impl Default for Bearing {
    fn default() -> Self {
        Self {
            many_suites: true,
            many_suites_seen: false,
            large: true,
            middle_sized: true,
            hybrid_group: true,
            post_quantum_groups: true,
            unknown_extension: true,
            padding: true,
            spared: [false; SINGLE.len()],
            name_refusal: None,
        }
    }
}

/// Single things that nearly all hellos have, and that one can do without.
pub(super) const SINGLE: [HelloTrait; 7] = [
    HelloTrait::Compression,
    HelloTrait::SessionTicket,
    HelloTrait::StatusRequest,
    HelloTrait::EncryptThenMac,
    HelloTrait::ExtendedMasterSecret,
    HelloTrait::ManySchemes,
    HelloTrait::ManyGroups,
];
/// More groups or schemes than this are many.
pub(super) const FEW: usize = 16;

impl Bearing {
    /// Whether no hello to come has that.
    pub fn spares(self, of: HelloTrait) -> bool {
        SINGLE.iter().zip(self.spared).any(|(one, is_spared)| *one == of && is_spared)
    }

    /// From now on no hello has that.
    pub fn spare(&mut self, of: HelloTrait) {
        let found = SINGLE.iter().zip(&mut self.spared).find(|(one, _)| **one == of);
        found.into_iter().for_each(|(_, is_spared)| *is_spared = true);
    }

    /// Whether a hello with that group is borne.
    pub fn bears_group(self, group: Group) -> bool {
        match group.kind() {
            _ if group == HYBRID => self.hybrid_group,
            Some(GroupKind::Hybrid | GroupKind::PostQuantum) => self.post_quantum_groups,
            _ => true,
        }
    }

    /// The offer lists for these suites: one, or interleaved chunks, so that one quirk does not hit neighbours together.
    pub fn lists(self, suites: &[Suite]) -> Vec<Vec<Suite>> {
        let longest = if self.many_suites && self.large { usize::MAX } else { CHUNK };
        let count = suites.len().div_ceil(longest).max(1);
        (0..count).map(|first| suites.iter().skip(first).step_by(count).copied().collect()).collect()
    }
}

impl Asker<'_> {
    /// A hello with everything that the server is known to bear.
    pub(super) fn hello(&self, version: Version, suites: &[Suite], sni: Sni) -> ClientHello {
        let bearing = self.bearing();
        let mut hello = ClientHello::plain(version, suites.to_vec(), rand::random());
        if version <= Version::Ssl3 {
            // No extensions before TLS 1.0, but this signal (RFC 5746, 4.5).
            hello.renegotiation_scsv = version == Version::Ssl3;
            hello.deflate = version == Version::Ssl3 && !bearing.spares(HelloTrait::Compression);
            return hello;
        }
        hello.server_name = match sni {
            Sni::Target => self.own_name(),
            Sni::None => None,
            Sni::Foreign => Some(FOREIGN_NAME.to_owned()),
        };
        if bearing.unknown_extension {
            hello.extras.push(Extra::Unknown);
        }
        let has_many_groups = !bearing.spares(HelloTrait::ManyGroups);
        let schemes = if bearing.spares(HelloTrait::ManySchemes) { usual_schemes() } else { schemes() };
        if version == Version::Tls13 {
            hello.groups = if bearing.large && has_many_groups { groups() } else { USUAL_GROUPS.to_vec() };
            hello.groups.retain(|group| bearing.bears_group(*group));
            hello.schemes = schemes;
            // Middleboxes want to see the session of an older TLS (RFC 8446, D.4).
            hello.session_id = rand::random::<[u8; 32]>().to_vec();
            return hello;
        }
        hello.deflate = !bearing.spares(HelloTrait::Compression);
        hello.groups = if bearing.large && has_many_groups { curves() } else { USUAL_GROUPS[..4].to_vec() };
        hello.extras.push(Extra::RenegotiationInfo);
        hello.extras.extend(EXTENSIONS.into_iter().filter(|(of, _)| !bearing.spares(*of)).map(|(_, extra)| extra));
        if version == Version::Tls12 {
            hello.schemes = schemes;
        }
        hello
    }

    /// The name that the server is called by; none where it cannot bear that.
    pub(super) fn own_name(&self) -> Option<String> {
        self.bearing().name_refusal.is_none().then(|| self.target.name.as_str().to_owned())
    }

    /// A hello that nobody can take amiss: few suites, few extensions, less than 256 bytes where the name allows it.
    pub(super) fn plain_hello(&self, version: Version) -> ClientHello {
        ClientHello {
            server_name: self.own_name(),
            groups: USUAL_GROUPS[..4].to_vec(),
            // RFC 5246, 7.4.1.4.1: not before TLS 1.2.
            schemes: if version < Version::Tls12 { Vec::new() } else { usual_schemes() },
            extras: vec![Extra::RenegotiationInfo],
            ..ClientHello::plain(version, suites().into_iter().filter(is_common).collect(), rand::random())
        }
    }
}

/// The post-quantum group that senders offer: X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem).
pub(super) const HYBRID: Group = Group(0x11ec);

/// The groups that nearly every server has one of.
const USUAL_GROUPS: [Group; 5] = [Group(0x001d), Group(0x0017), Group(0x0018), Group(0x0019), HYBRID];

/// The schemes that nearly every server has one of.
fn usual_schemes() -> Vec<SignatureScheme> {
    [0x0403, 0x0503, 0x0804, 0x0805, 0x0401, 0x0501, 0x0601, 0x0201].map(SignatureScheme).to_vec()
}

/// The usual extensions that one can do without.
pub(super) const EXTENSIONS: [(HelloTrait, Extra); 4] = [
    (HelloTrait::ExtendedMasterSecret, Extra::ExtendedMasterSecret),
    (HelloTrait::EncryptThenMac, Extra::EncryptThenMac),
    (HelloTrait::SessionTicket, Extra::SessionTicket),
    (HelloTrait::StatusRequest, Extra::StatusRequest),
];

/// Every suite of TLS 1.2 and older: those first that no mail server has, the common ones last. So a server that stops
/// reading after some of them finds nothing, and cannot be taken for one that knows little.
pub(super) fn suites() -> Vec<Suite> {
    let mut suites = Suite::up_to_tls12();
    suites.sort_by_key(|suite| match suite.authentication() {
        Authentication::Other => 0,
        _ if is_common(suite) => 2,
        _ => 1,
    });
    suites
}

/// The same suites in the order for a single question: a server that follows it shows whether it has any of the usual
/// handshake, and else a certificate where it has one.
pub(super) fn certificate_first() -> Vec<Suite> {
    let mut suites = suites();
    suites.reverse();
    suites.sort_by_key(|suite| match suite.authentication() {
        Authentication::Anonymous | Authentication::Other => 2,
        _ if usual::offers_suite(*suite) => 0,
        _ => 1,
    });
    suites
}

/// Suites of which nearly every server has one.
pub(super) fn is_common(suite: &Suite) -> bool {
    let name = suite.name().unwrap_or_default();
    let keys = ["TLS_ECDHE_RSA_WITH_", "TLS_ECDHE_ECDSA_WITH_", "TLS_DHE_RSA_WITH_", "TLS_RSA_WITH_"];
    let ciphers = ["AES_128_CBC", "AES_256_CBC", "AES_128_GCM", "AES_256_GCM", "CHACHA20_POLY1305", "3DES", "RC4_128"];
    keys.iter().find_map(|key| name.strip_prefix(key)).is_some_and(|cipher| ciphers.iter().any(|known| cipher.starts_with(known)))
}

/// Every group that has a name.
pub(super) fn groups() -> Vec<Group> {
    Group::NAMED.iter().map(|(group, _)| *group).collect()
}

/// The post-quantum ones of them, alone or in a hybrid.
pub(super) fn post_quantum_groups() -> Vec<Group> {
    let is_wanted = |group: &Group| matches!(group.kind(), Some(GroupKind::Hybrid | GroupKind::PostQuantum));
    groups().into_iter().filter(is_wanted).collect()
}

/// Every curve that has a name: the groups of TLS 1.2 and older (RFC 8422, 5.1.1).
pub(super) fn curves() -> Vec<Group> {
    groups().into_iter().filter(|group| group.kind() == Some(GroupKind::Curve)).collect()
}

/// Every signature scheme that has a name.
pub(super) fn schemes() -> Vec<SignatureScheme> {
    SignatureScheme::NAMED.iter().map(|(scheme, _)| *scheme).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_64_suites_finds_no_common_one() {
        let suites = suites();
        let first_real = suites.iter().position(|suite| suite.authentication() != Authentication::Other).unwrap();
        assert!(first_real >= CHUNK, "{first_real}");
        let common = suites.iter().filter(|suite| is_common(suite)).count();
        assert!((20..CHUNK).contains(&common), "{common}");
        assert!(suites[suites.len() - common..].iter().all(is_common));
    }

    #[test]
    fn chunks_are_interleaved_and_lose_nothing() {
        let suites = suites();
        let lists = Bearing { many_suites: false, ..Bearing::default() }.lists(&suites);
        assert!(lists.iter().all(|list| list.len() <= CHUNK));
        assert!(lists.iter().all(|list| list.iter().any(is_common)), "a common one in each");
        let mut all = lists.concat();
        all.sort();
        assert_eq!(all, Suite::up_to_tls12());
        assert_eq!(Bearing::default().lists(&suites), [suites]);
    }
}
