//! Two nodes on one store, in the orders of events that the simulator found.
use crate::world::{Dice, GOOD_CARD, Gate, SECRET_KEY, Seen, World, card, checkout, konbini};
use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use http_body_util::BodyExt;
use kessai_engine::vault::Vault;
use kessai_engine::{Engine, EngineSettings, Parts};
use kessai_http::{App, Limits};
use kessai_provider_komoju::Komoju;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tower::ServiceExt;

/// A second node, with a way to the provider of its own.
struct Node {
    router: Router,
    gate: Arc<Gate>,
}

impl Node {
    fn beside(world: &World) -> Self {
        let dice = Arc::new(Dice::new(AtomicU64::new(99)));
        let gate = Arc::new(Gate::to(&world.sandbox, &world.clock));
        let engine = Arc::new(Engine::new(Parts {
            store: world.engine.store().clone(),
            clock: world.clock.clone(),
            entropy: dice.clone(),
            transport: gate.clone(),
            webhooks: world.endpoints.clone(),
            providers: vec![Arc::new(Komoju)],
            vault: Vault::new(&[[7; 32]], dice),
            settings: EngineSettings {
                public_url: "http://hub.test".into(),
                ..EngineSettings::default()
            },
        }));
        let router = kessai_http::router(App::new(engine, Limits::default()));
        Self { router, gate }
    }

    async fn post_under(&self, key: &str, path: &str, body: &Value) -> Seen {
        let request = Request::builder()
            .method("POST")
            .uri(format!("/api/v1{path}"))
            .header("content-type", "application/json")
            .header("x-komoju-idempotency", key)
            .header(
                "authorization",
                format!("Basic {}", STANDARD.encode(format!("{SECRET_KEY}:"))),
            )
            .body(Body::from(body.to_string()))
            .expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        Seen {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_str(&text).unwrap_or_default(),
            text,
        }
    }
}

#[tokio::test]
async fn two_nodes_that_give_up_the_same_payment_do_not_both_begin_another() {
    let world = World::new().await;
    let other = Node::beside(&world);
    let session = world.post("/sessions", checkout()).await.ok();
    let path = format!("/sessions/{}/pay", session.str("/id"));
    let wallet = json!({"payment_details": {"type": "paypay"}});
    world.post(&path, wallet.clone()).await.ok();

    // The other node asks the provider about the first payment and has to wait for the answer; meanwhile this one begins a second.
    other.gate.close();
    let slowly = other.post_under("slow", &path, &wallet);
    let meanwhile = async {
        other.gate.somebody_waits().await;
        let second = world.post_under("fast", &path, wallet.clone()).await.ok();
        other.gate.open();
        second
    };
    let (third, second) = tokio::join!(slowly, meanwhile);

    let list = world.get("/payments").await.ok();
    let open: Vec<&str> = list.body["data"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|payment| payment["status"] == "pending")
        .map(|payment| payment["id"].as_str().expect("an id"))
        .collect();
    assert_eq!(open.len(), 1, "{}\n{}", second.text, third.text);
    if third.status == 200 {
        assert_eq!(open, [third.str("/payment/id")]);
    }
}

#[tokio::test]
async fn a_call_that_was_settled_by_inquiry_meanwhile_answers_what_its_key_says() {
    let world = World::new().await;
    let other = Node::beside(&world);
    let body = json!({"amount": 1000, "currency": "JPY", "tax": 0, "payment_details": card(GOOD_CARD)});

    // The request lies about on its way for so long that it counts as never arrived.
    other.gate.close();
    let slowly = other.post_under("one", "/payments", &body);
    let meanwhile = async {
        other.gate.somebody_waits().await;
        world.advance(700).await;
        let list = world.get("/payments").await.ok();
        let id = list.str("/data/0/id").to_owned();
        world
            .call("GET", &format!("/payments/{id}/return"), "", &[], Body::empty())
            .await;
        assert_eq!(world.status(&id).await, "failed");
        other.gate.fail_all();
        other.gate.open();
    };
    let (heard, ()) = tokio::join!(slowly, meanwhile);
    let again = world.post_under("one", "/payments", body.clone()).await;
    assert_eq!((heard.status, &heard.text), (again.status, &again.text));
}

#[tokio::test]
async fn a_node_that_slept_between_the_two_requests_of_a_payment_does_not_make_the_second() {
    let world = World::new().await;
    let other = Node::beside(&world);
    let session = world.post("/sessions", checkout()).await.ok();
    let path = format!("/sessions/{}/pay", session.str("/id"));
    let pay = json!({"payment_details": card(GOOD_CARD)});

    // The other node makes the provider's session, sleeps before it pays it, and is taken for dead.
    other.gate.close();
    let slowly = other.post_under("slow", &path, &pay);
    let meanwhile = async {
        other.gate.somebody_waits().await;
        world.advance(700).await;
        let id = world.get("/payments").await.ok().str("/data/0/id").to_owned();
        world
            .call(
                "GET",
                &format!("/sessions/{}/return", session.str("/id")),
                "",
                &[],
                Body::empty(),
            )
            .await;
        assert_eq!(world.status(&id).await, "failed");
        other.gate.open();
    };
    let (heard, ()) = tokio::join!(slowly, meanwhile);

    assert_eq!(
        world.movements("authorize") + world.movements("capture"),
        0,
        "{}",
        heard.text
    );
    let again = world.post_under("slow", &path, pay.clone()).await;
    assert_eq!((heard.status, &heard.text), (again.status, &again.text));
    world.advance(2 * 86_400).await;
    assert_eq!(world.open_discrepancies().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_slip_paid_with_another_amount_is_left_to_a_person() {
    let world = World::new().await;
    let made = world
        .post(
            "/payments",
            json!({"amount": 1000, "currency": "JPY", "tax": 0, "payment_details": konbini()}),
        )
        .await
        .ok();
    let id = made.str("/id").to_owned();
    let reference = world.payment(&id).await.reference.expect("a reference");
    world.control(
        kessai_provider::transport::Method::Post,
        &format!("payments/{reference}/pay"),
        json!({"amount": 990}),
    );
    world.advance(20 * 86_400).await;
    let payment = world.payment(&id).await;
    // It was made, and never cancelled at the provider, where the money is.
    assert_eq!(payment.body.attempts, 1);
    assert_eq!(world.books(&id).await, [1000, 990, 0, 0]);
}
