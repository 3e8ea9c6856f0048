//! Keys, idempotency, webhooks, faults, and books that outlive the process.
use crate::sandbox_kit::*;
use kessai_provider::sandbox::{Answer, InProcess, Sandbox};
use kessai_provider::transport::{Method, Request, Transport, TransportFault};
use kessai_provider_komoju::sandbox::{BooksAt, signature};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

#[test]
fn the_same_key_and_body_return_the_first_answer_and_another_body_is_refused() {
    let world = world();
    let key = [("x-komoju-idempotency", "pay-1")];
    let mut body = sale(GOOD);
    body["external_order_num"] = json!("ORDER-1");
    let first = world.call(Method::Post, "/payments", &key, &body);
    assert_eq!(world.call(Method::Post, "/payments", &key, &body), first);
    assert_eq!(world.get("/payments")["total"], 1);
    body["amount"] = json!(2000);
    let (status, reply) = world.call(Method::Post, "/payments", &key, &body);
    assert_eq!((status, code(&reply)), (422, "unprocessable_entity"));
    // Refusals are replayed too, and keys are free again after a day.
    let key = [("x-komoju-idempotency", "pay-2")];
    let declined = world.call(Method::Post, "/payments", &key, &sale("4123111111111059"));
    assert_eq!(
        world.call(Method::Post, "/payments", &key, &sale("4123111111111059")),
        declined
    );
    assert_eq!(world.get("/payments?status=failed")["total"], 1);
    world.wait(86_400);
    assert_eq!(world.call(Method::Post, "/payments", &key, &sale(GOOD)).0, 200);
}

#[test]
fn keys_are_checked_with_and_without_a_colon() {
    let world = world();
    let list = |key: &str| {
        world
            .ask(Method::Get, "/api/v1/payments", &[("authorization", key)], b"")
            .status
    };
    assert_eq!(list(SECRET_KEY), 200);
    assert_eq!(list("Basic c2tfdGVzdF9zZWNyZXQ="), 200);
    assert_eq!(list(PUBLIC_KEY), 403);
    assert_eq!(list("Basic d3Jvbmc6"), 401);
    assert_eq!(world.ask(Method::Get, "/api/v1/payments", &[], b"").status, 401);
    let methods = world.ask(
        Method::Get,
        "/api/v1/payment_methods",
        &[("authorization", PUBLIC_KEY)],
        b"",
    );
    assert!(
        serde_json::from_slice::<Value>(&methods.body)
            .expect("JSON")
            .is_array()
    );
    assert_eq!(world.ask(Method::Options, "/api/v1/tokens", &[], b"").status, 204);
    assert_eq!(
        world
            .ask(
                Method::Get,
                "/api/v1/nothing",
                &[("authorization", SECRET_KEY)],
                b""
            )
            .status,
        404
    );
    let version = [
        ("authorization", SECRET_KEY),
        ("x-komoju-api-version", "1999-01-01"),
    ];
    assert_eq!(
        world.ask(Method::Get, "/api/v1/payments", &version, b"").status,
        400
    );
}

#[test]
fn forms_are_understood_as_well_as_json() {
    let world = world();
    let headers = [
        ("authorization", SECRET_KEY),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let body =
        "amount=1200&currency=JPY&payment_types[]=konbini&payment_data[external_order_num]=F-1&metadata[a]=b";
    let reply = world.ask(Method::Post, "/api/v1/sessions", &headers, body.as_bytes());
    let session: Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!(
        (&session["amount"], text(&session, "/metadata/a")),
        (&json!(1200), "b")
    );
    assert_eq!(text(&session, "/payment_data/external_order_num"), "F-1");
}

#[test]
fn a_lost_answer_is_booked_and_found_by_its_order_number() {
    let world = world();
    world.fault(json!({"operation": "payments.create", "kind": "lose_after", "remaining": 1}));
    let mut body = sale(GOOD);
    body["external_order_num"] = json!("LOST-1");
    let headers = [
        ("authorization", SECRET_KEY),
        ("content-type", "application/json"),
    ];
    let bytes = body.to_string();
    let lost = world.answer(Method::Post, "/api/v1/payments", &headers, bytes.as_bytes());
    assert!(matches!(lost, Answer::Dropped));
    let found = world.get("/payments?external_order_num=LOST-1");
    assert_eq!(
        (&found["total"], text(&found, "/data/0/status")),
        (&json!(1), "captured")
    );
}

#[test]
fn faults_before_booking_book_nothing_and_faults_after_it_do() {
    for (rule, booked) in [
        (json!({"kind": "refuse"}), 0),
        (json!({"kind": "lose_before"}), 0),
        (json!({"kind": "status", "code": 503}), 0),
        (json!({"kind": "status", "code": 500, "booked": true}), 1),
        (json!({"kind": "delay", "ms": 90_000}), 1),
        (json!({"kind": "truncate"}), 1),
        (json!({"kind": "garble"}), 1),
        (json!({"kind": "unlisted_status"}), 1),
        (json!({"kind": "wrong_amount"}), 1),
    ] {
        let world = world();
        let mut asked = rule.clone();
        asked["operation"] = json!("payments.create");
        world.fault(asked);
        let headers = [
            ("authorization", SECRET_KEY),
            ("content-type", "application/json"),
        ];
        let body = sale(GOOD).to_string();
        let answer = world.answer(Method::Post, "/api/v1/payments", &headers, body.as_bytes());
        assert_eq!(world.get("/payments")["total"], booked, "{rule} {answer:?}");
        if let Answer::Reply { reply, after_ms } = answer {
            let shown: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            match rule["kind"].as_str().expect("a kind") {
                "status" => assert!(reply.status >= 500),
                "delay" => assert_eq!(after_ms, 90_000),
                "truncate" | "garble" => assert_eq!(shown, Value::Null),
                "unlisted_status" => assert_eq!(shown["status"], "under_review"),
                _ => assert_eq!(shown["amount"], 1001),
            }
        }
    }
}

#[test]
fn a_decline_can_be_ordered() {
    let world = world();
    world.fault(json!({"operation": "payments.create", "kind": "decline", "code": "restricted_account", "remaining": 1}));
    assert_eq!(code(&world.post("/payments", sale(GOOD)).1), "restricted_account");
    assert_eq!(world.post("/payments", sale(GOOD)).0, 200);
}

#[test]
fn webhooks_are_signed_and_tried_again_until_they_are_taken() {
    let world = hooked();
    world.post("/payments", sale(GOOD));
    let first = world.sandbox.due_notices(world.now(), 10).remove(0);
    let header = |name: &str| {
        let found = first.request.headers.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.clone()).expect("the header")
    };
    assert_eq!(
        header("x-komoju-signature"),
        signature("whsec_loopback", &first.request.body)
    );
    assert_eq!(
        (header("x-komoju-event").as_str(), header("user-agent").as_str()),
        ("payment.captured", "Komoju-Webhook")
    );
    assert!(
        world.sandbox.due_notices(world.now(), 10).is_empty(),
        "it is leased"
    );
    for wait in [60, 300, 1_800, 7_200, 21_600, 43_200, 86_400] {
        world.sandbox.noticed(&first.id, Some(500), world.now());
        world.wait(wait - 1);
        assert!(world.sandbox.due_notices(world.now(), 10).is_empty());
        world.wait(1);
        let again = world.sandbox.due_notices(world.now(), 10);
        assert_eq!(again[0].request.body, first.request.body);
        assert_eq!(again[0].request.headers, first.request.headers);
    }
    world.sandbox.noticed(&first.id, None, world.now());
    world.wait(1_000_000);
    assert!(
        world.sandbox.due_notices(world.now(), 10).is_empty(),
        "it was given up"
    );
    assert_eq!(
        world.control(Method::Get, "state", Value::Null).1["notices"]["given_up"],
        1
    );
}

#[test]
fn a_notification_nobody_reported_on_returns_after_its_lease() {
    let world = hooked();
    world.post("/payments", sale(GOOD));
    assert_eq!(world.sandbox.due_notices(world.now(), 10).len(), 1);
    world.wait(60);
    assert_eq!(world.sandbox.due_notices(world.now(), 10).len(), 1);
}

#[test]
fn notifications_go_wrong_on_request() {
    let sent = |kind: &str| {
        let world = hooked();
        world.fault(json!({"operation": "*", "kind": kind}));
        world.post("/payments", sale(GOOD));
        let notices = world.sandbox.due_notices(world.now(), 10);
        let read = |body: &[u8]| serde_json::from_slice::<Value>(body).expect("JSON");
        let genuine = notices.iter().filter(|notice| {
            let given = notice
                .request
                .headers
                .iter()
                .find(|(name, _)| name == "x-komoju-signature");
            given.is_some_and(|(_, value)| *value == signature("whsec_loopback", &notice.request.body))
        });
        (
            notices.len(),
            genuine.count(),
            notices.last().map(|notice| read(&notice.request.body)),
        )
    };
    assert_eq!(sent("notice_drop").0, 0);
    assert_eq!(sent("notice_duplicate").0, 2);
    assert_eq!(sent("notice_reorder").0, 0);
    let (all, genuine, _) = sent("notice_forge");
    assert_eq!((all, genuine), (2, 1));
    assert_eq!(
        sent("notice_wrong_amount").2.expect("one")["data"]["amount"],
        1001
    );
    assert_eq!(sent("notice_unknown_payment").0, 2);
}

#[test]
fn events_are_kept_only_for_someone_who_listens() {
    let world = world();
    world.post("/payments", sale(GOOD));
    assert_eq!(world.get("/events")["total"], 0);
    let hook = json!({"url": "http://hub.test/hook", "secret": "s"});
    world.control(Method::Post, "webhook", hook);
    world.post("/payments", sale(GOOD));
    assert_eq!(world.events(), ["ping", "payment.captured"]);
    let list = world.get("/events");
    assert_eq!(list["total"], 2);
    let id = text(&list, "/data/0/id");
    assert_eq!(world.get(&format!("/events/{id}"))["resource"], "event");
}

#[test]
fn books_faults_and_webhook_survive_the_process_and_hold_no_card_number() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path().join("komoju.sqlite");
    let id = {
        let world = World::with(BooksAt::File(at.clone()), true);
        world.fault(json!({"operation": "payments.refund", "kind": "refuse", "remaining": 2}));
        world.control(
            Method::Post,
            "webhook",
            json!({"url": "http://hub.test/new", "secret": "s2"}),
        );
        world.post("/tokens", json!({"payment_details": card("4242424242424242")}));
        world.post("/customers", json!({"payment_details": card("5555555555554444")}));
        let key = [("x-komoju-idempotency", "k")];
        let (_, payment) = world.call(Method::Post, "/payments", &key, &sale(GOOD));
        text(&payment, "/id").to_owned()
    };
    for entry in std::fs::read_dir(folder.path()).expect("the folder") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a file");
        for number in [GOOD, "4242424242424242", "5555555555554444"] {
            assert!(
                !bytes
                    .windows(number.len())
                    .any(|window| window == number.as_bytes()),
                "{number} was kept"
            );
        }
    }
    let world = World::with(BooksAt::File(at), false);
    assert_eq!(world.get(&format!("/payments/{id}"))["status"], "captured");
    let (_, state) = world.control(Method::Get, "state", Value::Null);
    assert_eq!(
        (text(&state, "/webhook"), &state["faults"]),
        ("http://hub.test/new", &json!(1))
    );
    assert_eq!(world.events(), ["ping", "customer.created", "payment.captured"]);
}

#[test]
fn behind_a_transport_refusal_is_not_sent_and_loss_is_lost() {
    struct Still(jiff::Timestamp);
    impl kessai_core::Clock for Still {
        fn now(&self) -> jiff::Timestamp {
            self.0
        }
    }
    let world = world();
    let transport = InProcess::new(
        "http://sandbox.test/komoju",
        world.sandbox.clone(),
        Arc::new(Still(world.now())),
    );
    let send = |timeout_ms: u64| {
        let request = Request {
            method: Method::Get,
            url: "http://sandbox.test/komoju/api/v1/payments?per_page=1".into(),
            headers: vec![("authorization".into(), SECRET_KEY.into())],
            body: bytes::Bytes::new(),
            timeout_ms,
        };
        let mut sending = transport.send(request);
        let mut context = Context::from_waker(Waker::noop());
        // It steps aside once, for others to join it.
        assert!(Future::poll(sending.as_mut(), &mut context).is_pending());
        match Future::poll(sending.as_mut(), &mut context) {
            Poll::Ready(sent) => sent.map(|reply| reply.status),
            Poll::Pending => panic!("in-process never waits for anything else"),
        }
    };
    assert_eq!(send(1000), Ok(200));
    world.fault(json!({"operation": "payments.list", "kind": "refuse", "remaining": 1}));
    assert!(matches!(send(1000), Err(TransportFault::NotSent(_))));
    world.fault(json!({"operation": "payments.list", "kind": "delay", "ms": 2000}));
    assert!(matches!(send(1000), Err(TransportFault::Lost(_))));
    assert_eq!(send(3000), Ok(200));
}

#[test]
fn an_edit_behind_everyone_s_back_shows_in_the_api_but_not_in_the_ledger() {
    let world = world();
    let id = text(&world.post("/payments", sale(GOOD)).1, "/id").to_owned();
    world.control(
        Method::Post,
        &format!("payments/{id}/edit"),
        json!({"status": "refunded", "amount": 999}),
    );
    let shown = world.get(&format!("/payments/{id}"));
    assert_eq!(
        (text(&shown, "/status"), &shown["amount"]),
        ("refunded", &json!(999))
    );
    assert_eq!(world.books(&id), [1000, 1000, 0, 0]);
}

#[test]
fn pages_exist_in_two_languages_and_escape_what_shops_send() {
    let world = world();
    let mut body = sale(GOOD);
    body["external_order_num"] = json!("<script>alert(1)</script>");
    world.post("/payments", body);
    let page = world.html("/");
    assert!(page.contains("テスト環境") && page.contains("&lt;script&gt;") && !page.contains("<script"));
    assert!(world.html("/?locale=en").contains("no real money moves"));
    assert!(world.html("/books").contains("&lt;script&gt;"));
    assert!(world.html("/payment_methods/paypay.svg").starts_with("<svg"));
    assert!(world.html("/sandbox/style.css").contains("system-ui"));
    assert_eq!(world.ask(Method::Get, "/nowhere", &[], b"").status, 404);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~ぁ-ん]{0,20}".prop_map(Value::from),
        proptest::sample::select(vec![
            "credit_card",
            "konbini",
            "JPY",
            "USD",
            "auto",
            "tok_x",
            GOOD,
            "lawson",
            "paypay"
        ])
        .prop_map(Value::from),
    ];
    let names = proptest::sample::select(vec![
        "amount",
        "currency",
        "payment_details",
        "type",
        "number",
        "month",
        "year",
        "tax",
        "metadata",
        "capture",
        "payment_data",
        "external_order_num",
        "email",
        "store",
        "customer",
        "page",
        "operation",
        "kind",
        "rate",
        "code",
        "url",
        "secret",
        "status",
        "charge",
        "what",
        "event",
        "expiry_days",
        "prepaid_number",
        "webhooks",
    ]);
    leaf.prop_recursive(3, 24, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(names.clone().prop_map(str::to_owned), inner, 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_request_whatever_makes_it_panic_or_answer_500(
        method in proptest::sample::select(vec![Method::Get, Method::Post, Method::Put, Method::Patch, Method::Delete]),
        path in prop_oneof![
            "/[a-z0-9/_?=&%\\[\\].-]{0,40}",
            proptest::sample::select(vec![
                "/api/v1/payments", "/api/v1/sessions", "/api/v1/tokens", "/api/v1/secure_tokens", "/api/v1/customers",
                "/api/v1/payments/ID", "/api/v1/payments/ID/capture", "/api/v1/payments/ID/refund",
                "/api/v1/payments/ID/refund_request", "/api/v1/payments?page=9223372036854775807&per_page=100",
                "/api/v1/payments?status=%00,%ff&start_time=x", "/api/v1/events?page=-1", "/sandbox/payments/ID/edit",
                "/sandbox/payments/ID/pay", "/sandbox/webhook", "/sandbox/books?limit=-5", "/sandbox/charges?after=x",
                "/counter", "/bank", "/offsite/ID", "/three_d_secure_service/offsite?token=ID", "/sessions/ID",
                "/ja/instructions/ID", "/?locale=%ff", "/payment_methods/.svg", "/sandbox/faults",
            ]).prop_map(str::to_owned),
        ],
        kind in proptest::sample::select(vec!["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]),
        body in any_json(),
        raw in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..60)),
    ) {
        let world = hooked();
        let payment = world.post("/payments", sale(GOOD)).1;
        let path = path.replace("ID", text(&payment, "/id"));
        let bytes = raw.unwrap_or_else(|| body.to_string().into_bytes());
        let headers = [("authorization", SECRET_KEY), ("content-type", kind), ("x-komoju-idempotency", "k")];
        let reply = world.ask(method, &path, &headers, &bytes);
        prop_assert!(reply.status < 500 || reply.status == 502, "{} {path}: {}", method.as_str(), reply.status);
        let told = world.sandbox.due_notices(world.now(), 100);
        prop_assert!(told.len() < 100);
    }
}
