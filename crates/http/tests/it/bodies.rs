//! The three ways to write a body, and bodies that are none.
use crate::world::{GOOD_CARD, SECRET_KEY, World, sale};
use axum::body::{Body, Bytes};
use futures_util::stream;
use kessai_http::Limits;
use serde_json::{Value, json};

const FORM: &str = "application/x-www-form-urlencoded";

async fn send(world: &World, path: &str, kind: &str, body: impl Into<Body>) -> crate::world::Seen {
    let headers = if kind.is_empty() {
        vec![]
    } else {
        vec![("content-type", kind)]
    };
    world
        .call("POST", &format!("/api/v1{path}"), SECRET_KEY, &headers, body)
        .await
}

/// What two payments made from the same wish share.
fn likeness(payment: &Value) -> Value {
    let mut payment = payment.clone();
    for name in [
        "id",
        "created_at",
        "captured_at",
        "external_order_num",
        "payment_details",
    ] {
        payment.as_object_mut().unwrap().remove(name);
    }
    payment
}

#[tokio::test]
async fn json_form_and_multipart_make_the_same_payment() {
    let world = World::new().await;
    let asked = json!({"amount": 1500, "currency": "JPY", "tax": 0, "capture": false, "metadata": {"名前": "山田 & 子"},
                       "description": "a+b", "payment_details": {"type": "credit_card", "number": GOOD_CARD, "month": 12, "year": 2030}});
    let form = format!(
        "amount=1500.0000&currency=JPY&tax=0&capture=false&metadata[%E5%90%8D%E5%89%8D]=%E5%B1%B1%E7%94%B0+%26+%E5%AD%90&description=a%2Bb\
         &payment_details[type]=credit_card&payment_details[number]={GOOD_CARD}&payment_details[month]=12&payment_details%5Byear%5D=30"
    );
    let parts = [
        ("amount", "1500"),
        ("currency", "JPY"),
        ("tax", "0"),
        ("capture", "0"),
        ("metadata[名前]", "山田 & 子"),
        ("description", "a+b"),
        ("payment_details[type]", "credit_card"),
        ("payment_details[number]", GOOD_CARD),
        ("payment_details[month]", "12"),
        ("payment_details[year]", "2030"),
    ];
    let mut multipart = String::new();
    for (name, value) in parts {
        multipart += &format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    }
    multipart += "--XX--\r\n";
    let by_json = send(
        &world,
        "/payments",
        "application/json; charset=utf-8",
        asked.to_string(),
    )
    .await
    .ok();
    let bare = send(&world, "/payments", "", asked.to_string()).await.ok();
    let by_form = send(&world, "/payments", FORM, form).await.ok();
    let by_parts = send(&world, "/payments", "multipart/form-data; boundary=XX", multipart)
        .await
        .ok();
    assert_eq!(by_json.str("/status"), "authorized");
    assert_eq!(by_json.str("/metadata/名前"), "山田 & 子");
    for other in [&bare, &by_form, &by_parts] {
        assert_eq!(likeness(&by_json.body), likeness(&other.body));
    }
}

#[tokio::test]
async fn a_form_makes_a_session_with_lists() {
    let world = World::new().await;
    let form = "amount=1200&currency=JPY&payment_types[]=konbini&payment_types[]=paypay&line_items[0][amount]=600&line_items[0][description]=a\
                &line_items[1][amount]=600&payment_data[capture]=manual&payment_data[external_order_num]=F-1";
    let session = send(&world, "/sessions", FORM, form).await.ok();
    let types: Vec<&str> = session.body["payment_methods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["type"].as_str().unwrap())
        .collect();
    assert_eq!(types.len(), 2);
    assert!(types.contains(&"konbini") && types.contains(&"paypay"));
    assert_eq!(session.body["line_items"].as_array().unwrap().len(), 2);
    assert_eq!(session.str("/payment_data/capture"), "manual");
}

#[tokio::test]
async fn an_empty_body_is_an_empty_object() {
    let world = World::new().await;
    for kind in ["", "application/json", FORM, "text/plain"] {
        send(&world, "/payments", kind, "")
            .await
            .refused(422, "missing_parameter");
        send(&world, "/customers", kind, Body::empty()).await.ok();
    }
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_bad_requests() {
    let world = World::new().await;
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100), "]".repeat(100));
    let deeper = format!("{{\"a\":{}", "[".repeat(100_000));
    let wide = format!(
        "{{{}}}",
        (0..3_000)
            .map(|n| format!("\"{n}\":1"))
            .collect::<Vec<_>>()
            .join(",")
    );
    for (kind, body) in [
        ("application/json", b"{".to_vec()),
        ("application/json", b"{\"amount\":1,}".to_vec()),
        ("application/json", b"[1]".to_vec()),
        ("application/json", b"null".to_vec()),
        ("application/json", b"\"x\"".to_vec()),
        ("application/json", b"{\"a\":\"\xff\"}".to_vec()),
        ("application/json", b"{\"a\":\"\\ud800\"}".to_vec()),
        ("application/json", b"{\"a\":1e999}".to_vec()),
        ("application/json", b"amount=1".to_vec()),
        ("application/json", deep.into_bytes()),
        ("application/json", deeper.into_bytes()),
        ("application/json", wide.into_bytes()),
        (FORM, b"a=%ff".to_vec()),
        (FORM, b"a[b=1".to_vec()),
        (FORM, b"a=1&a[b]=2".to_vec()),
        (FORM, b"a=\xff".to_vec()),
        ("multipart/form-data", b"x".to_vec()),
        (
            "multipart/form-data; boundary=XX",
            b"nothing of the kind".to_vec(),
        ),
        (
            "multipart/form-data; boundary=XX",
            b"--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\nx\r\n--XX--\r\n"
                .to_vec(),
        ),
    ] {
        let shown = String::from_utf8_lossy(&body)
            .chars()
            .take(60)
            .collect::<String>();
        let seen = send(&world, "/payments", kind, body).await;
        assert_eq!(
            (seen.status, seen.code()),
            (400, "bad_request"),
            "{kind} {shown}: {}",
            seen.text
        );
    }
    let twice = format!(
        "{{\"amount\":1,\"amount\":1000,{}",
        &sale(GOOD_CARD).to_string()[1..]
    );
    send(&world, "/payments", "application/json", twice).await.ok();
}

#[tokio::test]
async fn content_types_we_do_not_read_are_refused() {
    let world = World::new().await;
    for kind in [
        "text/plain",
        "application/xml",
        "text/html; charset=utf-8",
        "image/png",
        "?",
        "json",
    ] {
        send(&world, "/payments", kind, sale(GOOD_CARD).to_string())
            .await
            .refused(415, "unsupported_media_type");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_whether_or_not_it_says_so() {
    let world = World::new().await;
    let large = vec![b' '; 10 * 1024 * 1024];
    for path in [
        "/payments",
        "/sessions",
        "/customers",
        "/tokens",
        "/secure_tokens",
        "/webhook_endpoints",
    ] {
        send(&world, path, "application/json", large.clone())
            .await
            .refused(413, "payload_too_large");
    }
    let pieces = stream::iter((0..10).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 1024 * 1024]))));
    send(&world, "/payments", "application/json", Body::from_stream(pieces))
        .await
        .refused(413, "payload_too_large");
    let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 1024 * 1024])));
    send(
        &world,
        "/payments",
        "application/json",
        Body::from_stream(endless),
    )
    .await
    .refused(413, "payload_too_large");
    let declared = [
        ("content-length", "99999999999"),
        ("content-type", "application/json"),
    ];
    let seen = world
        .call("POST", "/api/v1/payments", SECRET_KEY, &declared, "{}")
        .await;
    seen.refused(413, "payload_too_large");
    let mut padded = sale(GOOD_CARD).to_string();
    padded.push_str(&" ".repeat(1024 * 1024 - padded.len()));
    send(&world, "/payments", "application/json", padded).await.ok();
}

#[tokio::test]
async fn a_body_in_pieces_is_put_together() {
    let world = World::new().await;
    let text = sale(GOOD_CARD).to_string();
    let pieces: Vec<_> = text
        .into_bytes()
        .chunks(7)
        .map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)))
        .collect();
    send(
        &world,
        "/payments",
        "application/json",
        Body::from_stream(stream::iter(pieces)),
    )
    .await
    .ok();
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let world = World::with(Limits {
        body_read_ms: 30,
        ..Limits::default()
    })
    .await;
    let stalled = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    send(&world, "/payments", "application/json", stalled)
        .await
        .refused(408, "request_timeout");
    let broken = Body::from_stream(stream::iter([Err::<Bytes, _>(std::io::Error::other("gone"))]));
    send(&world, "/payments", "application/json", broken)
        .await
        .refused(400, "bad_request");
}
