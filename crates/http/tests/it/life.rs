//! The happy life of sessions and payments, and every test card.
use crate::world::{GOOD_CARD, World, authorization, card, checkout, konbini, sale};
use serde_json::json;

#[tokio::test]
async fn a_session_paid_by_card_is_captured_told_and_refunded() {
    let world = World::new().await;
    world
        .post("/webhook_endpoints", json!({"url": "https://shop.example/hook"}))
        .await
        .ok();
    let mut asked = checkout();
    asked["metadata"] = json!({"order": "1"});
    asked["payment_data"] = json!({"external_order_num": "ORDER-1", "name": "山田"});
    let session = world.post("/sessions", asked).await.ok();
    let id = session.str("/id").to_owned();
    assert_eq!(session.str("/status"), "pending");
    assert_eq!(
        session.str("/session_url"),
        format!("http://hub.test/sessions/{id}")
    );
    assert_eq!(session.str("/payment_data/external_order_num"), "ORDER-1");
    assert!(session.body["payment"].is_null());

    let paid = world
        .post(
            &format!("/sessions/{id}/pay"),
            json!({"payment_details": card(GOOD_CARD)}),
        )
        .await
        .ok();
    assert_eq!(paid.str("/status"), "completed");
    assert_eq!(
        paid.str("/redirect_url"),
        format!("https://shop.example/back?o=1&session_id={id}")
    );
    assert_eq!(paid.str("/payment/status"), "captured");
    assert_eq!(
        (
            paid.int("/payment/amount"),
            paid.int("/payment/tax"),
            paid.int("/payment/total")
        ),
        (1200, 0, 1200)
    );
    assert_eq!(paid.str("/payment/payment_details/last_four_digits"), "1111");
    assert_eq!(paid.str("/payment/metadata/order"), "1");
    assert!(!paid.text.contains(GOOD_CARD));
    let payment = paid.str("/payment/id").to_owned();

    let shown = world.get(&format!("/sessions/{id}")).await.ok();
    assert_eq!(
        (shown.str("/status"), shown.str("/payment/id")),
        ("completed", payment.as_str())
    );

    let part = world
        .post(
            &format!("/payments/{payment}/refund"),
            json!({"amount": 200, "description": "scratch"}),
        )
        .await
        .ok();
    assert_eq!(
        (part.str("/status"), part.int("/amount_refunded")),
        ("captured", 200)
    );
    let whole = world
        .post(&format!("/payments/{payment}/refund"), json!({}))
        .await
        .ok();
    assert_eq!(
        (whole.str("/status"), whole.int("/amount_refunded")),
        ("refunded", 1200)
    );
    assert_eq!(whole.str("/refunds/0/description"), "scratch");

    world.advance(1).await;
    let told: Vec<String> = {
        let got = world.endpoints.got.lock().unwrap();
        got.iter()
            .map(|request| {
                serde_json::from_slice::<serde_json::Value>(&request.body).unwrap()["type"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    };
    let expected = [
        "ping",
        "payment.captured",
        "payment.refund.created",
        "payment.refund.created",
        "payment.refunded",
    ];
    assert_eq!(told, expected);
    assert_eq!(world.books(&payment).await, [1200, 1200, 1200, 0]);

    let story = world.get(&format!("/payments/{payment}/timeline")).await.ok();
    assert!(story.body["data"].as_array().unwrap().len() > 8);
    assert!(!story.text.contains(GOOD_CARD) && !story.text.contains("sk_test"));
}

#[tokio::test]
async fn a_slip_is_paid_at_the_counter_and_goes_back_by_bank() {
    let world = World::new().await;
    let session = world.post("/sessions", checkout()).await.ok();
    let path = format!("/sessions/{}/pay", session.str("/id"));
    let paid = world
        .post(&path, json!({"payment_details": konbini()}))
        .await
        .ok();
    assert_eq!(
        (paid.str("/status"), paid.str("/payment/status")),
        ("completed", "authorized")
    );
    assert_eq!(paid.int("/payment/payment_method_fee"), 190);
    assert_eq!(paid.int("/payment/total"), 1390);
    assert!(!paid.str("/payment/payment_details/receipt").is_empty());
    let payment = paid.str("/payment/id").to_owned();
    assert_eq!(
        paid.str("/redirect_url"),
        format!("http://hub.test/instructions/{payment}")
    );

    world.shopper(&payment, "pay").await;
    world.advance(1).await;
    assert_eq!(world.status(&payment).await, "captured");
    assert_eq!(world.events().await, ["payment.authorized", "payment.captured"]);

    let refund = world
        .post(&format!("/payments/{payment}/refund"), json!({}))
        .await;
    refund.refused(422, "not_refundable");
    let bank = json!({"customer_name": "ﾔﾏﾀﾞ ﾀﾛｳ", "bank_name": "みずほ", "bank_code": "0001", "branch_number": "001",
                      "account_type": "normal", "account_number": "1234567", "include_payment_method_fee": "true"});
    let asked = world
        .post(&format!("/payments/{payment}/refund_request"), bank)
        .await
        .ok();
    assert_eq!(asked.str("/refund_requests/0/status"), "pending");
    assert_eq!(asked.str("/refund_requests/0/account_number"), "****567");
}

#[tokio::test]
async fn a_wallet_payment_waits_for_its_shopper() {
    let world = World::new().await;
    for (act, status) in [
        ("approve", "captured"),
        ("abort", "cancelled"),
        ("fail", "failed"),
    ] {
        let session = world.post("/sessions", checkout()).await.ok();
        let id = session.str("/id").to_owned();
        let paid = world
            .post(
                &format!("/sessions/{id}/pay"),
                json!({"payment_details": {"type": "paypay"}}),
            )
            .await
            .ok();
        assert_eq!(
            (paid.str("/status"), paid.str("/payment/status")),
            ("pending", "pending")
        );
        assert!(paid.str("/redirect_url").starts_with("http://sandbox.test/"));
        let payment = paid.str("/payment/id").to_owned();
        world.shopper(&payment, act).await;
        world.advance(1).await;
        assert_eq!(world.status(&payment).await, status);
        let session = world.get(&format!("/sessions/{id}")).await.ok();
        assert_eq!(
            session.str("/status"),
            if act == "approve" { "completed" } else { "pending" }
        );
    }
}

#[tokio::test]
async fn an_authorized_card_is_captured_in_part_once() {
    let world = World::new().await;
    let made = world.post("/payments", authorization()).await.ok();
    assert_eq!(made.str("/status"), "authorized");
    let path = format!("/payments/{}", made.str("/id"));
    world
        .post(&format!("{path}/refund"), json!({}))
        .await
        .refused(422, "not_refundable");
    world
        .post(&format!("{path}/capture"), json!({"amount": 1001}))
        .await
        .refused(422, "invalid_parameter");
    let taken = world
        .post(&format!("{path}/capture"), json!({"amount": "600"}))
        .await
        .ok();
    assert_eq!(
        (taken.str("/status"), taken.int("/amount"), taken.int("/total")),
        ("captured", 600, 600)
    );
    assert_eq!(taken.int("/amount_refunded"), 0);
    world
        .post(&format!("{path}/capture"), json!({}))
        .await
        .refused(422, "not_capturable");
    world
        .post(&format!("{path}/cancel"), json!({}))
        .await
        .refused(422, "not_cancellable");
    world
        .post(&format!("{path}/refund"), json!({"amount": 601}))
        .await
        .refused(422, "invalid_parameter");
    assert_eq!(world.books(made.str("/id")).await, [1000, 600, 0, 400]);
    assert_eq!(world.events().await, ["payment.authorized", "payment.captured"]);
}

#[tokio::test]
async fn an_authorized_card_can_be_given_up() {
    let world = World::new().await;
    let made = world.post("/payments", authorization()).await.ok();
    let cancelled = world
        .post(&format!("/payments/{}/cancel", made.str("/id")), json!({}))
        .await
        .ok();
    assert_eq!(cancelled.str("/status"), "cancelled");
    world
        .post(&format!("/payments/{}/capture", made.str("/id")), json!({}))
        .await
        .refused(422, "not_capturable");
}

#[tokio::test]
async fn tax_is_added_to_direct_payments_unless_it_is_named() {
    let world = World::new().await;
    for (tax, expected) in [
        (json!(null), 100),
        (json!("auto"), 100),
        (json!(0), 0),
        (json!("80.5"), 81),
    ] {
        let mut asked = sale(GOOD_CARD);
        asked["tax"] = tax;
        let made = world.post("/payments", asked).await.ok();
        assert_eq!(
            (made.int("/tax"), made.int("/total")),
            (expected, 1000 + expected)
        );
    }
}

#[tokio::test]
async fn every_test_card_does_what_the_reference_says() {
    let world = World::new().await;
    for good in [
        "4111111111111111",
        "4242424242424242",
        "5555555555554444",
        "3530111333300000",
        "378282246310005",
        "30569309025904",
    ] {
        assert_eq!(
            world.post("/payments", sale(good)).await.ok().str("/status"),
            "captured",
            "{good}"
        );
    }
    for (number, status, code) in [
        ("4123111111111000", 502, "insufficient_funds"),
        ("4123111111111018", 502, "exceeds_limit"),
        ("4123111111111034", 502, "bad_verification_value"),
        ("4123111111111042", 502, "card_expired"),
        ("4123111111111059", 502, "card_declined"),
        ("4123111111111067", 502, "invalid_number"),
        ("4123111111111075", 502, "other_invalid"),
        ("4123111111111083", 422, "fraudulent"),
    ] {
        world.post("/payments", sale(number)).await.refused(status, code);
        let session = world.post("/sessions", checkout()).await.ok();
        let path = format!("/sessions/{}/pay", session.str("/id"));
        let refused = world.post(&path, json!({"payment_details": card(number)})).await;
        assert_eq!(refused.refused(status, code).str("/status"), "error");
        let again = world.get(&format!("/sessions/{}", session.str("/id"))).await.ok();
        assert_eq!(
            (again.str("/status"), &again.body["payment"]),
            ("pending", &json!(null)),
            "payable again"
        );
        let paid = world
            .post(&path, json!({"payment_details": card(GOOD_CARD)}))
            .await
            .ok();
        assert_eq!(paid.str("/payment/status"), "captured");
    }
    let failed = world.get("/payments?status=failed").await.ok();
    assert_eq!(failed.int("/total"), 16);
}

#[tokio::test]
async fn a_card_that_wants_authentication_sends_the_shopper_there() {
    let world = World::new().await;
    let session = world.post("/sessions", checkout()).await.ok();
    let path = format!("/sessions/{}/pay", session.str("/id"));
    let paid = world
        .post(&path, json!({"payment_details": card("4100000000005000")}))
        .await
        .ok();
    assert_eq!(
        (paid.str("/status"), paid.str("/payment/status")),
        ("pending", "pending")
    );
    assert!(paid.str("/redirect_url").contains("three_d_secure"));
    world.shopper(paid.str("/payment/id"), "approve").await;
    world.advance(1).await;
    assert_eq!(world.status(paid.str("/payment/id")).await, "captured");
}

#[tokio::test]
async fn tokens_stand_for_details_once() {
    let world = World::new().await;
    for details in [card(GOOD_CARD), konbini()] {
        let token = world
            .post("/tokens", json!({"payment_details": details}))
            .await
            .ok();
        assert!(token.str("/id").starts_with("tok_"));
        assert!(!token.text.contains(GOOD_CARD));
        let asked = json!({"amount": 100, "currency": "JPY", "payment_details": token.str("/id")});
        world.post("/payments", asked.clone()).await.ok();
        world.post("/payments", asked).await.refused(422, "invalid_token");
    }
    let late = world
        .post("/tokens", json!({"payment_details": card(GOOD_CARD)}))
        .await
        .ok();
    world.advance(3_601).await;
    let asked = json!({"amount": 100, "currency": "JPY", "payment_details": late.str("/id")});
    world.post("/payments", asked).await.refused(422, "invalid_token");
}

#[tokio::test]
async fn a_secure_token_is_charged_once_it_is_verified() {
    let world = World::new().await;
    let asked = json!({"amount": 1000, "currency": "JPY", "return_url": "https://shop.example/3ds", "payment_details": card("4100000000000100")});
    let token = world.post("/secure_tokens", asked).await.ok();
    assert_eq!(token.str("/id"), token.str("/secure_token"));
    let shown = world
        .get(&format!("/secure_tokens/{}", token.str("/id")))
        .await
        .ok();
    let verified = matches!(shown.str("/verification_status"), "OK" | "SKIPPED");
    let paid = world
        .post(
            "/payments",
            json!({"amount": 1000, "currency": "JPY", "tax": 0, "payment_details": token.str("/id")}),
        )
        .await;
    if verified {
        paid.ok()
    } else {
        paid.refused(422, "invalid_token").clone()
    };
}

#[tokio::test]
async fn a_customer_keeps_a_card_that_can_be_charged_changed_and_erased() {
    let world = World::new().await;
    let asked = json!({"email": "a@example.com", "payment_details": card(GOOD_CARD), "metadata": {"n": "1"}});
    let customer = world.post("/customers", asked).await.ok();
    let id = customer.str("/id").to_owned();
    assert_eq!(customer.str("/source/last_four_digits"), "1111");
    let paid = world
        .post(
            "/payments",
            json!({"amount": 500, "currency": "JPY", "tax": 0, "customer": id}),
        )
        .await
        .ok();
    assert_eq!(
        (paid.str("/status"), paid.str("/customer")),
        ("captured", id.as_str())
    );
    let path = format!("/customers/{id}");
    let changed = world
        .json(
            "PATCH",
            &path,
            json!({"payment_details": card("5555555555554444"), "email": null}),
            &[],
        )
        .await
        .ok();
    assert_eq!(changed.str("/source/last_four_digits"), "4444");
    assert!(changed.body["email"].is_null());
    assert_eq!(changed.str("/metadata/n"), "1");
    assert_eq!(world.get("/customers").await.ok().int("/total"), 1);
    let erased = world.json("DELETE", &path, json!({}), &[]).await.ok();
    assert!(erased.body["source"].is_null());
    world.get(&path).await.refused(404, "not_found");
    world
        .post(
            "/payments",
            json!({"amount": 500, "currency": "JPY", "customer": id}),
        )
        .await
        .refused(404, "not_found");
    assert_eq!(world.get("/customers").await.ok().int("/total"), 0);
    assert_eq!(
        world.events().await,
        [
            "customer.created",
            "payment.captured",
            "customer.updated",
            "customer.deleted"
        ]
    );
}

#[tokio::test]
async fn a_session_can_store_a_card_with_and_without_a_payment() {
    let world = World::new().await;
    let asked = json!({"mode": "customer", "amount": 0, "currency": "JPY", "email": "a@example.com"});
    let session = world.post("/sessions", asked).await.ok();
    let path = format!("/sessions/{}/pay", session.str("/id"));
    let stored = world
        .post(&path, json!({"payment_details": card(GOOD_CARD)}))
        .await
        .ok();
    assert_eq!(stored.str("/status"), "completed");
    let customer = stored.str("/customer/uuid").to_owned();
    world.get(&format!("/customers/{customer}")).await.ok();

    let mut asked = checkout();
    asked["mode"] = json!("customer_payment");
    let session = world.post("/sessions", asked).await.ok();
    let path = format!("/sessions/{}/pay", session.str("/id"));
    let paid = world
        .post(&path, json!({"payment_details": card(GOOD_CARD)}))
        .await
        .ok();
    assert_eq!(paid.str("/payment/status"), "captured");
}

#[tokio::test]
async fn a_cancelled_session_gives_up_its_payment_and_cannot_be_paid() {
    let world = World::new().await;
    let session = world.post("/sessions", checkout()).await.ok();
    let path = format!("/sessions/{}", session.str("/id"));
    let paid = world
        .post(
            &format!("{path}/pay"),
            json!({"payment_details": {"type": "paypay"}}),
        )
        .await
        .ok();
    let cancelled = world.post(&format!("{path}/cancel"), json!({})).await.ok();
    assert_eq!(
        (cancelled.str("/status"), cancelled.str("/payment/status")),
        ("cancelled", "cancelled")
    );
    world
        .post(&format!("{path}/cancel"), json!({}))
        .await
        .refused(422, "unprocessable_entity");
    let late = world
        .post(
            &format!("{path}/pay"),
            json!({"payment_details": card(GOOD_CARD)}),
        )
        .await;
    assert_eq!(late.refused(422, "unprocessable_entity").str("/status"), "error");
    assert_eq!(world.status(paid.str("/payment/id")).await, "cancelled");
}

#[tokio::test]
async fn an_expired_session_says_so_and_cannot_be_paid() {
    let world = World::new().await;
    let mut asked = checkout();
    asked["expires_in_seconds"] = json!(60);
    let session = world.post("/sessions", asked).await.ok();
    world.advance(60).await;
    let path = format!("/sessions/{}", session.str("/id"));
    let shown = world.get(&path).await.ok();
    assert_eq!(
        (shown.str("/status"), &shown.body["expired"]),
        ("pending", &json!(true))
    );
    let late = world
        .post(
            &format!("{path}/pay"),
            json!({"payment_details": card(GOOD_CARD)}),
        )
        .await;
    late.refused(422, "unprocessable_entity");
}

#[tokio::test]
async fn a_slip_nobody_pays_expires() {
    let world = World::new().await;
    let asked = json!({"amount": 1000, "currency": "JPY", "payment_details": konbini()});
    let made = world.post("/payments", asked).await.ok();
    assert_eq!(made.str("/status"), "authorized");
    world.advance(5 * 86_400).await;
    assert_eq!(world.status(made.str("/id")).await, "expired");
    assert_eq!(world.events().await, ["payment.authorized", "payment.expired"]);
}

#[tokio::test]
async fn a_lost_reply_is_answered_202_and_settled_by_asking() {
    let world = World::new().await;
    world.fault(json!({"operation": "payments.create", "kind": "lose_after", "remaining": 1}));
    let made = world.post("/payments", sale(GOOD_CARD)).await;
    assert_eq!(
        (made.status, made.str("/operation")),
        (202, "authorize_pending"),
        "{}",
        made.text
    );
    world.advance(120).await;
    let shown = world.get(&format!("/payments/{}", made.str("/id"))).await.ok();
    assert_eq!(shown.str("/status"), "captured");
    assert!(shown.body.get("operation").is_none());
    assert_eq!(world.movements("capture"), 1);
}

#[tokio::test]
async fn a_scenario_makes_test_shops_fail_on_command() {
    let world = World::new().await;
    let header = [("komoju-scenario", "exceeds_limit")];
    world
        .json("POST", "/payments", sale(GOOD_CARD), &header)
        .await
        .refused(502, "exceeds_limit");
    let session = world.json("POST", "/sessions", checkout(), &header).await.ok();
    let path = format!("/sessions/{}/pay", session.str("/id"));
    world
        .post(&path, json!({"payment_details": card(GOOD_CARD)}))
        .await
        .refused(502, "exceeds_limit");
    let customer = world
        .json(
            "POST",
            "/customers",
            json!({"payment_details": card(GOOD_CARD)}),
            &header,
        )
        .await
        .ok();
    let asked = json!({"amount": 100, "currency": "JPY", "customer": customer.str("/id")});
    world.post("/payments", asked).await.refused(502, "exceeds_limit");
    let unknown = world
        .json(
            "POST",
            "/payments",
            sale(GOOD_CARD),
            &[("komoju-scenario", "nonsense")],
        )
        .await;
    assert_eq!(
        unknown.refused(422, "invalid_parameter").param(),
        "Komoju-Scenario"
    );
}

#[tokio::test]
async fn notes_of_a_payment_change_and_its_money_does_not() {
    let world = World::new().await;
    let made = world.post("/payments", sale(GOOD_CARD)).await.ok();
    let path = format!("/payments/{}", made.str("/id"));
    let notes = json!({"description": "gift", "metadata": {"a": "b"}, "amount": 1, "status": "refunded"});
    let changed = world.json("PATCH", &path, notes, &[]).await.ok();
    assert_eq!(
        (
            changed.str("/description"),
            changed.str("/metadata/a"),
            changed.int("/amount")
        ),
        ("gift", "b", 1000)
    );
    let cleared = world
        .json("PATCH", &path, json!({"description": null}), &[])
        .await
        .ok();
    assert!(cleared.body["description"].is_null());
    assert_eq!(cleared.str("/metadata/a"), "b");
    assert_eq!(
        world.events().await,
        ["payment.captured", "payment.updated", "payment.updated"]
    );
}
