//! Webhook endpoints and what is delivered to them.
use crate::world::{GOOD_CARD, World, authorization, sale};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

fn got(world: &World) -> Vec<(String, Value)> {
    let got = world.endpoints.got.lock().unwrap();
    got.iter()
        .map(|request| {
            (
                request.url.clone(),
                serde_json::from_slice(&request.body).unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn an_endpoint_is_made_with_a_ping_changed_and_deleted() {
    let world = World::new().await;
    let asked = json!({"url": "https://shop.example/hook", "events": ["payment.captured"], "secret_token": "whsec_mine"});
    let made = world.post("/webhook_endpoints", asked).await.ok();
    assert_eq!(made.str("/secret_token"), "whsec_mine");
    let id = made.str("/id").to_owned();
    world.advance(1).await;
    assert_eq!(got(&world)[0].1["type"], "ping");
    let list = world.get("/webhook_endpoints").await.ok();
    assert_eq!(list.int("/total"), 1);
    assert!(!list.text.contains("whsec"));

    let path = format!("/webhook_endpoints/{id}");
    let changed = world
        .json(
            "PATCH",
            &path,
            json!({"url": "https://shop.example/new", "events": []}),
            &[],
        )
        .await
        .ok();
    assert_eq!(
        (changed.str("/url"), &changed.body["active"]),
        ("https://shop.example/new", &json!(true))
    );
    world.post("/payments", sale(GOOD_CARD)).await.ok();
    world.advance(1).await;
    assert_eq!(got(&world).last().unwrap().0, "https://shop.example/new");

    let off = world
        .json("PATCH", &path, json!({"active": false}), &[])
        .await
        .ok();
    assert_eq!(off.body["active"], false);
    let before = got(&world).len();
    world.post("/payments", sale(GOOD_CARD)).await.ok();
    world.advance(1).await;
    assert_eq!(got(&world).len(), before);
    world
        .json("PATCH", &path, json!({"url": "nonsense"}), &[])
        .await
        .refused(422, "invalid_parameter");
    world
        .json("PATCH", &path, json!({"events": ["x"]}), &[])
        .await
        .refused(422, "invalid_parameter");

    world.json("DELETE", &path, json!({}), &[]).await.ok();
    assert_eq!(world.get("/webhook_endpoints").await.ok().int("/total"), 0);
    world
        .json("DELETE", &path, json!({}), &[])
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn what_could_not_be_delivered_is_listed_and_sent_again_on_request() {
    let world = World::new().await;
    let endpoint = world
        .post("/webhook_endpoints", json!({"url": "https://shop.example/hook"}))
        .await
        .ok();
    world.advance(1).await;
    let begun = world.clock_text();
    world.endpoints.status.store(500, Ordering::SeqCst);
    let payment = world.post("/payments", sale(GOOD_CARD)).await.ok();
    world.advance(1).await;
    let waiting = world.get("/webhook_deliveries?status=pending").await.ok();
    assert_eq!(
        (
            waiting.int("/data/0/last_status"),
            waiting.str("/data/0/endpoint_id")
        ),
        (500, endpoint.str("/id"))
    );
    world.advance(7 * 86_400).await;
    let dead = world.get("/webhook_deliveries?status=dead").await.ok();
    let event = dead.str("/data/0/event_id").to_owned();
    assert_eq!(
        world.get("/webhook_deliveries").await.ok().body["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );

    world.endpoints.status.store(200, Ordering::SeqCst);
    world
        .post("/webhook_deliveries/replay", json!({"start_time": begun}))
        .await
        .ok();
    world.advance(1).await;
    let done = world
        .get("/webhook_deliveries?status=delivered&per_page=1")
        .await
        .ok();
    assert_eq!(done.str("/data/0/event_id"), event);
    let (_, body) = got(&world).last().cloned().unwrap();
    assert_eq!(body["data"]["id"], payment.body["id"]);
    assert_eq!(
        world.get(&format!("/events/{event}")).await.ok().body,
        body,
        "the same JSON as in the API"
    );

    let before = got(&world).len();
    let path = format!("/webhook_deliveries/{event}/{}/replay", endpoint.str("/id"));
    assert_eq!(world.post(&path, json!({})).await.ok().int("/replayed"), 1);
    world.advance(1).await;
    assert_eq!(got(&world).len(), before + 1);
}

impl World {
    fn clock_text(&self) -> String {
        kessai_core::Clock::now(&*self.clock).to_string()
    }
}

#[tokio::test]
async fn an_event_called_early_brings_those_that_waited_behind_it() {
    let world = World::new().await;
    let endpoint = world
        .post("/webhook_endpoints", json!({"url": "https://shop.example/hook"}))
        .await
        .ok();
    world.advance(1).await;
    world.endpoints.status.store(500, Ordering::SeqCst);
    let payment = world.made(authorization()).await;
    // Tries after one, five and thirty minutes fail; the next comes in two hours.
    world.advance(2_400).await;
    world.act(&payment, "capture", json!({})).await.ok();
    world.act(&payment, "refund", json!({})).await.ok();
    world.advance(60).await;
    world.endpoints.status.store(200, Ordering::SeqCst);
    let before = got(&world).len();
    let now_us = kessai_core::Clock::now(&*world.clock).as_microsecond();
    let lanes = kessai_store::wait_as_one(world.engine.store().as_ref(), now_us, 10).await;
    assert_eq!(lanes.unwrap(), 1, "as the sweep does");
    let waiting = world.get("/webhook_deliveries?status=pending").await.ok();
    let data = waiting.body["data"].as_array().unwrap();
    let first = data.last().unwrap()["event_id"].as_str().unwrap();

    let path = format!("/webhook_deliveries/{first}/{}/replay", endpoint.str("/id"));
    world.post(&path, json!({})).await.ok();
    world.advance(1).await;
    let kinds: Vec<String> = got(&world)[before..]
        .iter()
        .map(|(_, body)| body["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds[..2], ["payment.authorized", "payment.captured"]);
    assert_eq!(kinds.len(), data.len(), "{kinds:?}");
}
