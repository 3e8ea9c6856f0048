//! The whole hub in a seeded, hostile world. See docs/simulation.md.
//!
//! One process, one thread for each seed: the real engine, doors, jobs and store code, the real sandbox, and around them a world that
//! alone decides what happens next. A seed and a commit reproduce a run exactly, log included.

pub mod checks;
mod ending;
pub mod fault;
mod node;
pub mod people;
pub mod rng;
pub mod runner;
mod shared;
mod world;

pub use fault::{Fault, Sky};
pub use world::{Outcome, Plan};

/// Runs one seed to its end.
pub fn run(plan: Plan) -> Outcome {
    world::World::new(plan).run()
}

/// As [`run`]; a panic is a failure of the run.
pub fn run_caught(plan: Plan) -> Outcome {
    let seed = plan.seed;
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(plan))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Outcome {
            seed,
            broken: vec![format!("panic: {}", text.unwrap_or_default())],
            hash: 0,
            log: Vec::new(),
            steps: 0,
            coverage: std::collections::BTreeMap::new(),
        }
    })
}
