//! A small tea shop: three products, sessions through the public API, orders that turn paid by webhook. It knows nothing of the hub's
//! inside; whoever writes a real shop can read it as an example.
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use kessai_core::{Clock, id};
use kessai_engine::vault;
use kessai_web::demo::{Tea, TeaFrame, TeaOrder, TeaOrderRow, TeaOrders, TeaShop, WebhookLine};
use kessai_web::{Locale, Page, State as Shown, render};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the tea shop is told.
pub struct TeaSettings {
    /// The hub.
    pub hub: String,
    /// The shop's secret key.
    pub secret_key: String,
    /// What webhooks are signed with.
    pub webhook_secret: String,
    /// Where the tea shop itself is.
    pub url: String,
    /// Where its orders are kept.
    pub data: PathBuf,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The six texts of 特定商取引法.
pub fn terms() -> BTreeMap<Box<str>, Box<str>> {
    [
        ("quantity", "上記のとおりです。"),
        ("price", "上記の金額です（消費税込み、送料無料）。"),
        (
            "payment",
            "クレジットカード：ご注文時。コンビニ・銀行振込：払込票の期限まで。",
        ),
        ("delivery", "ご入金の確認後、2営業日以内に発送します。"),
        ("application_period", "なし（在庫がなくなり次第終了します）。"),
        (
            "withdrawal",
            "未開封に限り、到着後7日以内に返品できます。送料はお客様のご負担です。",
        ),
    ]
    .into_iter()
    .map(|(name, text)| (name.into(), text.into()))
    .collect()
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Order {
    number: String,
    product: String,
    quantity: u32,
    amount: i64,
    session: String,
    session_url: String,
    payment: Option<String>,
    status: String,
    method: Option<String>,
    placed_at: Timestamp,
    paid_at: Option<Timestamp>,
    log: Vec<(Timestamp, String, bool)>,
}

impl Order {
    fn state(&self) -> Shown {
        match self.status.as_str() {
            "authorized" if self.method.as_deref() == Some("credit_card") => Shown::Authorized,
            "authorized" => Shown::AwaitingPayment,
            "captured" => Shown::Captured,
            "refunded" => Shown::Refunded,
            "cancelled" => Shown::Cancelled,
            "expired" => Shown::Expired,
            "failed" => Shown::Failed,
            _ => Shown::Pending,
        }
    }

    /// A text that changes with what its page shows.
    fn fingerprint(&self) -> String {
        format!("{}-{}", self.state().slug(), self.log.len())
    }

    fn row(&self) -> TeaOrderRow {
        TeaOrderRow {
            number: self.number.clone(),
            product: self.product.clone(),
            quantity: self.quantity,
            amount: self.amount,
            state: self.state(),
            placed_at: self.placed_at,
            paid_at: self.paid_at,
        }
    }
}

#[derive(Clone)]
struct TeaHouse {
    settings: Arc<TeaSettings>,
    client: reqwest::Client,
    orders: Arc<Mutex<BTreeMap<String, Order>>>,
}

/// What the tea shop offers, of all that the hub could.
const METHODS: [&str; 7] = [
    "credit_card",
    "konbini",
    "paypay",
    "rakutenpay",
    "merpay",
    "bank_transfer",
    "pay_easy",
];

/// Lists no longer than this are kept.
const ORDERS_MOST: usize = 2_000;

impl TeaHouse {
    fn file(&self) -> PathBuf {
        self.settings.data.join("tea-orders.json")
    }

    /// Changes the orders and keeps them.
    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<String, Order>) -> T) -> T {
        let mut orders = self.orders.lock().expect("no panic while held");
        let changed = change(&mut orders);
        while orders.len() > ORDERS_MOST {
            orders.pop_first();
        }
        let text = serde_json::to_string(&*orders).expect("plain data");
        let part = self.file().with_extension("part");
        if let Err(error) = std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, self.file())) {
            tracing::error!(%error, "the tea shop's orders could not be kept");
        }
        changed
    }

    fn order(&self, number: &str) -> Option<Order> {
        self.orders
            .lock()
            .expect("no panic while held")
            .get(number)
            .cloned()
    }

    fn frame(&self, here: &str) -> TeaFrame {
        TeaFrame {
            now: self.settings.clock.now(),
            here: here.into(),
            base: String::new(),
        }
    }

    /// What is left of each tea, as the hub counts it; nothing when it cannot be asked.
    async fn left(&self) -> BTreeMap<String, i64> {
        let Ok((200, list)) = self.call(reqwest::Method::GET, "/stock?per_page=100", None).await else {
            return BTreeMap::new();
        };
        let lines = list["data"].as_array().into_iter().flatten();
        lines
            .filter_map(|line| Some((line["sku"].as_str()?.to_owned(), line["free"].as_i64()?)))
            .collect()
    }

    async fn call(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<(u16, Value)> {
        let url = format!("{}/api/v1{path}", self.settings.hub);
        let mut request = self
            .client
            .request(method, url)
            .basic_auth(&self.settings.secret_key, Some(""));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let reply = request.send().await?;
        Ok((
            reply.status().as_u16(),
            serde_json::from_str(&reply.text().await?)?,
        ))
    }
}

fn show(page: &impl Page, locale: Locale) -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, page.csp().header()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "same-origin".to_owned()),
    ];
    (headers, Html(render(page, locale))).into_response()
}

#[derive(Debug, Deserialize)]
struct Language {
    locale: Option<String>,
    problem: Option<String>,
    session_id: Option<String>,
}

impl Language {
    fn of(&self, headers: &HeaderMap) -> Locale {
        let accepted = headers
            .get(header::ACCEPT_LANGUAGE)
            .and_then(|value| value.to_str().ok());
        Locale::negotiate(self.locale.as_deref(), None, accepted)
    }
}

/// The tea shop's doors.
///
/// # Errors
/// When its orders cannot be read.
pub fn router(settings: TeaSettings) -> anyhow::Result<Router> {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .no_proxy()
        .build()?;
    let orders = match std::fs::read_to_string(settings.data.join("tea-orders.json")) {
        Ok(text) => serde_json::from_str(&text)?,
        Err(_) => BTreeMap::new(),
    };
    let house = TeaHouse {
        settings: Arc::new(settings),
        client,
        orders: Arc::new(Mutex::new(orders)),
    };
    Ok(Router::new()
        .route("/", get(shelf))
        .route("/buy", post(buy))
        .route("/orders", get(list))
        .route("/orders.json", get(orders_json))
        .route("/orders/{number}", get(order))
        .route("/orders/{number}/status", get(order_status))
        .route("/status", get(list_status))
        .route("/webhook", post(webhook))
        .route("/assets/{*file}", get(asset))
        .with_state(house))
}

async fn asset(Path(file): Path<String>) -> Response {
    match kessai_web::asset(&format!("/assets/{file}")) {
        Some((bytes, mime)) => {
            let headers = [
                (header::CONTENT_TYPE, mime),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (headers, bytes.into_owned()).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn shelf(
    State(house): State<TeaHouse>,
    Query(language): Query<Language>,
    headers: HeaderMap,
) -> Response {
    let problem = language.problem.as_ref().map(|what| match what.as_str() {
        "sold-out" => "tea-sold-out".to_owned(),
        _ => "tea-problem".to_owned(),
    });
    let page = TeaShop {
        frame: house.frame("/"),
        problem,
        left: house.left().await,
        checkout: house.settings.hub.clone(),
    };
    show(&page, language.of(&headers))
}

#[derive(Debug, Deserialize)]
struct Buy {
    product: String,
    #[serde(default)]
    quantity: Option<String>,
    locale: Option<String>,
}

async fn buy(State(house): State<TeaHouse>, headers: HeaderMap, Form(wish): Form<Buy>) -> Response {
    let quantity = wish
        .quantity
        .as_deref()
        .unwrap_or("1")
        .trim()
        .parse::<u32>()
        .unwrap_or(0);
    let (Some(tea), 1..=20) = (Tea::find(&wish.product), quantity) else {
        return Redirect::to("/?problem=1").into_response();
    };
    let language = Language {
        locale: wish.locale,
        problem: None,
        session_id: None,
    };
    let locale = language.of(&headers);
    let now = house.settings.clock.now();
    let number = format!(
        "TEA-{}",
        id::new_text(now, &crate::real::SystemEntropy)
            .split_off(8)
            .to_uppercase()
    );
    let amount = tea.price * i64::from(quantity);
    let wanted = json!({
        "amount": amount, "currency": "JPY", "default_locale": locale.tag(),
        "return_url": format!("{}/orders/{number}?locale={}", house.settings.url, locale.tag()),
        "line_items": [{"sku": tea.slug, "description": tea.name(locale), "quantity": quantity, "amount": tea.price,
                        "image": format!("{}{}", house.settings.url, kessai_web::asset_url(tea.image))}],
        "payment_data": {"external_order_num": number, "capture": "auto"},
        "payment_types": METHODS,
        "metadata": {"product": tea.slug},
    });
    let (status, session) = match house.call(reqwest::Method::POST, "/sessions", Some(wanted)).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::error!(%error, "the hub does not answer the tea shop");
            return Redirect::to("/?problem=1").into_response();
        }
    };
    let (200, Some(url), Some(session_id)) =
        (status, session["session_url"].as_str(), session["id"].as_str())
    else {
        if session["error"]["code"] == "out_of_stock" {
            return Redirect::to("/?problem=sold-out").into_response();
        }
        tracing::error!(status, "the hub refused the tea shop's session");
        return Redirect::to("/?problem=1").into_response();
    };
    let order = Order {
        number: number.clone(),
        product: tea.slug.into(),
        quantity,
        amount,
        session: session_id.into(),
        session_url: url.into(),
        payment: None,
        status: "pending".into(),
        method: None,
        placed_at: now,
        paid_at: None,
        log: vec![],
    };
    house.change(|orders| orders.insert(number, order));
    Redirect::to(url).into_response()
}

async fn list(
    State(house): State<TeaHouse>,
    Query(language): Query<Language>,
    headers: HeaderMap,
) -> Response {
    let orders = house.orders.lock().expect("no panic while held").clone();
    let mut rows: Vec<TeaOrderRow> = orders.values().map(Order::row).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.placed_at));
    rows.truncate(100);
    let page = TeaOrders {
        frame: house.frame("/orders"),
        rows,
        status_url: "/status".into(),
        fingerprint: fingerprint(&orders),
    };
    show(&page, language.of(&headers))
}

/// A text that changes whenever any order does.
fn fingerprint(orders: &BTreeMap<String, Order>) -> String {
    let all: String = orders
        .values()
        .map(|order| format!("{}={};", order.number, order.status))
        .collect();
    hex::encode(&vault::sha256(all.as_bytes())[..8])
}

async fn list_status(State(house): State<TeaHouse>) -> axum::Json<Value> {
    let print = fingerprint(&house.orders.lock().expect("no panic while held"));
    axum::Json(json!({"state": print}))
}

async fn orders_json(State(house): State<TeaHouse>) -> axum::Json<Value> {
    let orders = house.orders.lock().expect("no panic while held").clone();
    let all: Vec<Value> = orders
        .values()
        .map(|order| {
            json!({"number": order.number, "status": order.status, "amount": order.amount, "session": order.session,
                   "payment": order.payment, "webhooks": order.log.len()})
        })
        .collect();
    axum::Json(Value::Array(all))
}

async fn order(
    State(house): State<TeaHouse>,
    Path(number): Path<String>,
    Query(language): Query<Language>,
    headers: HeaderMap,
) -> Response {
    let Some(mut order) = house.order(&number) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // The browser's return is a hint to ask, never a fact.
    if language.session_id.is_some()
        && let Ok((200, session)) = house
            .call(
                reqwest::Method::GET,
                &format!("/sessions/{}", order.session),
                None,
            )
            .await
    {
        house.learn(&number, &session["payment"]);
        order = house.order(&number).unwrap_or(order);
    }
    let hub = &house.settings.hub;
    let waiting = order.state() == Shown::AwaitingPayment;
    let open = matches!(order.state(), Shown::Pending | Shown::Failed) && order.status != "refunded";
    let page = TeaOrder {
        frame: house.frame(&format!("/orders/{number}")),
        log: order
            .log
            .iter()
            .rev()
            .map(|(at, event, verified)| WebhookLine {
                at: *at,
                event: event.clone(),
                verified: *verified,
            })
            .collect(),
        timeline_href: order
            .payment
            .as_ref()
            .map(|payment| format!("{hub}/shop/payments/{payment}")),
        instructions_href: order
            .payment
            .as_ref()
            .filter(|_| waiting)
            .map(|payment| format!("{hub}/instructions/{payment}")),
        retry_href: open.then(|| order.session_url.clone()),
        status_url: format!("/orders/{number}/status"),
        fingerprint: order.fingerprint(),
        order: order.row(),
    };
    show(&page, language.of(&headers))
}

async fn order_status(State(house): State<TeaHouse>, Path(number): Path<String>) -> Response {
    match house.order(&number) {
        Some(order) => axum::Json(json!({"state": order.fingerprint()})).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

impl TeaHouse {
    /// Takes over what a payment says. A later event never moves an order backwards.
    fn learn(&self, number: &str, payment: &Value) {
        let rank = |status: &str| match status {
            "pending" => 0,
            "failed" => 1,
            "authorized" => 2,
            "cancelled" | "expired" => 3,
            "captured" => 4,
            "refunded" => 5,
            _ => 0,
        };
        let Some(status) = payment["status"].as_str() else {
            return;
        };
        let now = self.settings.clock.now();
        self.change(|orders| {
            let Some(order) = orders.get_mut(number) else {
                return;
            };
            // A later payment takes an earlier one's place, until one of them is paid; ids sort by time.
            let news = match (order.payment.as_deref(), payment["id"].as_str()) {
                (Some(known), Some(id)) if known != id => {
                    rank(&order.status) < 4 && (known < id || rank(status) >= 4)
                }
                _ => rank(status) >= rank(&order.status),
            };
            if !news {
                return;
            }
            order.status = status.into();
            order.payment = payment["id"].as_str().map(Into::into);
            order.method = payment["payment_details"]["type"].as_str().map(Into::into);
            if status == "captured" && order.paid_at.is_none() {
                order.paid_at = Some(now);
            }
        });
    }
}

async fn webhook(State(house): State<TeaHouse>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let given = headers
        .get("x-komoju-signature")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let expected = hex::encode(vault::hmac_sha256(
        house.settings.webhook_secret.as_bytes(),
        &body,
    ));
    if !vault::same(given.as_bytes(), expected.as_bytes()) {
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(event) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST;
    };
    let Some(number) = event["data"]["external_order_num"].as_str() else {
        return StatusCode::OK;
    };
    let kind = event["type"].as_str().unwrap_or_default().to_owned();
    let now = house.settings.clock.now();
    house.change(|orders| {
        if let Some(order) = orders.get_mut(number)
            && order.log.len() < 100
        {
            order.log.push((now, kind, true));
        }
    });
    house.learn(number, &event["data"]);
    StatusCode::OK
}
