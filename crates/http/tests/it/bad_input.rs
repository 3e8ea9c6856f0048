//! Bad input gets a clear error and changes nothing.
use crate::world::{GOOD_CARD, PUBLIC_KEY, SECRET_KEY, World, authorization, card, checkout, konbini, sale};
use serde_json::{Map, Value, json};

/// `body` with `field` (dots go inside) set to `value`; taken away when it is null.
fn but(body: Value, field: &str, value: Value) -> Value {
    let mut body = body;
    let mut place = &mut body;
    let mut steps: Vec<&str> = field.split('.').collect();
    let last = steps.pop().expect("a name");
    for step in steps {
        place = &mut place[step];
    }
    if value.is_null() {
        place.as_object_mut().expect("an object").remove(last);
    } else {
        place[last] = value;
    }
    body
}

fn many(n: usize) -> Value {
    Value::Object((0..n).map(|n| (n.to_string(), json!("x"))).collect::<Map<_, _>>())
}

struct Row(Value, u16, &'static str, &'static str);

async fn check(world: &World, method: &str, path: &str, rows: Vec<Row>) {
    for Row(body, status, code, param) in rows {
        let seen = world.json(method, path, body.clone(), &[]).await;
        let shown = body.to_string().chars().take(300).collect::<String>();
        assert_eq!((seen.status, seen.code(), seen.param()), (status, code, param), "{method} {path} {shown}: {}", seen.text);
        assert!(!seen.message().is_empty());
        assert_eq!(seen.body["error"]["details"], json!({}));
        assert!(!seen.text.contains(GOOD_CARD), "{}", seen.text);
    }
}

#[tokio::test]
async fn a_payment_that_cannot_be_is_refused_by_parameter() {
    let world = World::new().await;
    let ok = || sale(GOOD_CARD);
    let long = "長".repeat(256);
    let mut rows = vec![
        Row(json!({}), 422, "missing_parameter", "amount"),
        Row(but(ok(), "amount", json!(null)), 422, "missing_parameter", "amount"),
        Row(but(ok(), "currency", json!(null)), 422, "missing_parameter", "currency"),
        Row(but(ok(), "payment_details", json!(null)), 422, "missing_parameter", "payment_details"),
        Row(but(ok(), "currency", json!("ZZZ")), 422, "invalid_currency", "currency"),
        Row(but(ok(), "currency", json!(392)), 422, "invalid_currency", "currency"),
        Row(but(ok(), "currency", json!("THB")), 422, "invalid_currency", "currency"),
        Row(but(ok(), "locale", json!("fr")), 422, "invalid_parameter", "locale"),
        Row(but(ok(), "tax", json!("lots")), 422, "invalid_parameter", "tax"),
        Row(but(ok(), "tax", json!(-1)), 422, "invalid_parameter", "tax"),
        Row(but(ok(), "capture", json!("maybe")), 422, "invalid_parameter", "capture"),
        Row(but(ok(), "customer", json!("abc")), 422, "invalid_parameter", "customer"),
        Row(but(ok(), "payment_details", json!(["x"])), 422, "invalid_parameter", "payment_details"),
        Row(but(ok(), "payment_details", json!(7)), 422, "invalid_parameter", "payment_details"),
        Row(but(ok(), "payment_details", json!("tok_unknown")), 422, "invalid_token", ""),
        Row(but(ok(), "payment_details", json!("nonsense")), 422, "invalid_token", "payment_details"),
        Row(but(ok(), "payment_details", json!({})), 422, "missing_parameter", "type"),
        Row(but(ok(), "payment_details.type", json!("bitcoin")), 422, "invalid_payment_type", "payment_details"),
        Row(but(ok(), "payment_details.number", json!(null)), 422, "missing_parameter", "number"),
        Row(but(ok(), "payment_details.number", json!("4111")), 422, "invalid_parameter", "number"),
        Row(but(ok(), "payment_details.number", json!("4".repeat(40))), 422, "invalid_parameter", "number"),
        Row(but(ok(), "payment_details.number", json!({"a": 1})), 422, "invalid_parameter", "number"),
        Row(but(ok(), "payment_details.month", json!(13)), 422, "invalid_parameter", "month"),
        Row(but(ok(), "payment_details.month", json!("x")), 422, "invalid_parameter", "month"),
        Row(but(ok(), "payment_details.year", json!(null)), 422, "missing_parameter", "year"),
        Row(but(ok(), "payment_details.year", json!(2020)), 502, "card_expired", ""),
        Row(but(ok(), "payment_details.verification_value", json!("12345")), 422, "invalid_parameter", "verification_value"),
        Row(but(ok(), "payment_details", but(konbini(), "store", json!(null))), 422, "missing_parameter", "store"),
        Row(but(ok(), "payment_details", but(konbini(), "store", json!("corner"))), 422, "invalid_parameter", "store"),
        Row(but(ok(), "payment_details", but(konbini(), "email", json!(null))), 422, "missing_parameter", "email"),
        Row(but(ok(), "payment_details", but(konbini(), "email", json!("nobody"))), 422, "invalid_parameter", "email"),
        Row(but(ok(), "payment_details", but(konbini(), "expiry_days", json!(60))), 422, "invalid_parameter", "expiry_days"),
        Row(but(ok(), "external_order_num", json!(long)), 422, "invalid_parameter", "external_order_num"),
        Row(but(ok(), "external_order_num", json!({"a": 1})), 422, "invalid_parameter", "external_order_num"),
        Row(but(ok(), "description", json!(long)), 422, "invalid_parameter", "description"),
        Row(but(ok(), "description", json!(["x"])), 422, "invalid_parameter", "description"),
        Row(but(ok(), "description", json!("a\0b")), 422, "invalid_parameter", "description"),
        Row(but(ok(), "return_url", json!("not a url")), 422, "invalid_parameter", "return_url"),
        Row(but(ok(), "return_url", json!("javascript:alert(1)")), 422, "invalid_parameter", "return_url"),
        Row(but(ok(), "return_url", json!(format!("https://a.example/{}", "x".repeat(2_000)))), 422, "invalid_parameter", "return_url"),
        Row(but(ok(), "cancel_url", json!(7)), 422, "invalid_parameter", "cancel_url"),
        Row(but(ok(), "metadata", json!("x")), 422, "invalid_parameter", "metadata"),
        Row(but(ok(), "metadata", json!({"a": 1})), 422, "invalid_parameter", "metadata"),
        Row(but(ok(), "metadata", many(51)), 422, "invalid_parameter", "metadata"),
        Row(but(ok(), "metadata", json!({"k".repeat(31): "v"})), 422, "invalid_parameter", "metadata"),
        Row(but(ok(), "metadata", json!({"k": "v".repeat(2_001)})), 422, "invalid_parameter", "metadata"),
        Row(but(ok(), "metadata", json!({"a\0": "v"})), 422, "invalid_parameter", "metadata"),
        Row(but(ok(), "statement_descriptor", json!("x")), 422, "invalid_parameter", "statement_descriptor"),
        Row(but(ok(), "statement_descriptor", json!({"contact_phone": 1})), 422, "invalid_parameter", "statement_descriptor"),
        Row(but(ok(), "fraud_details", json!(1)), 422, "invalid_parameter", "fraud_details"),
        Row(but(ok(), "fraud_details", json!({"a": "x".repeat(9_000)})), 422, "invalid_parameter", "fraud_details"),
    ];
    for amount in [
        json!(0), json!(-1), json!(10_000_000), json!(i64::MAX), json!(u64::MAX), json!("1500.5"), json!(0.5), json!("abc"),
        json!(true), json!([1]), json!({"a": 1}), json!("99999999999999999999999"), json!("1e3"),
    ] {
        rows.push(Row(but(ok(), "amount", amount), 422, "invalid_parameter", "amount"));
    }
    check(&world, "POST", "/payments", rows).await;
    let zero = world.post("/payments", but(ok(), "amount", json!(0))).await;
    assert_eq!(zero.message(), "Amount must be greater than 0");
    let none = world.post("/payments", but(ok(), "amount", json!(null))).await;
    assert_eq!(none.message(), "A required parameter (amount) is missing");
    let unknown = json!({"amount": 1, "currency": "JPY", "customer": "nobody"});
    assert_eq!(world.post("/payments", unknown).await.status, 404);

    assert_eq!(world.get("/payments").await.ok().int("/total"), 0, "nothing was made");
    assert_eq!(world.get("/events").await.ok().int("/total"), 0);
    assert_eq!(world.gate.sent.load(std::sync::atomic::Ordering::SeqCst), 1, "only the foreign token was asked about");
}

#[tokio::test]
async fn what_is_unknown_or_empty_is_ignored() {
    let world = World::new().await;
    let mut asked = sale(GOOD_CARD);
    for stray in ["type", "webhooks", "customer_email", "platform_details", "email"] {
        asked[stray] = json!({"a": ["b"]});
    }
    asked["metadata"] = json!([]);
    asked["description"] = json!("");
    asked["fraud_details"] = json!({"customer_ip": "", "customer_email": ""});
    world.post("/payments", asked).await.ok();
    let mut asked = checkout();
    asked["fraud_details"] = json!({});
    asked["cancel_url"] = json!("not checked");
    asked["external_order_num"] = json!("ignored here");
    let session = world.post("/sessions", asked).await.ok();
    let pay = json!({"payment_details": card(GOOD_CARD), "customer_email": 1, "tax": 5, "amount": 1, "currency": "X"});
    let paid = world.post(&format!("/sessions/{}/pay", session.str("/id")), pay).await.ok();
    assert_eq!(paid.int("/payment/amount"), 1200);
}

#[tokio::test]
async fn a_session_that_cannot_be_is_refused_by_parameter() {
    let world = World::new().await;
    let ok = checkout;
    let long = "x".repeat(256);
    let rows = vec![
        Row(json!({}), 422, "missing_parameter", "amount"),
        Row(but(ok(), "currency", json!(null)), 422, "missing_parameter", "currency"),
        Row(but(ok(), "amount", json!(0)), 422, "invalid_parameter", "amount"),
        Row(but(ok(), "amount", json!(-5)), 422, "invalid_parameter", "amount"),
        Row(but(ok(), "amount", json!("12.5")), 422, "invalid_parameter", "amount"),
        Row(but(ok(), "amount", json!(99_999_999)), 422, "invalid_parameter", "amount"),
        Row(but(ok(), "currency", json!("XXX")), 422, "invalid_currency", "currency"),
        Row(but(ok(), "mode", json!("gift")), 422, "invalid_parameter", "mode"),
        Row(but(ok(), "mode", json!(1)), 422, "invalid_parameter", "mode"),
        Row(but(ok(), "default_locale", json!("xx")), 422, "invalid_parameter", "default_locale"),
        Row(but(ok(), "return_url", json!("x")), 422, "invalid_parameter", "return_url"),
        Row(but(ok(), "payment_types", json!(["cash"])), 422, "invalid_payment_type", "payment_types"),
        Row(but(ok(), "payment_types", json!([1])), 422, "invalid_parameter", "payment_types"),
        Row(but(ok(), "payment_types", json!({"a": 1})), 422, "invalid_parameter", "payment_types"),
        Row(but(ok(), "payment_types", json!(vec!["konbini"; 101])), 422, "invalid_parameter", "payment_types"),
        Row(but(ok(), "email", json!("nobody")), 422, "invalid_parameter", "email"),
        Row(but(ok(), "email", json!(format!("{}@example.com", "x".repeat(255)))), 422, "invalid_parameter", "email"),
        Row(but(ok(), "expires_in_seconds", json!(0)), 422, "invalid_parameter", "expires_in_seconds"),
        Row(but(ok(), "expires_in_seconds", json!(86_401)), 422, "invalid_parameter", "expires_in_seconds"),
        Row(but(ok(), "expires_in_seconds", json!("soon")), 422, "invalid_parameter", "expires_in_seconds"),
        Row(but(ok(), "external_customer_id", json!(long)), 422, "invalid_parameter", "external_customer_id"),
        Row(but(ok(), "line_items", json!("x")), 422, "invalid_parameter", "line_items"),
        Row(but(ok(), "line_items", json!(["x"])), 422, "invalid_parameter", "line_items"),
        Row(but(ok(), "line_items", json!(vec![json!({}); 101])), 422, "invalid_parameter", "line_items"),
        Row(but(ok(), "line_items", json!([{"amount": "x"}])), 422, "invalid_parameter", "line_items"),
        Row(but(ok(), "line_items", json!([{"description": 1}])), 422, "invalid_parameter", "line_items"),
        Row(but(ok(), "line_items", json!([{"quantity": -1}])), 422, "invalid_parameter", "line_items"),
        Row(but(ok(), "metadata", json!({"a": {}})), 422, "invalid_parameter", "metadata"),
        Row(but(ok(), "customer_id", json!({})), 422, "invalid_parameter", "customer_id"),
        Row(but(ok(), "customer_id", json!("nobody")), 404, "not_found", ""),
        Row(but(ok(), "payment_data", json!("x")), 422, "invalid_parameter", "payment_data"),
        Row(but(ok(), "payment_data", json!({"capture": "later"})), 422, "invalid_parameter", "capture"),
        Row(but(ok(), "payment_data", json!({"capture": true})), 422, "invalid_parameter", "capture"),
        Row(but(ok(), "payment_data", json!({"external_order_num": long})), 422, "invalid_parameter", "external_order_num"),
        Row(but(ok(), "payment_data", json!({"name": 1})), 422, "invalid_parameter", "name"),
        Row(but(ok(), "payment_data", json!({"billing_address": {"city": long}})), 422, "invalid_parameter", "billing_address"),
        Row(but(ok(), "payment_data", json!({"shipping_address": 1})), 422, "invalid_parameter", "shipping_address"),
        Row(but(ok(), "payment_data", json!({"platform_details": "x"})), 422, "invalid_parameter", "platform_details"),
        Row(json!({"amount": 400_000, "currency": "JPY", "payment_types": ["konbini"]}), 422, "invalid_payment_type", "amount"),
    ];
    check(&world, "POST", "/sessions", rows).await;
    let nested = json!({"payment_data": {"amount": "1200.0000", "currency": "jpy"}, "return_url": "myapp://back"});
    let session = world.post("/sessions", nested).await.ok();
    assert_eq!((session.int("/amount"), session.str("/currency")), (1200, "JPY"));
}

#[tokio::test]
async fn a_reused_order_number_is_refused() {
    let world = World::new().await;
    let numbered = but(sale(GOOD_CARD), "external_order_num", json!("N-1"));
    world.post("/payments", numbered.clone()).await.ok();
    let session = but(checkout(), "payment_data", json!({"external_order_num": "N-1"}));
    check(&world, "POST", "/payments", vec![Row(numbered, 422, "invalid_parameter", "external_order_num")]).await;
    check(&world, "POST", "/sessions", vec![Row(session, 422, "invalid_parameter", "external_order_num")]).await;
}

#[tokio::test]
async fn a_pay_that_cannot_be_is_refused_and_the_session_stays_payable() {
    let world = World::new().await;
    let session = world.post("/sessions", checkout()).await.ok().str("/id").to_owned();
    let path = format!("/sessions/{session}/pay");
    let rows = vec![
        Row(json!({}), 422, "missing_parameter", "payment_details"),
        Row(json!({"payment_details": 7}), 422, "invalid_parameter", "payment_details"),
        Row(json!({"payment_details": "tok_"}), 422, "invalid_token", "payment_details"),
        Row(json!({"payment_details": {"type": "nothing"}}), 422, "invalid_payment_type", "payment_details"),
        Row(json!({"payment_details": card(GOOD_CARD), "capture": "now"}), 422, "invalid_parameter", "capture"),
        Row(json!({"payment_details": card(GOOD_CARD), "fraud_details": "x"}), 422, "invalid_parameter", "fraud_details"),
        Row(json!({"payment_details": {"type": "konbini", "store": "lawson"}}), 422, "missing_parameter", "email"),
    ];
    for Row(body, status, code, param) in rows {
        let seen = world.post(&path, body.clone()).await;
        // The provider decides about a token that it made itself.
        let param_fits = seen.param() == param || code == "invalid_token";
        assert!((seen.status, seen.code()) == (status, code) && param_fits, "{body}: {}", seen.text);
        assert_eq!(seen.str("/status"), "error");
    }
    world.post(&path, json!({"payment_details": card(GOOD_CARD)})).await.ok();
    let unknown = world.post("/sessions/nosuchsession/pay", json!({})).await;
    unknown.refused(404, "not_found");
}

#[tokio::test]
async fn operations_that_cannot_be_are_refused_by_parameter() {
    let world = World::new().await;
    let payment = world.post("/payments", authorization()).await.ok().str("/id").to_owned();
    let capture = format!("/payments/{payment}/capture");
    let refund = format!("/payments/{payment}/refund");
    let request = format!("/payments/{payment}/refund_request");
    let bad = |amount| Row(json!({"amount": amount}), 422, "invalid_parameter", "amount");
    for path in [&capture, &refund, &request] {
        let rows = vec![
            bad(json!(0)), bad(json!(-1)), bad(json!("1.5")), bad(json!("x")), bad(json!({})), bad(json!(u64::MAX)),
            bad(json!("99999999")),
        ];
        check(&world, "POST", path, rows).await;
    }
    check(&world, "POST", &capture, vec![
        Row(json!({"tax": "x"}), 422, "invalid_parameter", "tax"),
        Row(json!({"tax": 5}), 422, "missing_parameter", "amount"),
        Row(json!({"amount": 1001}), 422, "invalid_parameter", "amount"),
    ]).await;
    check(&world, "POST", &refund, vec![
        Row(json!({"description": 1}), 422, "invalid_parameter", "description"),
        Row(json!({"description": "x".repeat(256)}), 422, "invalid_parameter", "description"),
        Row(json!({}), 422, "not_refundable", ""),
    ]).await;
    let bank = json!({"customer_name": "ﾔﾏﾀﾞ", "bank_name": "B", "branch_number": "001", "account_type": "normal", "account_number": "1234567"});
    let mut rows = vec![
        Row(but(bank.clone(), "bank_code", json!("12")), 422, "invalid_parameter", "bank_code"),
        Row(but(bank.clone(), "account_type", json!("secret")), 422, "invalid_parameter", "account_type"),
        Row(but(bank.clone(), "account_number", json!(1234567)), 422, "invalid_parameter", "account_number"),
        Row(but(bank.clone(), "branch_number", json!("0001")), 422, "invalid_parameter", "branch_number"),
        Row(but(bank.clone(), "include_payment_method_fee", json!("perhaps")), 422, "invalid_parameter", "include_payment_method_fee"),
        Row(but(bank.clone(), "bank_name", json!("x".repeat(256))), 422, "invalid_parameter", "bank_name"),
        Row(bank.clone(), 422, "not_refundable", ""),
    ];
    for name in ["customer_name", "bank_name", "branch_number", "account_type", "account_number"] {
        rows.push(Row(but(bank.clone(), name, json!(null)), 422, "missing_parameter", name));
    }
    check(&world, "POST", &request, rows).await;
    check(&world, "PATCH", &format!("/payments/{payment}"), vec![
        Row(json!({"metadata": {"a": 1}}), 422, "invalid_parameter", "metadata"),
        Row(json!({"description": {}}), 422, "invalid_parameter", "description"),
        Row(json!({"payment_details": {"type": "web_money"}}), 422, "invalid_parameter", "payment_details"),
    ]).await;
    assert_eq!(world.status(&payment).await, "authorized");
    assert_eq!(world.events().await, ["payment.authorized"]);
}

#[tokio::test]
async fn customers_and_tokens_that_cannot_be_are_refused_by_parameter() {
    let world = World::new().await;
    let customer = world.post("/customers", json!({})).await.ok().str("/id").to_owned();
    let rows = || vec![
        Row(json!({"email": "x"}), 422, "invalid_parameter", "email"),
        Row(json!({"email": {}}), 422, "invalid_parameter", "email"),
        Row(json!({"metadata": [1]}), 422, "invalid_parameter", "metadata"),
        Row(json!({"currency": "x"}), 422, "invalid_currency", "currency"),
        Row(json!({"payment_details": []}), 422, "invalid_parameter", "payment_details"),
        Row(json!({"payment_details": konbini()}), 422, "invalid_parameter", "payment_details"),
        Row(json!({"payment_details": card("4111")}), 422, "invalid_parameter", "number"),
    ];
    check(&world, "POST", "/customers", rows()).await;
    check(&world, "PATCH", &format!("/customers/{customer}"), rows()).await;
    world.post("/customers", json!({"payment_details": card("4123111111111059")})).await.refused(502, "card_declined");
    check(&world, "POST", "/tokens", vec![
        Row(json!({}), 422, "missing_parameter", "payment_details"),
        Row(json!({"payment_details": "tok_x"}), 422, "invalid_parameter", "payment_details"),
        Row(json!({"payment_details": {"type": "x"}}), 422, "invalid_payment_type", "payment_details"),
        Row(json!({"payment_details": {"type": "web_money", "prepaid_number": "1111111111111111"}}), 422, "missing_parameter", "payment_details"),
        Row(json!({"payment_details": card(GOOD_CARD), "currency": "?"}), 422, "invalid_currency", "currency"),
    ]).await;
    let secure = || json!({"amount": 100, "currency": "JPY", "return_url": "https://a.example/", "payment_details": card(GOOD_CARD)});
    check(&world, "POST", "/secure_tokens", vec![
        Row(json!({}), 422, "missing_parameter", "amount"),
        Row(but(secure(), "amount", json!(0)), 422, "invalid_parameter", "amount"),
        Row(but(secure(), "amount", json!("1.1")), 422, "invalid_parameter", "amount"),
        Row(but(secure(), "currency", json!(null)), 422, "missing_parameter", "currency"),
        Row(but(secure(), "currency", json!("AAA")), 422, "invalid_currency", "currency"),
        Row(but(secure(), "return_url", json!(null)), 422, "missing_parameter", "return_url"),
        Row(but(secure(), "return_url", json!("x")), 422, "invalid_parameter", "return_url"),
        Row(but(secure(), "payment_details", json!(null)), 422, "missing_parameter", "payment_details"),
        Row(but(secure(), "payment_details", konbini()), 422, "invalid_parameter", "payment_details"),
        Row(but(secure(), "customer", json!("x")), 422, "invalid_parameter", "customer"),
        Row(but(secure(), "tax", json!(-1)), 422, "invalid_parameter", "tax"),
    ]).await;
    assert_eq!(world.get("/customers").await.ok().int("/total"), 1);
}

#[tokio::test]
async fn bad_queries_are_refused_by_parameter() {
    let world = World::new().await;
    for (query, param) in [
        ("page=0", "page"), ("page=-1", "page"), ("page=x", "page"), ("page=1.5", "page"), ("page=99999999999999999999", "page"),
        ("page=9999999&per_page=100", "page"), ("per_page=0", "per_page"), ("per_page=x", "per_page"),
        ("start_time=soon", "start_time"), ("end_time=2026-99-99", "end_time"),
    ] {
        for path in ["/payments", "/customers", "/events"] {
            let seen = world.get(&format!("{path}?{query}")).await;
            assert_eq!(seen.refused(422, "invalid_parameter").param(), param, "{path}?{query}");
        }
    }
    assert_eq!(world.get("/payments?status=lost").await.refused(422, "invalid_parameter").param(), "status");
    world.get("/payments?currency=ABC").await.refused(422, "invalid_currency");
    let long = format!("/payments?external_order_num={}", "x".repeat(256));
    assert_eq!(world.get(&long).await.refused(422, "invalid_parameter").param(), "external_order_num");
    assert_eq!(world.get("/payments?external_order_num=%00").await.refused(422, "invalid_parameter").param(), "external_order_num");
    world.get("/payments?a=%ff").await.refused(400, "bad_request");
    assert_eq!(world.get("/webhook_deliveries?status=lost").await.refused(422, "invalid_parameter").param(), "status");
}

#[tokio::test]
async fn unknown_ids_paths_and_methods_have_the_envelope() {
    let world = World::new().await;
    let shouting = "A".repeat(25);
    let endless = "a".repeat(300);
    for id in ["nosuchthing0000000000000a", shouting.as_str(), "%00", "..%2f..", "%E3%81%82", "%ff", endless.as_str(), "a'b"] {
        for (method, path) in [
            ("GET", format!("/payments/{id}")), ("PATCH", format!("/payments/{id}")),
            ("POST", format!("/payments/{id}/capture")), ("POST", format!("/payments/{id}/cancel")),
            ("POST", format!("/payments/{id}/refund")), ("GET", format!("/payments/{id}/timeline")),
            ("GET", format!("/sessions/{id}")), ("POST", format!("/sessions/{id}/cancel")),
            ("GET", format!("/customers/{id}")), ("PATCH", format!("/customers/{id}")), ("DELETE", format!("/customers/{id}")),
            ("GET", format!("/secure_tokens/{id}")), ("GET", format!("/events/{id}")),
            ("PATCH", format!("/webhook_endpoints/{id}")), ("DELETE", format!("/webhook_endpoints/{id}")),
            ("POST", format!("/webhook_deliveries/{id}/{id}/replay")),
        ] {
            let seen = world.json(method, &path, json!({}), &[]).await;
            assert_eq!((seen.status, seen.code()), (404, "not_found"), "{method} {path}: {}", seen.text);
        }
    }
    assert_eq!(world.get("/payments/nosuchthing0000000000000a").await.message(), "The requested resource could not be found.");
    for path in ["/subscriptions", "/settlements", "/balances/JPY", "/payments/a/finalize", "/x", "", "/"] {
        world.get(path).await.refused(404, "not_found");
    }
    for (method, path) in [("PUT", "/payments"), ("DELETE", "/payments/a"), ("GET", "/tokens"), ("BREW", "/sessions"), ("OPTIONS", "/payments")] {
        let seen = world.json(method, path, json!({}), &[]).await;
        assert_eq!((seen.status, seen.code()), (405, "method_not_allowed"), "{method} {path}");
    }
}

#[tokio::test]
async fn keys_decide_who_may_what() {
    let world = World::new().await;
    for key in ["", "sk_test_unknown", "x"] {
        for path in ["/payments", "/sessions/abc", "/payment_methods", "/customers"] {
            let seen = world.call("GET", &format!("/api/v1{path}"), key, &[], "").await;
            assert_eq!((seen.status, seen.code()), (401, "unauthorized"), "{path}");
            assert_eq!(seen.headers["www-authenticate"], "Basic realm=\"Kessai\"");
        }
    }
    for header in ["Basic", "Basic %%%", "Bearer sk_test_one", "Digest x", ""] {
        let seen = world.call("GET", "/api/v1/payments", "", &[("authorization", header)], "").await;
        assert_eq!(seen.status, 401, "{header}");
    }
    let without_colon = [("authorization", "basic c2tfdGVzdF9vbmU=")];
    world.call("GET", "/api/v1/payments", "", &without_colon, "").await.ok();

    let session = world.post("/sessions", checkout()).await.ok().str("/id").to_owned();
    for (method, path) in kessai_http::served() {
        let browser = kessai_http::BROWSER_PATHS.contains(&path);
        let path = path.replace("{id}", &session).replace("{event_id}", "a").replace("{endpoint_id}", "b");
        let seen = world.call(method, &path, PUBLIC_KEY, &[], "{}").await;
        assert_eq!(seen.status == 403, !browser, "{method} {path}: {}", seen.text);
        if !browser {
            assert_eq!(seen.code(), "forbidden");
        }
    }
    let paid = json!({"payment_details": card(GOOD_CARD)}).to_string();
    world.call("POST", &format!("/api/v1/sessions/{session}/pay"), PUBLIC_KEY, &[], paid).await.ok();
}

#[tokio::test]
async fn versions_we_know_are_accepted_and_others_are_not() {
    let world = World::new().await;
    for (version, status) in [("2025-01-28", 200), ("2024-07-15", 200), ("2023-01-01", 400), ("", 400), ("latest", 400)] {
        let seen = world.call("GET", "/api/v1/payments", SECRET_KEY, &[("x-komoju-api-version", version)], "").await;
        assert_eq!(seen.status, status, "{version}");
    }
}

#[tokio::test]
async fn webhook_endpoints_that_cannot_be_are_refused_by_parameter() {
    let world = World::new().await;
    check(&world, "POST", "/webhook_endpoints", vec![
        Row(json!({}), 422, "missing_parameter", "url"),
        Row(json!({"url": "x"}), 422, "invalid_parameter", "url"),
        Row(json!({"url": "ftp://a.example/"}), 422, "invalid_parameter", "url"),
        Row(json!({"url": 1}), 422, "invalid_parameter", "url"),
        Row(json!({"url": "https://a.example/", "events": ["payment.lost"]}), 422, "invalid_parameter", "events"),
        Row(json!({"url": "https://a.example/", "events": [1]}), 422, "invalid_parameter", "events"),
        Row(json!({"url": "https://a.example/", "active": "x"}), 422, "invalid_parameter", "active"),
        Row(json!({"url": "https://a.example/", "secret_token": "x".repeat(300)}), 422, "invalid_parameter", "secret_token"),
    ]).await;
    check(&world, "POST", "/webhook_deliveries/replay", vec![
        Row(json!({}), 422, "missing_parameter", "start_time"),
        Row(json!({"start_time": "x"}), 422, "invalid_parameter", "start_time"),
    ]).await;
    for _ in 0..20 {
        world.post("/webhook_endpoints", json!({"url": "https://a.example/"})).await.ok();
    }
    world.post("/webhook_endpoints", json!({"url": "https://a.example/"})).await.refused(422, "unprocessable_entity");
}
