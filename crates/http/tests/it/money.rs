//! Money that does not go as it was asked to: lost replies, late facts, other people's payments.
use crate::world::{GOOD_CARD, World, sale};
use serde_json::{Value, json};

fn card(amount: i64, capture: bool) -> Value {
    json!({"amount": amount, "currency": "JPY", "tax": 0, "capture": capture,
           "payment_details": {"type": "credit_card", "number": GOOD_CARD, "month": 12, "year": 2039}})
}

#[tokio::test]
async fn events_and_answers_are_the_same_bytes_and_show_no_operation_that_is_over() {
    let world = World::new().await;
    let answer = world.post_under("k", "/payments", card(1_000, true)).await.ok();
    let again = world.post_under("k", "/payments", card(1_000, true)).await.ok();
    assert_eq!(answer.text, again.text);
    let list = world.get("/events").await.ok();
    let event = list.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|e| e["type"] == "payment.captured")
        .unwrap()
        .clone();
    assert_eq!(event["data"], answer.body);
    assert!(event["data"].get("operation").is_none());
}

#[tokio::test]
async fn a_refund_whose_reply_is_lost_says_so_and_is_settled_by_inquiry_once() {
    let world = World::new().await;
    let id = world.made(card(3_000, true)).await;
    world.fault(json!({"operation": "payments.refund", "kind": "lose_after", "remaining": 1}));
    let unknown = world
        .post_under("r", &format!("/payments/{id}/refund"), json!({"amount": 1_000}))
        .await;
    assert_eq!(
        (unknown.status, unknown.str("/operation")),
        (202, "refund_pending")
    );
    assert_eq!(unknown.int("/amount_refunded"), 0, "nothing is claimed");
    world.act(&id, "refund", json!({})).await.refused(409, "conflict");
    world.advance(3_600).await;
    let now = world.get(&format!("/payments/{id}")).await.ok();
    assert_eq!(
        (now.str("/status"), now.int("/amount_refunded")),
        ("captured", 1_000)
    );
    assert!(now.body.get("operation").is_none());
    assert_eq!(world.books(&id).await, [3_000, 3_000, 1_000, 0]);
    let same = world
        .post_under("r", &format!("/payments/{id}/refund"), json!({"amount": 1_000}))
        .await;
    assert_eq!(same.text, unknown.text, "same key, same answer, for ever");
    world.act(&id, "refund", json!({})).await.ok();
    assert_eq!(world.books(&id).await, [3_000, 3_000, 3_000, 0]);
}

#[tokio::test]
async fn a_capture_that_never_arrived_frees_the_payment_for_another_try() {
    let world = World::new().await;
    let id = world.made(card(3_000, false)).await;
    world.fault(json!({"operation": "payments.capture", "kind": "lose_before", "remaining": 1}));
    let unknown = world.act(&id, "capture", json!({})).await;
    assert_eq!((unknown.status, unknown.str("/status")), (202, "authorized"));
    world.advance(120).await;
    world
        .act(&id, "capture", json!({}))
        .await
        .refused(409, "conflict");
    world.advance(3_600).await;
    world.act(&id, "capture", json!({})).await.ok();
    assert_eq!(world.books(&id).await, [3_000, 3_000, 0, 0]);
}

#[tokio::test]
async fn an_attempt_that_grows_old_while_its_inquiry_is_answered_is_asked_about_once_more() {
    let world = World::new().await;
    let id = world.made(card(3_000, false)).await;
    world.fault(json!({"operation": "payments.capture", "kind": "lose_before", "remaining": 1}));
    world.act(&id, "capture", json!({})).await;
    // The question is asked while the capture may still be on its way; the answer is read eleven minutes later.
    world.gate.close();
    let shop = world.shop().await;
    let asking = world.engine.refresh(&shop, &id);
    let sleeping = async {
        world.gate.somebody_waits().await;
        world.clock.sleep(660);
        world.gate.open();
    };
    let (asked, ()) = tokio::join!(asking, sleeping);
    let payment = asked.expect("asked");
    assert!(
        payment.body.state.in_flight().is_some(),
        "an old view says nothing about now"
    );
    let payment = world.engine.refresh(&shop, &id).await.expect("asked again");
    assert!(payment.body.state.in_flight().is_none(), "now it never arrived");
}

#[tokio::test]
async fn an_operation_that_a_crash_kept_from_its_provider_is_no_success_under_its_key() {
    let world = World::new().await;
    for (capture, operation) in [(false, "capture"), (false, "cancel"), (true, "refund")] {
        let id = world.made(card(3_000, capture)).await;
        let path = format!("/payments/{id}/{operation}");
        let before = world.status(&id).await;
        world.gate.break_once();
        world
            .post_under(operation, &path, json!({}))
            .await
            .refused(500, "internal_server_error");
        world.advance(3_600).await;
        world
            .post_under(operation, &path, json!({}))
            .await
            .refused(504, "gateway_timeout");
        assert_eq!(world.status(&id).await, before, "{operation}");
        let again = format!("{operation} again");
        assert_ne!(
            world
                .post_under(&again, &path, json!({}))
                .await
                .ok()
                .str("/status"),
            before
        );
    }
}

#[tokio::test]
async fn a_lost_refund_of_an_old_payment_is_not_taken_for_an_old_doubt() {
    let world = World::new().await;
    let id = world.made(card(3_000, true)).await;
    world.advance(40 * 86_400).await;
    world.fault(json!({"operation": "payments.refund", "kind": "lose_before", "remaining": 1}));
    world.act(&id, "refund", json!({})).await;
    world.advance(3_600).await;
    assert_eq!(world.open_discrepancies().await, Vec::<String>::new());
    world.act(&id, "refund", json!({})).await.ok();
}

#[tokio::test]
async fn a_payment_that_carries_another_order_number_at_the_provider_is_not_believed() {
    let world = World::new().await;
    let wallet = json!({"amount": 1_000, "currency": "JPY", "tax": 0, "return_url": "https://shop.example/",
                        "payment_details": {"type": "paypay"}});
    let id = world.made(wallet).await;
    world
        .edit(
            &id,
            json!({"status": "captured", "external_order_num": "0000000000000000000000000_1", "event": "payment.captured"}),
        )
        .await;
    world.advance(600).await;
    assert_eq!(
        world.status(&id).await,
        "pending",
        "somebody else's money pays nothing here"
    );
    let kinds = world.open_discrepancies().await;
    assert!(kinds.contains(&"other_payment".to_owned()), "{kinds:?}");
}

#[tokio::test]
async fn an_authorization_that_turns_up_after_the_end_is_given_up_at_the_provider_and_shown_to_a_person() {
    let world = World::new().await;
    let id = world.made(card(2_000, false)).await;
    world.act(&id, "cancel", json!({})).await.ok();
    let late = json!({"status": "authorized", "event": "payment.authorized"});
    world.edit(&id, late).await;
    world.advance(600).await;
    assert_eq!(
        world.status(&id).await,
        "cancelled",
        "a late fact never moves a payment backwards"
    );
    assert_eq!(world.there(&id).await["status"], "cancelled");
    assert_eq!(world.open_discrepancies().await, ["late_authorization"]);
}

#[tokio::test]
async fn a_lost_refund_is_not_settled_by_somebody_elses_payment() {
    let world = World::new().await;
    let id = world.made(card(3_000, true)).await;
    world.fault(json!({"operation": "payments.refund", "kind": "lose_after", "remaining": 1}));
    let unknown = world.act(&id, "refund", json!({"amount": 1_000})).await;
    assert_eq!(unknown.status, 202);
    world
        .edit(&id, json!({"external_order_num": "0000000000000000000000000_1"}))
        .await;
    world.advance(3_600).await;
    let now = world.get(&format!("/payments/{id}")).await.ok();
    assert_eq!(
        (now.str("/operation"), now.int("/amount_refunded")),
        ("refund_pending", 0)
    );
    let open = world.get("/discrepancies").await.ok();
    assert_eq!(open.str("/data/0/kind"), "other_payment");
    world
        .edit(&id, json!({"external_order_num": format!("{id}_1")}))
        .await;
    world.advance(86_400).await;
    let now = world.get(&format!("/payments/{id}")).await.ok();
    assert_eq!(now.int("/amount_refunded"), 1_000, "{}", now.text);
}

#[tokio::test]
async fn an_answer_says_how_long_a_provider_was_waited_for() {
    let world = World::new().await;
    let made = world.post("/payments", sale(GOOD_CARD)).await;
    let read = world
        .get(&format!("/payments/{}", made.body["id"].as_str().expect("an id")))
        .await;
    let timing = |seen: &crate::world::Seen| seen.headers["server-timing"].to_str().expect("text").to_owned();
    assert!(
        !timing(&made).ends_with("provider;dur=0.000"),
        "{}",
        timing(&made)
    );
    assert!(timing(&read).ends_with("provider;dur=0.000"), "{}", timing(&read));
}
