//! Bad input gets a clear error and changes nothing.
use crate::world::{GOOD_CARD, PUBLIC_KEY, SECRET_KEY, World, authorization, card, checkout, konbini, sale};
use serde_json::{Value, json};

/// `body` with `field` (dots go inside) set to `value`; taken away when it is null.
pub fn but(body: Value, field: &str, value: Value) -> Value {
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

pub struct Row(pub Value, pub u16, pub &'static str, pub &'static str);

pub async fn check(world: &World, method: &str, path: &str, rows: Vec<Row>) {
    for Row(body, status, code, param) in rows {
        let seen = world.json(method, path, body.clone(), &[]).await;
        let shown = body.to_string().chars().take(300).collect::<String>();
        assert_eq!(
            (seen.status, seen.code(), seen.param()),
            (status, code, param),
            "{method} {path} {shown}: {}",
            seen.text
        );
        assert!(!seen.message().is_empty());
        assert_eq!(seen.body["error"]["details"], json!({}));
        assert!(!seen.text.contains(GOOD_CARD), "{}", seen.text);
    }
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
    let paid = world
        .post(&format!("/sessions/{}/pay", session.str("/id")), pay)
        .await
        .ok();
    assert_eq!(paid.int("/payment/amount"), 1200);
}

#[tokio::test]
async fn a_pay_that_cannot_be_is_refused_and_the_session_stays_payable() {
    let world = World::new().await;
    let session = world
        .post("/sessions", checkout())
        .await
        .ok()
        .str("/id")
        .to_owned();
    let path = format!("/sessions/{session}/pay");
    let rows = vec![
        Row(json!({}), 422, "missing_parameter", "payment_details"),
        Row(
            json!({"payment_details": 7}),
            422,
            "invalid_parameter",
            "payment_details",
        ),
        Row(
            json!({"payment_details": "tok_"}),
            422,
            "invalid_token",
            "payment_details",
        ),
        Row(
            json!({"payment_details": {"type": "nothing"}}),
            422,
            "invalid_payment_type",
            "payment_details",
        ),
        Row(
            json!({"payment_details": card(GOOD_CARD), "capture": "now"}),
            422,
            "invalid_parameter",
            "capture",
        ),
        Row(
            json!({"payment_details": card(GOOD_CARD), "fraud_details": "x"}),
            422,
            "invalid_parameter",
            "fraud_details",
        ),
        Row(
            json!({"payment_details": {"type": "konbini", "store": "lawson"}}),
            422,
            "missing_parameter",
            "email",
        ),
    ];
    for Row(body, status, code, param) in rows {
        let seen = world.post(&path, body.clone()).await;
        // The provider decides about a token that it made itself.
        let param_fits = seen.param() == param || code == "invalid_token";
        assert!(
            (seen.status, seen.code()) == (status, code) && param_fits,
            "{body}: {}",
            seen.text
        );
        assert_eq!(seen.str("/status"), "error");
    }
    world
        .post(&path, json!({"payment_details": card(GOOD_CARD)}))
        .await
        .ok();
    let unknown = world.post("/sessions/nosuchsession/pay", json!({})).await;
    unknown.refused(404, "not_found");
}

#[tokio::test]
async fn operations_that_cannot_be_are_refused_by_parameter() {
    let world = World::new().await;
    let payment = world
        .post("/payments", authorization())
        .await
        .ok()
        .str("/id")
        .to_owned();
    let capture = format!("/payments/{payment}/capture");
    let refund = format!("/payments/{payment}/refund");
    let request = format!("/payments/{payment}/refund_request");
    let bad = |amount| Row(json!({"amount": amount}), 422, "invalid_parameter", "amount");
    for path in [&capture, &refund, &request] {
        let rows = vec![
            bad(json!(0)),
            bad(json!(-1)),
            bad(json!("1.5")),
            bad(json!("x")),
            bad(json!({})),
            bad(json!(u64::MAX)),
            bad(json!("99999999")),
        ];
        check(&world, "POST", path, rows).await;
    }
    check(
        &world,
        "POST",
        &capture,
        vec![
            Row(json!({"tax": "x"}), 422, "invalid_parameter", "tax"),
            Row(json!({"tax": 5}), 422, "missing_parameter", "amount"),
            Row(json!({"amount": 1001}), 422, "invalid_parameter", "amount"),
        ],
    )
    .await;
    check(
        &world,
        "POST",
        &refund,
        vec![
            Row(json!({"description": 1}), 422, "invalid_parameter", "description"),
            Row(
                json!({"description": "x".repeat(256)}),
                422,
                "invalid_parameter",
                "description",
            ),
            Row(json!({}), 422, "not_refundable", ""),
        ],
    )
    .await;
    let bank = json!({"customer_name": "ﾔﾏﾀﾞ", "bank_name": "B", "branch_number": "001", "account_type": "normal", "account_number": "1234567"});
    let mut rows = vec![
        Row(
            but(bank.clone(), "bank_code", json!("12")),
            422,
            "invalid_parameter",
            "bank_code",
        ),
        Row(
            but(bank.clone(), "account_type", json!("secret")),
            422,
            "invalid_parameter",
            "account_type",
        ),
        Row(
            but(bank.clone(), "account_number", json!(1234567)),
            422,
            "invalid_parameter",
            "account_number",
        ),
        Row(
            but(bank.clone(), "branch_number", json!("0001")),
            422,
            "invalid_parameter",
            "branch_number",
        ),
        Row(
            but(bank.clone(), "include_payment_method_fee", json!("perhaps")),
            422,
            "invalid_parameter",
            "include_payment_method_fee",
        ),
        Row(
            but(bank.clone(), "bank_name", json!("x".repeat(256))),
            422,
            "invalid_parameter",
            "bank_name",
        ),
        Row(bank.clone(), 422, "not_refundable", ""),
    ];
    for name in [
        "customer_name",
        "bank_name",
        "branch_number",
        "account_type",
        "account_number",
    ] {
        rows.push(Row(
            but(bank.clone(), name, json!(null)),
            422,
            "missing_parameter",
            name,
        ));
    }
    check(&world, "POST", &request, rows).await;
    check(
        &world,
        "PATCH",
        &format!("/payments/{payment}"),
        vec![
            Row(
                json!({"metadata": {"a": 1}}),
                422,
                "invalid_parameter",
                "metadata",
            ),
            Row(
                json!({"description": {}}),
                422,
                "invalid_parameter",
                "description",
            ),
            Row(
                json!({"payment_details": {"type": "web_money"}}),
                422,
                "invalid_parameter",
                "payment_details",
            ),
        ],
    )
    .await;
    assert_eq!(world.status(&payment).await, "authorized");
    assert_eq!(world.events().await, ["payment.authorized"]);
}

#[tokio::test]
async fn customers_and_tokens_that_cannot_be_are_refused_by_parameter() {
    let world = World::new().await;
    let customer = world
        .post("/customers", json!({}))
        .await
        .ok()
        .str("/id")
        .to_owned();
    let rows = || {
        vec![
            Row(json!({"email": "x"}), 422, "invalid_parameter", "email"),
            Row(json!({"email": {}}), 422, "invalid_parameter", "email"),
            Row(json!({"metadata": [1]}), 422, "invalid_parameter", "metadata"),
            Row(json!({"currency": "x"}), 422, "invalid_currency", "currency"),
            Row(
                json!({"payment_details": []}),
                422,
                "invalid_parameter",
                "payment_details",
            ),
            Row(
                json!({"payment_details": konbini()}),
                422,
                "invalid_parameter",
                "payment_details",
            ),
            Row(
                json!({"payment_details": card("4111")}),
                422,
                "invalid_parameter",
                "number",
            ),
        ]
    };
    check(&world, "POST", "/customers", rows()).await;
    check(&world, "PATCH", &format!("/customers/{customer}"), rows()).await;
    check(
        &world,
        "POST",
        "/tokens",
        vec![
            Row(json!({}), 422, "missing_parameter", "payment_details"),
            Row(
                json!({"payment_details": "tok_x"}),
                422,
                "invalid_parameter",
                "payment_details",
            ),
            Row(
                json!({"payment_details": {"type": "x"}}),
                422,
                "invalid_payment_type",
                "payment_details",
            ),
            Row(
                json!({"payment_details": {"type": "web_money", "prepaid_number": "1111111111111111"}}),
                422,
                "missing_parameter",
                "payment_details",
            ),
            Row(
                json!({"payment_details": card(GOOD_CARD), "currency": "?"}),
                422,
                "invalid_currency",
                "currency",
            ),
        ],
    )
    .await;
    let secure = || json!({"amount": 100, "currency": "JPY", "return_url": "https://a.example/", "payment_details": card(GOOD_CARD)});
    check(
        &world,
        "POST",
        "/secure_tokens",
        vec![
            Row(json!({}), 422, "missing_parameter", "amount"),
            Row(
                but(secure(), "amount", json!(0)),
                422,
                "invalid_parameter",
                "amount",
            ),
            Row(
                but(secure(), "amount", json!("1.1")),
                422,
                "invalid_parameter",
                "amount",
            ),
            Row(
                but(secure(), "currency", json!(null)),
                422,
                "missing_parameter",
                "currency",
            ),
            Row(
                but(secure(), "currency", json!("AAA")),
                422,
                "invalid_currency",
                "currency",
            ),
            Row(
                but(secure(), "return_url", json!(null)),
                422,
                "missing_parameter",
                "return_url",
            ),
            Row(
                but(secure(), "return_url", json!("x")),
                422,
                "invalid_parameter",
                "return_url",
            ),
            Row(
                but(secure(), "payment_details", json!(null)),
                422,
                "missing_parameter",
                "payment_details",
            ),
            Row(
                but(secure(), "payment_details", konbini()),
                422,
                "invalid_parameter",
                "payment_details",
            ),
            Row(
                but(secure(), "customer", json!("x")),
                422,
                "invalid_parameter",
                "customer",
            ),
            Row(but(secure(), "tax", json!(-1)), 422, "invalid_parameter", "tax"),
        ],
    )
    .await;
    assert_eq!(world.get("/customers").await.ok().int("/total"), 1);
}

#[tokio::test]
async fn bad_queries_are_refused_by_parameter() {
    let world = World::new().await;
    for (query, param) in [
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=x", "page"),
        ("page=1.5", "page"),
        ("page=99999999999999999999", "page"),
        ("page=9999999&per_page=100", "page"),
        ("per_page=0", "per_page"),
        ("per_page=x", "per_page"),
        ("start_time=soon", "start_time"),
        ("end_time=2026-99-99", "end_time"),
    ] {
        for path in ["/payments", "/customers", "/events"] {
            let seen = world.get(&format!("{path}?{query}")).await;
            assert_eq!(
                seen.refused(422, "invalid_parameter").param(),
                param,
                "{path}?{query}"
            );
        }
    }
    assert_eq!(
        world
            .get("/payments?status=lost")
            .await
            .refused(422, "invalid_parameter")
            .param(),
        "status"
    );
    world
        .get("/payments?currency=ABC")
        .await
        .refused(422, "invalid_currency");
    let long = format!("/payments?external_order_num={}", "x".repeat(256));
    assert_eq!(
        world.get(&long).await.refused(422, "invalid_parameter").param(),
        "external_order_num"
    );
    assert_eq!(
        world
            .get("/payments?external_order_num=%00")
            .await
            .refused(422, "invalid_parameter")
            .param(),
        "external_order_num"
    );
    world.get("/payments?a=%ff").await.refused(400, "bad_request");
    assert_eq!(
        world
            .get("/webhook_deliveries?status=lost")
            .await
            .refused(422, "invalid_parameter")
            .param(),
        "status"
    );
}

#[tokio::test]
async fn unknown_ids_paths_and_methods_have_the_envelope() {
    let world = World::new().await;
    let shouting = "A".repeat(25);
    let endless = "a".repeat(300);
    for id in [
        "nosuchthing0000000000000a",
        shouting.as_str(),
        "%00",
        "..%2f..",
        "%E3%81%82",
        "%ff",
        endless.as_str(),
        "a'b",
    ] {
        for (method, path) in [
            ("GET", format!("/payments/{id}")),
            ("PATCH", format!("/payments/{id}")),
            ("POST", format!("/payments/{id}/capture")),
            ("POST", format!("/payments/{id}/cancel")),
            ("POST", format!("/payments/{id}/refund")),
            ("GET", format!("/payments/{id}/timeline")),
            ("GET", format!("/sessions/{id}")),
            ("POST", format!("/sessions/{id}/cancel")),
            ("GET", format!("/customers/{id}")),
            ("PATCH", format!("/customers/{id}")),
            ("DELETE", format!("/customers/{id}")),
            ("GET", format!("/secure_tokens/{id}")),
            ("GET", format!("/events/{id}")),
            ("PATCH", format!("/webhook_endpoints/{id}")),
            ("DELETE", format!("/webhook_endpoints/{id}")),
            ("POST", format!("/webhook_deliveries/{id}/{id}/replay")),
        ] {
            let seen = world.json(method, &path, json!({}), &[]).await;
            assert_eq!(
                (seen.status, seen.code()),
                (404, "not_found"),
                "{method} {path}: {}",
                seen.text
            );
        }
    }
    assert_eq!(
        world.get("/payments/nosuchthing0000000000000a").await.message(),
        "The requested resource could not be found."
    );
    for path in [
        "/subscriptions",
        "/settlements",
        "/balances/JPY",
        "/payments/a/finalize",
        "/x",
        "",
        "/",
    ] {
        world.get(path).await.refused(404, "not_found");
    }
    for (method, path) in [
        ("PUT", "/payments"),
        ("DELETE", "/payments/a"),
        ("GET", "/tokens"),
        ("BREW", "/sessions"),
        ("OPTIONS", "/payments"),
    ] {
        let seen = world.json(method, path, json!({}), &[]).await;
        assert_eq!(
            (seen.status, seen.code()),
            (405, "method_not_allowed"),
            "{method} {path}"
        );
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
        let seen = world
            .call("GET", "/api/v1/payments", "", &[("authorization", header)], "")
            .await;
        assert_eq!(seen.status, 401, "{header}");
    }
    let without_colon = [("authorization", "basic c2tfdGVzdF9vbmU=")];
    world
        .call("GET", "/api/v1/payments", "", &without_colon, "")
        .await
        .ok();

    let session = world
        .post("/sessions", checkout())
        .await
        .ok()
        .str("/id")
        .to_owned();
    for (method, path) in kessai_http::served() {
        let browser = kessai_http::BROWSER_PATHS.contains(&path);
        let path = path
            .replace("{id}", &session)
            .replace("{event_id}", "a")
            .replace("{endpoint_id}", "b");
        let seen = world.call(method, &path, PUBLIC_KEY, &[], "{}").await;
        assert_eq!(seen.status == 403, !browser, "{method} {path}: {}", seen.text);
        if !browser {
            assert_eq!(seen.code(), "forbidden");
        }
    }
    let paid = json!({"payment_details": card(GOOD_CARD)}).to_string();
    world
        .call(
            "POST",
            &format!("/api/v1/sessions/{session}/pay"),
            PUBLIC_KEY,
            &[],
            paid,
        )
        .await
        .ok();
}

#[tokio::test]
async fn versions_we_know_are_accepted_and_others_are_not() {
    let world = World::new().await;
    for (version, status) in [
        ("2025-01-28", 200),
        ("2024-07-15", 200),
        ("2023-01-01", 400),
        ("", 400),
        ("latest", 400),
    ] {
        let seen = world
            .call(
                "GET",
                "/api/v1/payments",
                SECRET_KEY,
                &[("x-komoju-api-version", version)],
                "",
            )
            .await;
        assert_eq!(seen.status, status, "{version}");
    }
}

#[tokio::test]
async fn webhook_endpoints_that_cannot_be_are_refused_by_parameter() {
    let world = World::new().await;
    check(
        &world,
        "POST",
        "/webhook_endpoints",
        vec![
            Row(json!({}), 422, "missing_parameter", "url"),
            Row(json!({"url": "x"}), 422, "invalid_parameter", "url"),
            Row(
                json!({"url": "ftp://a.example/"}),
                422,
                "invalid_parameter",
                "url",
            ),
            Row(json!({"url": 1}), 422, "invalid_parameter", "url"),
            Row(
                json!({"url": "https://a.example/", "events": ["payment.lost"]}),
                422,
                "invalid_parameter",
                "events",
            ),
            Row(
                json!({"url": "https://a.example/", "events": [1]}),
                422,
                "invalid_parameter",
                "events",
            ),
            Row(
                json!({"url": "https://a.example/", "active": "x"}),
                422,
                "invalid_parameter",
                "active",
            ),
            Row(
                json!({"url": "https://a.example/", "secret_token": "x".repeat(300)}),
                422,
                "invalid_parameter",
                "secret_token",
            ),
        ],
    )
    .await;
    check(
        &world,
        "POST",
        "/webhook_deliveries/replay",
        vec![
            Row(json!({}), 422, "missing_parameter", "start_time"),
            Row(json!({"start_time": "x"}), 422, "invalid_parameter", "start_time"),
        ],
    )
    .await;
    for _ in 0..20 {
        world
            .post("/webhook_endpoints", json!({"url": "https://a.example/"}))
            .await
            .ok();
    }
    world
        .post("/webhook_endpoints", json!({"url": "https://a.example/"}))
        .await
        .refused(422, "unprocessable_entity");
}
