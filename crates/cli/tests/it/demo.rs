//! The commands, as the README tells a stranger to use them.
use crate::world::{Demo, Endpoint, until};
use serde_json::{Value, json};
use std::process::{Command, Stdio};

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_tells_scripts_everything_keeps_its_data_and_ends_well_on_sigterm() {
    let data = tempfile::tempdir().unwrap();
    let keys = ["sk_test_", "pk_test_", "whsec_"].map(|prefix| format!("{prefix}{}", "x".repeat(12)));
    let preset = [
        "--secret-key",
        &keys[0],
        "--publishable-key",
        &keys[1],
        "--webhook-secret",
        &keys[2],
    ];
    let mut demo = Demo::start(data.path(), None, &preset);
    assert_eq!(demo.text("/secret_key"), keys[0]);
    assert_eq!(demo.text("/publishable_key"), keys[1]);
    assert_eq!(demo.text("/webhook_secret"), keys[2]);
    for place in ["/hub", "/shop", "/shop_admin/url", "/sandboxes/komoju/url"] {
        assert!(demo.text(place).starts_with("http://127.0.0.1:"), "{place}");
    }
    let made = json!({"amount": 1_200, "currency": "JPY", "tax": 0,
                      "payment_details": {"type": "konbini", "store": "lawson", "email": "a@example.com"}});
    let (status, payment) = demo.api().post("/payments", &made, None).await.unwrap();
    assert_eq!((status, &payment["status"]), (200, &json!("authorized")));
    assert!(demo.stop(), "it ends well");

    let demo = Demo::start(data.path(), None, &[]);
    assert_eq!(
        demo.text("/secret_key"),
        keys[0],
        "a second start on the same folder keeps its keys"
    );
    let id = payment["id"].as_str().unwrap();
    assert_eq!(
        demo.api().get(&format!("/payments/{id}")).await["status"],
        "authorized"
    );

    // Four days later the slip has lapsed, here and at the provider.
    demo.advance("4d");
    let api = demo.api();
    until("the slip to lapse", || async {
        api.get(&format!("/payments/{id}")).await["status"] == "expired"
    })
    .await;
    let books = api
        .get(&format!("{}/sandbox/books", demo.text("/sandboxes/komoju/url")))
        .await;
    assert_eq!(books["data"][0]["captured"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn trigger_makes_an_event_happen_and_listen_forwards_it_signed() {
    let data = tempfile::tempdir().unwrap();
    let demo = Demo::start(data.path(), None, &[]);
    let endpoint = Endpoint::listen().await;
    let mut listening = Command::new(env!("CARGO_BIN_EXE_kessai"))
        .args([
            "listen",
            "--forward-to",
            &endpoint.url,
            "--secret",
            "whsec_loopback",
            "--limit",
            "2",
            "--data",
        ])
        .arg(data.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Events from before `listen` began are not forwarded: trigger until it is there.
    until("a forwarded event", || async {
        let ran = demo.run(&["trigger", "payment.captured", "--amount", "1980"]);
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        endpoint.received().len() >= 2
    })
    .await;
    assert!(listening.wait().unwrap().success());
    let got = endpoint.received();
    let captured = got
        .iter()
        .find(|r| r.header("x-komoju-event") == "payment.captured")
        .expect("a captured event");
    let event: Value = serde_json::from_str(&captured.body).unwrap();
    assert_eq!(event["data"]["total"], 1_980);
    let expected = kessai_engine::vault::hmac_sha256(b"whsec_loopback", captured.body.as_bytes());
    assert_eq!(captured.header("x-komoju-signature"), hex::encode(expected));
}

#[test]
fn serve_refuses_a_database_that_is_newer_than_it_knows() {
    let data = tempfile::tempdir().unwrap();
    let database = data.path().join("kessai.db");
    let kessai = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_kessai"))
            .args(args)
            .current_dir(data.path())
            .env("KESSAI_STORE__DATABASE", &database)
            .env("KESSAI_DATABASE", &database)
            .env("KESSAI_SERVER__LISTEN", "127.0.0.1:0")
            .output()
            .unwrap()
    };
    assert!(kessai(&["migrate"]).status.success());
    std::fs::write(data.path().join("kessai.key"), "00".repeat(32)).unwrap();
    let doctor = kessai(&["doctor"]);
    assert!(
        doctor.status.success(),
        "{}",
        String::from_utf8_lossy(&doctor.stdout)
    );
    let settings = kessai_store::SqliteSettings::new(&database);
    kessai_store::testkit::pretend_newer(&settings);
    let ran = kessai(&["serve"]);
    assert!(!ran.status.success());
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(said.contains("newer"), "{said}");
}

#[test]
fn every_command_explains_itself() {
    for command in [
        "demo", "serve", "sandbox", "migrate", "doctor", "shop", "listen", "trigger", "clock", "bench",
        "openapi",
    ] {
        let ran = Command::new(env!("CARGO_BIN_EXE_kessai"))
            .args([command, "--help"])
            .output()
            .unwrap();
        assert!(ran.status.success() && ran.stdout.len() > 100, "{command}");
    }
}
