//! The doors themselves: ids, browsers, tools, notifications, panics, callers who hang up.
use crate::world::{GOOD_CARD, PUBLIC_KEY, SECRET_KEY, World, card, checkout, konbini, sale};
use kessai_http::{App, Limits};
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn every_answer_has_an_id_of_its_own_and_may_not_be_kept() {
    let world = World::new().await;
    let mut ids = std::collections::BTreeSet::new();
    for path in [
        "/api/v1/payments",
        "/api/v1/nothing",
        "/healthz",
        "/nothing",
        "/openapi.json",
    ] {
        let seen = world.call("GET", path, SECRET_KEY, &[], "").await;
        ids.insert(seen.headers["x-request-id"].to_str().unwrap().to_owned());
        if path.starts_with("/api") {
            assert_eq!(seen.headers["cache-control"], "no-store");
            assert_eq!(seen.headers["content-type"], "application/json; charset=utf-8");
        }
    }
    assert_eq!(ids.len(), 5);
}

#[tokio::test]
async fn browsers_of_any_origin_may_call_what_is_made_for_them() {
    let world = World::new().await;
    let session = world
        .post("/sessions", checkout())
        .await
        .ok()
        .str("/id")
        .to_owned();
    for path in kessai_http::BROWSER_PATHS {
        let path = path.replace("{id}", &session);
        let headers = [
            ("origin", "https://shop.example"),
            ("access-control-request-method", "POST"),
        ];
        let seen = world.call("OPTIONS", &path, "", &headers, "").await;
        assert_eq!(
            (
                seen.status,
                seen.headers["access-control-allow-origin"].to_str().unwrap()
            ),
            (204, "*"),
            "{path}"
        );
        assert!(
            seen.headers["access-control-allow-headers"]
                .to_str()
                .unwrap()
                .contains("authorization")
        );
    }
    let path = format!("/api/v1/sessions/{session}");
    let shown = world
        .call(
            "GET",
            &path,
            PUBLIC_KEY,
            &[("origin", "https://shop.example")],
            "",
        )
        .await
        .ok();
    assert_eq!(shown.headers["access-control-allow-origin"], "*");
    let refused = world
        .call("GET", &path, "", &[("origin", "https://shop.example")], "")
        .await;
    assert_eq!(
        (
            refused.status,
            refused.headers["access-control-allow-origin"].to_str().unwrap()
        ),
        (401, "*")
    );
    assert!(
        !world
            .get("/payments")
            .await
            .headers
            .contains_key("access-control-allow-origin")
    );
}

#[tokio::test]
async fn tools_find_their_doors() {
    let world = World::new().await;
    world.call("GET", "/healthz", "", &[], "").await.ok();
    world.call("GET", "/readyz", "", &[], "").await.ok();
    world
        .call("GET", "/metrics", "", &[], "")
        .await
        .refused(404, "not_found");
    let spec = world.call("GET", "/openapi.json", "", &[], "").await.ok();
    assert!(spec.body["paths"]["/api/v1/payments"]["post"].is_object());

    let app = App::new(world.engine.clone(), Limits::default());
    let app = app.with_metrics(Arc::new(|| "kessai_up 1\n".into()));
    let world = world.behind(app);
    assert_eq!(
        world.call("GET", "/metrics", "", &[], "").await.ok().text,
        "kessai_up 1\n"
    );

    world.engine.store().close().await;
    let seen = world.call("GET", "/readyz", "", &[], "").await;
    assert_eq!(seen.status, 503);
    world.call("GET", "/healthz", "", &[], "").await.ok();
    let failed = world.post("/payments", sale(GOOD_CARD)).await;
    assert_eq!(
        (failed.status, failed.code()),
        (503, "service_unavailable"),
        "{}",
        failed.text
    );
}

#[tokio::test]
async fn notifications_are_believed_only_with_a_signature_and_kept_once() {
    let world = World::new().await;
    let path = format!("/inbound/komoju/{}", world.shop);
    let body = r#"{"id":"6h49xdt2jmiq55ffigjz4g5da","type":"payment.captured","resource":"event","data":{"id":"unknownpayment","resource":"payment","status":"captured"},"created_at":"2026-01-15T03:04:05Z","reason":null}"#;
    let signature = kessai_provider_komoju::sandbox::signature("whsec_loopback", body.as_bytes());
    let signed = [("x-komoju-signature", signature.as_str())];
    for _ in 0..2 {
        assert_eq!(world.call("POST", &path, "", &signed, body).await.ok().text, "{}");
    }
    world
        .call("POST", &path, "", &[], body)
        .await
        .refused(401, "unauthorized");
    world
        .call("POST", &path, "", &[("x-komoju-signature", "00")], body)
        .await
        .refused(401, "unauthorized");
    world
        .call("POST", &path, "", &signed, format!("{body} "))
        .await
        .refused(401, "unauthorized");
    let nonsense = kessai_provider_komoju::sandbox::signature("whsec_loopback", b"{");
    world
        .call(
            "POST",
            &path,
            "",
            &[("x-komoju-signature", nonsense.as_str())],
            "{",
        )
        .await
        .refused(400, "bad_request");
    world
        .call("POST", &path, "", &signed, vec![b'x'; 300 * 1024])
        .await
        .refused(413, "payload_too_large");
    for path in [
        "/inbound/komoju/nosuchshop",
        "/inbound/nobody/x",
        &format!("/inbound/other/{}", world.shop),
        "/inbound/%00/x",
    ] {
        world
            .call("POST", path, "", &signed, body)
            .await
            .refused(404, "not_found");
    }
    world
        .call("GET", &path, "", &[], "")
        .await
        .refused(405, "method_not_allowed");
}

#[tokio::test]
async fn a_forged_notification_moves_nothing() {
    let world = World::new().await;
    let asked = json!({"amount": 1000, "currency": "JPY", "payment_details": konbini()});
    world.fault(json!({"operation": "payment.*", "kind": "notice_forge", "remaining": 1}));
    let made = world.post("/payments", asked).await.ok();
    world.advance(10).await;
    assert_eq!(world.status(made.str("/id")).await, "authorized");
}

#[tokio::test]
async fn a_panic_is_answered_and_the_next_request_is_served() {
    let world = World::new().await;
    world.gate.break_once();
    world
        .post("/payments", sale(GOOD_CARD))
        .await
        .refused(500, "internal_server_error");
    let asked = json!({"amount": 100, "currency": "JPY", "return_url": "https://a.example/", "payment_details": card("4100000000000100")});
    let token = world
        .post("/secure_tokens", asked)
        .await
        .ok()
        .str("/id")
        .to_owned();
    world.gate.break_once();
    let seen = world.get(&format!("/secure_tokens/{token}")).await;
    assert!(
        seen.refused(500, "internal_server_error")
            .headers
            .contains_key("x-request-id")
    );
    assert_eq!(
        world.post("/payments", sale(GOOD_CARD)).await.ok().str("/status"),
        "captured"
    );
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_cut_a_payment() {
    let world = World::new().await;
    world.gate.close();
    {
        let calling = std::pin::pin!(world.post_under("k", "/payments", sale(GOOD_CARD)));
        let waiting = std::pin::pin!(world.gate.somebody_waits());
        let hung_up = futures_util::future::select(calling, waiting).await;
        assert!(matches!(hung_up, futures_util::future::Either::Right(_)));
    }
    world.gate.open();
    world.app.drain().await;
    let list = world.get("/payments").await.ok();
    assert_eq!(list.str("/data/0/status"), "captured");
    assert!(list.body["data"][0].get("operation").is_none());
    // After draining, nothing new begins.
    world
        .post("/payments", sale(GOOD_CARD))
        .await
        .refused(503, "service_unavailable");
}

#[tokio::test]
async fn more_commands_than_there_is_room_for_are_told_to_come_again() {
    let world = World::with(Limits {
        at_once: 1,
        ..Limits::default()
    })
    .await;
    world.gate.close();
    let first = world.post("/payments", sale(GOOD_CARD));
    let meanwhile = async {
        world.gate.somebody_waits().await;
        let seen = world.post("/payments", sale(GOOD_CARD)).await;
        world.get("/payments").await.ok();
        world.gate.open();
        seen
    };
    let (first, meanwhile) = tokio::join!(first, meanwhile);
    assert!(
        meanwhile
            .refused(503, "service_unavailable")
            .headers
            .contains_key("retry-after")
    );
    first.ok();
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_names_route_and_payment_and_holds_no_secret() {
    let world = World::new().await;
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let logging = tracing::subscriber::set_default(subscriber);
    let mut asked = sale(GOOD_CARD);
    asked["payment_details"]["verification_value"] = json!("987");
    let payment = world.post("/payments", asked).await.ok().str("/id").to_owned();
    let path = format!("/payments/{payment}/refund?note=private");
    world
        .json(
            "POST",
            &path,
            json!({"amount": 100}),
            &[("x-komoju-idempotency", "my-key")],
        )
        .await
        .ok();
    world
        .call("GET", "/api/v1/payments", "sk_test_nobody", &[], "")
        .await
        .refused(401, "unauthorized");
    world
        .post("/payments", sale("4123111111111059"))
        .await
        .refused(502, "card_declined");
    drop(logging);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("/api/v1/payments/{id}/refund") && log.contains(&payment),
        "{log}"
    );
    assert!(log.contains("status=200") && log.contains("status=401") && log.contains("duration_us="));
    for secret in [
        GOOD_CARD,
        "4123111111111059",
        "987\"",
        "sk_test",
        "c2tf",
        "private",
        "my-key",
        "whsec",
    ] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}
