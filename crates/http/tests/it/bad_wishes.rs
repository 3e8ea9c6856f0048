//! Payments and sessions that cannot be are refused by parameter, and nothing is made.
use crate::bad_input::{Row, but, check};
use crate::world::{GOOD_CARD, World, checkout, konbini, sale};
use serde_json::{Map, Value, json};

fn many(n: usize) -> Value {
    Value::Object((0..n).map(|n| (n.to_string(), json!("x"))).collect::<Map<_, _>>())
}

#[tokio::test]
async fn a_payment_that_cannot_be_is_refused_by_parameter() {
    let world = World::new().await;
    let ok = || sale(GOOD_CARD);
    let long = "長".repeat(256);
    let mut rows = vec![
        Row(json!({}), 422, "missing_parameter", "amount"),
        Row(
            but(ok(), "amount", json!(null)),
            422,
            "missing_parameter",
            "amount",
        ),
        Row(
            but(ok(), "currency", json!(null)),
            422,
            "missing_parameter",
            "currency",
        ),
        Row(
            but(ok(), "payment_details", json!(null)),
            422,
            "missing_parameter",
            "payment_details",
        ),
        Row(
            but(ok(), "currency", json!("ZZZ")),
            422,
            "invalid_currency",
            "currency",
        ),
        Row(
            but(ok(), "currency", json!(392)),
            422,
            "invalid_currency",
            "currency",
        ),
        Row(
            but(ok(), "currency", json!("THB")),
            422,
            "invalid_currency",
            "currency",
        ),
        Row(
            but(ok(), "locale", json!("fr")),
            422,
            "invalid_parameter",
            "locale",
        ),
        Row(but(ok(), "tax", json!("lots")), 422, "invalid_parameter", "tax"),
        Row(but(ok(), "tax", json!(-1)), 422, "invalid_parameter", "tax"),
        Row(
            but(ok(), "capture", json!("maybe")),
            422,
            "invalid_parameter",
            "capture",
        ),
        Row(
            but(ok(), "customer", json!("abc")),
            422,
            "invalid_parameter",
            "customer",
        ),
        Row(
            but(ok(), "payment_details", json!(["x"])),
            422,
            "invalid_parameter",
            "payment_details",
        ),
        Row(
            but(ok(), "payment_details", json!(7)),
            422,
            "invalid_parameter",
            "payment_details",
        ),
        Row(
            but(ok(), "payment_details", json!("nonsense")),
            422,
            "invalid_token",
            "payment_details",
        ),
        Row(
            but(ok(), "payment_details", json!({})),
            422,
            "missing_parameter",
            "type",
        ),
        Row(
            but(ok(), "payment_details.type", json!("bitcoin")),
            422,
            "invalid_payment_type",
            "payment_details",
        ),
        Row(
            but(ok(), "payment_details.number", json!(null)),
            422,
            "missing_parameter",
            "number",
        ),
        Row(
            but(ok(), "payment_details.number", json!("4111")),
            422,
            "invalid_parameter",
            "number",
        ),
        Row(
            but(ok(), "payment_details.number", json!("4".repeat(40))),
            422,
            "invalid_parameter",
            "number",
        ),
        Row(
            but(ok(), "payment_details.number", json!({"a": 1})),
            422,
            "invalid_parameter",
            "number",
        ),
        Row(
            but(ok(), "payment_details.month", json!(13)),
            422,
            "invalid_parameter",
            "month",
        ),
        Row(
            but(ok(), "payment_details.month", json!("x")),
            422,
            "invalid_parameter",
            "month",
        ),
        Row(
            but(ok(), "payment_details.year", json!(null)),
            422,
            "missing_parameter",
            "year",
        ),
        Row(
            but(ok(), "payment_details.year", json!(2020)),
            502,
            "card_expired",
            "",
        ),
        Row(
            but(ok(), "payment_details.verification_value", json!("12345")),
            422,
            "invalid_parameter",
            "verification_value",
        ),
        Row(
            but(ok(), "payment_details", but(konbini(), "store", json!(null))),
            422,
            "missing_parameter",
            "store",
        ),
        Row(
            but(ok(), "payment_details", but(konbini(), "store", json!("corner"))),
            422,
            "invalid_parameter",
            "store",
        ),
        Row(
            but(ok(), "payment_details", but(konbini(), "email", json!(null))),
            422,
            "missing_parameter",
            "email",
        ),
        Row(
            but(ok(), "payment_details", but(konbini(), "email", json!("nobody"))),
            422,
            "invalid_parameter",
            "email",
        ),
        Row(
            but(ok(), "payment_details", but(konbini(), "expiry_days", json!(60))),
            422,
            "invalid_parameter",
            "expiry_days",
        ),
        Row(
            but(ok(), "external_order_num", json!(long)),
            422,
            "invalid_parameter",
            "external_order_num",
        ),
        Row(
            but(ok(), "external_order_num", json!({"a": 1})),
            422,
            "invalid_parameter",
            "external_order_num",
        ),
        Row(
            but(ok(), "description", json!(long)),
            422,
            "invalid_parameter",
            "description",
        ),
        Row(
            but(ok(), "description", json!(["x"])),
            422,
            "invalid_parameter",
            "description",
        ),
        Row(
            but(ok(), "description", json!("a\0b")),
            422,
            "invalid_parameter",
            "description",
        ),
        Row(
            but(ok(), "return_url", json!("not a url")),
            422,
            "invalid_parameter",
            "return_url",
        ),
        Row(
            but(ok(), "return_url", json!("javascript:alert(1)")),
            422,
            "invalid_parameter",
            "return_url",
        ),
        Row(
            but(
                ok(),
                "return_url",
                json!(format!("https://a.example/{}", "x".repeat(2_000))),
            ),
            422,
            "invalid_parameter",
            "return_url",
        ),
        Row(
            but(ok(), "cancel_url", json!(7)),
            422,
            "invalid_parameter",
            "cancel_url",
        ),
        Row(
            but(ok(), "metadata", json!("x")),
            422,
            "invalid_parameter",
            "metadata",
        ),
        Row(
            but(ok(), "metadata", json!({"a": 1})),
            422,
            "invalid_parameter",
            "metadata",
        ),
        Row(
            but(ok(), "metadata", many(51)),
            422,
            "invalid_parameter",
            "metadata",
        ),
        Row(
            but(ok(), "metadata", json!({"k".repeat(31): "v"})),
            422,
            "invalid_parameter",
            "metadata",
        ),
        Row(
            but(ok(), "metadata", json!({"k": "v".repeat(2_001)})),
            422,
            "invalid_parameter",
            "metadata",
        ),
        Row(
            but(ok(), "metadata", json!({"a\0": "v"})),
            422,
            "invalid_parameter",
            "metadata",
        ),
        Row(
            but(ok(), "statement_descriptor", json!("x")),
            422,
            "invalid_parameter",
            "statement_descriptor",
        ),
        Row(
            but(ok(), "statement_descriptor", json!({"contact_phone": 1})),
            422,
            "invalid_parameter",
            "statement_descriptor",
        ),
        Row(
            but(ok(), "fraud_details", json!(1)),
            422,
            "invalid_parameter",
            "fraud_details",
        ),
        Row(
            but(ok(), "fraud_details", json!({"a": "x".repeat(9_000)})),
            422,
            "invalid_parameter",
            "fraud_details",
        ),
    ];
    for amount in [
        json!(0),
        json!(-1),
        json!(10_000_000),
        json!(i64::MAX),
        json!(u64::MAX),
        json!("1500.5"),
        json!(0.5),
        json!("abc"),
        json!(true),
        json!([1]),
        json!({"a": 1}),
        json!("99999999999999999999999"),
        json!("1e3"),
    ] {
        rows.push(Row(
            but(ok(), "amount", amount),
            422,
            "invalid_parameter",
            "amount",
        ));
    }
    check(&world, "POST", "/payments", rows).await;
    let zero = world.post("/payments", but(ok(), "amount", json!(0))).await;
    assert_eq!(zero.message(), "Amount must be greater than 0");
    let none = world.post("/payments", but(ok(), "amount", json!(null))).await;
    assert_eq!(none.message(), "A required parameter (amount) is missing");
    let unknown = json!({"amount": 1, "currency": "JPY", "customer": "nobody"});
    assert_eq!(world.post("/payments", unknown).await.status, 404);

    assert_eq!(
        world.get("/payments").await.ok().int("/total"),
        0,
        "nothing was made"
    );
    assert_eq!(world.get("/events").await.ok().int("/total"), 0);
    assert_eq!(
        world.gate.sent.load(std::sync::atomic::Ordering::SeqCst),
        0,
        "nobody was asked"
    );
    // A token that the provider may have made itself is for the provider to refuse.
    world
        .post("/payments", but(ok(), "payment_details", json!("tok_unknown")))
        .await
        .refused(422, "invalid_token");
}

#[tokio::test]
async fn a_session_that_cannot_be_is_refused_by_parameter() {
    let world = World::new().await;
    let ok = checkout;
    let long = "x".repeat(256);
    let rows = vec![
        Row(json!({}), 422, "missing_parameter", "amount"),
        Row(
            but(ok(), "currency", json!(null)),
            422,
            "missing_parameter",
            "currency",
        ),
        Row(but(ok(), "amount", json!(0)), 422, "invalid_parameter", "amount"),
        Row(but(ok(), "amount", json!(-5)), 422, "invalid_parameter", "amount"),
        Row(
            but(ok(), "amount", json!("12.5")),
            422,
            "invalid_parameter",
            "amount",
        ),
        Row(
            but(ok(), "amount", json!(99_999_999)),
            422,
            "invalid_parameter",
            "amount",
        ),
        Row(
            but(ok(), "currency", json!("XXX")),
            422,
            "invalid_currency",
            "currency",
        ),
        Row(but(ok(), "mode", json!("gift")), 422, "invalid_parameter", "mode"),
        Row(but(ok(), "mode", json!(1)), 422, "invalid_parameter", "mode"),
        Row(
            but(ok(), "default_locale", json!("xx")),
            422,
            "invalid_parameter",
            "default_locale",
        ),
        Row(
            but(ok(), "return_url", json!("x")),
            422,
            "invalid_parameter",
            "return_url",
        ),
        Row(
            but(ok(), "payment_types", json!(["cash"])),
            422,
            "invalid_payment_type",
            "payment_types",
        ),
        Row(
            but(ok(), "payment_types", json!([1])),
            422,
            "invalid_parameter",
            "payment_types",
        ),
        Row(
            but(ok(), "payment_types", json!({"a": 1})),
            422,
            "invalid_parameter",
            "payment_types",
        ),
        Row(
            but(ok(), "payment_types", json!(vec!["konbini"; 101])),
            422,
            "invalid_parameter",
            "payment_types",
        ),
        Row(
            but(ok(), "email", json!("nobody")),
            422,
            "invalid_parameter",
            "email",
        ),
        Row(
            but(ok(), "email", json!(format!("{}@example.com", "x".repeat(255)))),
            422,
            "invalid_parameter",
            "email",
        ),
        Row(
            but(ok(), "expires_in_seconds", json!(0)),
            422,
            "invalid_parameter",
            "expires_in_seconds",
        ),
        Row(
            but(ok(), "expires_in_seconds", json!(86_401)),
            422,
            "invalid_parameter",
            "expires_in_seconds",
        ),
        Row(
            but(ok(), "expires_in_seconds", json!("soon")),
            422,
            "invalid_parameter",
            "expires_in_seconds",
        ),
        Row(
            but(ok(), "external_customer_id", json!(long)),
            422,
            "invalid_parameter",
            "external_customer_id",
        ),
        Row(
            but(ok(), "line_items", json!("x")),
            422,
            "invalid_parameter",
            "line_items",
        ),
        Row(
            but(ok(), "line_items", json!(["x"])),
            422,
            "invalid_parameter",
            "line_items",
        ),
        Row(
            but(ok(), "line_items", json!(vec![json!({}); 101])),
            422,
            "invalid_parameter",
            "line_items",
        ),
        Row(
            but(ok(), "line_items", json!([{"amount": "x"}])),
            422,
            "invalid_parameter",
            "line_items",
        ),
        Row(
            but(ok(), "line_items", json!([{"description": 1}])),
            422,
            "invalid_parameter",
            "line_items",
        ),
        Row(
            but(ok(), "line_items", json!([{"quantity": -1}])),
            422,
            "invalid_parameter",
            "line_items",
        ),
        Row(
            but(ok(), "metadata", json!({"a": {}})),
            422,
            "invalid_parameter",
            "metadata",
        ),
        Row(
            but(ok(), "customer_id", json!({})),
            422,
            "invalid_parameter",
            "customer_id",
        ),
        Row(but(ok(), "customer_id", json!("nobody")), 404, "not_found", ""),
        Row(
            but(ok(), "payment_data", json!("x")),
            422,
            "invalid_parameter",
            "payment_data",
        ),
        Row(
            but(ok(), "payment_data", json!({"capture": "later"})),
            422,
            "invalid_parameter",
            "capture",
        ),
        Row(
            but(ok(), "payment_data", json!({"capture": true})),
            422,
            "invalid_parameter",
            "capture",
        ),
        Row(
            but(ok(), "payment_data", json!({"external_order_num": long})),
            422,
            "invalid_parameter",
            "external_order_num",
        ),
        Row(
            but(ok(), "payment_data", json!({"name": 1})),
            422,
            "invalid_parameter",
            "name",
        ),
        Row(
            but(ok(), "payment_data", json!({"billing_address": {"city": long}})),
            422,
            "invalid_parameter",
            "billing_address",
        ),
        Row(
            but(ok(), "payment_data", json!({"shipping_address": 1})),
            422,
            "invalid_parameter",
            "shipping_address",
        ),
        Row(
            but(ok(), "payment_data", json!({"platform_details": "x"})),
            422,
            "invalid_parameter",
            "platform_details",
        ),
        Row(
            json!({"amount": 400_000, "currency": "JPY", "payment_types": ["konbini"]}),
            422,
            "invalid_payment_type",
            "amount",
        ),
    ];
    check(&world, "POST", "/sessions", rows).await;
    let nested =
        json!({"payment_data": {"amount": "1200.0000", "currency": "jpy"}, "return_url": "myapp://back"});
    let session = world.post("/sessions", nested).await.ok();
    assert_eq!((session.int("/amount"), session.str("/currency")), (1200, "JPY"));
}

#[tokio::test]
async fn a_reused_order_number_is_refused() {
    let world = World::new().await;
    let numbered = but(sale(GOOD_CARD), "external_order_num", json!("N-1"));
    world.post("/payments", numbered.clone()).await.ok();
    let session = but(checkout(), "payment_data", json!({"external_order_num": "N-1"}));
    check(
        &world,
        "POST",
        "/payments",
        vec![Row(numbered, 422, "invalid_parameter", "external_order_num")],
    )
    .await;
    check(
        &world,
        "POST",
        "/sessions",
        vec![Row(session, 422, "invalid_parameter", "external_order_num")],
    )
    .await;
}
