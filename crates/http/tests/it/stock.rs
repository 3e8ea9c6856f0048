//! Stock: held before money moves, never oversold, given back exactly once.
use crate::world::{GOOD_CARD, OTHER_KEY, Seen, World, card, checkout};
use axum::body::Body;
use futures_util::future::join_all;
use serde_json::{Value, json};

const DECLINED: &str = "4123111111111059";

async fn put(world: &World, sku: &str, pieces: i64) {
    world
        .post(&format!("/stock/{sku}"), json!({"change": pieces}))
        .await
        .ok();
}

/// Free, held, sold.
async fn level(world: &World, sku: &str) -> [i64; 3] {
    let seen = world.get(&format!("/stock/{sku}")).await.ok();
    ["/free", "/held", "/sold"].map(|place| seen.int(place))
}

fn order(lines: Value) -> Value {
    let mut body = checkout();
    body["line_items"] = lines;
    body
}

async fn session(world: &World, lines: Value) -> String {
    world
        .post("/sessions", order(lines))
        .await
        .ok()
        .str("/id")
        .to_owned()
}

async fn pay(world: &World, session: &str, details: Value) -> Seen {
    world
        .post(
            &format!("/sessions/{session}/pay"),
            json!({"payment_details": details}),
        )
        .await
}

fn slip() -> Value {
    json!({"type": "konbini", "store": "lawson", "email": "hanako@example.com", "name": "Hanako"})
}

#[tokio::test]
async fn what_is_paid_is_sold_and_what_lapses_is_free_again() {
    let world = World::new().await;
    put(&world, "TEA-1", 10).await;
    let lines = json!([{"sku": "TEA-1", "quantity": 2, "amount": 500}, {"sku": "TEA-1", "quantity": 1}, {"quantity": 4}]);

    let paid = session(&world, lines.clone()).await;
    assert_eq!(
        level(&world, "TEA-1").await,
        [10, 0, 0],
        "a session holds nothing"
    );
    let seen = pay(&world, &paid, slip()).await.ok();
    assert_eq!(level(&world, "TEA-1").await, [7, 3, 0]);
    world.shopper(seen.str("/payment/id"), "pay").await;
    world.advance(5).await;
    assert_eq!(level(&world, "TEA-1").await, [7, 0, 3]);
    let story = world
        .get(&format!("/payments/{}/timeline", seen.str("/payment/id")))
        .await
        .ok();
    assert_eq!(
        story.body["stock"],
        json!({"goods": [{"sku": "TEA-1", "pieces": 3}], "hold": "sold"})
    );

    let lapsed = session(&world, lines).await;
    pay(&world, &lapsed, slip()).await.ok();
    assert_eq!(level(&world, "TEA-1").await, [4, 3, 3]);
    world.advance(10 * 86_400).await;
    assert_eq!(level(&world, "TEA-1").await, [7, 0, 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_buyers_of_the_last_piece_one_gets_it_and_one_is_charged() {
    let world = World::new().await;
    put(&world, "LAST", 1).await;
    let lines = || json!([{"sku": "LAST", "quantity": 1}]);
    let sessions = join_all((0..64).map(|_| session(&world, lines()))).await;
    let seen = join_all(
        sessions
            .iter()
            .map(|session| pay(&world, session, card(GOOD_CARD))),
    )
    .await;
    let won = seen.iter().filter(|seen| seen.status == 200).count();
    assert_eq!(won, 1);
    for lost in seen.iter().filter(|seen| seen.status != 200) {
        lost.refused(422, "out_of_stock");
        assert_eq!(lost.message(), "Of LAST only 0 are left. Nothing was charged.");
    }
    assert_eq!(level(&world, "LAST").await, [0, 0, 1]);
    assert_eq!(world.movements("capture"), 1, "the provider heard of one");
}

#[tokio::test]
async fn a_declined_card_gives_its_pieces_back_and_another_buys_them() {
    let world = World::new().await;
    put(&world, "CUP", 1).await;
    let session = session(&world, json!([{"sku": "CUP"}])).await;
    pay(&world, &session, card(DECLINED))
        .await
        .refused(502, "card_declined");
    assert_eq!(level(&world, "CUP").await, [1, 0, 0]);
    pay(&world, &session, card(GOOD_CARD)).await.ok();
    assert_eq!(level(&world, "CUP").await, [0, 0, 1]);
    pay(&world, &session, card(GOOD_CARD)).await;
    assert_eq!(level(&world, "CUP").await, [0, 0, 1], "a session is paid once");
}

#[tokio::test]
async fn what_nobody_knows_the_end_of_stays_held_until_it_is_known() {
    let world = World::new().await;
    put(&world, "POT", 2).await;
    for (fault, sold) in [("lose_after", [1, 0, 1]), ("lose_before", [1, 0, 1])] {
        let session = session(&world, json!([{"sku": "POT"}])).await;
        world.fault(json!({"operation": "sessions.pay", "kind": fault, "remaining": 1}));
        let seen = pay(&world, &session, card(GOOD_CARD)).await;
        assert_eq!(level(&world, "POT").await[1], 1, "{fault}: {}", seen.text);
        world.advance(2 * 3_600).await;
        assert_eq!(level(&world, "POT").await, sold, "{fault}");
    }
}

#[tokio::test]
async fn money_that_comes_for_what_was_given_back_is_for_a_person_and_moves_nothing() {
    let world = World::new().await;
    put(&world, "TEA", 1).await;
    let session = session(&world, json!([{"sku": "TEA"}])).await;
    let payment = pay(&world, &session, slip())
        .await
        .ok()
        .str("/payment/id")
        .to_owned();
    world
        .post(&format!("/payments/{payment}/cancel"), json!({}))
        .await
        .ok();
    assert_eq!(level(&world, "TEA").await, [1, 0, 0]);
    world.edit(&payment, json!({"status": "captured"})).await;
    world.advance(2 * 86_400).await;
    assert_eq!(level(&world, "TEA").await, [1, 0, 0]);
    assert_eq!(world.open_discrepancies().await, ["late_capture"]);
}

#[tokio::test]
async fn a_refund_leaves_it_to_a_person_whether_the_pieces_came_back() {
    let world = World::new().await;
    put(&world, "TEA", 5).await;
    let session = session(&world, json!([{"sku": "TEA", "quantity": 2}])).await;
    let payment = pay(&world, &session, card(GOOD_CARD))
        .await
        .ok()
        .str("/payment/id")
        .to_owned();
    world.act(&payment, "refund", json!({})).await.ok();
    assert_eq!(level(&world, "TEA").await, [3, 0, 2]);
}

#[tokio::test]
async fn a_change_asked_for_twice_under_one_key_is_made_once() {
    let world = World::new().await;
    let first = world
        .post_under("k", "/stock/TEA", json!({"change": 7}))
        .await
        .ok();
    let again = world
        .post_under("k", "/stock/TEA", json!({"change": 7}))
        .await
        .ok();
    assert_eq!(first.text, again.text);
    assert_eq!(level(&world, "TEA").await, [7, 0, 0]);
    let other = world.post_under("k", "/stock/TEA", json!({"change": 8})).await;
    assert_eq!(other.status, 422);
    world.post("/stock/TEA", json!({"change": -7})).await.ok();
    let short = world.post("/stock/TEA", json!({"change": -1})).await;
    assert_eq!(short.refused(422, "out_of_stock").param(), "change");
    assert_eq!(short.message(), "Of TEA only 0 are free. Nothing was changed.");
    world
        .post("/stock/NEVER", json!({"change": -1}))
        .await
        .refused(404, "not_found");
    assert_eq!(level(&world, "TEA").await, [0, 0, 0]);
}

#[tokio::test]
async fn a_list_goes_page_by_page_through_the_shops_own_things() {
    let world = World::new().await;
    for sku in ["b", "a", "c"] {
        put(&world, sku, 1).await;
    }
    let first = world.get("/stock?per_page=2").await.ok();
    assert_eq!(
        (
            first.str("/data/0/sku"),
            first.str("/data/1/sku"),
            first.str("/next")
        ),
        ("a", "b", "b")
    );
    let last = world.get("/stock?per_page=2&after=b").await.ok();
    assert_eq!(last.str("/data/0/sku"), "c");
    assert!(last.body["next"].is_null());
    let others = world
        .call("GET", "/api/v1/stock/a", OTHER_KEY, &[], Body::empty())
        .await;
    others.refused(404, "not_found");
}

#[tokio::test]
async fn bad_wishes_are_refused_and_change_nothing() {
    let world = World::new().await;
    put(&world, "TEA", 5).await;
    for change in [
        json!(0),
        json!(1.5),
        json!("many"),
        json!(1_000_001),
        json!(-1_000_001),
        json!(i64::MIN),
        json!([1]),
    ] {
        world
            .post("/stock/TEA", json!({"change": change}))
            .await
            .refused(422, "invalid_parameter");
    }
    world
        .post("/stock/TEA", json!({}))
        .await
        .refused(422, "missing_parameter");
    for sku in ["..", "a%2Fb", "a%20b", &"x".repeat(65)] {
        world
            .post(&format!("/stock/{sku}"), json!({"change": 1}))
            .await
            .refused(404, "not_found");
    }
    for (line, code) in [
        (json!({"sku": "TEA", "quantity": 0}), "invalid_parameter"),
        (json!({"sku": "TEA", "quantity": 2_000_000}), "invalid_parameter"),
        (json!({"sku": "a b"}), "invalid_parameter"),
        (json!({"sku": "x".repeat(65)}), "invalid_parameter"),
        (json!({"sku": "NEVER"}), "invalid_parameter"),
        (json!({"sku": "TEA", "quantity": 6}), "out_of_stock"),
    ] {
        let seen = world.post("/sessions", order(json!([line]))).await;
        assert_eq!(seen.refused(422, code).param(), "line_items", "{line}");
    }
    assert_eq!(level(&world, "TEA").await, [5, 0, 0]);
}
