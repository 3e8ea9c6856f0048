//! The whole hub in a seeded, hostile world. See docs/simulation.md.
//!
//! One process, one thread for each seed: the real engine, doors, jobs and store code, the real sandbox, and around them a world that
//! alone decides what happens next. A seed and a commit reproduce a run exactly, log included.

pub mod checks;
mod ending;
pub mod fault;
mod goods;
mod lines;
mod node;
pub mod people;
mod plan;
pub mod rng;
pub mod runner;
mod shared;
mod world;

pub use fault::{Fault, Sky};
pub use plan::{Outcome, Plan};

/// Runs one seed to its end. Of every sixteen seeds one also writes the hub's log lines, which may hold no secret either.
pub fn run(plan: Plan) -> Outcome {
    if !plan.seed.is_multiple_of(16) {
        return world::World::new(plan).run();
    }
    let lines = lines::Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .without_time()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(lines.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let world = world::World::new(plan);
        let checks = world.checks.clone();
        let mut outcome = world.run();
        let mut checks = world::lock(&checks);
        checks.no_secret("a log line", &lines.take());
        outcome.broken.append(&mut checks.broken);
        outcome
    })
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
