//! What is to be run, and what came of it.
use crate::fault::Sky;
use std::collections::{BTreeMap, BTreeSet};

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// How bad the weather is.
    pub sky: Sky,
    /// How many payments are begun.
    pub payments: u64,
    /// Which faults are left out, and who does not come, for shrinking.
    pub without: BTreeSet<&'static str>,
    /// Which payments are begun; all when none.
    pub only: Option<BTreeSet<u64>>,
    /// Whether the log is kept as text.
    pub keep_log: bool,
}

impl Plan {
    /// The usual one of a seed.
    pub fn new(seed: u64, sky: Sky, payments: u64) -> Self {
        Self {
            seed,
            sky,
            payments,
            without: BTreeSet::new(),
            only: None,
            keep_log: false,
        }
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Which.
    pub seed: u64,
    /// What did not hold; empty when all did.
    pub broken: Vec<String>,
    /// A hash over everything that happened, in order.
    pub hash: u64,
    /// The log, when it was asked for.
    pub log: Vec<String>,
    /// How many steps there were.
    pub steps: u64,
    /// How often what happened.
    pub coverage: BTreeMap<String, u64>,
}
