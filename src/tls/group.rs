//! Key exchange groups: the IANA registry of supported groups.

super::registry! {
    /// A key exchange group (RFC 8446, 4.2.7; RFC 8422, 5.1.1; RFC 7919, 2).
    Group(u16), "4", "group";
    0x0001 => "sect163k1",
    0x0002 => "sect163r1",
    0x0003 => "sect163r2",
    0x0004 => "sect193r1",
    0x0005 => "sect193r2",
    0x0006 => "sect233k1",
    0x0007 => "sect233r1",
    0x0008 => "sect239k1",
    0x0009 => "sect283k1",
    0x000a => "sect283r1",
    0x000b => "sect409k1",
    0x000c => "sect409r1",
    0x000d => "sect571k1",
    0x000e => "sect571r1",
    0x000f => "secp160k1",
    0x0010 => "secp160r1",
    0x0011 => "secp160r2",
    0x0012 => "secp192k1",
    0x0013 => "secp192r1",
    0x0014 => "secp224k1",
    0x0015 => "secp224r1",
    0x0016 => "secp256k1",
    0x0017 => "secp256r1",
    0x0018 => "secp384r1",
    0x0019 => "secp521r1",
    0x001a => "brainpoolP256r1",
    0x001b => "brainpoolP384r1",
    0x001c => "brainpoolP512r1",
    0x001d => "x25519",
    0x001e => "x448",
    0x001f => "brainpoolP256r1tls13",
    0x0020 => "brainpoolP384r1tls13",
    0x0021 => "brainpoolP512r1tls13",
    0x0029 => "curveSM2",
    0x0100 => "ffdhe2048",
    0x0101 => "ffdhe3072",
    0x0102 => "ffdhe4096",
    0x0103 => "ffdhe6144",
    0x0104 => "ffdhe8192",
    0x0200 => "MLKEM512",
    0x0201 => "MLKEM768",
    0x0202 => "MLKEM1024",
    0x11eb => "SecP256r1MLKEM768",
    0x11ec => "X25519MLKEM768",
    0x11ed => "SecP384r1MLKEM1024",
}

/// What a group computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// An elliptic curve.
    Curve,
    /// Integers modulo a prime (RFC 7919).
    FiniteField,
    /// A post-quantum mechanism together with a curve.
    Hybrid,
    /// A post-quantum mechanism alone.
    PostQuantum,
}

impl Group {
    /// What it computes with; none where the code is not known.
    pub fn kind(self) -> Option<GroupKind> {
        self.name()?;
        Some(match self.0 {
            0x0100..=0x01ff => GroupKind::FiniteField,
            0x0200..=0x02ff => GroupKind::PostQuantum,
            0x11eb..=0x11ed => GroupKind::Hybrid,
            _ => GroupKind::Curve,
        })
    }

    /// The strength in bits against a classical attacker, halved from the size of the curve
    /// (NIST SP 800-57 part 1, table 2); none where the code is no curve that is known here.
    pub fn strength(self) -> Option<u16> {
        if self.kind()? != GroupKind::Curve {
            return None;
        }
        let digits = |name: &str| name.trim_start_matches(|c: char| !c.is_ascii_digit()).chars().take(3).collect::<String>();
        let size = match self.0 {
            0x001d => 256,
            0x001e => 448,
            0x0029 => 256,
            _ => digits(self.name()?).parse::<u16>().ok()?,
        };
        Some(size / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strength_of_a_curve_is_half_its_size() {
        let strength = |name: &str| Group::from_name(name).unwrap().strength();
        assert_eq!(strength("secp192r1"), Some(96));
        assert_eq!(strength("sect571r1"), Some(285));
        assert_eq!(strength("brainpoolP384r1tls13"), Some(192));
        assert_eq!(strength("x25519"), Some(128));
        assert_eq!(strength("ffdhe2048"), None);
        assert_eq!(Group(0x6399).strength(), None);
    }
}
