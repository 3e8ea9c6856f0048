//! Noise: whatever is sent, the answer is ours and never a crash.
use crate::world::{GOOD_CARD, World, authorization, card, checkout};
use kessai_engine::problem::CODES;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

const NAMES: &[&str] = &[
    "amount",
    "currency",
    "tax",
    "payment_details",
    "customer",
    "capture",
    "external_order_num",
    "return_url",
    "cancel_url",
    "locale",
    "description",
    "metadata",
    "mcc",
    "statement_descriptor",
    "fraud_details",
    "mode",
    "default_locale",
    "payment_types",
    "email",
    "expires_in_seconds",
    "external_customer_id",
    "line_items",
    "payment_data",
    "customer_id",
    "type",
    "number",
    "month",
    "year",
    "verification_value",
    "store",
    "phone",
    "prepaid_number",
    "expiry_days",
    "url",
    "events",
    "active",
    "secret_token",
    "start_time",
    "end_time",
    "customer_name",
    "bank_name",
    "bank_code",
    "branch_number",
    "account_type",
    "account_number",
    "name",
    "quantity",
];

fn value() -> impl Strategy<Value = Value> {
    let sensible = prop::sample::select(vec![
        json!("JPY"),
        json!("USD"),
        json!(1000),
        json!("1000.00"),
        json!("konbini"),
        json!("credit_card"),
        json!("paypay"),
        json!("lawson"),
        json!("a@example.com"),
        json!(GOOD_CARD),
        json!("12"),
        json!(2030),
        json!("auto"),
        json!("manual"),
        json!(true),
        json!("https://a.example/?x#y"),
        json!("tok_a"),
        card(GOOD_CARD),
        json!({"type": "paypay"}),
        json!("ja"),
        json!("customer"),
        json!({"type": "web_money", "prepaid_number": "1111111111111111"}),
        json!("2026-01-15T03:00:00Z"),
        json!(0),
        json!(-1),
        json!(9_999_999),
        json!("09012345678"),
        json!({"type": "konbini", "store": "lawson", "email": "a@example.com"}),
    ]);
    let leaf = prop_oneof![
        4 => sensible,
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        2 => any::<String>().prop_map(Value::from),
        1 => "-?[0-9]{0,22}(\\.[0-9]{0,6})?".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![6 => prop::sample::select(NAMES).prop_map(str::to_owned), 1 => any::<String>()]
}

fn body() -> impl Strategy<Value = Value> {
    let fields = prop::collection::vec((name(), value()), 0..10)
        .prop_map(|fields| Value::Object(Map::from_iter(fields)));
    // Half of the bodies begin as ones that would work.
    let mended = (
        prop::sample::select(vec![checkout(), authorization()]),
        prop::collection::vec((name(), value()), 0..3),
    )
        .prop_map(|(mut body, fields)| {
            body.as_object_mut().expect("an object").extend(fields);
            body
        });
    prop_oneof![3 => fields, 3 => mended, 1 => value()]
}

/// Arbitrary JSON to every endpoint: success, a refusal, or a listed decline.
#[test]
fn arbitrary_json_is_answered_and_never_a_server_error() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let world = runtime.block_on(World::new());
    let (session, payment, customer) = runtime.block_on(async {
        let session = world
            .post("/sessions", checkout())
            .await
            .ok()
            .str("/id")
            .to_owned();
        let payment = world
            .post("/payments", authorization())
            .await
            .ok()
            .str("/id")
            .to_owned();
        let customer = world
            .post("/customers", json!({"payment_details": card(GOOD_CARD)}))
            .await
            .ok();
        (session, payment, customer.str("/id").to_owned())
    });
    let doors: Vec<(&str, String)> = kessai_http::served()
        .into_iter()
        .map(|(method, path)| {
            let id = if path.contains("/sessions/") {
                &session
            } else if path.contains("/payments/") {
                &payment
            } else {
                &customer
            };
            (
                method,
                path.replace("{id}", id)
                    .replace("{event_id}", id)
                    .replace("{endpoint_id}", id),
            )
        })
        .collect();
    let declines: Vec<&str> = CODES
        .iter()
        .filter(|code| code.status == 502)
        .map(|code| code.name)
        .collect();
    let config = ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&(body(), any::<bool>()), |(body, keyed)| {
        for (method, path) in &doors {
            let mut headers = vec![("content-type", "application/json")];
            if keyed {
                headers.push(("x-komoju-idempotency", "noise"));
            }
            let key = crate::world::SECRET_KEY;
            let seen = runtime.block_on(world.call(method, path, key, &headers, body.to_string()));
            let fine = match seen.status {
                502 => declines.contains(&seen.code()),
                status => status < 500,
            };
            prop_assert!(fine, "{method} {path}: {} {}", seen.status, seen.text);
            prop_assert!(
                serde_json::from_str::<Value>(&seen.text).is_ok(),
                "{method} {path}: {}",
                seen.text
            );
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// Arbitrary bytes under every content type.
#[test]
fn arbitrary_bytes_are_answered_and_never_a_server_error() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let world = runtime.block_on(World::new());
    let kinds = [
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
    ];
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        "[a-c%+&=\\[\\]0-9]{0,60}".prop_map(String::into_bytes),
        "(--x\r\n)?(Content-Disposition: form-data; name=\"a\\[[a-z]?\\]\"\r\n\r\n1\r\n--x(--)?\r\n){0,4}"
            .prop_map(String::into_bytes),
    ];
    let config = ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(
        &(bytes, prop::sample::select(kinds.to_vec()), "[ -~]{0,40}"),
        |(bytes, kind, query)| {
            let headers = [("content-type", kind)];
            let key = crate::world::SECRET_KEY;
            let seen = runtime.block_on(world.call("POST", "/api/v1/sessions", key, &headers, bytes));
            prop_assert!(seen.status < 500, "{}", seen.text);
            let path: String = query.chars().filter(|c| !" <>\"{}|\\^`#".contains(*c)).collect();
            let seen = runtime.block_on(world.call("GET", &format!("/api/v1/payments?{path}"), key, &[], ""));
            prop_assert!(seen.status < 500, "{}", seen.text);
            Ok(())
        },
    );
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
