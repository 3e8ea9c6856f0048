//! Sessions, tokens, customers and 3-D Secure.
use crate::sandbox_kit::*;
use kessai_provider::transport::Method;
use serde_json::{Value, json};

fn session(world: &World, more: Value) -> String {
    let mut body = json!({"amount": 1200, "currency": "JPY", "return_url": "https://shop.test/back?o=1#end",
        "payment_data": {"external_order_num": "S-1"}, "metadata": {"order": "1"}});
    for (name, value) in more.as_object().cloned().unwrap_or_default() {
        body[name] = value;
    }
    let (status, session) = world.post("/sessions", body);
    assert_eq!(status, 200, "{session}");
    text(&session, "/id").to_owned()
}

fn pay(world: &World, id: &str, details: Value) -> (u16, Value) {
    world.post(
        &format!("/sessions/{id}/pay"),
        json!({"payment_details": details}),
    )
}

fn path(url: &str) -> &str {
    url.strip_prefix("http://sandbox.test/komoju")
        .expect("under the public address")
}

#[test]
fn a_session_shows_what_it_offers() {
    let world = world();
    let id = session(
        &world,
        json!({"payment_types": ["credit_card", "konbini", "paypay"]}),
    );
    let shown = world.get(&format!("/sessions/{id}"));
    assert_eq!(text(&shown, "/created_at"), "2026-01-15T12:00:00.000+09:00");
    assert_eq!(shown["payment"], Value::Null);
    let methods = &shown["payment_methods"];
    assert!(methods[0]["brands"].is_array() && methods[1]["brands"].is_object());
    assert_eq!(
        (&methods[1]["customer_fee"], &methods[2]["offsite"]),
        (&json!(190), &json!(true))
    );
    assert_eq!(methods[0]["exchange_rate"].to_string(), "1.0");
}

#[test]
fn a_good_card_completes_the_session_without_tax() {
    let world = world();
    let id = session(&world, json!({}));
    let (status, paid) = pay(&world, &id, card(GOOD));
    assert_eq!(
        (status, text(&paid, "/status"), text(&paid, "/payment/status")),
        (200, "completed", "captured")
    );
    assert_eq!(
        (&paid["payment"]["tax"], &paid["payment"]["total"]),
        (&json!(0), &json!(1200))
    );
    assert_eq!(text(&paid, "/payment/external_order_num"), "S-1");
    assert_eq!(
        text(&paid, "/redirect_url"),
        format!("https://shop.test/back?o=1&session_id={id}#end")
    );
    let shown = world.get(&format!("/sessions/{id}"));
    assert_eq!(
        (text(&shown, "/status"), text(&shown, "/payment/status")),
        ("completed", "captured")
    );
    assert_eq!(pay(&world, &id, card(GOOD)).0, 422);
}

#[test]
fn a_declined_session_stays_payable_and_shows_no_payment() {
    let world = hooked();
    let id = session(&world, json!({}));
    let (status, body) = pay(&world, &id, card("4123111111111059"));
    assert_eq!(
        (status, text(&body, "/status"), code(&body)),
        (502, "error", "card_declined")
    );
    assert_eq!(world.get(&format!("/sessions/{id}"))["payment"], Value::Null);
    assert_eq!(pay(&world, &id, card(GOOD)).0, 200);
    assert_eq!(world.events(), ["payment.failed", "payment.captured"]);
}

#[test]
fn a_slip_in_a_session_costs_the_buyer_a_fee_and_leads_to_instructions() {
    let world = world();
    let id = session(&world, json!({"email": "hanako@example.com"}));
    let (_, paid) = pay(&world, &id, json!({"type": "konbini", "store": "seven-eleven"}));
    assert_eq!(
        (text(&paid, "/status"), text(&paid, "/payment/status")),
        ("completed", "authorized")
    );
    assert_eq!(
        (&paid["payment"]["payment_method_fee"], &paid["payment"]["total"]),
        (&json!(190), &json!(1390))
    );
    assert_eq!(
        text(&paid, "/payment/payment_details/email"),
        "hanako@example.com"
    );
    let page = world.html(path(text(&paid, "/redirect_url")));
    assert!(page.contains("セブン-イレブンでのお支払い方法") && page.contains("¥1,390"));
    assert!(page.contains(&format!("https://shop.test/back?o=1&amp;session_id={id}#end")));
    let english = world.html(&format!("{}?locale=en", path(text(&paid, "/redirect_url"))));
    assert!(english.contains("How to make a payment at 7-Eleven"));
}

#[test]
fn three_d_secure_cards_pass_or_fail_as_the_test_card_says() {
    for (number, password, passes) in [
        ("4100000000000100", None, true),
        ("5100000000000107", None, true),
        ("4100000000500000", None, false),
        ("4100000000005000", Some("123456"), true),
        ("3528000000005006", Some("000000"), false),
        ("4100000000300005", Some("111111"), false),
        ("5100000000300002", Some("123456"), false),
    ] {
        let world = world();
        let id = session(&world, json!({}));
        let (_, body) = pay(&world, &id, card(number));
        assert_eq!(
            (text(&body, "/status"), text(&body, "/payment/status")),
            ("pending", "pending"),
            "{number}"
        );
        let page = path(text(&body, "/redirect_url"));
        assert_eq!(
            world.get(&format!("/sessions/{id}"))["secure_token"]["verification_status"],
            "NEEDS_VERIFY"
        );
        let back = match password {
            None => world.ask(Method::Get, page, &[], b""),
            Some(password) => {
                let shown = world.ask(Method::Get, page, &[], b"");
                let policy = shown.header("content-security-policy").expect("a policy");
                assert!(
                    policy.contains("frame-ancestors *"),
                    "the page may stand in a frame"
                );
                world.form(page, &format!("password={password}"))
            }
        };
        let to = format!("https://shop.test/back?o=1&session_id={id}#end");
        assert_eq!(
            (back.status, back.header("location")),
            (303, Some(to.as_str())),
            "{number}"
        );
        let shown = world.get(&format!("/sessions/{id}"));
        let expected = if passes {
            ("completed", "captured")
        } else {
            ("pending", "failed")
        };
        assert_eq!(
            (text(&shown, "/status"), text(&shown, "/payment/status")),
            expected,
            "{number}"
        );
        // Coming back to the page changes nothing.
        assert_eq!(world.form(page, "password=123456").status, 303);
        assert_eq!(
            text(&world.get(&format!("/sessions/{id}")), "/payment/status"),
            expected.1
        );
    }
}

#[test]
fn a_secure_token_pays_once_it_is_verified_and_only_once() {
    let world = world();
    let body = json!({"amount": 1000, "currency": "JPY", "return_url": "https://shop.test/3ds",
        "payment_details": card("4100000000005000")});
    let (_, token) = world.post("/secure_tokens", body);
    let id = text(&token, "/id");
    assert_eq!(
        (
            text(&token, "/verification_status"),
            text(&token, "/secure_token")
        ),
        ("NEEDS_VERIFY", id)
    );
    let pay = || {
        world.post(
            "/payments",
            json!({"amount": 1000, "currency": "JPY", "tax": 0, "payment_details": id}),
        )
    };
    assert_eq!(code(&pay().1), "invalid_token");
    let back = world.form(path(text(&token, "/authentication_url")), "password=123456");
    assert_eq!(
        back.header("location"),
        Some(format!("https://shop.test/3ds?secure_token_id={id}").as_str())
    );
    assert_eq!(
        world.get(&format!("/secure_tokens/{id}"))["verification_status"],
        "OK"
    );
    assert_eq!(pay().1["status"], "captured");
    assert_eq!(code(&pay().1), "invalid_token");
}

#[test]
fn a_token_is_made_in_the_browser_and_used_once_within_the_hour() {
    let world = world();
    let make = || {
        let headers = [
            ("authorization", PUBLIC_KEY),
            ("content-type", "application/json"),
        ];
        let body = json!({"payment_details": card(GOOD)}).to_string();
        let reply = world.ask(Method::Post, "/api/v1/tokens", &headers, body.as_bytes());
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        let token: Value = serde_json::from_slice(&reply.body).expect("JSON");
        text(&token, "/id").to_owned()
    };
    let pay = |token: &str| {
        world.post(
            "/payments",
            json!({"amount": 500, "currency": "JPY", "payment_details": token}),
        )
    };
    let token = make();
    assert!(token.starts_with("tok_"));
    // A refusal for another reason does not use it up.
    assert_eq!(
        world
            .post(
                "/payments",
                json!({"amount": 0, "currency": "JPY", "payment_details": token})
            )
            .0,
        422
    );
    assert_eq!(pay(&token).0, 200);
    assert_eq!(code(&pay(&token).1), "invalid_token");
    let late = make();
    world.wait(3_600);
    assert_eq!(code(&pay(&late).1), "invalid_token");
}

#[test]
fn a_saved_customer_pays_again_and_is_forgotten_on_request() {
    let world = world();
    let id = session(
        &world,
        json!({"mode": "customer_payment", "email": "a@example.com"}),
    );
    let (_, paid) = pay(&world, &id, card(GOOD));
    let customer = text(&paid, "/payment/customer").to_owned();
    let shown = world.get(&format!("/customers/{customer}"));
    assert_eq!(
        (
            text(&shown, "/source/brand"),
            text(&shown, "/source/last_four_digits")
        ),
        ("visa", "1111")
    );
    let again = || {
        world.post(
            "/payments",
            json!({"amount": 300, "currency": "JPY", "tax": 0, "customer": customer}),
        )
    };
    assert_eq!(text(&again().1, "/payment_details/last_four_digits"), "1111");
    let new_card = json!({"payment_details": card("4123111111111059")});
    world.call(Method::Patch, &format!("/customers/{customer}"), &[], &new_card);
    assert_eq!(code(&again().1), "card_declined");
    assert_eq!(
        world
            .call(
                Method::Delete,
                &format!("/customers/{customer}"),
                &[],
                &Value::Null
            )
            .0,
        200
    );
    assert_eq!(again().0, 422);
}

#[test]
fn a_customer_session_saves_a_card_without_charging() {
    let world = world();
    let (_, made) = world.post("/sessions", json!({"mode": "customer", "currency": "JPY"}));
    let id = text(&made, "/id");
    let (_, done) = pay(&world, id, card(GOOD));
    assert_eq!(text(&done, "/status"), "completed");
    let shown = world.get(&format!("/sessions/{id}"));
    assert_eq!(shown["customer_id"], done["customer"]["uuid"]);
    assert_eq!(world.get("/payments")["total"], 0);
}

#[test]
fn an_expired_or_cancelled_session_takes_no_money() {
    let world = hooked();
    let id = session(&world, json!({"expires_in_seconds": 60}));
    world.wait(60);
    let shown = world.get(&format!("/sessions/{id}"));
    assert_eq!(
        (text(&shown, "/status"), &shown["expired"]),
        ("pending", &json!(true))
    );
    assert_eq!(pay(&world, &id, card(GOOD)).0, 422);
    let id = session(&world, json!({"payment_data": {"external_order_num": "S-2"}}));
    pay(&world, &id, json!({"type": "paypay"}));
    let (_, cancelled) = world.post(&format!("/sessions/{id}/cancel"), Value::Null);
    assert_eq!(
        (text(&cancelled, "/status"), text(&cancelled, "/payment/status")),
        ("cancelled", "cancelled")
    );
    assert_eq!(world.post(&format!("/sessions/{id}/cancel"), Value::Null).0, 422);
    assert_eq!(world.events(), ["payment.cancelled"]);
}

#[test]
fn scenarios_fail_payments_sessions_and_customers() {
    let world = world();
    let scenario = [("komoju-scenario", "exceeds_limit")];
    let (status, body) = world.call(Method::Post, "/payments", &scenario, &sale(GOOD));
    assert_eq!((status, code(&body)), (502, "exceeds_limit"));
    let (_, made) = world.call(
        Method::Post,
        "/sessions",
        &scenario,
        &json!({"amount": 1, "currency": "JPY"}),
    );
    assert_eq!(
        code(&pay(&world, text(&made, "/id"), card(GOOD)).1),
        "exceeds_limit"
    );
    let (_, customer) = world.call(
        Method::Post,
        "/customers",
        &scenario,
        &json!({"payment_details": card(GOOD)}),
    );
    let body = json!({"amount": 1, "currency": "JPY", "customer": text(&customer, "/id")});
    assert_eq!(code(&world.post("/payments", body).1), "exceeds_limit");
}

#[test]
fn the_hosted_checkout_works_without_script() {
    let world = world();
    let id = session(&world, json!({}));
    let page = world.html(&format!("/sessions/{id}"));
    assert!(page.contains("¥1,200") && !page.contains("<script"));
    let fields = "type=credit_card&number=4123111111111059&month=12&year=2030";
    let declined = world.form(&format!("/sessions/{id}"), fields);
    assert!(String::from_utf8_lossy(&declined.body).contains("代金は引き落とされていません"));
    let fields = format!("type=credit_card&number={GOOD}&month=12&year=2030&verification_value=123&email=");
    let paid = world.form(&format!("/sessions/{id}"), &fields);
    assert_eq!(paid.status, 303, "{}", String::from_utf8_lossy(&paid.body));
    assert_eq!(world.get(&format!("/sessions/{id}"))["status"], "completed");
}
