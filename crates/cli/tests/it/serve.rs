//! `kessai serve` as an operator runs it: sandbox, hub and tools each a process of its own.
use crate::world::{Api, Endpoint, add_shop, free_port, kessai, sandbox, serve, until};
use serde_json::{Value, json};

fn card(amount: i64) -> Value {
    json!({"amount": amount, "currency": "JPY", "tax": 0,
           "payment_details": {"type": "credit_card", "number": "4111111111111111", "month": 12, "year": 2039}})
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_on_one_postgresql_take_payments_together_and_send_traces() {
    let folder = tempfile::tempdir().unwrap();
    let database = kessai_store::testkit::pg::database().await;
    let collector = Endpoint::listen().await;
    let (_sandbox, komoju) = sandbox(folder.path(), &["--listen", "127.0.0.1:0"]);
    let text = |name: &str| komoju[name].as_str().unwrap().to_owned();
    let environment = [
        ("KESSAI_STORE__DATABASE", database.address()),
        (
            "KESSAI_OBSERVE__OTLP_ENDPOINT",
            collector.url.trim_end_matches("/hook").to_owned(),
        ),
        ("KOMOJU_SECRET_KEY", text("secret_key")),
        ("KOMOJU_PUBLISHABLE_KEY", text("publishable_key")),
        ("KOMOJU_WEBHOOK_SECRET", "whsec_loopback".to_owned()),
    ];
    let shop = add_shop(folder.path(), &environment, "Two nodes", &text("url"));
    let key = shop["secret_key"].as_str().unwrap();

    let (_one, first) = serve(folder.path(), &environment, free_port()).await;
    let (_two, second) = serve(folder.path(), &environment, free_port()).await;
    let (first, second) = (Api::new(&first, key), Api::new(&second, key));
    let (status, made) = first.post("/payments", &card(1_200), Some("same")).await.unwrap();
    assert_eq!((status, &made["status"]), (200, &json!("captured")), "{made}");
    let (_, again) = second
        .post("/payments", &card(1_200), Some("same"))
        .await
        .unwrap();
    assert_eq!(made, again, "the same key is the same answer on every node");

    // Full refunds raced on both nodes: one is accepted.
    let path = format!("/payments/{}/refund", made["id"].as_str().unwrap());
    let races = (0..8).map(|n| {
        let api = if n % 2 == 0 { first.clone() } else { second.clone() };
        let path = path.clone();
        async move { api.post(&path, &json!({}), None).await.unwrap().0 }
    });
    let answers = futures_util::future::join_all(races).await;
    assert_eq!(
        answers.iter().filter(|status| **status == 200).count(),
        1,
        "{answers:?}"
    );
    let books = first.get(&format!("{}/sandbox/books", text("url"))).await;
    assert_eq!(
        (&books["data"][0]["captured"], &books["data"][0]["refunded"]),
        (&json!(1_200), &json!(1_200))
    );

    until("traces", || async {
        collector
            .received()
            .iter()
            .any(|received| received.body.contains("kessai"))
    })
    .await;
}

#[test]
fn a_clock_that_runs_ahead_is_refused_where_real_money_moves() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [
        ("KESSAI_STORE__DATABASE", "kessai.db".to_owned()),
        ("KESSAI_SERVER__LISTEN", "127.0.0.1:0".to_owned()),
        ("KOMOJU_SECRET_KEY", "k".to_owned()),
        ("KOMOJU_PUBLISHABLE_KEY", "p".to_owned()),
        ("KOMOJU_WEBHOOK_SECRET", "w".to_owned()),
    ];
    let add = ["shop", "add", "Real money", "--live"];
    let added = kessai(folder.path(), &environment).args(add).output().unwrap();
    assert!(added.status.success());
    let ahead = ["serve", "--clock-ahead", "5m"];
    let refused = kessai(folder.path(), &environment).args(ahead).output().unwrap();
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("this database has a live shop"), "{said}");
}
