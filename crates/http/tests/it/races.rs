//! Many at once: whoever is first wins, and the provider's books show that nobody else did.
use crate::world::{GOOD_CARD, Seen, World, authorization, card, checkout, sale};
use futures_util::future::join_all;
use serde_json::{Value, json};

const ROUNDS: usize = 10;
const RACERS: usize = 8;

async fn race(world: &World, path: &str, body: Value) -> Vec<Seen> {
    join_all((0..RACERS).map(|_| world.post(path, body.clone()))).await
}

fn accepted(seen: &[Seen]) -> usize {
    seen.iter().filter(|seen| seen.status == 200).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_eight_full_refunds_exactly_one_is_accepted() {
    let world = World::new().await;
    for _ in 0..ROUNDS {
        let payment = world
            .post("/payments", sale(GOOD_CARD))
            .await
            .ok()
            .str("/id")
            .to_owned();
        let seen = race(
            &world,
            &format!("/payments/{payment}/refund"),
            json!({"amount": 1000}),
        )
        .await;
        assert_eq!(accepted(&seen), 1);
        assert!(seen.iter().all(|seen| matches!(seen.status, 200 | 409 | 422)));
        assert_eq!(world.books(&payment).await, [1000, 1000, 1000, 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn partial_refunds_never_add_up_to_more_than_was_taken() {
    let world = World::new().await;
    for _ in 0..ROUNDS {
        let payment = world
            .post("/payments", sale(GOOD_CARD))
            .await
            .ok()
            .str("/id")
            .to_owned();
        let seen = race(
            &world,
            &format!("/payments/{payment}/refund"),
            json!({"amount": 300}),
        )
        .await;
        assert_eq!(accepted(&seen), 3);
        assert_eq!(world.books(&payment).await, [1000, 1000, 900, 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_eight_captures_exactly_one_is_accepted() {
    let world = World::new().await;
    for _ in 0..ROUNDS {
        let payment = world
            .post("/payments", authorization())
            .await
            .ok()
            .str("/id")
            .to_owned();
        let seen = race(
            &world,
            &format!("/payments/{payment}/capture"),
            json!({"amount": 700}),
        )
        .await;
        assert_eq!(accepted(&seen), 1);
        assert_eq!(world.books(&payment).await, [1000, 700, 0, 300]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_capture_and_a_cancel_never_both_happen() {
    let world = World::new().await;
    for round in 0..ROUNDS {
        let payment = world
            .post("/payments", authorization())
            .await
            .ok()
            .str("/id")
            .to_owned();
        let calls = (0..RACERS).map(|n| {
            let act = if (n + round) % 2 == 0 { "capture" } else { "cancel" };
            let path = format!("/payments/{payment}/{act}");
            let world = &world;
            async move { world.post(&path, json!({})).await }
        });
        let seen = join_all(calls).await;
        assert_eq!(accepted(&seen), 1);
        let [authorized, captured, refunded, cancelled] = world.books(&payment).await;
        assert_eq!((authorized, captured + cancelled, refunded), (1000, 1000, 0));
        let expected = if captured > 0 { "captured" } else { "cancelled" };
        assert_eq!(world.status(&payment).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_idempotency_key_charges_once() {
    let world = World::new().await;
    for round in 0..ROUNDS {
        let before = world.movements("capture");
        let key = format!("order-{round}");
        let seen = join_all((0..RACERS).map(|_| world.post_under(&key, "/payments", sale(GOOD_CARD)))).await;
        let mut ids: Vec<&str> = seen
            .iter()
            .filter(|seen| seen.status == 200)
            .map(|seen| seen.str("/id"))
            .collect();
        assert!(!ids.is_empty());
        ids.dedup();
        assert_eq!(ids.len(), 1);
        assert!(
            seen.iter()
                .all(|seen| seen.status == 200 || (seen.status, seen.code()) == (409, "conflict"))
        );
        assert_eq!(world.movements("capture") - before, 1);
        let again = world.post_under(&key, "/payments", sale(GOOD_CARD)).await.ok();
        assert_eq!(again.str("/id"), ids[0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_order_number_is_paid_once() {
    let world = World::new().await;
    for round in 0..ROUNDS {
        let before = world.movements("capture");
        let mut asked = sale(GOOD_CARD);
        asked["external_order_num"] = json!(format!("ORDER-{round}"));
        let seen = race(&world, "/payments", asked).await;
        assert_eq!(accepted(&seen), 1);
        for refused in seen.iter().filter(|seen| seen.status != 200) {
            assert_eq!(
                refused.refused(422, "invalid_parameter").param(),
                "external_order_num"
            );
        }
        assert_eq!(world.movements("capture") - before, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_session_paid_by_two_methods_at_once_is_charged_once() {
    let world = World::new().await;
    for _ in 0..ROUNDS {
        let before = world.movements("capture");
        let session = world
            .post("/sessions", checkout())
            .await
            .ok()
            .str("/id")
            .to_owned();
        let path = format!("/sessions/{session}/pay");
        let calls = (0..RACERS).map(|n| {
            let details = if n % 2 == 0 {
                card(GOOD_CARD)
            } else {
                json!({"type": "paypay"})
            };
            world.post(&path, json!({"payment_details": details}))
        });
        let seen = join_all(calls).await;
        assert!(
            seen.iter().all(|seen| matches!(seen.status, 200 | 409 | 422)),
            "{seen:?}"
        );
        assert_eq!(world.movements("capture") - before, 1);
        world.advance(1).await;
        let shown = world.get(&format!("/sessions/{session}")).await.ok();
        assert_eq!(
            (shown.str("/status"), shown.str("/payment/status")),
            ("completed", "captured")
        );
        let open = world.get("/payments?status=pending,authorized").await.ok();
        assert_eq!(open.int("/total"), 0);
    }
}
