//! Where keys go in tables, differently in each process.

use std::hash::{BuildHasher, Hasher};

use hashbrown::DefaultHashBuilder;

/// Hashes keys.
#[derive(Debug)]
pub(super) struct Seed {
    words: [u64; 2],
    long: DefaultHashBuilder,
}

impl Default for Seed {
    fn default() -> Self {
        let long = DefaultHashBuilder::default();
        Self { words: [0, 1].map(|word: u64| long.hash_one(word)), long }
    }
}

impl Seed {
    /// A short key, as two halves: they are multiplied, as the hasher for longer ones does it.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "both halves of the product count")]
    pub(super) fn fold(&self, [low, high]: [u64; 2]) -> u64 {
        let [one, other] = self.words;
        let product = u128::from(low ^ one) * u128::from(high ^ other);
        (product as u64) ^ ((product >> 64) as u64)
    }

    /// A key of any length.
    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.long.build_hasher();
        hasher.write(key);
        hasher.finish()
    }
}
