//! A fixed set of seeds, small enough for every run of the tests. `cargo run --profile sim -p kessai-sim` runs many.
use kessai_sim::runner::run_many;
use kessai_sim::{Fault, Plan, Sky};

#[track_caller]
fn all_hold(sky: Sky, start: u64, seeds: u64, payments: u64) {
    let summary = run_many(
        start,
        seeds,
        2,
        None,
        5,
        || true,
        |seed| Plan::new(seed, sky, payments),
    );
    let failed: Vec<_> = summary.failed.iter().map(|run| (run.seed, &run.broken)).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(summary.seeds, seeds);
}

#[test]
fn in_clear_weather_everything_holds() {
    all_hold(Sky::Clear, 1, 4, 40);
}

#[test]
fn in_rain_everything_holds() {
    all_hold(Sky::Rain, 1, 4, 30);
}

#[test]
fn in_storms_everything_holds() {
    all_hold(Sky::Storm, 1, 8, 30);
}

#[test]
fn a_seed_is_the_same_run_to_the_last_line() {
    let run = || {
        let plan = Plan {
            keep_log: true,
            ..Plan::new(11, Sky::Storm, 25)
        };
        kessai_sim::run(plan)
    };
    let (one, other) = (run(), run());
    assert!(one.log.len() > 500, "{} lines", one.log.len());
    assert_eq!(one.log, other.log);
    assert_eq!((one.hash, one.steps), (other.hash, other.steps));
}

#[test]
fn another_seed_is_another_run() {
    let hash = |seed| kessai_sim::run(Plan::new(seed, Sky::Storm, 5)).hash;
    assert_ne!(hash(1), hash(2));
}

#[test]
fn what_is_left_out_does_not_happen() {
    let mut plan = Plan::new(5, Sky::Storm, 40);
    plan.without = Fault::ALL.iter().map(|fault| fault.name()).collect();
    let outcome = kessai_sim::run(plan);
    assert_eq!(outcome.broken, Vec::<String>::new());
    assert!(
        Fault::ALL
            .iter()
            .all(|fault| !outcome.coverage.contains_key(fault.name()))
    );
}
