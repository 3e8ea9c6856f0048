//! A few payments to look at, made through the public API like everybody else's.
use anyhow::Context as _;
use serde_json::{Value, json};
use std::time::Duration;

struct Hub<'a> {
    client: reqwest::Client,
    url: &'a str,
    key: &'a str,
}

impl Hub<'_> {
    async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        let reply = self
            .client
            .post(format!("{}/api/v1{path}", self.url))
            .basic_auth(self.key, Some(""))
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await?;
        Ok(serde_json::from_str(&reply.text().await?)?)
    }
}

fn card(number: &str) -> Value {
    json!({"type": "credit_card", "number": number, "month": 12, "year": 2039, "verification_value": "123",
           "name": "HANAKO YAMADA"})
}

/// Makes one payment of each kind, unless there are some already.
///
/// # Errors
/// When the hub does not answer.
pub async fn seed(url: &str, key: &str) -> anyhow::Result<()> {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(20))
        .no_proxy()
        .build()?;
    let hub = Hub { client, url, key };
    let standing = hub
        .client
        .get(format!("{url}/api/v1/payments"))
        .basic_auth(key, Some(""))
        .send()
        .await?
        .text()
        .await?;
    let standing: Value = serde_json::from_str(&standing)?;
    if standing["total"].as_i64().unwrap_or(0) > 0 {
        return Ok(());
    }
    let direct = |amount: i64, words: &str, details: Value, capture: bool| {
        json!({"amount": amount, "currency": "JPY", "tax": 0, "description": words, "payment_details": details,
               "capture": capture})
    };
    hub.post(
        "/payments",
        direct(1_200, "ほうじ茶", card("4111111111111111"), true),
    )
    .await?;
    hub.post(
        "/payments",
        direct(3_980, "抹茶", card("5555555555554444"), false),
    )
    .await?;
    hub.post("/payments", direct(1_980, "煎茶", card("4123111111111059"), true))
        .await?;
    let slip =
        json!({"type": "konbini", "store": "lawson", "email": "hanako@example.com", "phone": "09012345678"});
    hub.post("/payments", direct(1_980, "煎茶", slip, true)).await?;
    let wallet = json!({"type": "paypay"});
    let mut pending = direct(2_400, "ほうじ茶 二袋", wallet, true);
    pending["return_url"] = json!("https://example.com/thanks");
    hub.post("/payments", pending).await?;
    let sold = hub
        .post("/payments", direct(3_980, "抹茶", card("3530111333300000"), true))
        .await?;
    let id = sold["id"].as_str().context("a payment without an id")?;
    hub.post(
        &format!("/payments/{id}/refund"),
        json!({"amount": 1_000, "description": "缶のへこみ"}),
    )
    .await?;
    let back = hub
        .post(
            "/payments",
            direct(1_200, "ほうじ茶", card("378282246310005"), true),
        )
        .await?;
    let id = back["id"].as_str().context("a payment without an id")?;
    hub.post(&format!("/payments/{id}/refund"), json!({"description": "返品"}))
        .await?;
    Ok(())
}
