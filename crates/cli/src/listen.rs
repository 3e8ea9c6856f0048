//! `kessai listen` and `kessai trigger`: for the shop developer.
use crate::RunningArgs;
use crate::control::ControlFile;
use anyhow::Context as _;
use kessai_engine::outbox::headers;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// `kessai listen`
#[derive(Debug, clap::Args)]
pub struct ListenArgs {
    /// Your endpoint, as http://127.0.0.1:3000/webhook.
    #[arg(long)]
    forward_to: String,
    /// Only these event types; all when not given.
    #[arg(long, value_delimiter = ',')]
    events: Vec<String>,
    /// What deliveries are signed with; made when not given.
    #[arg(long)]
    secret: Option<String>,
    /// The API of a hub that is not on this machine's data folder.
    #[arg(long, requires = "secret_key")]
    hub: Option<String>,
    /// A secret key of the shop.
    #[arg(long, env = "KESSAI_SECRET_KEY", hide_env_values = true)]
    secret_key: Option<String>,
    /// Stop after this many events.
    #[arg(long)]
    limit: Option<usize>,
    #[command(flatten)]
    running: RunningArgs,
}

/// `kessai trigger`
#[derive(Debug, clap::Args)]
pub struct TriggerArgs {
    /// The event to make happen.
    #[arg(value_parser = EVENTS)]
    event: String,
    /// How much, in yen.
    #[arg(long, default_value_t = 1_200)]
    amount: i64,
    #[command(flatten)]
    running: RunningArgs,
}

const EVENTS: [&str; 7] = [
    "payment.authorized",
    "payment.captured",
    "payment.failed",
    "payment.cancelled",
    "payment.refunded",
    "payment.refund.created",
    "payment.updated",
];

struct Api {
    client: reqwest::Client,
    base: String,
    key: String,
}

impl Api {
    fn new(base: &str, key: &str) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .no_proxy()
            .build()?;
        Ok(Self {
            client,
            base: format!("{}/api/v1", base.trim_end_matches('/')),
            key: key.to_owned(),
        })
    }

    async fn call(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<(u16, Value)> {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .basic_auth(&self.key, Some(""));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let reply = request.send().await.context("the hub does not answer")?;
        let status = reply.status().as_u16();
        let text = reply.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }
}

/// Polls the hub's events and posts each to the developer's endpoint, signed as a webhook is.
///
/// # Errors
/// When the hub does not answer or refuses the key.
pub async fn listen(args: ListenArgs) -> anyhow::Result<()> {
    let (hub, key) = match (args.hub, args.secret_key) {
        (Some(hub), Some(key)) => (hub, key),
        (None, key) => {
            let found = ControlFile::find(&args.running.data)?;
            let key = key
                .or(found.secret_key)
                .context("which shop? give --secret-key")?;
            (found.hub, key)
        }
        (Some(_), None) => anyhow::bail!("give --secret-key with --hub"),
    };
    let api = Api::new(&hub, &key)?;
    let secret = args.secret.unwrap_or_else(|| crate::sandbox::new_key("whsec_"));
    println!("Forwarding {hub} to {}", args.forward_to);
    println!("Signing secret: {secret}");
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut first = true;
    let mut forwarded = 0;
    loop {
        let (status, page) = api
            .call(reqwest::Method::GET, "/events?per_page=100", None)
            .await?;
        anyhow::ensure!(status == 200, "the hub said no: {page}");
        let events = page["data"].as_array().cloned().unwrap_or_default();
        for event in events.iter().rev() {
            let (id, kind) = (
                event["id"].as_str().unwrap_or_default(),
                event["type"].as_str().unwrap_or_default(),
            );
            if !seen.insert(id.to_owned()) || first {
                continue;
            }
            if !args.events.is_empty() && !args.events.iter().any(|wanted| wanted == kind) {
                continue;
            }
            let body = event.to_string();
            let mut request = api.client.post(&args.forward_to).body(body.clone());
            for (name, value) in headers(&secret, id, kind, crate::real_now(), body.as_bytes()) {
                request = request.header(name, value);
            }
            let answered = match request.send().await {
                Ok(reply) => reply.status().to_string(),
                Err(error) => error.without_url().to_string(),
            };
            println!("{kind}  {id}  → {answered}");
            forwarded += 1;
            if args.limit.is_some_and(|limit| forwarded >= limit) {
                return Ok(());
            }
        }
        first = false;
        // Event ids sort by time: the oldest ones are never asked for again.
        while seen.len() > 2_000 {
            seen.pop_first();
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

/// Makes an event happen through the public API, with a test card.
///
/// # Errors
/// When no hub runs here, or it refuses.
pub async fn trigger(args: TriggerArgs) -> anyhow::Result<()> {
    let found = ControlFile::find(&args.running.data)?;
    let key = found
        .secret_key
        .context("the hub that runs here has no shop for this")?;
    let api = Api::new(&found.hub, &key)?;
    let card = |number: &str| {
        json!({"type": "credit_card", "number": number, "month": 12, "year": 2039,
               "verification_value": "123", "name": "TRIGGER TEST"})
    };
    let manual = matches!(args.event.as_str(), "payment.authorized" | "payment.cancelled");
    let number = if args.event == "payment.failed" {
        "4123111111111059"
    } else {
        "4111111111111111"
    };
    let body = json!({"amount": args.amount, "currency": "JPY", "tax": 0, "capture": !manual,
                      "payment_details": card(number)});
    let (status, made) = api.call(reqwest::Method::POST, "/payments", Some(body)).await?;
    if args.event == "payment.failed" {
        anyhow::ensure!(status == 502, "expected a decline, got {status}: {made}");
        println!("{} happened.", args.event);
        return Ok(());
    }
    anyhow::ensure!(status == 200, "the hub said no: {made}");
    let id = made["id"].as_str().context("the payment has no id")?.to_owned();
    let then = match args.event.as_str() {
        "payment.cancelled" => Some((reqwest::Method::POST, format!("/payments/{id}/cancel"), json!({}))),
        "payment.refunded" => Some((reqwest::Method::POST, format!("/payments/{id}/refund"), json!({}))),
        "payment.refund.created" => {
            let half = json!({"amount": (args.amount / 2).max(1)});
            Some((reqwest::Method::POST, format!("/payments/{id}/refund"), half))
        }
        "payment.updated" => Some((
            reqwest::Method::PATCH,
            format!("/payments/{id}"),
            json!({"description": "triggered"}),
        )),
        _ => None,
    };
    if let Some((method, path, body)) = then {
        let (status, answer) = api.call(method, &path, Some(body)).await?;
        anyhow::ensure!(status == 200, "the hub said no: {answer}");
    }
    println!("{} happened on payment {id}.", args.event);
    Ok(())
}
