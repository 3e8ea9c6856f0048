//! Payments made directly, their captures, refunds, deadlines and numbers.
use crate::sandbox_kit::*;
use kessai_provider::sandbox::Sandbox;
use kessai_provider::transport::Method;
use serde_json::{Value, json};

#[test]
fn every_test_card_has_its_outcome() {
    let world = world();
    for number in [
        GOOD,
        "4242424242424242",
        "5555555555554444",
        "3530111333300000",
        "378282246310005",
        "30569309025904",
    ] {
        let (status, payment) = world.post("/payments", sale(number));
        assert_eq!((status, text(&payment, "/status")), (200, "captured"), "{number}");
        assert_eq!(
            text(&payment, "/payment_details/last_four_digits"),
            &number[number.len() - 4..]
        );
    }
    for (number, expected, expected_status) in [
        ("4123111111111000", "insufficient_funds", 502),
        ("4123111111111018", "exceeds_limit", 502),
        ("4123111111111034", "bad_verification_value", 502),
        ("4123111111111042", "card_expired", 502),
        ("4123111111111059", "card_declined", 502),
        ("4123111111111067", "invalid_number", 502),
        ("4123111111111075", "other_invalid", 502),
        ("4123111111111083", "fraudulent", 422),
        ("4111111111111112", "invalid_number", 502),
    ] {
        let (status, body) = world.post("/payments", sale(number));
        assert_eq!((status, code(&body)), (expected_status, expected), "{number}");
    }
    // A decline leaves a failed payment and moves nothing.
    let failed = world.get("/payments?status=failed");
    assert_eq!(failed["total"], 9);
    assert_eq!(world.books(text(&failed, "/data/0/id")), [0, 0, 0, 0]);
}

#[test]
fn a_card_past_its_month_is_expired() {
    let world = world();
    let mut body = sale(GOOD);
    body["payment_details"]["year"] = json!("25");
    assert_eq!(code(&world.post("/payments", body).1), "card_expired");
}

#[test]
fn a_direct_payment_adds_ten_percent_unless_told_otherwise() {
    let world = world();
    let mut body = sale(GOOD);
    body["amount"] = json!("1005.000");
    body.as_object_mut().expect("object").remove("tax");
    let (_, payment) = world.post("/payments", body.clone());
    assert_eq!(
        (&payment["amount"], &payment["tax"], &payment["total"]),
        (&json!(1005), &json!(101), &json!(1106))
    );
    body["tax"] = json!("12.5");
    assert_eq!(world.post("/payments", body).1["total"], 1018);
}

#[test]
fn wrong_input_is_named_and_books_nothing() {
    let world = world();
    let with = |name: &str, value: Value| {
        let mut body = sale(GOOD);
        body[name] = value;
        body
    };
    for (body, expected, param) in [
        (with("amount", Value::Null), "missing_parameter", "amount"),
        (with("amount", json!(0)), "invalid_parameter", "amount"),
        (with("amount", json!("10.5")), "invalid_parameter", "amount"),
        (with("amount", json!(10_000_000)), "invalid_parameter", "amount"),
        (with("currency", json!("XYZ")), "invalid_currency", "currency"),
        (
            with("payment_details", Value::Null),
            "missing_parameter",
            "payment_details",
        ),
        (
            with("payment_details", json!({"type": "cheque"})),
            "invalid_payment_type",
            "payment_details.type",
        ),
        (
            with("payment_details", json!("tok_nothere")),
            "invalid_token",
            "payment_details",
        ),
        (
            with("payment_details", json!({"type": "konbini"})),
            "missing_parameter",
            "payment_details.store",
        ),
        (with("metadata", json!({"a": 1})), "invalid_parameter", "metadata"),
        (
            with("return_url", json!("javascript:alert(1)")),
            "invalid_parameter",
            "return_url",
        ),
        (with("customer", json!("c")), "invalid_parameter", "customer"),
    ] {
        let (status, reply) = world.post("/payments", body);
        assert_eq!(
            (status, code(&reply), &reply["error"]["param"]),
            (422, expected, &json!(param))
        );
    }
    assert_eq!(world.get("/payments")["total"], 0);
    assert_eq!(world.get("/payments")["last_page"], 0);
}

#[test]
fn a_partial_capture_releases_the_rest_and_happens_once() {
    let world = world();
    let mut body = sale(GOOD);
    body["capture"] = json!(false);
    let (_, payment) = world.post("/payments", body);
    let id = text(&payment, "/id");
    assert_eq!(payment["status"], "authorized");
    assert_eq!(world.books(id), [1000, 0, 0, 0]);
    let too_much = world.post(&format!("/payments/{id}/capture"), json!({"amount": 1001}));
    assert_eq!((too_much.0, code(&too_much.1)), (422, "invalid_parameter"));
    let (status, payment) = world.post(&format!("/payments/{id}/capture"), json!({"amount": "700"}));
    assert_eq!(
        (status, &payment["total"], &payment["status"]),
        (200, &json!(700), &json!("captured"))
    );
    assert_eq!(
        (&payment["amount_refunded"], &payment["refunds"]),
        (&json!(0), &json!([]))
    );
    assert_eq!(world.books(id), [1000, 700, 0, 300]);
    assert_eq!(
        code(&world.post(&format!("/payments/{id}/capture"), Value::Null).1),
        "not_capturable"
    );
    // Older versions show the difference as a refund.
    let old = [("x-komoju-api-version", "2024-07-15")];
    let (_, payment) = world.call(Method::Get, &format!("/payments/{id}"), &old, &Value::Null);
    assert_eq!(
        (&payment["total"], &payment["amount_refunded"]),
        (&json!(1000), &json!(300))
    );
}

#[test]
fn refunds_add_up_and_more_than_is_left_is_refused() {
    let world = hooked();
    let (_, payment) = world.post("/payments", sale(GOOD));
    let id = text(&payment, "/id");
    let refund = |body: Value| world.post(&format!("/payments/{id}/refund"), body);
    let (_, payment) = refund(json!({"amount": 400}));
    assert_eq!(
        (&payment["status"], &payment["amount_refunded"]),
        (&json!("captured"), &json!(400))
    );
    assert_eq!(code(&refund(json!({"amount": 601})).1), "invalid_parameter");
    let (_, payment) = refund(json!({}));
    assert_eq!(
        (&payment["status"], &payment["amount_refunded"]),
        (&json!("refunded"), &json!(1000))
    );
    assert_eq!(payment["refunds"].as_array().map(Vec::len), Some(2));
    assert_eq!(code(&refund(json!({"amount": 1})).1), "not_refundable");
    assert_eq!(world.books(id), [1000, 1000, 1000, 0]);
    let expected = [
        "payment.captured",
        "payment.refund.created",
        "payment.refund.created",
        "payment.refunded",
    ];
    assert_eq!(world.events(), expected);
}

#[test]
fn an_order_number_is_taken_once_for_payments_and_sessions_alike() {
    let world = world();
    let mut body = sale("4123111111111059");
    body["external_order_num"] = json!("ORDER-1");
    assert_eq!(world.post("/payments", body.clone()).0, 502);
    body["payment_details"] = card(GOOD);
    let (status, reply) = world.post("/payments", body);
    assert_eq!((status, code(&reply)), (422, "invalid_parameter"));
    assert_eq!(text(&reply, "/error/param"), "external_order_num");
    let session = json!({"amount": 1, "currency": "JPY", "payment_data": {"external_order_num": "ORDER-1"}});
    assert_eq!(code(&world.post("/sessions", session).1), "invalid_parameter");
    let found = world.get("/payments?external_order_num=ORDER-1");
    assert_eq!(
        (&found["total"], text(&found, "/data/0/status")),
        (&json!(1), "failed")
    );
}

#[test]
fn a_slip_is_paid_at_the_counter_and_refunded_only_by_hand() {
    let world = hooked();
    let body = json!({"amount": 1200, "currency": "JPY", "tax": 0, "payment_details": konbini()});
    let (_, payment) = world.post("/payments", body);
    let id = text(&payment, "/id");
    assert_eq!(payment["status"], "authorized");
    assert_eq!(text(&payment, "/payment_deadline"), "2026-01-18T14:59:59Z");
    assert_eq!(
        code(&world.post(&format!("/payments/{id}/capture"), Value::Null).1),
        "not_capturable"
    );
    let receipt = text(&payment, "/payment_details/receipt");
    let path = text(&payment, "/payment_details/instructions_url").strip_prefix("http://sandbox.test/komoju");
    assert!(
        world
            .html(path.expect("under the public address"))
            .contains(receipt)
    );
    assert!(world.html("/counter").contains(receipt));
    let paid = world.form("/counter", &format!("number={receipt}"));
    assert!(String::from_utf8_lossy(&paid.body).contains("入金しました"));
    assert_eq!(world.get(&format!("/payments/{id}"))["status"], "captured");
    assert_eq!(world.books(id), [1200, 1200, 0, 0]);
    let again = world.form("/counter", &format!("number={receipt}"));
    assert!(String::from_utf8_lossy(&again.body).contains("お金は動いていません"));
    assert_eq!(
        code(&world.post(&format!("/payments/{id}/refund"), Value::Null).1),
        "not_refundable"
    );
    let request = json!({"amount": 1200, "customer_name": "ﾔﾏﾀﾞ", "bank_name": "B", "branch_number": "001",
        "account_type": "normal", "account_number": "1234567", "include_payment_method_fee": true});
    let (status, payment) = world.post(&format!("/payments/{id}/refund_request"), request);
    assert_eq!(
        (status, text(&payment, "/refund_requests/0/status")),
        (200, "pending")
    );
    world.control(
        Method::Post,
        &format!("payments/{id}/refund_request"),
        json!({"status": "completed"}),
    );
    assert_eq!(world.get(&format!("/payments/{id}"))["status"], "refunded");
    assert_eq!(world.events()[..2], ["payment.authorized", "payment.captured"]);
}

#[test]
fn a_slip_lapses_at_its_deadline_to_the_second() {
    let world = hooked();
    let body = json!({"amount": 1200, "currency": "JPY", "tax": 0, "payment_details": konbini()});
    let id = text(&world.post("/payments", body).1, "/id").to_owned();
    world.set("2026-01-18T14:59:58Z");
    assert_eq!(world.get(&format!("/payments/{id}"))["status"], "authorized");
    world.set("2026-01-18T14:59:59Z");
    assert_eq!(world.get(&format!("/payments/{id}"))["status"], "expired");
    assert_eq!(world.books(&id), [1200, 0, 0, 1200]);
    assert_eq!(world.events(), ["payment.authorized", "payment.expired"]);
    let (status, _) = world.control(Method::Post, &format!("payments/{id}/pay"), Value::Null);
    assert_eq!(status, 422);
}

#[test]
fn a_late_look_still_lets_everything_lapse_in_its_own_time() {
    let world = hooked();
    let mut hold = sale(GOOD);
    hold["capture"] = json!(false);
    let held = text(&world.post("/payments", hold).1, "/id").to_owned();
    let mut wallet = sale(GOOD);
    wallet["payment_details"] = json!({"type": "paypay"});
    let away = text(&world.post("/payments", wallet).1, "/id").to_owned();
    world.wait(3_599);
    assert_eq!(world.get(&format!("/payments/{away}"))["status"], "pending");
    world.wait(86_400 * 60);
    world.sandbox.pass_time(world.now());
    for id in [&held, &away] {
        assert_eq!(world.get(&format!("/payments/{id}"))["status"], "expired");
    }
    let told = world.deliveries();
    assert_eq!(text(&told[1].1, "/created_at"), "2026-01-15T04:00:00Z");
    assert_eq!(text(&told[2].1, "/created_at"), "2026-02-14T14:59:59Z");
}

#[test]
fn a_wallet_payment_waits_for_its_buyer_and_sends_the_browser_back() {
    let world = world();
    let pay = |choice: &str| {
        let mut body = sale(GOOD);
        body["payment_details"] = json!({"type": "paypay"});
        body["return_url"] = json!("https://shop.test/back?o=1");
        body["cancel_url"] = json!("https://shop.test/cancel");
        let (_, payment) = world.post("/payments", body);
        assert_eq!(payment["status"], "pending");
        let url = text(&payment, "/payment_details/redirect_url");
        let path = url
            .strip_prefix("http://sandbox.test/komoju")
            .expect("under the public address");
        assert!(world.html(path).contains("KOMOJU Offsite Test Page"));
        let back = world.form(path, &format!("choice={choice}"));
        let shown = world.get(&format!("/payments/{}", text(&payment, "/id")));
        (
            text(&shown, "/status").to_owned(),
            back.header("location").map(str::to_owned),
        )
    };
    assert_eq!(
        pay("capture"),
        (
            "captured".to_owned(),
            Some("https://shop.test/back?o=1".to_owned())
        )
    );
    assert_eq!(
        pay("cancel"),
        (
            "cancelled".to_owned(),
            Some("https://shop.test/cancel".to_owned())
        )
    );
    assert_eq!(
        pay("fail"),
        ("failed".to_owned(), Some("https://shop.test/cancel".to_owned()))
    );
}

#[test]
fn a_transfer_of_another_amount_stands_in_the_books_as_it_came() {
    let world = world();
    let details = json!({"type": "bank_transfer", "email": "a@example.com", "phone": "0312345678",
        "given_name_kana": "タロウ", "family_name_kana": "ヤマダ"});
    let body = json!({"amount": 5000, "currency": "JPY", "tax": 0, "payment_details": details});
    let (_, payment) = world.post("/payments", body);
    assert_eq!(text(&payment, "/payment_deadline"), "2026-01-29T14:59:59Z");
    let number = text(&payment, "/payment_details/order_id");
    world.form("/bank", &format!("number={number}&amount=4990"));
    assert_eq!(world.books(text(&payment, "/id")), [5000, 4990, 0, 0]);
}

#[test]
fn short_prepaid_numbers_are_topped_up() {
    let world = world();
    let body = json!({"amount": 3000, "currency": "JPY", "tax": 0,
        "payment_details": {"type": "web_money", "prepaid_number": "1111111111111111"}});
    let (_, payment) = world.post("/payments", body.clone());
    assert_eq!(
        (
            text(&payment, "/status"),
            &payment["payment_details"]["short_amount"]
        ),
        ("pending", &json!(1000))
    );
    let id = text(&payment, "/id");
    let more = json!({"payment_details": {"type": "web_money", "prepaid_number": "1111111111111111"}});
    let (_, payment) = world.call(Method::Patch, &format!("/payments/{id}"), &[], &more);
    assert_eq!(payment["status"], "captured");
    let mut bad = body;
    bad["payment_details"]["prepaid_number"] = json!("e111111111111113");
    assert_eq!(code(&world.post("/payments", bad).1), "used_number");
}

#[test]
fn a_cancelled_authorization_can_be_neither_captured_nor_cancelled_again() {
    let world = world();
    let mut hold = sale(GOOD);
    hold["capture"] = json!(false);
    let id = text(&world.post("/payments", hold).1, "/id").to_owned();
    assert_eq!(
        world.post(&format!("/payments/{id}/cancel"), json!({})).1["status"],
        "cancelled"
    );
    assert_eq!(
        code(&world.post(&format!("/payments/{id}/cancel"), json!({})).1),
        "not_cancellable"
    );
    assert_eq!(
        code(&world.post(&format!("/payments/{id}/capture"), json!({})).1),
        "not_capturable"
    );
    assert_eq!(world.books(&id), [1000, 0, 0, 1000]);
}

#[test]
fn lists_are_newest_first_and_paged() {
    let world = world();
    for _ in 0..3 {
        world.post("/payments", sale(GOOD));
        world.wait(1);
    }
    let list = world.get("/payments?per_page=2");
    assert_eq!(
        (&list["total"], &list["last_page"], &list["page"]),
        (&json!(3), &json!(2), &json!(1))
    );
    assert!(text(&list, "/data/0/created_at") > text(&list, "/data/1/created_at"));
    assert_eq!(
        world.get("/payments?per_page=2&page=2")["data"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    assert_eq!(
        world.get("/payments?start_time=2026-01-15T03:00:01Z&currency=JPY")["total"],
        2
    );
    assert_eq!(
        world.call(Method::Get, "/payments?page=0", &[], &Value::Null).0,
        422
    );
}
