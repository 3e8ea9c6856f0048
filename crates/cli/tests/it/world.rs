//! A demo in a process of its own, a client, and a webhook endpoint that remembers.
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long anything in a process of its own may take before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A running `kessai demo --json`.
pub struct Demo {
    child: Child,
    /// The line it printed.
    pub line: Value,
    data: std::path::PathBuf,
}

impl Demo {
    /// Starts a demo on a folder.
    pub fn start(data: &Path, database: Option<&str>, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kessai"));
        command
            .args(["demo", "--json", "--port", "0", "--log", "warn", "--data"])
            .arg(data);
        if let Some(database) = database {
            command.args(["--database", database]);
        }
        let mut child = command
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the binary starts");
        let line = first_line(&mut child);
        Self {
            child,
            line,
            data: data.to_owned(),
        }
    }

    /// A text of the line, by its path.
    pub fn text(&self, pointer: &str) -> String {
        self.line
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{pointer}"))
            .to_owned()
    }

    /// Ends it without a chance to tidy up, as kill -9 does.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ended");
    }

    /// Asks it to end, as SIGTERM does; whether it ended well.
    pub fn stop(&mut self) -> bool {
        let pid = self.child.id().to_string();
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .expect("kill runs");
        self.child.wait().expect("it ended").success()
    }

    /// `kessai …` on this demo's folder.
    pub fn run(&self, args: &[&str]) -> std::process::Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kessai"));
        command
            .args(args)
            .arg("--data")
            .arg(&self.data)
            .output()
            .expect("the binary runs")
    }

    /// Moves its clock.
    pub fn advance(&self, by: &str) {
        let ran = self.run(&["clock", "advance", by]);
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }

    /// A client of its API.
    pub fn api(&self) -> Api {
        Api::new(&self.text("/hub"), &self.text("/secret_key"))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client of the public API.
#[derive(Clone)]
pub struct Api {
    /// Sends.
    pub client: reqwest::Client,
    /// The hub.
    pub hub: String,
    /// A key.
    pub key: String,
}

impl Api {
    /// A client with a key.
    pub fn new(hub: &str, key: &str) -> Self {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(60))
            .no_proxy()
            .build()
            .expect("a client");
        Self {
            client,
            hub: hub.to_owned(),
            key: key.to_owned(),
        }
    }

    /// Posts JSON; status and answer, or none when the connection broke.
    pub async fn post(&self, path: &str, body: &Value, idempotency: Option<&str>) -> Option<(u16, Value)> {
        let mut request = self
            .client
            .post(format!("{}/api/v1{path}", self.hub))
            .basic_auth(&self.key, Some(""))
            .header("content-type", "application/json")
            .body(body.to_string());
        if let Some(key) = idempotency {
            request = request.header("X-KOMOJU-IDEMPOTENCY", key);
        }
        let reply = request.send().await.ok()?;
        let status = reply.status().as_u16();
        Some((status, serde_json::from_str(&reply.text().await.ok()?).ok()?))
    }

    /// Gets JSON from any of the demo's servers.
    pub async fn get(&self, url: &str) -> Value {
        let url = if url.starts_with('/') {
            format!("{}/api/v1{url}", self.hub)
        } else {
            url.to_owned()
        };
        let reply = self
            .client
            .get(url)
            .basic_auth(&self.key, Some(""))
            .send()
            .await
            .expect("an answer");
        serde_json::from_str(&reply.text().await.expect("a body")).expect("JSON")
    }
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("an address")
        .port()
}

/// `kessai` in a folder, with an environment.
pub fn kessai(folder: &Path, environment: &[(&str, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kessai"));
    command
        .current_dir(folder)
        .envs(environment.iter().map(|(name, value)| (*name, value)));
    command
}

/// A process that is ended with the test.
pub struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `kessai sandbox` in a process of its own, and what it says of itself.
pub fn sandbox(folder: &Path, more: &[&str]) -> (Running, Value) {
    let child = kessai(folder, &[])
        .args(["sandbox", "--data", "sandbox"])
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut running = Running(child);
    let line = first_line(&mut running.0);
    (running, line["komoju"].clone())
}

/// A shop for that sandbox, as `kessai shop add` shows it.
pub fn add_shop(folder: &Path, environment: &[(&str, String)], name: &str, komoju_url: &str) -> Value {
    let added = kessai(folder, environment)
        .args(["shop", "add", name, "--komoju-url", komoju_url])
        .output()
        .expect("the binary runs");
    let said = String::from_utf8_lossy(&added.stderr);
    assert!(added.status.success(), "{said}");
    serde_json::from_slice(&added.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// `kessai serve` on a port, once it is ready, and its address.
pub async fn serve(folder: &Path, environment: &[(&str, String)], port: u16) -> (Running, String) {
    let url = format!("http://127.0.0.1:{port}");
    let child = kessai(folder, environment)
        .env("KESSAI_SERVER__LISTEN", format!("127.0.0.1:{port}"))
        .env("KESSAI_SERVER__PUBLIC_URL", &url)
        .arg("serve")
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let running = Running(child);
    ready(&url).await;
    (running, url)
}

/// The line of JSON that a process prints first.
fn first_line(child: &mut Child) -> Value {
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped"))
        .read_line(&mut line)
        .expect("a line");
    serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"))
}

/// Waits until a hub answers that it is ready.
pub async fn ready(url: &str) {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let ready = format!("{url}/readyz");
    until("the hub to be ready", || async {
        let reply = client.get(&ready).send().await;
        reply.is_ok_and(|reply| reply.status().is_success())
    })
    .await;
}

/// Waits until `done` says so; fails after [`PATIENCE`], saying what was waited for.
#[expect(
    clippy::disallowed_methods,
    reason = "another process's work is awaited in real time"
)]
pub async fn until<F: Future<Output = bool>>(what: &str, mut done: impl FnMut() -> F) {
    let began = Instant::now();
    while !done().await {
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// One delivery as an endpoint received it: headers in lower case, body as sent.
#[derive(Clone)]
pub struct Received {
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Received {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map_or("", |(_, v)| v)
    }
}

/// A shop's webhook endpoint that takes everything and remembers it.
pub struct Endpoint {
    /// Where it is.
    pub url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Endpoint {
    /// Listens on a free port.
    #[expect(clippy::disallowed_methods, reason = "the test's own server")]
    pub async fn listen() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let kept = received.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let kept = kept.clone();
                tokio::spawn(async move {
                    let _ = converse(socket, &kept).await;
                });
            }
        });
        Self { url, received }
    }

    /// What came so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().expect("no panic while held").clone()
    }
}

async fn converse(mut socket: tokio::net::TcpStream, kept: &Mutex<Vec<Received>>) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let head_ends = loop {
            if let Some(at) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break at;
            }
            if socket.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let head = String::from_utf8_lossy(&buffer[..head_ends]).into_owned();
        let headers: Vec<(String, String)> = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers
            .iter()
            .find(|(n, _)| n == "content-length")
            .map_or(0, |(_, v)| v.parse().unwrap_or(0));
        while buffer.len() < head_ends + 4 + length {
            if socket.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let rest = buffer.split_off(head_ends + 4 + length);
        let body = String::from_utf8_lossy(&buffer[head_ends + 4..]).into_owned();
        buffer = rest;
        kept.lock()
            .expect("no panic while held")
            .push(Received { headers, body });
        socket
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .await?;
    }
}
