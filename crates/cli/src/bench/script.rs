//! What is asked of the hub: a sale, a whole life, a read, a list.
use super::load::{Passed, Script, Wire, content_length, find, unique};
use anyhow::Context as _;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;

const CARD: &str = r#"{"type":"credit_card","number":"4111111111111111","month":12,"year":2039,"verification_value":"123","name":"HANAKO YAMADA"}"#;

/// The head and body of a request, with `{key}` where a fresh idempotency key goes.
fn request(method: &str, path: &str, authorization: &str, body: &str, key: bool) -> String {
    let key = if key {
        "x-komoju-idempotency: {key}\r\n"
    } else {
        ""
    };
    let content = match body {
        "" => String::new(),
        body => format!(
            "content-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        ),
    };
    format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: {authorization}\r\n{key}{content}\r\n{body}"
    )
}

/// A card sale: intent, provider call, outcome and event under a fresh idempotency key.
pub struct Sale {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Sale {
    /// As the shop whose `authorization` that is.
    pub fn new(authorization: &str) -> Self {
        let body = format!(
            r#"{{"amount":1980,"currency":"JPY","tax":0,"description":"Sencha","metadata":{{"cart":"1"}},"payment_details":{CARD}}}"#
        );
        let text = request("POST", "/api/v1/payments", authorization, &body, true);
        let (before, after) = text.split_once("{key}").expect("asked for");
        Self {
            before: before.into(),
            after: after.into(),
        }
    }
}

impl Script for Sale {
    async fn pass(&self, wire: &mut Wire) -> Passed {
        let request = [&self.before[..], &unique(), &self.after].concat();
        let status = wire.ask(&request).await?;
        Ok(status == 200 && wire.quoted(r#""status":""#) == Some("captured"))
    }
}

/// GETs of given paths, chosen evenly.
pub struct Reads {
    requests: Vec<Vec<u8>>,
}

impl Reads {
    /// These paths, as that shop.
    pub fn new(authorization: &str, paths: impl Iterator<Item = String>) -> Self {
        Self {
            requests: paths
                .map(|path| request("GET", &path, authorization, "", false).into_bytes())
                .collect(),
        }
    }
}

impl Script for Reads {
    async fn pass(&self, wire: &mut Wire) -> Passed {
        let n = wire.dice(self.requests.len());
        Ok(wire.ask(&self.requests[n]).await? == 200)
    }
}

/// A session is made and paid, its payment's webhook arrives, the payment is read back.
pub struct Life {
    authorization: String,
    waiting: Arc<Waiting>,
}

/// Who waits for the webhook of which payment.
#[derive(Default)]
struct Waiting(Mutex<HashMap<String, Arrival>>);

enum Arrival {
    Awaited(oneshot::Sender<()>),
    Here,
}

impl Waiting {
    fn arrived(&self, payment: &str) {
        let mut all = self.0.lock().expect("no panic while held");
        match all.insert(payment.to_owned(), Arrival::Here) {
            Some(Arrival::Awaited(waiter)) => {
                all.remove(payment);
                let _ = waiter.send(());
            }
            Some(Arrival::Here) | None => {}
        }
    }

    fn arrival(&self, payment: &str) -> Option<oneshot::Receiver<()>> {
        let mut all = self.0.lock().expect("no panic while held");
        if all.remove(payment).is_some() {
            return None;
        }
        let (arrived, arrival) = oneshot::channel();
        all.insert(payment.to_owned(), Arrival::Awaited(arrived));
        Some(arrival)
    }
}

/// A shop's webhook endpoint that answers at once.
pub struct Endpoint {
    /// Where it is.
    pub url: String,
    waiting: Arc<Waiting>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Endpoint {
    /// Listens on loopback.
    ///
    /// # Errors
    /// When it cannot.
    #[expect(clippy::disallowed_methods, reason = "the binary starts tasks")]
    pub async fn open() -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let url = format!("http://{}/webhook", listener.local_addr()?);
        let waiting = Arc::<Waiting>::default();
        let shared = waiting.clone();
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, shared.clone()));
            }
        });
        Ok(Self {
            url,
            waiting,
            serving,
        })
    }

    /// Lives whose webhooks come here.
    pub fn life(&self, authorization: &str) -> Life {
        Life {
            authorization: authorization.to_owned(),
            waiting: self.waiting.clone(),
        }
    }
}

async fn serve(mut socket: tokio::net::TcpStream, waiting: Arc<Waiting>) {
    let _ = socket.set_nodelay(true);
    let mut buffer = Vec::with_capacity(16 << 10);
    loop {
        buffer.clear();
        let body = loop {
            if socket.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
            if let Some(at) = find(&buffer, b"\r\n\r\n") {
                let whole = at + 4 + content_length(&buffer[..at + 2]).unwrap_or(0);
                if buffer.len() >= whole {
                    break &buffer[at + 4..whole];
                }
            }
            if buffer.len() > 1 << 20 {
                return;
            }
        };
        if find(body, br#""type":"payment.captured""#).is_some()
            && let Some(at) = find(body, br#""data":{"id":""#)
            && let Some(id) = body[at + 14..].split(|b| *b == b'"').next()
        {
            waiting.arrived(&String::from_utf8_lossy(id));
        }
        if socket
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .await
            .is_err()
        {
            return;
        }
    }
}

impl Script for Life {
    async fn pass(&self, wire: &mut Wire) -> Passed {
        let body = r#"{"amount":1980,"currency":"JPY","return_url":"https://shop.example/thanks","payment_types":["credit_card"]}"#;
        let made = request("POST", "/api/v1/sessions", &self.authorization, body, false);
        if wire.ask(made.as_bytes()).await? != 200 {
            return Ok(false);
        }
        let session = wire.quoted(r#""id":""#).context("a session's id")?.to_owned();
        let pay = format!(r#"{{"payment_details":{CARD}}}"#);
        let path = format!("/api/v1/sessions/{session}/pay");
        let paid = request("POST", &path, &self.authorization, &pay, false);
        if wire.ask(paid.as_bytes()).await? != 200 {
            return Ok(false);
        }
        let payment = wire
            .quoted(r#""payment":{"id":""#)
            .context("a payment's id")?
            .to_owned();
        if let Some(arrival) = self.waiting.arrival(&payment) {
            tokio::time::timeout(Duration::from_secs(20), arrival)
                .await
                .context("no webhook came")??;
        }
        let read = request(
            "GET",
            &format!("/api/v1/payments/{payment}"),
            &self.authorization,
            "",
            false,
        );
        Ok(wire.ask(read.as_bytes()).await? == 200 && wire.quoted(r#""status":""#) == Some("captured"))
    }
}
