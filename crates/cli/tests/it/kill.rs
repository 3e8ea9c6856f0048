//! What is left after kill -9 in the middle of a rush.
use crate::world::{Api, Demo, Endpoint, until};
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const PAYMENTS: usize = 500;
const KILLED_AFTER: usize = 150;

fn wish(n: usize) -> Value {
    json!({
        "amount": 1_000 + n, "currency": "JPY", "tax": 0, "external_order_num": format!("rush-{n}"),
        "payment_details": {"type": "credit_card", "number": "4111111111111111", "month": 12, "year": 2039,
                            "verification_value": "123", "name": "RUSH"},
    })
}

/// Sends all that has no answer yet, 32 side by side.
async fn rush(api: &Api, answers: &Mutex<BTreeMap<usize, (u16, Value)>>, enough: &dyn Fn(usize) -> bool) {
    let done = AtomicUsize::new(0);
    let over = AtomicBool::new(false);
    let open: Vec<usize> = (0..PAYMENTS)
        .filter(|n| !answers.lock().unwrap().contains_key(n))
        .collect();
    stream::iter(open)
        .for_each_concurrent(32, |n| {
            let (done, over) = (&done, &over);
            async move {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let answer = api
                    .post("/payments", &wish(n), Some(&format!("rush-key-{n}")))
                    .await;
                if let Some(answer) = answer.filter(|(status, _)| matches!(status, 200 | 202)) {
                    answers.lock().unwrap().insert(n, answer);
                    if enough(done.fetch_add(1, Ordering::SeqCst) + 1) {
                        over.store(true, Ordering::SeqCst);
                    }
                }
            }
        })
        .await;
}

/// The sandbox's own books: what was captured under each of our keys.
async fn captured_there(api: &Api, sandbox: &str) -> BTreeMap<String, Vec<i64>> {
    let mut there: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let mut after = String::new();
    loop {
        let page = api
            .get(&format!("{sandbox}/sandbox/books?limit=200&after={after}"))
            .await;
        for row in page["data"].as_array().expect("rows") {
            let captured = row["captured"].as_i64().expect("an amount");
            if captured > 0 {
                let key = row["number"].as_str().unwrap_or_default().to_owned();
                there.entry(key).or_default().push(captured);
            }
        }
        match page["next"].as_str() {
            Some(next) if !next.is_empty() => after = next.to_owned(),
            _ => return there,
        }
    }
}

async fn survive(database: Option<&str>) {
    let data = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::listen().await;
    let hook = ["--webhook-url", endpoint.url.as_str()];
    let demo = Demo::start(data.path(), database, &hook);
    let answers = Mutex::new(BTreeMap::new());
    let api = demo.api();
    rush(&api, &answers, &|done| done >= KILLED_AFTER).await;
    demo.kill();
    let acknowledged: BTreeMap<usize, (u16, Value)> = answers.lock().unwrap().clone();
    assert!(
        acknowledged.len() >= KILLED_AFTER,
        "{} were acknowledged",
        acknowledged.len()
    );
    assert!(acknowledged.len() < PAYMENTS, "it was killed in the middle");

    // It comes back; the shop asks again for whatever it has no answer to, with the same keys. Keys whose command was cut in the
    // middle are settled by inquiry, which the passing of time brings about.
    let demo = Demo::start(data.path(), database, &hook);
    let api = demo.api();
    for _ in 0..20 {
        rush(&api, &answers, &|_| false).await;
        if answers.lock().unwrap().len() == PAYMENTS {
            break;
        }
        demo.advance("15m");
    }
    let answers = answers.into_inner().unwrap();
    let open: Vec<usize> = (0..PAYMENTS).filter(|n| !answers.contains_key(n)).collect();
    // A command whose request never reached the provider ends as failed, and says so under its key for ever.
    for n in &open {
        let (status, answer) = api
            .post("/payments", &wish(*n), Some(&format!("rush-key-{n}")))
            .await
            .expect("an answer");
        assert_eq!(
            (status, answer["error"]["code"].as_str()),
            (504, Some("gateway_timeout")),
            "{n}: {answer}"
        );
    }

    let there = captured_there(&api, &demo.text("/sandboxes/komoju/url")).await;
    for (key, amounts) in &there {
        assert_eq!(amounts.len(), 1, "{key} was charged {} times", amounts.len());
    }
    let mut keys = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for (n, (_, first)) in &answers {
        let id = first["id"].as_str().expect("an id").to_owned();
        if let Some((_, before)) = acknowledged.get(n) {
            assert_eq!(
                before["id"], first["id"],
                "an acknowledged payment is still the same"
            );
        }
        let now = api.get(&format!("/payments/{id}")).await;
        assert_eq!(now["status"], "captured", "{n}: {now}");
        assert_eq!(now["total"], json!(1_000 + n));
        let key = format!("{id}_1");
        assert_eq!(
            there.get(&key),
            Some(&vec![1_000 + *n as i64]),
            "{n} in the sandbox's books"
        );
        keys.insert(key);
        ids.insert(id);
    }
    let strangers: Vec<&String> = there.keys().filter(|key| !keys.contains(*key)).collect();
    assert!(
        strangers.is_empty(),
        "charged without a payment of ours: {strangers:?}"
    );

    // Every event arrives, those of before the kill as well.
    until("every captured event", || async {
        let told: BTreeSet<String> = endpoint
            .received()
            .iter()
            .filter(|received| received.header("x-komoju-event") == "payment.captured")
            .filter_map(|received| serde_json::from_str::<Value>(&received.body).ok())
            .filter_map(|event| event["data"]["id"].as_str().map(ToOwned::to_owned))
            .collect();
        let missing = ids.difference(&told).count();
        if missing > 0 {
            demo.advance("10m");
        }
        missing == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_nine_in_a_rush_loses_no_acknowledged_payment_and_charges_none_twice_on_sqlite() {
    survive(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_nine_in_a_rush_loses_no_acknowledged_payment_and_charges_none_twice_on_postgresql() {
    let database = kessai_store::testkit::pg::database().await;
    survive(Some(&database.address())).await;
}
