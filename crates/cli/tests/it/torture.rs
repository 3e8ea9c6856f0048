//! The small torture: what docs/torture.md describes, in a size that fits every run of the tests.
use kessai_torture::{Plan, Setting, Teller, run};

struct Aloud;

impl Teller for Aloud {
    fn say(&self, line: &str) {
        println!("{line}");
    }

    fn at(&self, _: usize, _: usize) {}
}

async fn torture(setting: Setting) {
    let plan = Plan {
        kessai: env!("CARGO_BIN_EXE_kessai").into(),
        setting,
        payments: 300,
        kills: 6,
        restarts: 1,
        seed: 20_260_401,
        folder: None,
    };
    let report = run(&plan, &Aloud).await.unwrap();
    assert!(
        report.found.wrong.is_empty(),
        "seed {}: {:#?}",
        plan.seed,
        report.found.wrong
    );
    assert_eq!(report.kills, plan.kills);
    assert_eq!(report.restarts, usize::from(setting == Setting::Postgres));
    assert_eq!(report.promoted, setting == Setting::Standby);
}

#[tokio::test(flavor = "multi_thread")]
async fn books_agree_after_one_node_on_sqlite_was_killed_again_and_again() {
    torture(Setting::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn books_agree_after_three_nodes_and_their_postgresql_were_killed() {
    torture(Setting::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn books_agree_after_the_standby_took_over_from_a_killed_primary() {
    torture(Setting::Standby).await;
}
