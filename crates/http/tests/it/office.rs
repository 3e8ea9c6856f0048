//! The shop's back office as a clerk's browser sees it.
use crate::world::{GOOD_CARD, OTHER_KEY, Seen, World, authorization, konbini, sale};
use axum::body::Body;
use kessai_core::Secret;
use kessai_http::office::Login;
use kessai_provider::transport::Method;
use kessai_store::repo;
use serde_json::json;
use std::sync::atomic::Ordering;

const PASSWORD: &str = "mizuiro & demo";

/// A browser: it keeps cookies and reads forms.
struct Clerk {
    world: World,
    cookies: Vec<(String, String)>,
}

fn encoded(fields: &[(&str, &str)]) -> String {
    let escape = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    fields
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
        .collect::<Vec<_>>()
        .join("&")
}

/// The value of the first hidden field of that name.
fn hidden(seen: &Seen, name: &str) -> String {
    let begin = format!("name=\"{name}\" value=\"");
    let (_, rest) = seen
        .text
        .split_once(&begin)
        .unwrap_or_else(|| panic!("{name} in {}", seen.text));
    rest.split('"').next().unwrap().to_owned()
}

fn location(seen: &Seen) -> &str {
    assert_eq!(seen.status, 303, "{}", seen.text);
    seen.headers["location"].to_str().unwrap()
}

impl Clerk {
    /// At the door of the first shop's office.
    async fn at_the_door() -> Self {
        let world = World::new().await;
        let login = Login {
            shop: world.shop.to_string(),
            user: "clerk@shop.example".into(),
            password: Secret::new(PASSWORD),
        };
        let app = world.app.clone().with_office(login);
        Self {
            world: world.behind(app),
            cookies: vec![],
        }
    }

    async fn signed_in() -> Self {
        let mut clerk = Self::at_the_door().await;
        let seen = clerk.sign_in(PASSWORD, "/shop").await;
        assert_eq!(location(&seen), "/shop");
        clerk
    }

    async fn sign_in(&mut self, password: &str, next: &str) -> Seen {
        let form = self.get("/shop/login").await;
        let csrf = hidden(&form, "csrf");
        let fields = [
            ("csrf", csrf.as_str()),
            ("email", "clerk@shop.example"),
            ("password", password),
            ("next", next),
        ];
        self.post("/shop/login", &fields).await
    }

    async fn ask(&mut self, method: &str, path: &str, more: &[(&str, &str)], body: String) -> Seen {
        let cookie = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("; ");
        let mut headers = vec![
            ("cookie", cookie.as_str()),
            ("host", "hub.test"),
            ("accept-language", "en"),
        ];
        headers.extend_from_slice(more);
        let seen = self
            .world
            .call(method, path, "", &headers, Body::from(body))
            .await;
        for set in seen.headers.get_all("set-cookie") {
            let (name, rest) = set.to_str().unwrap().split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            self.cookies.retain(|(known, _)| known != name);
            self.cookies.push((name.into(), value.into()));
        }
        seen
    }

    async fn get(&mut self, path: &str) -> Seen {
        self.ask("GET", path, &[], String::new()).await
    }

    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Seen {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("sec-fetch-site", "same-origin"),
            ("origin", "http://hub.test"),
        ];
        self.ask("POST", path, &headers, encoded(fields)).await
    }

    async fn csrf(&mut self) -> String {
        hidden(&self.get("/shop/discrepancies").await, "csrf")
    }

    async fn pay(&self) -> String {
        self.world
            .post("/payments", sale(GOOD_CARD))
            .await
            .ok()
            .str("/id")
            .to_owned()
    }

    /// The first step of an act; the fields of the second.
    async fn confirm(
        &mut self,
        id: &str,
        act: &str,
        amount: &str,
        reason: &str,
    ) -> Vec<(&'static str, String)> {
        let csrf = self.csrf().await;
        let path = format!("/shop/payments/{id}/{act}");
        let page = self
            .post(&path, &[("csrf", &csrf), ("amount", amount), ("reason", reason)])
            .await
            .ok();
        ["csrf", "attempt", "amount", "reason", "confirmed"]
            .map(|name| (name, hidden(&page, name)))
            .into()
    }

    async fn send(&mut self, id: &str, act: &str, fields: &[(&'static str, String)]) -> Seen {
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        self.post(&format!("/shop/payments/{id}/{act}"), &fields).await
    }

    async fn acts(&self, subject: &str) -> Vec<(String, String, String)> {
        let rows = repo::acts_of(self.world.engine.store().as_ref(), &self.world.shop, subject)
            .await
            .unwrap();
        rows.into_iter()
            .map(|row| (row.who.into(), row.what.into(), row.body.into()))
            .collect()
    }
}

#[tokio::test]
async fn without_a_login_there_is_no_office() {
    let world = World::new().await;
    for (method, path) in [
        ("GET", "/shop"),
        ("GET", "/shop/login"),
        ("POST", "/shop/login"),
        ("GET", "/shop/logout"),
        ("POST", "/shop/payments/x/refund"),
    ] {
        world
            .call(method, path, "", &[], Body::empty())
            .await
            .refused(404, "not_found");
    }
}

#[tokio::test]
async fn a_clerk_signs_in_sees_today_and_signs_out() {
    let mut clerk = Clerk::at_the_door().await;
    assert_eq!(
        location(&clerk.get("/shop/payments?q=a+b").await),
        "/shop/login?next=%2Fshop%2Fpayments%3Fq%3Da%2Bb"
    );
    let seen = clerk.sign_in(PASSWORD, "/shop/payments?q=a+b").await;
    assert_eq!(location(&seen), "/shop/payments?q=a+b");
    let cookie = seen.headers["set-cookie"].to_str().unwrap();
    for part in ["HttpOnly", "SameSite=Lax", "Path=/shop;", "Max-Age=28800"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let id = clerk.pay().await;
    let today = clerk.get("/shop").await.ok();
    assert!(
        today.text.contains(&id) && today.text.contains("¥1,000"),
        "{}",
        today.text
    );
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(today.headers[name], value);
    }
    assert!(
        today.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .starts_with("default-src 'none'")
    );
    let csrf = clerk.csrf().await;
    let old = clerk.cookies.clone();
    assert_eq!(
        location(&clerk.post("/shop/logout", &[("csrf", &csrf)]).await),
        "/shop/login"
    );
    clerk.cookies = old;
    assert!(
        location(&clerk.get("/shop").await).starts_with("/shop/login"),
        "a session that was left is over"
    );
}

#[tokio::test]
async fn a_session_ends_after_eight_hours() {
    let mut clerk = Clerk::signed_in().await;
    clerk.world.advance(8 * 3_600).await;
    assert_eq!(location(&clerk.get("/shop").await), "/shop/login?next=%2Fshop");
    assert!(
        clerk
            .get("/shop/login")
            .await
            .ok()
            .text
            .contains("role=\"alert\"")
    );
}

#[tokio::test]
async fn a_wrong_password_opens_nothing_and_five_lock_the_door_for_a_minute() {
    let mut clerk = Clerk::at_the_door().await;
    for _ in 0..4 {
        assert_eq!(clerk.sign_in("wrong", "/shop").await.status, 403);
    }
    assert_eq!(clerk.sign_in("wrong", "/shop").await.status, 429);
    assert_eq!(clerk.sign_in(PASSWORD, "/shop").await.status, 429);
    assert!(location(&clerk.get("/shop").await).starts_with("/shop/login"));
    clerk.world.advance(61).await;
    assert_eq!(
        location(&clerk.sign_in(PASSWORD, "https://evil.example/").await),
        "/shop",
        "nobody is led away"
    );
}

#[tokio::test]
async fn a_form_that_is_not_from_our_own_page_changes_nothing() {
    let mut clerk = Clerk::signed_in().await;
    let id = clerk.pay().await;
    let fields = clerk.confirm(&id, "refund", "1000", "").await;
    let path = format!("/shop/payments/{id}/refund");
    let field = |name: &str| fields.iter().find(|(known, _)| *known == name).unwrap().1.clone();
    let (csrf, attempt) = (field("csrf"), field("attempt"));
    let bare = [
        ("attempt", attempt.as_str()),
        ("amount", "1000"),
        ("reason", ""),
        ("confirmed", "yes"),
    ];
    let whole = [&bare[..], &[("csrf", csrf.as_str())]].concat();
    assert_eq!(clerk.post(&path, &bare).await.status, 403);
    assert_eq!(
        clerk
            .post(&path, &[&bare[..], &[("csrf", "00")]].concat())
            .await
            .status,
        403
    );
    for header in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
    ] {
        assert_eq!(
            clerk.ask("POST", &path, &[header], encoded(&whole)).await.status,
            403,
            "{header:?}"
        );
    }
    let door = clerk
        .post(
            "/shop/login",
            &[("email", "clerk@shop.example"), ("password", PASSWORD)],
        )
        .await;
    assert_eq!(door.status, 403);
    assert_eq!(clerk.world.books(&id).await[2], 0);
    assert_eq!(clerk.acts(&id).await, []);
}

#[tokio::test]
async fn a_refund_sent_twice_is_one_refund_and_one_act() {
    let mut clerk = Clerk::signed_in().await;
    let id = clerk.pay().await;
    let fields = clerk.confirm(&id, "refund", "400", "欠品のため").await;
    assert_eq!(clerk.world.books(&id).await[2], 0, "the first step moves nothing");
    let first = clerk.send(&id, "refund", &fields).await;
    let second = clerk.send(&id, "refund", &fields).await;
    for seen in [&first, &second] {
        assert!(location(seen).starts_with(&format!("/shop/payments/{id}?notice=notice-refunded.400.")));
    }
    assert_eq!(clerk.world.books(&id).await[2], 400);
    assert_eq!(clerk.world.movements("refund"), 1);
    let acts = clerk.acts(&id).await;
    assert_eq!(acts.len(), 1, "{acts:?}");
    assert_eq!(
        (acts[0].0.as_str(), acts[0].1.as_str()),
        ("clerk@shop.example", "refund")
    );
    assert!(
        acts[0].2.contains("\"status\":200") && acts[0].2.contains("欠品のため"),
        "{acts:?}"
    );
    let page = clerk.get(location(&first).to_owned().as_str()).await.ok();
    for text in [
        "¥400 was refunded.",
        "clerk@shop.example",
        "欠品のため",
        "Partly refunded",
        "¥600",
    ] {
        assert!(page.text.contains(text), "{text}");
    }
}

#[tokio::test]
async fn what_is_confirmed_is_what_was_shown() {
    let mut clerk = Clerk::signed_in().await;
    let id = clerk.pay().await;
    let mut fields = clerk.confirm(&id, "refund", "400", "").await;
    for (name, value) in &mut fields {
        if *name == "amount" {
            *value = "900".into();
        }
    }
    let seen = clerk.send(&id, "refund", &fields).await.ok();
    assert!(seen.text.contains("¥900"), "another amount is shown first");
    assert_eq!(clerk.world.books(&id).await[2], 0);
    let csrf = clerk.csrf().await;
    let path = format!("/shop/payments/{id}/refund");
    for amount in ["1001", "0", "-1", "1e3", ""] {
        let seen = clerk.post(&path, &[("csrf", &csrf), ("amount", amount)]).await;
        assert!(location(&seen).contains("notice-refused"), "{amount}");
    }
}

#[tokio::test]
async fn an_authorized_card_is_captured_in_part_and_another_is_cancelled() {
    let mut clerk = Clerk::signed_in().await;
    let asked = json!({"amount": 1000, "currency": "JPY", "tax": 100, "capture": false, "payment_details": crate::world::card(GOOD_CARD)});
    let id = clerk
        .world
        .post("/payments", asked)
        .await
        .ok()
        .str("/id")
        .to_owned();
    let page = clerk.get(&format!("/shop/payments/{id}")).await.ok();
    assert!(page.text.contains("Authorized") && page.text.contains("/capture\""));
    let fields = clerk.confirm(&id, "capture", "550", "").await;
    assert!(location(&clerk.send(&id, "capture", &fields).await).contains("notice-captured.550."));
    assert_eq!(clerk.world.books(&id).await[1], 550);

    let other = clerk
        .world
        .post("/payments", authorization())
        .await
        .ok()
        .str("/id")
        .to_owned();
    let fields = clerk.confirm(&other, "cancel", "", "").await;
    assert!(location(&clerk.send(&other, "cancel", &fields).await).contains("notice-cancelled"));
    assert_eq!(clerk.world.status(&other).await, "cancelled");
}

#[tokio::test]
async fn an_act_whose_answer_is_lost_is_told_calmly_and_shown_as_being_confirmed() {
    let mut clerk = Clerk::signed_in().await;
    let id = clerk.pay().await;
    let fields = clerk.confirm(&id, "refund", "1000", "").await;
    clerk
        .world
        .fault(json!({"operation": "payments.refund", "kind": "lose_after", "remaining": 1}));
    let seen = clerk.send(&id, "refund", &fields).await;
    assert!(location(&seen).contains("notice-unknown"), "{}", location(&seen));
    let page = clerk.get(location(&seen).to_owned().as_str()).await.ok();
    assert!(page.text.contains("It will not be done twice."));
    let list = clerk.get("/shop/payments?state=confirming").await.ok();
    assert!(list.text.contains(&id));
    assert!(
        clerk
            .get("/shop")
            .await
            .ok()
            .text
            .contains("/shop/payments?state=confirming")
    );
    clerk.world.advance(60).await;
    assert!(
        !clerk
            .get("/shop/payments?state=confirming")
            .await
            .ok()
            .text
            .contains(&id)
    );
    assert!(
        clerk
            .get("/shop/payments?state=refunded")
            .await
            .ok()
            .text
            .contains(&id)
    );
    assert_eq!(clerk.world.books(&id).await[2], 1_000);
}

#[tokio::test]
async fn another_shops_payment_is_not_there() {
    let mut clerk = Clerk::signed_in().await;
    let body = sale(GOOD_CARD).to_string();
    let made = clerk
        .world
        .call(
            "POST",
            "/api/v1/payments",
            OTHER_KEY,
            &[("content-type", "application/json")],
            body,
        )
        .await
        .ok();
    let id = made.str("/id").to_owned();
    assert_eq!(clerk.get(&format!("/shop/payments/{id}")).await.status, 404);
    let csrf = clerk.csrf().await;
    for act in ["refund", "cancel", "capture", "inquire", "note"] {
        let seen = clerk
            .post(
                &format!("/shop/payments/{id}/{act}"),
                &[("csrf", &csrf), ("amount", "1000"), ("note", "x")],
            )
            .await;
        assert_eq!(seen.status, 404, "{act}");
    }
    assert!(
        !clerk
            .get(&format!("/shop/payments?q={id}"))
            .await
            .ok()
            .text
            .contains(&format!("/shop/payments/{id}\""))
    );
    assert_eq!(clerk.get("/shop/payments/%0aevil").await.status, 404);
}

#[tokio::test]
async fn the_timeline_tells_everything_but_the_card_number() {
    let mut clerk = Clerk::signed_in().await;
    let id = clerk.pay().await;
    let csrf = clerk.csrf().await;
    let noted = clerk
        .post(
            &format!("/shop/payments/{id}/note"),
            &[("csrf", &csrf), ("note", "お電話あり <b>")],
        )
        .await;
    assert!(location(&noted).contains("notice-noted"));
    let page = clerk.get(&format!("/shop/payments/{id}")).await.ok();
    for text in [
        "1111",
        "お電話あり",
        "&#60;b&#62;",
        "POST /",
        "200 OK",
        "class=\"good\"",
    ] {
        assert!(page.text.contains(text), "{text}: {}", page.text);
    }
    for secret in [GOOD_CARD, "sk_test", "\"123\"", "<b>"] {
        assert!(!page.text.contains(secret), "{secret}");
    }
    let timeline = page
        .text
        .split("<ol class=\"timeline\">")
        .nth(1)
        .expect("a timeline");
    let order = [
        "<strong>Note<",
        "<strong>Captured<",
        "<strong>Authorization asked for<",
    ]
    .map(|text| {
        timeline
            .find(text)
            .unwrap_or_else(|| panic!("{text} in {timeline}"))
    });
    assert!(order.is_sorted(), "the newest comes first: {order:?}");
}

#[tokio::test]
async fn payments_are_found_added_up_and_saved_as_csv() {
    let mut clerk = Clerk::signed_in().await;
    let mut asked = sale(GOOD_CARD);
    asked["external_order_num"] = "=HYPERLINK(1)".into();
    let card = clerk
        .world
        .post("/payments", asked)
        .await
        .ok()
        .str("/id")
        .to_owned();
    let slip = json!({"amount": 2000, "currency": "JPY", "tax": 0, "payment_details": konbini(), "external_order_num": "MZ-7"});
    let slip = clerk
        .world
        .post("/payments", slip)
        .await
        .ok()
        .str("/id")
        .to_owned();
    for (query, found, not) in [
        ("q=MZ", &slip, &card),
        (&*format!("q={card}"), &card, &slip),
        ("state=awaiting_payment", &slip, &card),
        ("state=captured", &card, &slip),
        ("method=konbini", &slip, &card),
        ("from=2026-01-15&to=2026-01-15&method=konbini", &slip, &card),
    ] {
        let page = clerk.get(&format!("/shop/payments?{query}")).await.ok();
        assert!(page.text.contains(&format!("/shop/payments/{found}")), "{query}");
        assert!(!page.text.contains(&format!("/shop/payments/{not}")), "{query}");
    }
    let all = clerk.get("/shop/payments").await.ok();
    assert!(all.text.contains("¥3,"), "the sum: {}", all.text);
    assert!(
        clerk
            .get("/shop/payments?to=2026-01-14")
            .await
            .ok()
            .text
            .contains("0 ")
    );
    let file = clerk.get("/shop/payments.csv").await.ok();
    assert!(file.text.starts_with('\u{feff}') && file.text.ends_with("\r\n"));
    assert_eq!(file.text.lines().count(), 3);
    assert!(file.text.contains("\"'=HYPERLINK(1)\""), "{}", file.text);
    assert!(
        file.headers["content-disposition"]
            .to_str()
            .unwrap()
            .starts_with("attachment")
    );
    assert_eq!(clerk.get("/shop/payments.csv?encoding=ebcdic").await.status, 422);
}

#[tokio::test]
async fn a_long_list_is_paged_both_ways() {
    let mut clerk = Clerk::signed_in().await;
    for _ in 0..52 {
        clerk.pay().await;
    }
    let first = clerk.get("/shop/payments").await.ok();
    assert_eq!(first.text.matches("class=\"open\"").count(), 50);
    let href = |seen: &Seen, rel: &str| {
        let at = seen.text.find(&format!("rel=\"{rel}\" href=\"")).expect(rel);
        let rest = seen.text[at..].split("href=\"").nth(1).unwrap();
        rest.split('"')
            .next()
            .unwrap()
            .replace("&#38;", "&")
            .replace("&amp;", "&")
    };
    let second = clerk.get(&href(&first, "next")).await.ok();
    assert_eq!(second.text.matches("class=\"open\"").count(), 2);
    assert!(!second.text.contains("rel=\"next\""));
    let back = clerk.get(&href(&second, "prev")).await.ok();
    assert_eq!(back.text.matches("class=\"open\"").count(), 50);
}

#[tokio::test]
async fn what_was_given_up_is_sent_again() {
    let mut clerk = Clerk::signed_in().await;
    clerk
        .world
        .post(
            "/webhook_endpoints",
            json!({"url": "https://shop.example/hook", "events": ["payment.captured"]}),
        )
        .await
        .ok();
    clerk.world.advance(1).await;
    clerk.world.endpoints.status.store(500, Ordering::SeqCst);
    let id = clerk.pay().await;
    clerk.world.advance(7 * 86_400).await;
    assert_eq!(location(&clerk.sign_in(PASSWORD, "/shop").await), "/shop");
    assert!(
        clerk
            .get("/shop")
            .await
            .ok()
            .text
            .contains("/shop/deliveries?state=dead")
    );
    let dead = clerk.get("/shop/deliveries?state=dead").await.ok();
    assert!(
        dead.text.contains("payment.captured") && dead.text.contains(&id),
        "{}",
        dead.text
    );
    let at = dead.text.find("/shop/deliveries/").expect("a form");
    let replay = dead.text[at..].split('"').next().unwrap().to_owned();
    clerk.world.endpoints.status.store(200, Ordering::SeqCst);
    let csrf = hidden(&dead, "csrf");
    let seen = clerk.post(&replay, &[("csrf", &csrf)]).await;
    assert!(location(&seen).starts_with("/shop/deliveries?notice=notice-replayed.1."));
    clerk.world.advance(1).await;
    let delivered = clerk
        .get(&format!("/shop/deliveries?state=delivered&q={id}"))
        .await
        .ok();
    assert!(delivered.text.contains("payment.captured"));
    let sent = clerk.world.endpoints.got.lock().unwrap().len();

    let span = [
        ("csrf", csrf.as_str()),
        ("from", "2026-01-15T00:00"),
        ("to", "2026-01-16T00:00"),
        ("only", "all"),
    ];
    let seen = clerk.post("/shop/deliveries/replay", &span).await;
    assert!(
        location(&seen).contains("notice-replayed.2."),
        "the ping too: {}",
        location(&seen)
    );
    clerk.world.advance(1).await;
    assert_eq!(clerk.world.endpoints.got.lock().unwrap().len(), sent + 2);
    let bad = [
        ("csrf", csrf.as_str()),
        ("from", "2026-01-17T00:00"),
        ("to", "2026-01-16T00:00"),
        ("only", "all"),
    ];
    assert!(location(&clerk.post("/shop/deliveries/replay", &bad).await).contains("notice-refused"));
    assert_eq!(
        clerk
            .post("/shop/deliveries/nothing.here/replay", &[("csrf", &csrf)])
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn a_discrepancy_is_seen_and_settled_with_a_note() {
    let mut clerk = Clerk::signed_in().await;
    clerk
        .world
        .fault(json!({"operation": "payments.create", "kind": "wrong_amount", "remaining": 1}));
    let made = clerk.world.post("/payments", sale(GOOD_CARD)).await;
    let page = clerk.get("/shop/discrepancies").await.ok();
    assert!(page.text.contains("/settle\""), "{} {}", made.text, page.text);
    assert!(
        clerk
            .get("/shop")
            .await
            .ok()
            .text
            .contains("/shop/discrepancies\"")
    );
    let end = page.text.find("/settle\"").unwrap() + "/settle".len();
    let settle = page.text[..end].rsplit('"').next().unwrap().to_owned();
    let csrf = hidden(&page, "csrf");
    assert!(
        location(&clerk.post(&settle, &[("csrf", &csrf), ("note", " ")]).await).contains("notice-refused")
    );
    let seen = clerk
        .post(&settle, &[("csrf", &csrf), ("note", "確認しました")])
        .await;
    assert!(location(&seen).contains("notice-settled"));
    let page = clerk.get("/shop/discrepancies").await.ok();
    assert!(!page.text.contains("/settle\"") && !page.text.contains("確認しました"));
    let page = clerk.get("/shop/discrepancies?state=settled").await.ok();
    assert!(page.text.contains("確認しました (clerk@shop.example)") && !page.text.contains("/settle\""));
    assert_eq!(
        clerk
            .post(&settle, &[("csrf", &csrf), ("note", "again")])
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn a_clerk_compares_the_books_and_reads_what_each_difference_needs() {
    let mut clerk = Clerk::signed_in().await;
    let page = clerk.get("/shop/discrepancies").await.ok();
    assert!(page.text.contains("Nothing has been compared yet."));
    clerk.world.control(Method::Post, "webhook", json!({}));
    let (id, good) = (clerk.pay().await, clerk.pay().await);
    let reference = clerk.world.payment(&id).await.reference.unwrap();
    let edit = format!("payments/{reference}/edit");
    clerk
        .world
        .control(Method::Post, &edit, json!({"status": "authorized"}));
    clerk.world.advance(3_600).await;
    let csrf = clerk.csrf().await;
    let seen = clerk
        .post("/shop/discrepancies/reconcile", &[("csrf", &csrf)])
        .await;
    assert!(location(&seen).contains("notice-reconciling."));
    let seen = clerk
        .post("/shop/discrepancies/reconcile", &[("csrf", &csrf)])
        .await;
    assert!(
        location(&seen).contains("notice-reconciling-already."),
        "one at a time"
    );
    let page = clerk.get("/shop/discrepancies").await.ok();
    assert!(page.text.contains("Comparing: 0 of") && page.text.contains("Refresh"));
    clerk.world.advance(1).await;
    let page = clerk.get("/shop/discrepancies").await.ok();
    for text in [
        "Everything was compared.",
        "The capture is missing at the provider",
        "As it stands you will not be paid.",
        &format!("/shop/payments/{id}\""),
        "Compare now",
    ] {
        assert!(page.text.contains(text), "{text}: {}", page.text);
    }
    assert!(!page.text.contains(&good));

    // The provider mends its books, and the next comparison settles it.
    clerk
        .world
        .control(Method::Post, &edit, json!({"status": "captured"}));
    clerk
        .post("/shop/discrepancies/reconcile", &[("csrf", &csrf)])
        .await;
    clerk.world.advance(1).await;
    let page = clerk.get("/shop/discrepancies?locale=ja").await.ok();
    assert!(page.text.contains("不整合はありません。") && page.text.contains("自動で解決"));
    let page = clerk
        .get("/shop/discrepancies?state=settled&locale=en")
        .await
        .ok();
    assert!(page.text.contains("Both records agree again"), "{}", page.text);
    let page = clerk.get(&format!("/shop/payments/{id}")).await.ok();
    assert!(page.text.contains("Both records agree again"));
}

#[tokio::test]
async fn the_language_is_kept_and_a_notice_cannot_be_made_up() {
    let mut clerk = Clerk::signed_in().await;
    assert!(
        clerk
            .get("/shop?locale=ja")
            .await
            .ok()
            .text
            .contains("lang=\"ja\"")
    );
    assert!(
        clerk
            .get("/shop/payments")
            .await
            .ok()
            .text
            .contains("<html lang=\"ja\"")
    );
    let id = clerk.pay().await;
    let page = clerk
        .get(&format!(
            "/shop/payments/{id}?notice=notice-refunded.1000.0011223344556677"
        ))
        .await
        .ok();
    assert!(!page.text.contains("class=\"banner"));
}
