//! Chance, from a seed. One root seed forks a stream per purpose, so that one more draw here changes nothing there.
use kessai_core::Entropy;
use std::sync::atomic::{AtomicU64, Ordering};

/// A stream of chance (SplitMix64). Not for secrets.
#[derive(Clone, Debug)]
pub struct Rng(u64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Rng {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(GOLDEN)))
    }

    /// A stream of its own for `purpose`; this one is not moved by it.
    pub fn fork(&self, purpose: u64) -> Self {
        Self(mix(self.0 ^ mix(purpose.wrapping_mul(GOLDEN) ^ 0x5bd1_e995)))
    }

    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// From 0 to below `n`; 0 when `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.draw() % n }
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + i64::try_from(self.below((high - low + 1).unsigned_abs())).unwrap_or(0)
    }

    /// Whether it happens, so many times in 100,000.
    pub fn strikes(&mut self, in_100_000: u32) -> bool {
        in_100_000 > 0 && self.below(100_000) < u64::from(in_100_000)
    }

    /// Whether it happens, so many times in a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// An index, by weight.
    pub fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            if left < *weight {
                return index;
            }
            left -= weight;
        }
        0
    }
}

/// Dice of one node or sandbox.
pub struct Dice(AtomicU64);

impl Dice {
    /// Dice that fall as this stream says.
    pub fn new(mut rng: Rng) -> Self {
        Self(AtomicU64::new(rng.draw()))
    }
}

impl Entropy for Dice {
    fn fill(&self, into: &mut [u8]) {
        for chunk in into.chunks_mut(8) {
            let x = mix(self.0.fetch_add(GOLDEN, Ordering::Relaxed));
            chunk.copy_from_slice(&x.to_be_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_is_the_same_stream_and_forks_do_not_disturb_it() {
        let (mut a, mut b) = (Rng::new(7), Rng::new(7));
        let mut forked = b.fork(1);
        let _ = forked.draw();
        assert_eq!(a.draw(), b.draw());
        assert_ne!(a.fork(1).draw(), a.fork(2).draw());
    }
}
