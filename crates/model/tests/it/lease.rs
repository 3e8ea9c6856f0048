use kessai_jobs::Lease;
use kessai_model::lease::{LeaseRules, OneLease};
use kessai_model::{Explored, explore};
use kessai_store::Guard;

const VAIN: &str = "a stale holder finishes in vain";

fn explored(rules: LeaseRules) -> Explored {
    explore(OneLease {
        rules,
        ticks: 9,
        crashes: 1,
        agains: 1,
    })
}

fn broken(rules: LeaseRules) -> Vec<&'static str> {
    let mut broken: Vec<_> = explored(rules).broken.into_iter().map(|(name, _)| name).collect();
    broken.retain(|name| *name != VAIN);
    broken.sort_unstable();
    broken
}

#[test]
fn one_job_has_one_effect_whoever_dies_or_sleeps_and_whatever_the_clocks_say() {
    let explored = explored(LeaseRules::product());
    let names: Vec<_> = explored.broken.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [VAIN],
        "and a stale holder does come too late: {explored:?}"
    );
    assert!(explored.states > 3_000, "{}", explored.states);
}

#[test]
fn a_job_that_ends_without_regard_to_its_try_is_caught() {
    fn careless(lease: &Lease) -> Guard {
        let Guard::Delete { table, key, .. } = lease.finish() else {
            unreachable!()
        };
        Guard::Delete {
            table,
            key,
            expected: None,
        }
    }
    let rules = LeaseRules {
        finish: careless,
        ..LeaseRules::product()
    };
    // The stale holder takes away what the new one works on; its own effect is the only one, but the new holder's try is lost.
    assert!(
        broken(rules).contains(&"only the latest try ends a job"),
        "{:?}",
        broken(rules)
    );
}

#[test]
fn a_claim_without_regard_to_leases_is_caught() {
    let rules = LeaseRules {
        due: |run_at, _, now| run_at <= now,
        ..LeaseRules::product()
    };
    assert!(
        broken(rules).contains(&"no job is taken from a holder whose lease lasts"),
        "{:?}",
        broken(rules)
    );
}

#[test]
fn a_lease_that_never_ends_is_caught() {
    let rules = LeaseRules {
        due: |run_at, leased_until, now| run_at <= now && leased_until == 0,
        ..LeaseRules::product()
    };
    assert_eq!(
        broken(rules),
        ["a job that is left can be claimed once its lease is over"]
    );
}
