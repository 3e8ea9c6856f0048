//! Eight clients at once, ten rounds each, over HTTP on both stores: what docs/races.md publishes.
use crate::world::{Api, Demo};
use futures_util::future::join_all;
use serde_json::{Value, json};

const AT_ONCE: usize = 8;
const ROUNDS: usize = 10;

fn card() -> Value {
    json!({"type": "credit_card", "number": "4111111111111111", "month": 12, "year": 2039})
}

fn sale(amount: i64, capture: bool) -> Value {
    json!({"amount": amount, "currency": "JPY", "tax": 0, "capture": capture, "payment_details": card()})
}

async fn made(api: &Api, body: &Value) -> String {
    let (status, payment) = api.post("/payments", body, None).await.expect("an answer");
    assert_eq!(status, 200, "{payment}");
    payment["id"].as_str().expect("an id").to_owned()
}

/// Sends the same or different wishes at the same moment; the answers.
async fn at_once(api: &Api, wishes: Vec<(String, Value, Option<String>)>) -> Vec<(u16, Value)> {
    let sent = wishes.into_iter().map(|(path, body, key)| {
        let api = api.clone();
        async move { api.post(&path, &body, key.as_deref()).await.expect("an answer") }
    });
    join_all(sent).await
}

fn accepted(answers: &[(u16, Value)]) -> usize {
    answers.iter().filter(|(status, _)| *status == 200).count()
}

/// What the sandbox holds under a key: authorized and not given up, captured, refunded.
async fn books(api: &Api, sandbox: &str, payment: &str) -> (i64, i64) {
    let rows = api.get(&format!("{sandbox}/sandbox/books?limit=1000")).await;
    let key = format!("{payment}_1");
    let of = |row: &Value, name: &str| row[name].as_i64().expect("an amount");
    let mine: Vec<&Value> = rows["data"]
        .as_array()
        .expect("rows")
        .iter()
        .filter(|row| row["number"] == *key)
        .collect();
    (
        mine.iter().map(|row| of(row, "captured")).sum(),
        mine.iter().map(|row| of(row, "refunded")).sum(),
    )
}

struct Row {
    name: &'static str,
    expected: &'static str,
    seen: Vec<usize>,
}

async fn race(store: &str, database: Option<&str>) {
    let data = tempfile::tempdir().unwrap();
    let demo = Demo::start(data.path(), database, &[]);
    let api = demo.api();
    let sandbox = demo.text("/sandboxes/komoju/url");
    let mut rows: Vec<Row> = [
        ("full refunds of one payment", "1"),
        ("refunds of 300 from 1,000", "3"),
        ("captures", "1"),
        ("capture against cancel", "1"),
        ("one idempotency key", "1 charge"),
        ("one order number", "1"),
        ("one session by two methods", "1 live payment"),
    ]
    .map(|(name, expected)| Row {
        name,
        expected,
        seen: vec![],
    })
    .into();
    for round in 0..ROUNDS {
        let id = made(&api, &sale(1_000, true)).await;
        let path = format!("/payments/{id}/refund");
        let answers = at_once(&api, vec![(path, json!({}), None); AT_ONCE]).await;
        assert_eq!(accepted(&answers), 1, "{answers:?}");
        assert_eq!(books(&api, &sandbox, &id).await, (1_000, 1_000));
        rows[0].seen.push(accepted(&answers));

        let id = made(&api, &sale(1_000, true)).await;
        let path = format!("/payments/{id}/refund");
        let answers = at_once(&api, vec![(path, json!({"amount": 300}), None); AT_ONCE]).await;
        assert_eq!(accepted(&answers), 3, "{answers:?}");
        assert_eq!(books(&api, &sandbox, &id).await, (1_000, 900));
        rows[1].seen.push(accepted(&answers));

        let id = made(&api, &sale(1_000, false)).await;
        let path = format!("/payments/{id}/capture");
        let answers = at_once(&api, vec![(path, json!({}), None); AT_ONCE]).await;
        assert_eq!(accepted(&answers), 1, "{answers:?}");
        assert_eq!(books(&api, &sandbox, &id).await, (1_000, 0));
        rows[2].seen.push(accepted(&answers));

        let id = made(&api, &sale(1_000, false)).await;
        let either = |n: usize| {
            format!(
                "/payments/{id}/{}",
                if n.is_multiple_of(2) { "capture" } else { "cancel" }
            )
        };
        let answers = at_once(&api, (0..AT_ONCE).map(|n| (either(n), json!({}), None)).collect()).await;
        assert_eq!(accepted(&answers), 1, "{answers:?}");
        rows[3].seen.push(accepted(&answers));

        let key = format!("race-{round}");
        let wishes = vec![("/payments".to_owned(), sale(1_000, true), Some(key)); AT_ONCE];
        let answers = at_once(&api, wishes).await;
        let ids: Vec<&str> = answers
            .iter()
            .filter(|(s, _)| *s == 200)
            .filter_map(|(_, p)| p["id"].as_str())
            .collect();
        assert!(
            !ids.is_empty() && ids.iter().all(|id| *id == ids[0]),
            "{answers:?}"
        );
        assert!(
            answers.iter().all(|(status, _)| matches!(status, 200 | 409)),
            "{answers:?}"
        );
        assert_eq!(books(&api, &sandbox, ids[0]).await, (1_000, 0));
        rows[4].seen.push(1);

        let mut body = sale(1_000, true);
        body["external_order_num"] = format!("order-{round}").into();
        let answers = at_once(&api, vec![("/payments".to_owned(), body.clone(), None); AT_ONCE]).await;
        assert_eq!(accepted(&answers), 1, "{answers:?}");
        rows[5].seen.push(accepted(&answers));

        let wish = json!({"amount": 1_200, "currency": "JPY"});
        let (_, session) = api.post("/sessions", &wish, None).await.unwrap();
        let path = format!("/sessions/{}/pay", session["id"].as_str().unwrap());
        let by = |n: usize| {
            let slip = json!({"type": "konbini", "store": "lawson", "email": "a@example.com"});
            json!({"payment_details": if n.is_multiple_of(2) { card() } else { slip }})
        };
        let answers = at_once(&api, (0..AT_ONCE).map(|n| (path.clone(), by(n), None)).collect()).await;
        assert_eq!(accepted(&answers), 1, "{answers:?}");
        let all = api.get("/payments?per_page=20").await;
        let live = all["data"].as_array().unwrap().iter().filter(|payment| {
            payment["session"] == session["id"]
                && matches!(
                    payment["status"].as_str(),
                    Some("captured" | "authorized" | "pending")
                )
        });
        assert_eq!(live.count(), 1);
        rows[6].seen.push(1);
    }
    for row in &rows {
        println!(
            "{store}: {}: expected {}, seen {:?}",
            row.name, row.expected, row.seen
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_eight_clients_at_once_only_as_many_win_as_there_is_money_for_on_sqlite() {
    race("SQLite", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_eight_clients_at_once_only_as_many_win_as_there_is_money_for_on_postgresql() {
    let database = kessai_store::testkit::pg::database().await;
    race("PostgreSQL", Some(&database.address())).await;
}
