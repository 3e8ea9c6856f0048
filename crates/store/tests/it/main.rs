//! One suite on both engines, and what each engine has of its own.

mod crash;
mod postgres;
mod sqlite;

use kessai_store::testkit::{claims, compare, pg, suite, takes};
use kessai_store::{Migrate, PgStore, SqliteSettings, SqliteStore, Store};

macro_rules! behaviours {
    ($($module:ident::$name:ident),* $(,)?) => {
        mod on_sqlite {
            use super::*;
            $(#[tokio::test]
            async fn $name() {
                let folder = tempfile::tempdir().unwrap();
                let store = SqliteStore::open(&SqliteSettings::new(folder.path().join("k.db")), Migrate::Apply).unwrap();
                $module::$name(&store).await;
                store.close().await;
            })*
        }
        mod in_memory {
            use super::*;
            $(#[tokio::test]
            async fn $name() {
                let store = SqliteStore::open(&SqliteSettings::new(":memory:"), Migrate::Apply).unwrap();
                $module::$name(&store).await;
                store.close().await;
            })*
        }
        mod on_postgres {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let database = pg::database().await;
                let store = PgStore::open(&database.settings(), Migrate::Apply).await.unwrap();
                $module::$name(&store).await;
                store.close().await;
            })*
        }
    };
}

behaviours!(
    suite::declared_tables_are_the_opened_ones,
    suite::values_come_back_as_they_went,
    suite::the_second_marker_may_come_first,
    suite::keyset_pages_have_the_same_order_everywhere,
    suite::text_with_nul_is_refused,
    suite::a_change_set_that_does_not_fit_is_invalid,
    suite::a_refused_guard_undoes_the_whole_change_set,
    suite::guards_check_key_and_version,
    suite::plain_operations_write_whole_rows,
    suite::of_duplicates_in_one_batch_one_wins,
    suite::crosswise_duplicates_leave_one_winner_per_key,
    suite::of_32_writers_of_one_version_one_wins,
    suite::a_broken_constraint_fails_its_change_set_alone,
    suite::neighbours_that_clash_leave_one,
    suite::additions_sum_up_under_concurrency,
    suite::a_read_sees_what_was_acknowledged,
    suite::a_query_cannot_write,
    suite::figures_count_batches_and_changes,
    suite::a_closed_store_turns_callers_away,
    claims::due_jobs_come_oldest_first,
    claims::a_claim_takes_exactly_what_is_due,
    claims::a_lane_waits_as_long_as_its_first_job,
    claims::a_lane_runs_in_order_one_at_a_time,
    claims::two_claimers_never_share_a_job,
    claims::an_expired_lease_is_given_again,
    claims::the_next_due_time_is_known,
    claims::claims_and_commits_share_batches,
    claims::a_claim_of_nothing_writes_nothing,
    takes::of_64_buyers_ten_get_the_last_ten,
    takes::nobody_is_refused_while_enough_is_left,
    takes::what_is_short_refuses_all_of_its_change_set,
    takes::what_goes_back_and_forth_stays_as_much,
    takes::a_take_that_makes_no_sense_is_invalid,
    compare::open_and_recent_payments_are_walked_through_once,
    compare::runs_come_newest_first,
);
