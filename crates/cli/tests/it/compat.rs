//! Clients that none of us wrote. No KOMOJU client can be had from the package registries this project builds from, so these are
//! the requests that docs/providers/komoju.md records of shipped ones, with their oddities: header forms, encodings, stray attributes.
use crate::world::{Demo, Endpoint, until};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

struct Raw {
    client: reqwest::Client,
    hub: String,
}

impl Raw {
    async fn send(
        &self,
        method: &str,
        path: &str,
        authorization: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}/api/v1{path}", self.hub));
        request = request.header("authorization", authorization);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let reply = request.body(body.to_owned()).send().await.unwrap();
        let status = reply.status().as_u16();
        (
            status,
            serde_json::from_str(&reply.text().await.unwrap()).unwrap(),
        )
    }
}

fn basic(text: &str) -> String {
    format!("Basic {}", BASE64.encode(text))
}

const CARD: &str = "4242424242424242";

#[tokio::test(flavor = "multi_thread")]
async fn recorded_requests_of_shipped_clients_complete_create_pay_capture_refund_and_webhook_verification() {
    let data = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::listen().await;
    let demo = Demo::start(data.path(), None, &["--webhook-url", &endpoint.url]);
    let (sk, pk, secret) = (
        demo.text("/secret_key"),
        demo.text("/publishable_key"),
        demo.text("/webhook_secret"),
    );
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let raw = Raw {
        client,
        hub: demo.text("/hub"),
    };
    const JSON: (&str, &str) = ("content-type", "application/json");

    // A WordPress plugin: JSON, `KEY:`, KOMOJU-VIA, stray attributes, empty strings in fraud_details; it takes nothing but 200 for success.
    let wants = json!({
        "return_url": "https://shop.example/?wc-api=WC_Gateway_Komoju", "default_locale": "ja", "payment_types": ["credit_card"],
        "amount": "1500.0000", "currency": "JPY", "cancel_url": "https://shop.example/cart", "email": "hanako@example.com",
        "payment_data": {"external_order_num": "WC-1-AB12", "name": "山田 花子",
                         "billing_address": {"zipcode": "100-0001", "country": "JP", "city": "千代田区"}},
        "line_items": [{"description": "煎茶", "quantity": 1}],
        "fraud_details": {"customer_ip": "203.0.113.9", "customer_email": "", "browser_language": ""},
        "metadata": {"woocommerce_order_id": "1"}, "external_order_num": "stray",
    });
    let (status, session) = raw
        .send(
            "POST",
            "/sessions",
            &basic(&format!("{sk}:")),
            &[JSON, ("komoju-via", "woocommerce")],
            &wants.to_string(),
        )
        .await;
    assert_eq!(status, 200, "{session}");
    assert_eq!(
        (&session["amount"], &session["mode"], &session["payment"]),
        (&json!(1_500), &json!("payment"), &Value::Null)
    );
    let id = session["id"].as_str().unwrap();
    assert!(id.len() == 25 && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));

    // Hosted fields: a publishable key from a browser, a token, then pay with it.
    let preflight = raw
        .client
        .request(
            reqwest::Method::OPTIONS,
            format!("{}/api/v1/sessions/{id}/pay", raw.hub),
        )
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type")
        .send()
        .await
        .unwrap();
    assert!(preflight.status().is_success());
    assert_eq!(preflight.headers()["access-control-allow-origin"], "*");
    let details = json!({"payment_details": {"type": "credit_card", "number": CARD, "month": "02", "year": "39",
                                             "verification_value": "123", "name": "HANAKO YAMADA"}});
    let publishable = basic(&format!("{pk}:"));
    let (status, token) = raw
        .send("POST", "/tokens", &publishable, &[JSON], &details.to_string())
        .await;
    assert_eq!(status, 200, "{token}");
    let token_id = token["id"].as_str().unwrap();
    assert!(token_id.starts_with("tok_"));
    let pay = json!({"payment_details": token_id, "customer_email": "stray@example.com", "amount": 1_500, "currency": "JPY"});
    let (status, paid) = raw
        .send(
            "POST",
            &format!("/sessions/{id}/pay"),
            &publishable,
            &[JSON],
            &pay.to_string(),
        )
        .await;
    assert_eq!((status, &paid["status"]), (200, &json!("completed")), "{paid}");
    assert_eq!(
        paid["redirect_url"],
        format!("https://shop.example/?wc-api=WC_Gateway_Komoju&session_id={id}")
    );
    let fee = paid["payment"]["payment_method_fee"].as_i64().unwrap();
    assert_eq!(
        paid["payment"]["total"].as_i64().unwrap() - fee,
        1_500,
        "the plugin's own check"
    );

    // The same plugin reads the session back and refunds with a stray attribute.
    let (_, back) = raw
        .send(
            "GET",
            &format!("/sessions/{id}"),
            &basic(&format!("{sk}:")),
            &[],
            "",
        )
        .await;
    assert_eq!(
        (&back["status"], &back["payment"]["status"]),
        (&json!("completed"), &json!("captured"))
    );
    let payment = back["payment"]["id"].as_str().unwrap();
    let refund = json!({"amount": "500", "description": "返品", "fraud_details": {}});
    let (status, refunded) = raw
        .send(
            "POST",
            &format!("/payments/{payment}/refund"),
            &basic(&format!("{sk}:")),
            &[JSON],
            &refund.to_string(),
        )
        .await;
    assert_eq!(
        (status, &refunded["status"], &refunded["amount_refunded"]),
        (200, &json!("captured"), &json!(500))
    );

    // A cartridge: no colon after the key, form encoding with brackets; manual capture of a part.
    let form = concat!(
        "amount=3980&currency=JPY&payment_types%5B%5D=credit_card&return_url=https%3A%2F%2Fshop.example%2Fback",
        "&payment_data%5Bcapture%5D=manual&payment_data%5Bexternal_order_num%5D=SF-7&metadata%5Border%5D=7"
    );
    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
    let (status, session) = raw
        .send(
            "POST",
            "/sessions",
            &basic(&sk),
            &[FORM, ("komoju-via", "salesforce")],
            form,
        )
        .await;
    assert_eq!(status, 200, "{session}");
    let id = session["id"].as_str().unwrap();
    let form = format!(
        "payment_details%5Btype%5D=credit_card&payment_details%5Bnumber%5D={CARD}&payment_details%5Bmonth%5D=2\
         &payment_details%5Byear%5D=2039&payment_details%5Bverification_value%5D=123"
    );
    let (status, paid) = raw
        .send(
            "POST",
            &format!("/sessions/{id}/pay"),
            &basic(&sk),
            &[FORM],
            &form,
        )
        .await;
    assert_eq!(
        (status, &paid["payment"]["status"]),
        (200, &json!("authorized")),
        "{paid}"
    );
    let payment = paid["payment"]["id"].as_str().unwrap();
    let (status, captured) = raw
        .send(
            "POST",
            &format!("/payments/{payment}/capture"),
            &basic(&sk),
            &[FORM],
            "amount=3000",
        )
        .await;
    assert_eq!(
        (status, &captured["status"], &captured["total"]),
        (200, &json!("captured"), &json!(3_000))
    );
    assert_eq!(
        captured["refunds"],
        json!([]),
        "version 2025-01-28 lists no uncaptured part"
    );

    // A Go client: idempotency keys by business action, the second cancel answered as the first.
    let slip = json!({"amount": 2_000, "currency": "JPY", "tax": 0, "external_order_num": "AB-9",
                      "payment_details": {"type": "konbini", "store": "family-mart", "email": "a@example.com", "name": "stray"}});
    let auth = basic(&format!("{sk}:"));
    let key = ("X-KOMOJU-IDEMPOTENCY", "session-AB-9");
    let (status, slip_made) = raw
        .send("POST", "/payments", &auth, &[JSON, key], &slip.to_string())
        .await;
    assert_eq!(
        (status, &slip_made["status"]),
        (200, &json!("authorized")),
        "{slip_made}"
    );
    let payment = slip_made["id"].as_str().unwrap();
    let key = ("X-KOMOJU-IDEMPOTENCY", "cancel-AB-9");
    let first = raw
        .send(
            "POST",
            &format!("/payments/{payment}/cancel"),
            &auth,
            &[JSON, key],
            "{}",
        )
        .await;
    let second = raw
        .send(
            "POST",
            &format!("/payments/{payment}/cancel"),
            &auth,
            &[JSON, key],
            "{}",
        )
        .await;
    assert_eq!((first.0, &first.1["status"]), (200, &json!("cancelled")));
    assert_eq!(first, second);
    let (status, refused) = raw
        .send(
            "POST",
            &format!("/payments/{payment}/refund"),
            &auth,
            &[JSON],
            "{}",
        )
        .await;
    assert_eq!(
        (status, &refused["error"]["code"]),
        (422, &json!("not_refundable"))
    );

    // A PHP client: multipart.
    let boundary = "----kessai";
    let part = |name: &str, value: &str| {
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body = [
        part("amount", "1000"),
        part("currency", "JPY"),
        part("tax", "auto"),
        part("payment_details[type]", "credit_card"),
        part("payment_details[number]", CARD),
        part("payment_details[month]", "12"),
        part("payment_details[year]", "2039"),
        format!("--{boundary}--\r\n"),
    ];
    let kind = format!("multipart/form-data; boundary={boundary}");
    let (status, paid) = raw
        .send(
            "POST",
            "/payments",
            &auth,
            &[("content-type", &kind)],
            &body.concat(),
        )
        .await;
    assert_eq!(
        (status, &paid["tax"], &paid["total"]),
        (200, &json!(100), &json!(1_100)),
        "{paid}"
    );

    // Webhooks: each delivery verifies as the plugins verify it, and tells the payment as it was at that moment.
    let wanted = [
        "payment.captured",
        "payment.refund.created",
        "payment.authorized",
        "payment.cancelled",
    ];
    until("the webhooks", || async {
        let got = endpoint.received();
        wanted.iter().all(|kind| {
            got.iter()
                .any(|received| received.header("x-komoju-event") == *kind)
        })
    })
    .await;
    for received in endpoint.received() {
        let expected = kessai_engine::vault::hmac_sha256(secret.as_bytes(), received.body.as_bytes());
        assert_eq!(received.header("x-komoju-signature"), hex::encode(expected));
        assert_eq!(received.header("user-agent"), "Komoju-Webhook");
        let event: Value = serde_json::from_str(&received.body).unwrap();
        assert_eq!(event["type"], received.header("x-komoju-event"));
        assert_eq!(event["resource"], "event");
    }
}
