//! Explores within the bounds that are asked for and prints how many states there are.
use kessai_model::lease::{LeaseRules, OneLease};
use kessai_model::payment::{Bounds, all};
use kessai_model::{Explored, Rules, explore};
use std::io::Write;
use std::process::ExitCode;

const USAGE: &str =
    "cargo run --release -p kessai-model -- [small | whole | DOINGS NOTICES CRASHES LOSSES SLEEPS]";

#[expect(clippy::disallowed_methods, reason = "a stopwatch")]
fn timed<T>(run: impl FnOnce() -> T) -> (T, u128) {
    let begun = std::time::Instant::now();
    let result = run();
    (result, begun.elapsed().as_millis())
}

fn tell(name: &str, explored: &Explored, ms: u128) -> bool {
    println!(
        "{name}: {} states, depth {}, {ms} ms",
        explored.states, explored.depth
    );
    for (property, steps) in &explored.broken {
        println!("  {property}:");
        steps.iter().for_each(|step| println!("    {step}"));
    }
    explored.broken.is_empty()
}

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Option<Vec<u8>> = given.iter().map(|text| text.parse().ok()).collect();
    let bounds = match (given.first().map(String::as_str), numbers.as_deref()) {
        (None | Some("whole"), _) => Bounds::WHOLE,
        (Some("small"), _) => Bounds::SMALL,
        (_, Some(&[doings, notices, crashes, losses, sleeps])) => Bounds {
            doings,
            notices,
            crashes,
            losses,
            sleeps,
        },
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    println!("one payment within {bounds:?}");
    let models = all(Rules::product(), bounds);
    let (mut sound, mut states, mut total_ms) = (true, 0, 0);
    let count = models.len();
    for (n, model) in models.into_iter().enumerate() {
        let name = format!(
            "{}/{count} from {:?}, {:?}, {:?}",
            n + 1,
            model.begins,
            model.mode,
            model.wishes
        );
        let (explored, ms) = timed(|| explore(model));
        sound &= tell(&name, &explored, ms);
        states += explored.states;
        total_ms += ms;
        let _ = std::io::stdout().flush();
    }
    println!("one payment: {states} states in {total_ms} ms");
    let lease = OneLease {
        rules: LeaseRules::product(),
        ticks: 12,
        crashes: 2,
        agains: 2,
    };
    let (explored, ms) = timed(|| {
        // A stale holder that finishes in vain is a place that must be reached, not one that must not.
        let mut explored = explore(lease);
        explored
            .broken
            .retain(|(name, _)| *name != "a stale holder finishes in vain");
        explored
    });
    sound &= tell("one lease", &explored, ms);
    if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
