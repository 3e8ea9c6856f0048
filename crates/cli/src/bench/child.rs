//! The processes under test: this same binary, on loopback, in a folder of its own. Ended by id, and only those started here.
use anyhow::Context as _;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a process may take until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Where the database of a hub under test is.
#[derive(Debug, Clone)]
pub enum At {
    /// A SQLite file in the hub's own folder.
    Folder,
    /// A PostgreSQL database.
    Postgres(String),
}

/// A hub that was started to be measured.
pub struct HubUnderTest {
    process: Owned,
    sandbox: Option<Owned>,
    /// Where it listens.
    pub address: SocketAddr,
    /// `authorization` header.
    pub authorization: String,
    /// The shop's id.
    pub shop: String,
    /// From the start of the process until it answered as ready, in microseconds.
    pub ready_us: u64,
    folder: PathBuf,
}

/// CPU time and memory of a process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// User and system time, in microseconds.
    pub cpu_us: u64,
    /// Resident now, in bytes.
    pub resident: u64,
    /// Resident at most, in bytes.
    pub resident_most: u64,
}

/// What the kernel says a process has used.
///
/// # Errors
/// When the process is gone.
pub fn usage(process: u32) -> anyhow::Result<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).context("reading /proc")?;
    let rest = stat.rsplit_once(") ").context("/proc/PID/stat")?.1;
    let ticks: Vec<u64> = rest
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|n| n.parse().ok())
        .collect();
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
            .unwrap_or(0)
            << 10
    };
    // Linux counts in hundredths of a second.
    Ok(Usage {
        cpu_us: ticks.iter().sum::<u64>() * 10_000,
        resident: kib("VmRSS:"),
        resident_most: kib("VmHWM:"),
    })
}

fn own() -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("finding this program")?);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    Ok(command)
}

/// A process of ours: it ends at the latest with us.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Owned {
    fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        Ok(Self(command.spawn().context("starting a process")?))
    }

    /// The line of JSON it prints when it is ready.
    async fn ready(&mut self) -> anyhow::Result<Value> {
        let output = self.0.stdout.take().context("its output")?;
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(output).read_line(&mut line).map(|_| line)
        });
        let line = tokio::time::timeout(READY_WITHIN, line)
            .await
            .context("not ready in time")???;
        anyhow::ensure!(!line.is_empty(), "it ended before it was ready");
        serde_json::from_str(&line).context("its first line")
    }
}

fn text(value: &Value) -> anyhow::Result<&str> {
    value.as_str().context("a missing text in the ready line")
}

fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

impl HubUnderTest {
    /// Starts `kessai demo` with the sandbox inside the same process.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn start(folder: &Path, at: &At, webhook: Option<&str>) -> anyhow::Result<Self> {
        // A database that outlives a run's folder still holds the shops of earlier runs, sealed under another key: this run has its own
        // shop and needs only its own key.
        std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        crate::hub::vault_keys(&folder.join("kessai.key"), true)?;
        let began = super::now();
        let mut command = own()?;
        command.args([
            "demo",
            "--json",
            "--port",
            "0",
            "--quiet-sandbox",
            "--no-webhooks",
            "--log",
            "error",
            "--data",
        ]);
        command
            .arg(folder)
            .env_remove("KESSAI_DATABASE")
            .env_remove("KESSAI_DATA");
        if let At::Postgres(url) = at {
            command.args(["--database", url]);
        }
        if let Some(url) = webhook {
            command.args(["--webhook-url", url]);
        }
        let mut process = Owned::spawn(&mut command)?;
        let ready = process.ready().await?;
        let ready_us = u64::try_from(began.elapsed().as_micros())?;
        let hub = text(&ready["hub"])?;
        Ok(Self {
            process,
            sandbox: None,
            address: hub.trim_start_matches("http://").parse()?,
            authorization: basic(text(&ready["secret_key"])?),
            shop: text(&ready["shop_id"])?.to_owned(),
            ready_us,
            folder: folder.to_owned(),
        })
    }

    /// Starts `kessai serve`, with `kessai sandbox` as another process that it talks to over HTTP.
    ///
    /// # Errors
    /// When one of them does not get ready.
    pub async fn start_over_http(folder: &Path, at: &At) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut command = own()?;
        command
            .args(["sandbox", "komoju", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.join("sandbox"));
        let mut sandbox = Owned::spawn(command.stderr(Stdio::null()))?;
        let ready = sandbox.ready().await?;
        let komoju = &ready["komoju"];
        let address = free_port()?;
        let database = match at {
            At::Folder => folder.join("kessai.db").display().to_string(),
            At::Postgres(url) => url.clone(),
        };
        let configured = |command: &mut Command| {
            command
                .current_dir(folder)
                .env("KESSAI_SERVER__LISTEN", address.to_string())
                .env("KESSAI_SERVER__PUBLIC_URL", format!("http://{address}"))
                .env("KESSAI_STORE__DATABASE", &database)
                .env("KESSAI_VAULT__KEY_FILE", folder.join("kessai.key"))
                .env("KESSAI_OBSERVE__LOG", "error");
        };
        let mut adding = own()?;
        configured(&mut adding);
        let added = adding
            .args(["shop", "add", "bench", "--komoju-url", text(&komoju["url"])?])
            .env("KOMOJU_SECRET_KEY", text(&komoju["secret_key"])?)
            .env("KOMOJU_PUBLISHABLE_KEY", text(&komoju["publishable_key"])?)
            .env("KOMOJU_WEBHOOK_SECRET", "unused")
            .output()?;
        anyhow::ensure!(added.status.success(), "`kessai shop add` failed");
        let shop: Value = serde_json::from_slice(&added.stdout).context("what `kessai shop add` said")?;
        let began = super::now();
        let mut command = own()?;
        configured(&mut command);
        let process = Owned::spawn(command.arg("serve"))?;
        let hub = Self {
            process,
            sandbox: Some(sandbox),
            address,
            authorization: basic(text(&shop["secret_key"])?),
            shop: text(&shop["shop"])?.to_owned(),
            ready_us: 0,
            folder: folder.to_owned(),
        };
        while tokio::net::TcpStream::connect(address).await.is_err() {
            anyhow::ensure!(began.elapsed() < READY_WITHIN, "the hub does not listen");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(Self {
            ready_us: u64::try_from(began.elapsed().as_micros())?,
            ..hub
        })
    }

    /// What the hub's process has used.
    ///
    /// # Errors
    /// When it is gone.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        usage(self.process.0.id())
    }

    /// What the sandbox's process has used, when it is another.
    pub fn sandbox_usage(&self) -> Option<Usage> {
        usage(self.sandbox.as_ref()?.0.id()).ok()
    }

    /// What the hub's SQLite file and log take on disk, in bytes.
    pub fn bytes(&self) -> u64 {
        let size = |name: &str| std::fs::metadata(self.folder.join(name)).map_or(0, |file| file.len());
        size("kessai.db") + size("kessai.db-wal")
    }

    /// Ends it at once, as a loss of the process would: nothing is tidied up.
    pub fn kill(self) {
        drop(self);
    }

    /// Asks it to end, waits, and ends it if it does not.
    pub async fn stop(mut self) {
        // There is no safe call for this in the standard library.
        let asked = Command::new("kill")
            .args(["-TERM", &self.process.0.id().to_string()])
            .status();
        if asked.is_ok_and(|status| status.success()) {
            for _ in 0..2_000 {
                if !matches!(self.process.0.try_wait(), Ok(None)) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        drop(self);
    }
}

fn basic(key: &str) -> String {
    use base64::Engine as _;
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(format!("{key}:"))
    )
}
