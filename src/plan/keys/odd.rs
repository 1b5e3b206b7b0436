//! Keys that senders do not take, or that are worth nothing.

use chacha20::ChaCha20Rng;
use crypto_bigint::{NonZero, Resize as _};
use crypto_primes::{Flavor, is_prime};
use rand::RngExt as _;
use rsa::{BoxedUint, PrivateKey};

use super::PlanError;

/// Primes of so many bits make a modulus of 2048.
const PRIME_BITS: u32 = 1024;
/// The usual public exponent.
const EXPONENT: u64 = 65537;
/// The primes up to 167: those that give away the primes of CVE-2017-15361 at 2048 bits and below.
const MARKED: [u64; 39] = [
    2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127,
    131, 137, 139, 149, 151, 157, 163, 167,
];

/// An RSA key with the public exponent 3.
pub(super) fn exponent_3(rng: &mut ChaCha20Rng) -> Result<PrivateKey, PlanError> {
    Ok(PrivateKey::new_with_exp(rng, 2048, BoxedUint::from(3_u64))?)
}

/// An RSA key of two primes with nothing but composite numbers between them (CVE-2022-26320).
pub(super) fn close_primes(rng: &mut ChaCha20Rng) -> Result<PrivateKey, PlanError> {
    let first = next_prime(random(rng));
    let second = next_prime(first.wrapping_add(small(2)));
    Ok(PrivateKey::from_p_q(first, second, BoxedUint::from(EXPONENT))?)
}

/// An RSA key whose primes are powers of 65537 modulo each small prime, as those of Infineon's library were
/// (CVE-2017-15361).
pub(super) fn roca(rng: &mut ChaCha20Rng) -> Result<PrivateKey, PlanError> {
    Ok(PrivateKey::from_p_q(marked_prime(rng), marked_prime(rng), BoxedUint::from(EXPONENT))?)
}

/// A number of [`PRIME_BITS`] bits, odd, and with the two highest bits set so that the product of two has twice as many.
fn random(rng: &mut ChaCha20Rng) -> BoxedUint {
    let mut bytes = [0; PRIME_BITS as usize / 8];
    rng.fill(&mut bytes[..]);
    bytes[0] |= 0xc0;
    bytes[bytes.len() - 1] |= 1;
    BoxedUint::from_be_slice_vartime(&bytes)
}

/// A small number with the precision of a prime.
fn small(number: u64) -> BoxedUint {
    BoxedUint::from(number).resize(PRIME_BITS)
}

fn next_prime(from: BoxedUint) -> BoxedUint {
    prime_in_steps(from, &small(2))
}

fn prime_in_steps(from: BoxedUint, step: &BoxedUint) -> BoxedUint {
    let mut candidate = from;
    while !is_prime(Flavor::Any, &candidate) {
        candidate = candidate.wrapping_add(step);
    }
    candidate
}

/// k·M + (65537^a mod M), with M the product of the small primes.
fn marked_prime(rng: &mut ChaCha20Rng) -> BoxedUint {
    // The remainder by each small prime, then by all of them: the Chinese remainder theorem, one prime at a time.
    let power = rng.random::<u32>();
    let (mut residue, mut product) = (small(1), small(2));
    for prime in &MARKED[1..] {
        let wanted = power_modulo(EXPONENT % prime, power, *prime);
        while remainder(&residue, *prime) != wanted {
            residue = residue.wrapping_add(&product);
        }
        product = product.wrapping_mul(small(*prime));
    }
    let start = random(rng);
    let below = NonZero::new(product.clone()).into_option().map_or_else(|| small(0), |product| start.rem_vartime(&product));
    prime_in_steps(start.wrapping_sub(&below).wrapping_add(&residue), &product)
}

fn power_modulo(base: u64, exponent: u32, modulus: u64) -> u64 {
    // Fermat's little theorem shortens the exponent.
    (0..u64::from(exponent) % (modulus - 1)).fold(1, |power, _| power * base % modulus)
}

fn remainder(number: &BoxedUint, by: u64) -> u64 {
    number.to_be_bytes().iter().fold(0, |rest, byte| (rest << 8 | u64::from(*byte)) % by)
}
