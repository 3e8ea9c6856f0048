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
mod shared;
mod world;

pub use fault::{Fault, Sky};
pub use world::{Outcome, Plan};

/// Runs one seed to its end.
pub fn run(plan: Plan) -> Outcome {
    world::World::new(plan).run()
}
