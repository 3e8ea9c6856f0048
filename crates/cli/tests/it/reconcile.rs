//! `kessai reconcile` as an operator runs it, beside a live hub, after somebody changed the provider's books behind our back.
use crate::world::{Api, Running, add_shop, free_port, kessai, sandbox, serve};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

type Environment = Vec<(&'static str, String)>;

/// The sandbox on that port, which sends no notifications: nobody tells the hub anything.
fn silent(folder: &Path, port: u16) -> (Running, Value) {
    let listen = format!("127.0.0.1:{port}");
    sandbox(folder, &["--secret-key", "sk_test_books", "--listen", &listen])
}

fn reconcile(folder: &Path, environment: &Environment, more: &[&str]) -> (Option<i32>, Output) {
    let output = kessai(folder, environment)
        .arg("reconcile")
        .args(more)
        .output()
        .unwrap();
    (output.status.code(), output)
}

fn said(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn card(amount: i64, capture: bool) -> Value {
    json!({"amount": amount, "currency": "JPY", "tax": 0, "capture": capture,
           "payment_details": {"type": "credit_card", "number": "4111111111111111", "month": 12, "year": 2039}})
}

async fn made(api: &Api, body: &Value) -> String {
    let (status, made) = api.post("/payments", body, None).await.unwrap();
    assert_eq!(status, 200, "{made}");
    made["id"].as_str().unwrap().to_owned()
}

/// Something done at the sandbox: by its API, with the shop's key there, or by its control door.
async fn there(api: &Api, url: &str, body: &Value) {
    let reply = api
        .client
        .post(url)
        .basic_auth(&api.key, Some(""))
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status().as_u16(), 200, "{}", reply.text().await.unwrap());
}

async fn compare(database: Option<String>) {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let port = free_port();
    let (provider, komoju) = silent(place, port);
    let text = |name: &str| komoju[name].as_str().unwrap().to_owned();
    let url = text("url");
    let mut environment: Environment = vec![
        ("KOMOJU_SECRET_KEY", text("secret_key")),
        ("KOMOJU_PUBLISHABLE_KEY", text("publishable_key")),
        ("KOMOJU_WEBHOOK_SECRET", "whsec_loopback".to_owned()),
        ("KESSAI_PROVIDERS__ABSENCE_S", "0".to_owned()),
    ];
    if let Some(database) = database {
        environment.push(("KESSAI_STORE__DATABASE", database));
    }
    let shop = add_shop(place, &environment, "Books", &url);
    let id = shop["shop"].as_str().unwrap();
    let (_hub, hub) = serve(place, &environment, free_port()).await;
    let api = Api::new(&hub, shop["secret_key"].as_str().unwrap());
    let at_provider = Api::new(&url, &text("secret_key"));

    let untouched = made(&api, &card(1_000, true)).await;
    let refunded = made(&api, &card(2_000, true)).await;
    let cancelled = made(&api, &card(3_000, false)).await;
    let (status, _) = api
        .post(&format!("/payments/{cancelled}/cancel"), &json!({}), None)
        .await
        .unwrap();
    assert_eq!(status, 200);
    let (code, output) = reconcile(place, &environment, &["--json"]);
    let report = said(&output);
    assert_eq!(code, Some(0), "{report}");
    let run = &report["runs"][0];
    assert_eq!(
        (&run["status"], &run["compared"], &run["agreed"]),
        (&json!("done"), &json!(3), &json!(3)),
        "{report}"
    );

    // On the provider's side: one is refunded, and money arrives for the one that was cancelled.
    let books = api.get(&format!("{url}/sandbox/books")).await;
    let reference = |payment: &str| {
        let rows = books["data"].as_array().unwrap();
        let of = |row: &&Value| {
            row["number"]
                .as_str()
                .is_some_and(|number| number.starts_with(payment))
        };
        rows.iter().find(of).expect("its row")["payment"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let path = format!("{url}/api/v1/payments/{}/refund", reference(&refunded));
    there(&at_provider, &path, &json!({"amount": 500})).await;
    let path = format!("{url}/sandbox/payments/{}/edit", reference(&cancelled));
    there(&at_provider, &path, &json!({"status": "captured"})).await;

    let (code, output) = reconcile(place, &environment, &["--json", "--shop", id, "--since", "1d"]);
    let report = said(&output);
    let run = &report["runs"][0];
    assert_eq!(code, Some(3), "{report}");
    assert_eq!(
        (&run["settled"], &run["raised"], &run["agreed"]),
        (&json!(1), &json!(1), &json!(1)),
        "{report}"
    );
    let open = &report["open_discrepancies"];
    assert_eq!(
        (&open[0]["kind"], &open[0]["payment"], &report["open"]),
        (&json!("late_capture"), &json!(cancelled), &json!(1))
    );
    let now = api.get(&format!("/payments/{refunded}")).await;
    assert_eq!(
        (&now["status"], &now["amount_refunded"]),
        (&json!("captured"), &json!(500)),
        "the live hub shows what the command learnt"
    );
    assert_eq!(
        api.get(&format!("/payments/{untouched}")).await["amount_refunded"],
        0
    );
    let events = api.get("/events").await;
    let told = |event: &&Value| event["type"] == "payment.refund.created";
    assert_eq!(
        events["data"].as_array().unwrap().iter().filter(told).count(),
        1,
        "{events}"
    );

    // For eyes: the same, and where to read on.
    let (code, output) = reconcile(place, &environment, &[]);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(code, Some(3), "{shown}");
    for text in [
        "3 compared",
        "0 new discrepancies, 1 known",
        "late_capture",
        &cancelled,
        "/shop/discrepancies",
    ] {
        assert!(shown.contains(text), "{text}: {shown}");
    }

    // The provider is down: it says so, and nothing is made of it.
    drop(provider);
    let (code, output) = reconcile(place, &environment, &["--json"]);
    let report = said(&output);
    assert_eq!(code, Some(4), "{report}");
    assert_eq!(
        (
            &report["complete"],
            &report["open"],
            &report["runs"][0]["compared"]
        ),
        (&json!(false), &json!(1), &json!(0))
    );
    assert!(report["runs"][0]["trouble"].is_string(), "{report}");
    // It is back: the same command goes on with the run that was held up.
    let (_provider, _) = silent(place, port);
    let (code, output) = reconcile(place, &environment, &["--json"]);
    let back = said(&output);
    assert_eq!(code, Some(3), "{back}");
    assert_eq!(
        (&back["runs"][0]["run"], &back["runs"][0]["compared"]),
        (&report["runs"][0]["run"], &json!(3)),
        "{back}"
    );

    let (code, output) = reconcile(place, &environment, &["--shop", "nobody"]);
    assert_eq!(code, Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("kessai shop list"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_beside_a_live_hub_settles_and_shows_what_differs_on_sqlite() {
    compare(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_beside_a_live_hub_settles_and_shows_what_differs_on_postgresql() {
    let database = kessai_store::testkit::pg::database().await;
    compare(Some(database.address())).await;
}

#[test]
fn the_help_says_how_it_ends_and_what_it_never_does() {
    let output = Command::new(env!("CARGO_BIN_EXE_kessai"))
        .args(["reconcile", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for text in [
        "Exit codes",
        "3  discrepancies are open",
        "Nothing is charged or captured by it.",
        "--since",
    ] {
        assert!(help.contains(text), "{text}: {help}");
    }
    assert!(help.lines().all(|line| line.len() <= 100), "it fits a terminal");
}
