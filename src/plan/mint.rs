//! Where certificates are made: its clock, and where keys, serial numbers and salts come from.

use std::cell::{RefCell, RefMut};

use chacha20::ChaCha20Rng;
use rand::{RngExt as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

/// When certificates are made, and what of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issuance {
    /// The moment that all times are relative to.
    pub now: OffsetDateTime,
    /// The number that keys, serial numbers and salts are made of: the same ones each time, and for the same moment
    /// the same certificates. For tests that compare fingerprints; anyone who knows the number has the keys. Without
    /// one they are new each time, but for RSA keys, which are kept.
    pub seed: Option<u64>,
}

impl Issuance {
    /// At this moment, from chance.
    pub fn now() -> Self {
        Self { now: OffsetDateTime::now_utc(), seed: None }
    }
}

pub(super) struct Mint {
    /// The moment that all times are relative to.
    pub now: OffsetDateTime,
    seed: Option<u64>,
    rng: RefCell<ChaCha20Rng>,
}

impl Mint {
    pub fn new(scenario: &str, issuance: Issuance) -> Self {
        let Issuance { now, seed } = issuance;
        Self { now, seed, rng: RefCell::new(rng_of(seed, scenario)) }
    }

    /// Whether what is made is made again with the same seed.
    pub fn is_seeded(&self) -> bool {
        self.seed.is_some()
    }

    /// For what belongs to this scenario alone. Let go of it before the next call.
    pub fn rng(&self) -> RefMut<'_, ChaCha20Rng> {
        self.rng.borrow_mut()
    }

    /// For a key that scenarios share, whichever of them needs it first.
    pub fn rng_for(&self, key: &str) -> ChaCha20Rng {
        rng_of(self.seed, key)
    }

    /// The name that a shared key is kept by.
    pub fn kept_as(&self, key: &str) -> String {
        self.seed.map_or_else(|| key.to_owned(), |seed| format!("seed-{seed}-{key}"))
    }

    /// A positive serial number of eight octets, never fewer: reports are alike but for its digits.
    pub fn serial(&self) -> u64 {
        self.rng().random::<u64>() >> 2 | 1 << 62
    }
}

fn rng_of(seed: Option<u64>, purpose: &str) -> ChaCha20Rng {
    match seed {
        Some(seed) => {
            ChaCha20Rng::from_seed(Sha256::new().chain_update(seed.to_be_bytes()).chain_update(purpose).finalize().into())
        }
        None => ChaCha20Rng::from_rng(&mut rand::rng()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_makes_nothing_twice() {
        let [one, other] = [0, 1].map(|_| Mint::new("baseline/good", Issuance::now()).serial());
        assert_ne!(one, other);
        assert!([one, other].iter().all(|serial| serial.leading_zeros() == 1), "{one:x} {other:x}");
    }
}
