//! A sandbox behind HTTP, on loopback.
#![allow(
    clippy::disallowed_methods,
    reason = "a test starts its own server and measures real time"
)]
use crate::world::World;
use kessai_provider::sandbox::Sandbox;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn serve(world: &World) -> SocketAddr {
    let sandbox: Arc<dyn Sandbox> = world.sandbox.clone();
    let router = kessai_http::sandbox_router(sandbox, world.clock.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

async fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Basic c2tfdGVzdF9zYW5kYm94Og==\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply).await;
    String::from_utf8(reply).unwrap()
}

#[tokio::test]
async fn the_sandbox_answers_over_http() {
    let world = World::new().await;
    let address = serve(&world).await;
    let made = ask(
        address,
        "POST",
        "/api/v1/customers",
        r#"{"email":"a@example.com"}"#,
    )
    .await;
    assert!(
        made.starts_with("HTTP/1.1 200") && made.contains("a@example.com"),
        "{made}"
    );
    assert!(
        ask(address, "GET", "/api/v1/customers?page=1", "")
            .await
            .contains("a@example.com")
    );
    assert!(ask(address, "GET", "/sandbox/state", "").await.contains("komoju"));
    assert!(ask(address, "BREW", "/", "").await.starts_with("HTTP/1.1 405"));
}

#[tokio::test]
async fn a_broken_connection_breaks_before_the_first_byte() {
    let world = World::new().await;
    let address = serve(&world).await;
    for kind in ["lose_before", "lose_after", "refuse"] {
        world.fault(json!({"operation": "*", "kind": kind, "remaining": 1}));
        assert_eq!(ask(address, "GET", "/api/v1/customers", "").await, "", "{kind}");
        assert!(
            ask(address, "GET", "/api/v1/customers", "")
                .await
                .starts_with("HTTP/1.1 200")
        );
    }
}

#[tokio::test]
async fn a_delayed_reply_comes_late() {
    let world = World::new().await;
    let address = serve(&world).await;
    world.fault(json!({"operation": "*", "kind": "delay", "ms": 80, "remaining": 1}));
    let began = Instant::now();
    assert!(
        ask(address, "GET", "/api/v1/customers", "")
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert!(began.elapsed() >= Duration::from_millis(80));
}
