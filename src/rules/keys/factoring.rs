//! Two ways in which RSA moduli have been factored in practice: a public key shows both.

use crypto_bigint::{BoxedUint, Resize as _};

/// Larger moduli are not tried: the work grows with the square of it.
const MAX_BITS: usize = 16_384;
/// So many steps find primes whose distance is far below what chance gives (CVE-2022-26320 took one step, at most a few).
const FERMAT_STEPS: usize = 64;
/// The odd primes up to 167, whose residues give away what Infineon's library made.
const MARKED: [u64; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127,
    131, 137, 139, 149, 151, 157, 163, 167,
];

/// How a modulus can be factored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factored {
    /// Its primes are neighbours, and Fermat's method finds them.
    ClosePrimes,
    /// Its primes are of the form that Infineon's library made (CVE-2017-15361).
    Roca,
}

/// The modulus is larger than is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// Looks for both; none where neither is the case, or where there is no modulus.
pub fn factored(modulus: &str) -> Result<Option<Factored>, TooLarge> {
    let bytes = bytes(modulus).unwrap_or_default();
    Ok(if bytes.len() * 8 > MAX_BITS {
        return Err(TooLarge);
    } else if bytes.is_empty() {
        None
    } else if is_roca(&bytes) {
        Some(Factored::Roca)
    } else if has_close_primes(&bytes) {
        Some(Factored::ClosePrimes)
    } else {
        None
    })
}

/// The digits as bytes, without leading zeros.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
    let bytes: Vec<u8> = pairs.collect::<Option<_>>()?;
    Some(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

/// Whether the modulus is a power of 65537 modulo every marked prime. By chance that is so for one modulus in 2^27.
fn is_roca(modulus: &[u8]) -> bool {
    MARKED.iter().all(|prime| {
        let rest = modulus.iter().fold(0, |rest, byte| (rest << 8 | u64::from(*byte)) % prime);
        let powers = std::iter::successors(Some(1), |power| Some(power * (65537 % prime) % prime));
        powers.take(*prime as usize).any(|power| power == rest)
    })
}

/// Fermat: of a modulus of two neighbours, the square root lies just beside the middle between them.
fn has_close_primes(modulus: &[u8]) -> bool {
    // Room for a square that is a little larger than the modulus.
    let padded = [&[0; 16][..], modulus].concat();
    let number = BoxedUint::from_be_slice_vartime(&padded).resize(8 * padded.len() as u32);
    let one = BoxedUint::one_with_precision(number.bits_precision());
    let root = number.floor_sqrt_vartime();
    if root.wrapping_mul(&root) == number {
        return true;
    }
    let mut middle = root.wrapping_add(&one);
    for _ in 0..FERMAT_STEPS {
        let rest = middle.wrapping_mul(&middle).wrapping_sub(&number);
        let root = rest.floor_sqrt_vartime();
        if root.wrapping_mul(&root) == rest {
            // What is left of the middle by the root is a divisor; one would be no news.
            return middle.wrapping_sub(&root) != one;
        }
        middle = middle.wrapping_add(&one);
    }
    false
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    // 1000003 * 1000033
    #[case("e8d6ca6163", Some(Factored::ClosePrimes))]
    // Two primes of 32 bits that are far apart.
    #[case("7fffffff80000003", None)]
    #[case("", None)]
    #[case("00", None)]
    #[case("no number", None)]
    fn neighbours_are_found(#[case] modulus: &str, #[case] expected: Option<Factored>) {
        assert_eq!(factored(modulus), Ok(expected));
    }

    #[test]
    fn usual_keys_are_neither() {
        for _ in 0..3 {
            let key = rsa::PrivateKey::new_unchecked(&mut rand::rng(), 1024).unwrap();
            let modulus: String = rsa::traits::PublicKeyParts::n_bytes(&key).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(factored(&modulus), Ok(None));
        }
    }

    #[test]
    fn the_work_is_bounded() {
        assert_eq!(factored(&"ff".repeat(MAX_BITS / 8 + 1)), Err(TooLarge));
    }
}
