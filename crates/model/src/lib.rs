//! The hub's smallest parts, explored completely: the state machine of one payment, and one job's lease between two nodes.
//!
//! The transitions are the product's own functions. Only what stands around them is modelled: the provider, the network, the order in
//! which things happen, death and sleep. See docs/simulation-model.md.

pub mod lease;
pub mod payment;
pub mod rules;

use stateright::{Checker, CheckerBuilder, HasDiscoveries, Model};
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;

pub use rules::Rules;

/// What came of exploring one model.
#[derive(Debug)]
pub struct Explored {
    /// How many different states there are.
    pub states: usize,
    /// How many steps the longest shortest way to one of them has.
    pub depth: usize,
    /// Each property that does not hold, with the shortest way to where it does not.
    pub broken: Vec<(&'static str, Vec<String>)>,
}

/// Explores every reachable state.
pub fn explore<M>(model: M) -> Explored
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Debug + Clone + PartialEq + Send + Sync,
    M::Action: Debug + Clone + PartialEq,
{
    run(model.checker())
}

/// Explores until a property is found broken, and no further.
pub fn seek<M>(model: M, property: &'static str) -> Explored
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Debug + Clone + PartialEq + Send + Sync,
    M::Action: Debug + Clone + PartialEq,
{
    let names = BTreeSet::from([property]);
    run(model.checker().finish_when(HasDiscoveries::AnyOf(names)))
}

fn run<M>(builder: CheckerBuilder<M>) -> Explored
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Debug + Clone + PartialEq + Send + Sync,
    M::Action: Debug + Clone + PartialEq,
{
    let checker = builder.spawn_bfs().join();
    let broken = checker
        .discoveries()
        .into_iter()
        .map(|(name, path)| {
            let steps = path.into_actions();
            (name, steps.iter().map(|step| format!("{step:?}")).collect())
        })
        .collect();
    Explored {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        broken,
    }
}
