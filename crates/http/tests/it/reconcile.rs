//! Our books compared with the provider's: what can be settled is, and the rest is raised, once.
use crate::world::{GOOD_CARD, World, authorization, card, konbini, sale};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use kessai_core::Clock;
use kessai_engine::reconcile::{Found, Run, RunStatus, Went};
use kessai_provider::sandbox::{Answer, Ask, Sandbox};
use kessai_provider::transport::Method;
use kessai_store::repo::{self, PaymentRow};
use kessai_store::{ChangeSet, Op};
use serde_json::{Value, json};

const DAY: i64 = 86_400;

/// A hub whose provider sends no notifications, and whose own looks at payments are over.
async fn quiet() -> World {
    let world = World::new().await;
    world.control(Method::Post, "webhook", json!({}));
    world
}

/// The recurring jobs, as the binary queues them.
async fn every_day(world: &World) {
    for job in world.engine.recurring_jobs() {
        let guards = vec![job.guard()];
        let _ = world
            .engine
            .store()
            .commit(ChangeSet { guards, ops: vec![] })
            .await
            .unwrap();
    }
}

async fn runs(world: &World) -> Vec<Run> {
    world.engine.runs(&*world.shop().await, 10).await.unwrap()
}

async fn last(world: &World) -> Run {
    runs(world).await.into_iter().next().expect("a run")
}

/// One run of a clerk's, from its beginning to its end.
async fn compared(world: &World) -> Found {
    assert_eq!(
        world
            .engine
            .reconcile_for_clerk(&*world.shop().await)
            .await
            .unwrap(),
        1
    );
    world.advance(1).await;
    let run = last(world).await;
    assert_eq!(run.status(), RunStatus::Done, "{:?}", run.trouble());
    assert_eq!(run.total(), Some(run.seen()));
    run.found()
}

/// Somebody works on the provider's own screen.
async fn there(world: &World, payment: &str, act: &str, body: Value) {
    let reference = world.payment(payment).await.reference.unwrap();
    let ask = Ask {
        method: Method::Post,
        path_and_query: format!("/api/v1/payments/{reference}/{act}"),
        headers: vec![
            ("content-type".into(), "application/json".into()),
            (
                "authorization".into(),
                format!("Basic {}", STANDARD.encode("sk_test_sandbox:")),
            ),
        ],
        body: body.to_string().into_bytes().into(),
    };
    match world.sandbox.answer(&ask, world.clock.now()) {
        Answer::Reply { reply, .. } => assert_eq!(reply.status, 200, "{:?}", reply.body),
        other => panic!("{other:?}"),
    }
}

async fn settle(world: &World, kind: &str, note: &str) {
    let shop = world.shop().await;
    let rows = world.engine.office_discrepancies(&shop, 10, 0).await.unwrap();
    let row = rows
        .iter()
        .find(|told| told.row.kind.as_ref() == kind)
        .expect("an open one");
    world
        .engine
        .settle_discrepancy(&shop, &row.row.id, "clerk", note)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_refund_made_on_the_providers_own_screen_is_found_by_the_daily_run() {
    let world = quiet().await;
    every_day(&world).await;
    let (kept, back) = (
        world.made(sale(GOOD_CARD)).await,
        world.made(sale(GOOD_CARD)).await,
    );
    there(&world, &back, "refund", json!({})).await;
    assert_eq!(world.status(&back).await, "captured", "nobody told us");
    world.advance(DAY).await;
    assert_eq!(
        (
            world.status(&kept).await.as_str(),
            world.status(&back).await.as_str()
        ),
        ("captured", "refunded")
    );
    assert!(world.events().await.contains(&"payment.refunded".to_owned()));
    let run = last(&world).await;
    assert_eq!(run.status(), RunStatus::Done);
    let expected = Found {
        compared: 2,
        agreed: 1,
        settled: 1,
        ..Found::default()
    };
    assert_eq!(run.found(), expected);
    assert!(world.open_discrepancies().await.is_empty());
}

#[tokio::test]
async fn the_daily_run_is_made_once_a_day_whoever_begins_it() {
    let world = quiet().await;
    every_day(&world).await;
    world.made(sale(GOOD_CARD)).await;
    world.advance(DAY).await;
    // A second node, or a second try of the first: the day's run stands.
    let begun = runs(&world).await.len();
    every_day(&world).await;
    world.advance(3_600).await;
    assert_eq!((begun, runs(&world).await.len()), (1, 1));
    world.advance(DAY).await;
    assert_eq!(runs(&world).await.len(), 2);
}

#[tokio::test]
async fn every_kind_of_payment_that_nobody_tampered_with_agrees() {
    let world = World::new().await;
    let wallet = json!({"amount": 1_000, "currency": "JPY", "tax": 0, "return_url": "https://shop.example/",
                        "payment_details": {"type": "paypay"}});
    let slip = json!({"amount": 1_000, "currency": "JPY", "tax": 0, "payment_details": konbini()});
    let paid = world.made(slip.clone()).await;
    world.shopper(&paid, "pay").await;
    world.made(slip).await;
    world.made(wallet).await;
    world.made(sale(GOOD_CARD)).await;
    let part = world.made(sale(GOOD_CARD)).await;
    world.act(&part, "refund", json!({"amount": 300})).await.ok();
    let over = world.made(authorization()).await;
    world.act(&over, "cancel", json!({})).await.ok();
    let less = world.made(authorization()).await;
    world.act(&less, "capture", json!({"amount": 400})).await.ok();
    world
        .post(
            "/payments",
            json!({"amount": 1000, "currency": "JPY", "tax": 0,
                                     "payment_details": card("4123111111111000")}),
        )
        .await;
    world.advance(3_600).await;
    let found = compared(&world).await;
    assert_eq!((found.compared, found.agreed), (8, 8), "{found:?}");
}

#[tokio::test]
async fn money_for_a_closed_payment_is_raised_once_and_again_only_when_it_came_back() {
    let world = quiet().await;
    let id = world.made(authorization()).await;
    world.act(&id, "cancel", json!({})).await.ok();
    world.edit(&id, json!({"status": "captured"})).await;
    let found = compared(&world).await;
    assert_eq!((found.raised, found.standing), (1, 0), "{found:?}");
    assert_eq!(world.status(&id).await, "cancelled");
    let found = compared(&world).await;
    assert_eq!((found.raised, found.standing), (0, 1), "it is known");
    assert_eq!(world.open_discrepancies().await, ["late_capture"]);

    settle(&world, "late_capture", "the goods were sent all the same").await;
    let found = compared(&world).await;
    assert_eq!(
        (found.standing, world.open_discrepancies().await.len()),
        (1, 0),
        "a person said so"
    );

    world.edit(&id, json!({"status": "cancelled"})).await;
    assert_eq!(compared(&world).await.agreed, 1);
    world.edit(&id, json!({"status": "captured"})).await;
    let found = compared(&world).await;
    assert_eq!((found.raised, found.standing), (1, 0), "it came back");
    assert_eq!(world.open_discrepancies().await, ["late_capture"]);
    let list = world.get("/discrepancies").await.ok();
    assert_eq!(
        list.str("/data/0/details/earlier/0/note"),
        "the goods were sent all the same"
    );
}

#[tokio::test]
async fn a_settled_discrepancy_is_opened_again_when_the_books_say_something_else() {
    let world = quiet().await;
    let id = world.made(sale(GOOD_CARD)).await;
    world.edit(&id, json!({"status": "cancelled"})).await;
    world.advance(3_600).await;
    assert_eq!(compared(&world).await.raised, 1);
    settle(&world, "closed_after_capture", "asked the provider").await;
    assert_eq!(compared(&world).await.standing, 1);
    assert!(world.open_discrepancies().await.is_empty());
    world.edit(&id, json!({"status": "expired"})).await;
    assert_eq!(compared(&world).await.raised, 1);
    assert_eq!(world.open_discrepancies().await, ["closed_after_capture"]);
}

#[tokio::test]
async fn what_the_provider_holds_behind_what_it_once_said_is_raised_but_not_at_once() {
    let world = quiet().await;
    let taken = world.made(sale(GOOD_CARD)).await;
    let back = world.made(sale(GOOD_CARD)).await;
    world.act(&back, "refund", json!({"amount": 300})).await.ok();
    world.edit(&taken, json!({"status": "authorized"})).await;
    let found = compared(&world).await;
    assert_eq!(
        (found.waiting, found.raised),
        (1, 0),
        "its books may be a moment behind"
    );
    world.advance(3_600).await;
    let found = compared(&world).await;
    assert_eq!((found.raised, found.agreed), (1, 1), "{found:?}");
    assert_eq!(world.open_discrepancies().await, ["missing_capture"]);
    assert_eq!(
        world.status(&taken).await,
        "captured",
        "a payment never moves backwards"
    );
    world.edit(&taken, json!({"status": "captured"})).await;
    let found = compared(&world).await;
    assert_eq!(
        (found.settled, world.open_discrepancies().await.len()),
        (1, 0),
        "both books agree again"
    );
}

#[tokio::test]
async fn a_payment_that_the_provider_does_not_know_is_raised() {
    let world = quiet().await;
    let id = world.made(sale(GOOD_CARD)).await;
    let store = world.engine.store();
    let row = repo::payment(store.as_ref(), &world.shop, &id)
        .await
        .unwrap()
        .unwrap();
    let row = PaymentRow {
        provider_ref: Some("0000000000000000000000000".into()),
        ..row
    };
    let ops = vec![Op::Update(PaymentRow::TABLE, row.into_values())];
    let _ = store.commit(ChangeSet { guards: vec![], ops }).await.unwrap();
    world.advance(3_600).await;
    assert_eq!(compared(&world).await.raised, 1);
    assert_eq!(world.open_discrepancies().await, ["unknown_at_provider"]);
}

#[tokio::test]
async fn a_slip_closed_here_and_alive_there_is_given_up_there() {
    let world = quiet().await;
    let id = world.made(authorization()).await;
    world.act(&id, "cancel", json!({})).await.ok();
    world.edit(&id, json!({"status": "pending"})).await;
    world.advance(3_600).await;
    assert_eq!(compared(&world).await.settled, 1);
    world.advance(3_600).await;
    assert_eq!(world.there(&id).await["status"], "cancelled");
    assert_eq!(compared(&world).await.agreed, 1);
    assert!(world.open_discrepancies().await.is_empty());
}

#[tokio::test]
async fn money_that_comes_while_a_payment_is_being_given_up_is_late_money_and_no_refund() {
    let world = quiet().await;
    let id = world.made(authorization()).await;
    world.act(&id, "cancel", json!({})).await.ok();
    world.edit(&id, json!({"status": "pending"})).await;
    world.fault(json!({"operation": "payments.cancel", "kind": "status", "code": 503}));
    world.advance(3_600).await;
    assert_eq!(compared(&world).await.settled, 1, "it is to be given up there");
    world.advance(60).await;
    // The shopper pays before the cancellation gets through.
    world.edit(&id, json!({"status": "captured"})).await;
    world.control(Method::Delete, "faults", json!({}));
    world.advance(2 * 3_600).await;
    let theirs = world.there(&id).await;
    assert_eq!(
        (&theirs["status"], &theirs["amount_refunded"]),
        (&json!("captured"), &json!(0))
    );
    assert_eq!(world.open_discrepancies().await, ["late_capture"]);
    // Once a person has refunded it, nobody holds anything.
    there(&world, &id, "refund", json!({})).await;
    world.advance(86_400).await;
    compared(&world).await;
    assert!(world.open_discrepancies().await.is_empty());
}

#[tokio::test]
async fn one_job_gives_an_authorization_up_however_often_it_is_seen() {
    let world = quiet().await;
    let id = world.made(authorization()).await;
    world.act(&id, "cancel", json!({})).await.ok();
    world.edit(&id, json!({"status": "authorized"})).await;
    world.fault(json!({"operation": "payments.cancel", "kind": "status", "code": 503}));
    for _ in 0..3 {
        compared(&world).await;
    }
    let rows = world
        .engine
        .store()
        .query("SELECT COUNT(*) FROM jobs WHERE kind='unwind.v1'".into(), vec![])
        .await
        .unwrap();
    assert_eq!(rows[0].int(0).unwrap(), 1);
}

#[tokio::test]
async fn a_provider_that_is_down_holds_the_run_up_and_nothing_is_made_of_it() {
    let world = quiet().await;
    every_day(&world).await;
    for _ in 0..10 {
        world.made(sale(GOOD_CARD)).await;
    }
    world.fault(json!({"operation": "payments.show", "kind": "status", "code": 503}));
    // The run begins at half past four in Japan.
    let now = world.clock.now();
    let begin = (now.as_second() + 9 * 3_600 - 16_200).div_euclid(DAY) * DAY + DAY - 9 * 3_600 + 16_200;
    world.advance(begin + 60 - now.as_second()).await;
    let run = last(&world).await;
    assert_eq!((run.status(), run.seen()), (RunStatus::Running, 0));
    assert!(run.trouble().is_some_and(|why| why.contains("503")), "{run:?}");
    assert_eq!(run.total(), Some(10));
    world.control(Method::Post, "faults/clear", Value::Null);
    world.advance(3_600).await;
    let run = last(&world).await;
    assert_eq!((run.status(), run.found().agreed), (RunStatus::Done, 10));
    assert_eq!(run.trouble(), None);

    world.fault(json!({"operation": "payments.show", "kind": "status", "code": 503}));
    world.advance(DAY + 13 * 3_600).await;
    let run = last(&world).await;
    assert_eq!(
        run.status(),
        RunStatus::Partial,
        "after half a day it says what it could not do"
    );
    assert!(run.ended_at().is_some() && run.trouble().is_some());
    assert!(
        world.open_discrepancies().await.is_empty(),
        "silence says nothing about a payment"
    );
}

#[tokio::test]
async fn a_payment_nobody_answers_for_is_passed_by_and_holds_up_no_other() {
    let world = quiet().await;
    world.made(authorization()).await;
    world.advance(30 * DAY).await;
    let recent = world.made(sale(GOOD_CARD)).await;
    // The old one is asked about first, alone: it is still authorized.
    world.fault(json!({"operation": "payments.show", "kind": "status", "code": 500, "remaining": 4}));
    world
        .engine
        .reconcile_for_clerk(&*world.shop().await)
        .await
        .unwrap();
    world.advance(600).await;
    let run = last(&world).await;
    assert_eq!((run.status(), run.seen()), (RunStatus::Running, 0));
    world.advance(3 * 3_600).await;
    let run = last(&world).await;
    assert_eq!(run.status(), RunStatus::Partial);
    assert_eq!((run.found().unanswered, run.found().agreed), (1, 1), "{run:?}");
    assert!(!run.unanswered().contains(&recent.into()));
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_passed_by_and_named() {
    let world = quiet().await;
    let ids = [
        world.made(sale(GOOD_CARD)).await,
        world.made(sale(GOOD_CARD)).await,
    ];
    world.fault(json!({"operation": "payments.show", "kind": "garble", "remaining": 1}));
    world
        .engine
        .reconcile_for_clerk(&*world.shop().await)
        .await
        .unwrap();
    world.advance(1).await;
    let run = last(&world).await;
    assert_eq!(run.status(), RunStatus::Partial);
    assert_eq!((run.found().agreed, run.found().unanswered), (1, 1));
    assert_eq!(run.unanswered().len(), 1);
    assert!(ids.iter().any(|id| **id == *run.unanswered()[0]));
}

#[tokio::test]
async fn a_run_that_was_cut_off_goes_on_where_it_stood() {
    let world = quiet().await;
    for _ in 0..9 {
        world.made(sale(GOOD_CARD)).await;
    }
    let (shop, engine) = (world.shop().await, &world.engine);
    let since = engine.settings().reconcile.since(engine.now());
    let mut run = engine
        .reconcile_by_command(&shop, "komoju", "7d", since)
        .await
        .unwrap();
    while run.seen() < 4 {
        assert_eq!(engine.work_a_little(&shop, &mut run, 2).await.unwrap(), Went::On);
    }
    // The process dies here. Another one asks for the same while the first may still be alive: it has a run of its own.
    let own = engine
        .reconcile_by_command(&shop, "komoju", "7d", since)
        .await
        .unwrap();
    assert_ne!(own.id(), run.id());
    world.advance(600).await;
    let asked = world.gate.sent.load(std::sync::atomic::Ordering::SeqCst);
    let mut again = own;
    let until = engine.now() + SignedDuration::from_hours(1);
    assert_eq!(
        engine.work_on(&shop, &mut again, until).await.unwrap(),
        Went::Ended
    );
    let asked_by_own = world.gate.sent.load(std::sync::atomic::Ordering::SeqCst) - asked;
    let mut resumed = engine
        .reconcile_by_command(&shop, "komoju", "7d", since)
        .await
        .unwrap();
    assert_eq!((resumed.id(), resumed.seen()), (run.id(), 4));
    // The one that was thought dead wakes up: it is told, and counts nothing twice.
    assert_eq!(
        engine.work_a_little(&shop, &mut run, 2).await.unwrap(),
        Went::Taken
    );
    let asked = world.gate.sent.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(
        engine.work_on(&shop, &mut resumed, until).await.unwrap(),
        Went::Ended
    );
    let asked = world.gate.sent.load(std::sync::atomic::Ordering::SeqCst) - asked;
    assert_eq!(resumed.found().compared, 9);
    assert_eq!(
        (asked, asked_by_own),
        (5, 9),
        "what was compared is not asked about again"
    );
}

#[tokio::test]
async fn old_payments_are_looked_at_when_they_are_open_or_have_just_changed() {
    let world = quiet().await;
    world.made(sale(GOOD_CARD)).await; // old, captured, untouched
    let changed = world.made(sale(GOOD_CARD)).await;
    let slip = json!({"amount": 1_000, "currency": "JPY", "tax": 0,
                      "payment_details": {"type": "konbini", "store": "lawson", "email": "a@example.com", "expiry_days": 50}});
    let waiting = world.post("/payments", slip).await;
    world.advance(30 * DAY).await;
    world.act(&changed, "refund", json!({"amount": 100})).await.ok();
    world.made(sale(GOOD_CARD)).await;
    world.advance(3_600).await;
    let open = u64::from(waiting.status == 200);
    let found = compared(&world).await;
    assert_eq!(found.compared, 2 + open, "{found:?} {}", waiting.text);
}

#[tokio::test]
async fn a_lost_refund_is_settled_by_the_comparison_as_by_any_other_look() {
    let world = quiet().await;
    let id = world.made(sale(GOOD_CARD)).await;
    world.fault(json!({"operation": "payments.refund", "kind": "lose_after", "remaining": 1}));
    let unknown = world.act(&id, "refund", json!({})).await;
    assert_eq!(unknown.status, 202);
    assert_eq!(compared(&world).await.settled, 1);
    assert_eq!(world.status(&id).await, "refunded");
    assert_eq!(world.books(&id).await, [1_000, 1_000, 1_000, 0]);
}
