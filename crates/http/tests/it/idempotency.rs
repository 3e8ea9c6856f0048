//! Same key, same answer.
use crate::world::{GOOD_CARD, World, authorization, card, checkout, sale};
use serde_json::json;

#[tokio::test]
async fn the_same_key_and_body_are_answered_as_the_first_time_and_done_once() {
    let world = World::new().await;
    let first = world.post_under("k1", "/payments", sale(GOOD_CARD)).await.ok();
    let again = world.post_under("k1", "/payments", sale(GOOD_CARD)).await.ok();
    assert_eq!(first.text, again.text);
    assert_eq!(world.movements("capture"), 1);
    let declined = world
        .post_under("k2", "/payments", sale("4123111111111059"))
        .await;
    let declined_again = world
        .post_under("k2", "/payments", sale("4123111111111059"))
        .await;
    assert_eq!(declined.refused(502, "card_declined").text, declined_again.text);
    assert_eq!(world.get("/payments").await.ok().int("/total"), 2);
}

#[tokio::test]
async fn every_post_keeps_its_answer() {
    let world = World::new().await;
    let authorized = world
        .post("/payments", authorization())
        .await
        .ok()
        .str("/id")
        .to_owned();
    let session = world
        .post("/sessions", checkout())
        .await
        .ok()
        .str("/id")
        .to_owned();
    for (path, body) in [
        (format!("/payments/{authorized}/capture"), json!({})),
        (format!("/payments/{authorized}/refund"), json!({"amount": 10})),
        (
            format!("/sessions/{session}/pay"),
            json!({"payment_details": card(GOOD_CARD)}),
        ),
        (format!("/sessions/{session}/cancel"), json!({})),
        ("/sessions".into(), checkout()),
        ("/customers".into(), json!({"email": "a@example.com"})),
        ("/tokens".into(), json!({"payment_details": card(GOOD_CARD)})),
        ("/payments".into(), json!({"amount": 0})),
    ] {
        let first = world.post_under(&path, &path, body.clone()).await;
        let again = world.post_under(&path, &path, body).await;
        assert_eq!((first.status, &first.text), (again.status, &again.text), "{path}");
    }
}

#[tokio::test]
async fn the_same_key_with_another_request_is_refused() {
    let world = World::new().await;
    world.post_under("k", "/payments", sale(GOOD_CARD)).await.ok();
    let mut other = sale(GOOD_CARD);
    other["amount"] = json!(1001);
    world
        .post_under("k", "/payments", other)
        .await
        .refused(422, "unprocessable_entity");
    world
        .post_under("k", "/customers", json!({}))
        .await
        .refused(422, "unprocessable_entity");
    world
        .post_under("bad", "/payments", json!({"amount": "x"}))
        .await
        .refused(422, "invalid_parameter");
    world
        .post_under("bad", "/payments", sale(GOOD_CARD))
        .await
        .refused(422, "unprocessable_entity");
    let whole = world
        .json(
            "POST",
            "/payments",
            json!(1),
            &[("x-komoju-idempotency", "worse")],
        )
        .await;
    whole.refused(400, "bad_request");
    world
        .post_under("worse", "/payments", sale(GOOD_CARD))
        .await
        .refused(422, "unprocessable_entity");
    assert_eq!(world.movements("capture"), 1);
}

#[tokio::test]
async fn a_key_that_is_still_running_is_a_conflict() {
    let world = World::new().await;
    world.gate.close();
    let first = world.post_under("k", "/payments", sale(GOOD_CARD));
    let meanwhile = async {
        world.gate.somebody_waits().await;
        let seen = world.post_under("k", "/payments", sale(GOOD_CARD)).await;
        world.gate.open();
        seen
    };
    let (first, meanwhile) = tokio::join!(first, meanwhile);
    meanwhile.refused(409, "conflict");
    let again = world.post_under("k", "/payments", sale(GOOD_CARD)).await.ok();
    assert_eq!(first.ok().text, again.text);
    assert_eq!(world.movements("capture"), 1);
}

#[tokio::test]
async fn keys_are_one_to_a_hundred_printable_characters() {
    let world = World::new().await;
    let long = "k".repeat(101);
    for bad in ["", long.as_str(), "鍵", "a\tb"] {
        let seen = world.post_under(bad, "/payments", sale(GOOD_CARD)).await;
        assert_eq!(
            seen.refused(422, "invalid_parameter").param(),
            "X-KOMOJU-IDEMPOTENCY",
            "{bad}"
        );
    }
    world
        .post_under(&"k".repeat(100), "/payments", sale(GOOD_CARD))
        .await
        .ok();
}

#[tokio::test]
async fn two_shops_may_use_one_key() {
    let world = World::new().await;
    world.post_under("k", "/customers", json!({})).await.ok();
    let header = [
        ("x-komoju-idempotency", "k"),
        ("content-type", "application/json"),
    ];
    let other = world
        .call(
            "POST",
            "/api/v1/customers",
            crate::world::OTHER_KEY,
            &header,
            "{}",
        )
        .await
        .ok();
    assert_eq!(world.get("/customers").await.ok().int("/total"), 1);
    assert_eq!(other.str("/resource"), "customer");
}

#[tokio::test]
async fn a_key_is_free_again_after_a_day() {
    let world = World::new().await;
    let first = world.post_under("k", "/customers", json!({})).await.ok();
    world.advance(86_401).await;
    // The first use after that finds and frees the old key.
    world
        .post_under("k", "/customers", json!({}))
        .await
        .refused(409, "conflict");
    let second = world.post_under("k", "/customers", json!({})).await.ok();
    assert_ne!(first.str("/id"), second.str("/id"));
}

#[tokio::test]
async fn what_was_not_sent_may_be_sent_again_under_the_same_key() {
    let world = World::new().await;
    world.fault(json!({"operation": "payments.create", "kind": "refuse", "remaining": 1}));
    let mut asked = sale(GOOD_CARD);
    asked["external_order_num"] = json!("ORDER-1");
    world
        .post_under("k", "/payments", asked.clone())
        .await
        .refused(503, "service_unavailable");
    assert_eq!(
        world
            .post_under("k", "/payments", asked)
            .await
            .ok()
            .str("/status"),
        "captured"
    );
    assert_eq!(world.movements("capture"), 1);
}
