//! Lists: pages, filters, order.
use crate::world::{GOOD_CARD, World, authorization, checkout, konbini, sale};
use serde_json::json;

#[tokio::test]
async fn pages_cover_a_list_newest_first_without_gaps() {
    let world = World::new().await;
    let mut made = Vec::new();
    for n in 0..23 {
        let mut asked = sale(GOOD_CARD);
        asked["external_order_num"] = json!(format!("N-{n}"));
        made.push(world.post("/payments", asked).await.ok().str("/id").to_owned());
        world.advance(1).await;
    }
    made.reverse();
    let mut listed = Vec::new();
    for page in 1..=3 {
        let list = world.get(&format!("/payments?page={page}")).await.ok();
        assert_eq!(
            (list.int("/total"), list.int("/per_page"), list.int("/last_page")),
            (23, 10, 3)
        );
        listed.extend(
            list.body["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|p| p["id"].as_str().unwrap().to_owned()),
        );
    }
    assert_eq!(listed, made);
    let beyond = world.get("/payments?page=4").await.ok();
    assert_eq!(
        (
            beyond.int("/total"),
            beyond.body["data"].as_array().unwrap().len()
        ),
        (23, 0)
    );
    assert_eq!(
        world.get("/payments?per_page=1000").await.ok().int("/per_page"),
        100
    );
    assert_eq!(
        world
            .get("/payments?external_order_num=N-7")
            .await
            .ok()
            .int("/total"),
        1
    );
    assert_eq!(world.get("/events?per_page=5").await.ok().int("/last_page"), 5);
    let event = world
        .get("/events?per_page=1")
        .await
        .ok()
        .str("/data/0/id")
        .to_owned();
    assert_eq!(
        world.get(&format!("/events/{event}")).await.ok().str("/type"),
        "payment.captured"
    );
}

#[tokio::test]
async fn an_empty_list_has_no_last_page() {
    let world = World::new().await;
    for path in ["/payments", "/customers", "/events"] {
        let list = world.get(path).await.ok();
        assert_eq!(
            list.text, r#"{"resource":"list","total":0,"page":1,"per_page":10,"last_page":0,"data":[]}"#,
            "{path}"
        );
    }
}

#[tokio::test]
async fn payments_are_filtered_by_status_currency_and_time() {
    let world = World::new().await;
    world.post("/payments", sale(GOOD_CARD)).await.ok();
    world.post("/payments", authorization()).await.ok();
    world.advance(3_600).await;
    let mut dollars = sale(GOOD_CARD);
    dollars["currency"] = json!("USD");
    world.post("/payments", dollars).await.ok();
    for (query, total) in [
        ("", 3),
        ("?status=captured", 2),
        ("?status=captured,authorized", 3),
        ("?status=refunded", 0),
        ("?currency=USD", 1),
        ("?start_time=2026-01-15T03:30:00Z", 1),
        ("?start_time=2026-01-15T12:30:00%2B09:00", 1),
        ("?end_time=2026-01-15T03:30:00Z", 2),
        ("?start_time=2027-01-01", 0),
        (
            "?start_time=2026-01-15T04:00:00Z&end_time=2026-01-15T03:00:00Z",
            0,
        ),
        ("?unknown=filter", 3),
    ] {
        assert_eq!(
            world.get(&format!("/payments{query}")).await.ok().int("/total"),
            total,
            "{query}"
        );
    }
}

#[tokio::test]
async fn another_shops_things_are_not_found_and_not_listed() {
    let world = World::new().await;
    let payment = world
        .post("/payments", sale(GOOD_CARD))
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
    let customer = world
        .post("/customers", json!({}))
        .await
        .ok()
        .str("/id")
        .to_owned();
    let event = world.get("/events").await.ok().str("/data/0/id").to_owned();
    let token = world
        .post("/tokens", json!({"payment_details": konbini()}))
        .await
        .ok()
        .str("/id")
        .to_owned();
    for (method, path) in [
        ("GET", format!("/payments/{payment}")),
        ("PATCH", format!("/payments/{payment}")),
        ("POST", format!("/payments/{payment}/capture")),
        ("POST", format!("/payments/{payment}/cancel")),
        ("POST", format!("/payments/{payment}/refund")),
        ("GET", format!("/payments/{payment}/timeline")),
        ("GET", format!("/sessions/{session}")),
        ("POST", format!("/sessions/{session}/cancel")),
        ("POST", format!("/sessions/{session}/pay")),
        ("GET", format!("/customers/{customer}")),
        ("PATCH", format!("/customers/{customer}")),
        ("DELETE", format!("/customers/{customer}")),
        ("GET", format!("/events/{event}")),
    ] {
        let seen = world
            .call(
                method,
                &format!("/api/v1{path}"),
                crate::world::OTHER_KEY,
                &[],
                "{}",
            )
            .await;
        assert_eq!(
            (seen.status, seen.code()),
            (404, "not_found"),
            "{method} {path}: {}",
            seen.text
        );
    }
    let asked = json!({"amount": 100, "currency": "JPY", "payment_details": token}).to_string();
    let spent = world
        .call("POST", "/api/v1/payments", crate::world::OTHER_KEY, &[], asked)
        .await;
    assert_eq!(spent.code(), "invalid_token", "{}", spent.text);
    let asked = json!({"amount": 100, "currency": "JPY", "customer": customer}).to_string();
    let charged = world
        .call("POST", "/api/v1/payments", crate::world::OTHER_KEY, &[], asked)
        .await;
    assert_eq!(charged.status, 404);
    for path in ["/payments", "/customers"] {
        let listed = world
            .call("GET", &format!("/api/v1{path}"), crate::world::OTHER_KEY, &[], "")
            .await
            .ok();
        let theirs = listed.body["data"].as_array().unwrap();
        assert!(
            theirs
                .iter()
                .all(|thing| thing["id"] != payment.as_str() && thing["id"] != customer.as_str())
        );
    }
}
