//! Many seeds side by side, and what they covered; a failing one made small.
use crate::fault::{Fault, Sky};
use crate::plan::{Outcome, Plan};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a whole invocation came to.
#[derive(Debug, Default)]
pub struct Summary {
    /// How many seeds were run.
    pub seeds: u64,
    /// The failed ones, by seed.
    pub failed: Vec<Outcome>,
    /// How often what happened in all of them.
    pub coverage: BTreeMap<String, u64>,
    /// How many steps they took.
    pub steps: u64,
}

/// Runs `seeds` seeds from `start` on so many threads, each seed wholly on one of them; none is begun once `failures_most` of them have
/// failed or `go_on` says no.
pub fn run_many(
    start: u64,
    seeds: u64,
    threads: usize,
    bar: Option<&ProgressBar>,
    failures_most: usize,
    go_on: impl Fn() -> bool + Sync,
    plan: impl Fn(u64) -> Plan + Sync,
) -> Summary {
    let next = AtomicU64::new(0);
    let summary = Mutex::new(Summary::default());
    let work = || {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= seeds
                || !go_on()
                || summary.lock().expect("no panic while held").failed.len() >= failures_most
            {
                return;
            }
            let outcome = crate::run_caught(plan(start + n));
            let mut all = summary.lock().expect("no panic while held");
            all.seeds += 1;
            all.steps += outcome.steps;
            for (what, times) in &outcome.coverage {
                *all.coverage.entry(what.clone()).or_default() += times;
            }
            if !outcome.broken.is_empty() {
                all.failed.push(outcome);
            }
            if let Some(bar) = bar {
                bar.inc(1);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(work);
        }
    });
    let mut summary = summary.into_inner().expect("no panic while held");
    summary.failed.sort_by_key(|outcome| outcome.seed);
    summary
}

/// A bar with seeds per second.
pub fn bar(seeds: u64) -> ProgressBar {
    let style = "{bar:40} {pos}/{len} seeds, {per_sec}, {eta} left";
    let style = ProgressStyle::with_template(style).expect("a template");
    ProgressBar::new(seeds).with_style(style)
}

/// The steps a payment's state may take, each of which a large enough run must have seen.
pub const TRANSITIONS: &[(&str, &str)] = &[
    ("new", "pending"),
    ("pending", "authorized"),
    ("pending", "captured"),
    ("pending", "cancelled"),
    ("pending", "expired"),
    ("pending", "failed"),
    ("authorized", "captured"),
    ("authorized", "cancelled"),
    ("authorized", "expired"),
    ("captured", "refunded"),
];

/// What should have happened at least once and did not.
pub fn never_happened(coverage: &BTreeMap<String, u64>, sky: Sky) -> Vec<String> {
    let faults = Fault::ALL.iter().map(|fault| fault.name().to_owned());
    let steps = TRANSITIONS.iter().map(|(from, to)| format!("{from} → {to}"));
    steps
        .chain(faults.filter(|_| sky == Sky::Storm))
        .filter(|what| !coverage.contains_key(what))
        .collect()
}

/// The invariant that failed, without its particulars.
pub fn class(outcome: &Outcome) -> &str {
    outcome
        .broken
        .first()
        .map_or("", |what| what.split(':').next().unwrap_or(what))
}

/// Makes a failing plan smaller while the same invariant fails: fewer faults, then fewer payments. At most `tries` runs.
pub fn shrink(plan: &Plan, mut tries: u32) -> (Plan, Outcome) {
    let mut plan = plan.clone();
    let mut outcome = crate::run_caught(plan.clone());
    let wanted = class(&outcome).to_owned();
    let attempt = |candidate: &Plan, tries: &mut u32| -> Option<Outcome> {
        *tries = tries.checked_sub(1)?;
        let outcome = crate::run_caught(candidate.clone());
        (!outcome.broken.is_empty() && class(&outcome) == wanted).then_some(outcome)
    };
    let mut kept: BTreeSet<u64> = (0..plan.payments).collect();
    let mut chunk = kept.len().div_ceil(2);
    while chunk >= 1 && tries > 0 {
        let mut smaller = false;
        let all: Vec<u64> = kept.iter().copied().collect();
        for part in all.chunks(chunk) {
            if part.len() == kept.len() {
                continue;
            }
            let fewer: BTreeSet<u64> = kept.iter().copied().filter(|n| !part.contains(n)).collect();
            let candidate = Plan {
                only: Some(fewer.clone()),
                ..plan.clone()
            };
            if let Some(found) = attempt(&candidate, &mut tries) {
                (plan, outcome, kept, smaller) = (candidate, found, fewer, true);
            }
        }
        if !smaller {
            if chunk == 1 {
                break;
            }
            chunk /= 2;
        }
        chunk = chunk.min(kept.len().max(1));
    }
    for fault in Fault::ALL {
        if !outcome.coverage.contains_key(fault.name()) {
            continue;
        }
        let mut candidate = plan.clone();
        candidate.without.insert(fault.name());
        if let Some(found) = attempt(&candidate, &mut tries) {
            (plan, outcome) = (candidate, found);
        }
    }
    plan.keep_log = true;
    let outcome = crate::run_caught(plan.clone());
    (plan, outcome)
}

/// The one command that runs a plan again.
pub fn command(plan: &Plan) -> String {
    let mut line = format!(
        "cargo run --profile sim -p kessai-sim -- --replay {} --weather {} --payments {}",
        plan.seed,
        plan.sky.name(),
        plan.payments
    );
    if !plan.without.is_empty() {
        let names: Vec<&str> = plan.without.iter().copied().collect();
        line.push_str(&format!(" --without {}", names.join(",")));
    }
    if let Some(only) = &plan.only {
        let numbers: Vec<String> = only.iter().map(u64::to_string).collect();
        line.push_str(&format!(" --only {}", numbers.join(",")));
    }
    line
}
