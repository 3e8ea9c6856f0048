//! What differs from shop to shop.
use crate::world::{GOOD_CARD, LIVE_KEY, World, sale};
use serde_json::json;

#[tokio::test]
async fn a_live_shop_ignores_scenarios() {
    let world = World::new().await;
    let headers = [
        ("komoju-scenario", "nonsense"),
        ("content-type", "application/json"),
    ];
    let seen = world
        .call(
            "POST",
            "/api/v1/payments",
            LIVE_KEY,
            &headers,
            sale(GOOD_CARD).to_string(),
        )
        .await;
    assert_eq!(seen.ok().str("/status"), "captured");
}

#[tokio::test]
async fn methods_are_a_bare_array_and_capabilities_the_whole_matrix() {
    let world = World::new().await;
    let methods = world.get("/payment_methods").await.ok();
    let methods = methods.body.as_array().unwrap();
    assert!(
        methods
            .iter()
            .any(|m| m["type_slug"] == "konbini" && m["currency"] == "JPY" && m["subtypes"].is_array())
    );
    let matrix = world.get("/capabilities").await.ok();
    let card = matrix.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|line| line["method"] == "credit_card")
        .unwrap();
    assert_eq!(
        (&card["provider"], &card["offered"]),
        (&json!("komoju"), &json!(true))
    );
    assert_eq!(card["operations"]["partial_capture"], true);
}

#[tokio::test]
async fn discrepancies_are_listed() {
    let world = World::new().await;
    assert_eq!(world.get("/discrepancies").await.ok().int("/total"), 0);
    world.fault(json!({"operation": "payments.create", "kind": "wrong_amount", "remaining": 1}));
    world.post("/payments", sale(GOOD_CARD)).await;
    let list = world.get("/discrepancies").await.ok();
    assert_eq!(
        (list.int("/total"), list.str("/data/0/kind")),
        (1, "amount_mismatch")
    );
}
