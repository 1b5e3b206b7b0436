//! The moduli of finite-field Diffie-Hellman groups: well-known ones from a table, others by arithmetic.

use std::{collections::HashMap, sync::LazyLock};

use crypto_bigint::BoxedUint;
use crypto_primes::{Flavor, is_prime};
use serde::Deserialize;

use crate::facts::DhGroup;

/// Larger moduli are judged by their size alone: the work grows with the cube of it.
const MAX_BITS: u32 = 8192;

/// A prime that many servers have in common.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WellKnown {
    /// What it is called.
    pub name: String,
    /// The standard or the source file that it comes from.
    pub source: String,
    hex: String,
}

/// The arithmetic that one check does: a modulus of 8192 bits, which takes seconds, or eight of half the length.
const MAX_WORK: u64 = (MAX_BITS as u64).pow(3);

/// What the moduli of one check are, each judged once.
#[derive(Debug, Default)]
pub struct Moduli {
    judged: HashMap<String, Modulus>,
}

impl Moduli {
    /// Judges them in their order, as far as the work that is done for one check goes.
    pub fn of<'a>(groups: impl IntoIterator<Item = &'a DhGroup>) -> Self {
        let mut judged = HashMap::new();
        let mut left = MAX_WORK;
        for group in groups {
            judged.entry(group.prime.clone()).or_insert_with(|| Modulus::of(group, &mut left));
        }
        Self { judged }
    }

    /// What the modulus of one of these groups is.
    pub fn get(&self, group: &DhGroup) -> Modulus {
        self.judged.get(&group.prime).copied().unwrap_or(Modulus::TooMany)
    }
}

/// What a modulus is.
#[derive(Clone, Copy, Debug)]
pub enum Modulus {
    /// A well-known prime.
    Known,
    /// A prime p for which (p - 1) / 2 is prime too.
    Safe,
    /// Another prime.
    Unsafe,
    /// No prime.
    Composite,
    /// Larger than [`MAX_BITS`].
    TooLarge,
    /// One of more than are judged.
    TooMany,
    /// No number at all.
    Unreadable,
}

impl Modulus {
    /// Looks the modulus up, and where it is not known, does the arithmetic, as far as what is `left` of it allows.
    fn of(group: &DhGroup, left: &mut u64) -> Self {
        let digits = group.prime.trim_start_matches('0').to_ascii_lowercase();
        if digits.len() > MAX_BITS as usize / 4 {
            return Self::TooLarge;
        }
        if known(group).is_some() {
            return Self::Known;
        }
        let Some(number) = parse(&digits) else { return Self::Unreadable };
        let Some(rest) = left.checked_sub((digits.len() as u64 * 4).pow(3)) else { return Self::TooMany };
        *left = rest;
        if !is_prime(Flavor::Any, &number) {
            Self::Composite
        } else if is_prime(Flavor::Safe, &number) {
            Self::Safe
        } else {
            Self::Unsafe
        }
    }

    /// Why it cannot be told what it is, where that is so.
    pub fn why_unknown(self) -> Option<String> {
        match self {
            Self::TooLarge => {
                Some(format!("the modulus of the finite-field group has more than {MAX_BITS} bits, too many to judge"))
            }
            Self::TooMany => Some("the server sent more moduli of finite-field groups than are judged".to_owned()),
            Self::Unreadable => Some("the modulus of the finite-field group is no number".to_owned()),
            _ => None,
        }
    }
}

/// The well-known prime that a group has.
pub fn known(group: &DhGroup) -> Option<&'static WellKnown> {
    let digits = group.prime.trim_start_matches('0').to_ascii_lowercase();
    well_known().iter().find(|known| known.hex == digits)
}

fn parse(digits: &str) -> Option<BoxedUint> {
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let even = if digits.len().is_multiple_of(2) { digits.to_owned() } else { format!("0{digits}") };
    let pairs = even.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    let bytes = pairs.collect::<Option<Vec<u8>>>().filter(|bytes| !bytes.is_empty())?;
    Some(BoxedUint::from_be_slice_vartime(&bytes))
}

fn well_known() -> &'static [WellKnown] {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Table {
        prime: Vec<WellKnown>,
    }
    #[expect(clippy::expect_used, reason = "the table is part of the program, and a test reads it")]
    static ALL: LazyLock<Vec<WellKnown>> = LazyLock::new(|| {
        let table: Table = toml::from_str(include_str!("primes.toml")).expect("the table of primes can be read");
        let bare = |mut known: WellKnown| {
            known.hex.retain(|c| c.is_ascii_hexdigit());
            known
        };
        table.prime.into_iter().map(bare).collect()
    });
    &ALL
}

/// The digits of a well-known prime, for tests.
#[cfg(test)]
pub fn digits(name: &str) -> &'static str {
    &well_known().iter().find(|known| known.name == name).unwrap().hex
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::tls::Suite;

    fn group(prime: &str) -> DhGroup {
        DhGroup { bits: 0, prime: prime.to_owned(), generator: "2".to_owned(), suites: vec![Suite(0x9e)] }
    }

    fn of(prime: &str) -> Modulus {
        Moduli::of([&group(prime)]).get(&group(prime))
    }

    /// The large ones take long without optimisation, and were generated by the libraries that use them.
    #[test]
    fn the_table_holds_primes() {
        for known in well_known().iter().filter(|known| known.hex.len() <= 3072 / 4) {
            assert!(is_prime(Flavor::Any, &parse(&known.hex).unwrap()), "{}", known.name);
            let has_named_order = known.source.starts_with("RFC 5114") || known.source.contains("DSA parameters");
            assert_eq!(is_prime(Flavor::Safe, &parse(&known.hex).unwrap()), !has_named_order, "{}", known.name);
        }
        let names: std::collections::BTreeSet<_> = well_known().iter().map(|known| &known.hex).collect();
        assert_eq!(names.len(), well_known().len());
    }

    #[rstest]
    #[case("17", "Safe")] // 23
    #[case("0017", "Safe")]
    #[case("1d", "Unsafe")] // 29
    #[case("15", "Composite")] // 21
    #[case("16", "Composite")]
    #[case("0", "Unreadable")]
    #[case("", "Unreadable")]
    #[case("1_", "Unreadable")]
    #[case("+1", "Unreadable")]
    #[case("1é", "Unreadable")]
    fn numbers_are_told_apart(#[case] digits: &str, #[case] expected: &str) {
        assert_eq!(format!("{:?}", of(digits)), expected);
    }

    #[test]
    fn the_work_is_bounded() {
        assert!(matches!(of(&"f".repeat(2049)), Modulus::TooLarge));
        assert!(of(&"f".repeat(1_000_000)).why_unknown().unwrap().contains("8192"));
    }

    #[test]
    fn a_well_known_prime_is_named_whatever_the_case() {
        let prime = digits("Oakley group 2").to_uppercase();
        assert!(matches!(of(&prime), Modulus::Known));
        let known = known(&group(&prime)).unwrap();
        assert_eq!((known.name.as_str(), known.source.as_str()), ("Oakley group 2", "RFC 2409, 6.2"));
    }

    /// Who sends another number each time does not make the check calculate for hours.
    #[test]
    fn the_work_of_one_check_is_bounded() {
        let groups: Vec<DhGroup> = (0..9).map(|number| group(&format!("f{}{number}", "0".repeat(1022)))).collect();
        let moduli = Moduli::of(&groups);
        let unjudged = groups.iter().filter(|group| matches!(moduli.get(group), Modulus::TooMany)).count();
        assert_eq!(unjudged, 1);
        assert!(matches!(moduli.get(&group("7")), Modulus::TooMany));
    }
}
