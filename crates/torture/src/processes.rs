//! The programs under torture, each a process of its own that ends with its owner.
use crate::patience::Deadline;
use anyhow::Context as _;
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A child that is ended with its owner.
struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that was free a moment ago.
///
/// # Errors
/// When there is none.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn log_file(folder: &Path, name: &str) -> anyhow::Result<File> {
    let path = folder.join(name);
    let mut options = OpenOptions::new();
    let opened = options.create(true).append(true).open(&path);
    opened.with_context(|| path.display().to_string())
}

/// `kessai` with its environment and folder.
#[derive(Clone)]
pub struct Program {
    /// The binary.
    pub binary: PathBuf,
    /// Where it works.
    pub folder: PathBuf,
    /// Its environment, besides ours.
    pub environment: Vec<(String, String)>,
}

impl Program {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .current_dir(&self.folder)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end; what it printed, as JSON.
    ///
    /// # Errors
    /// When it failed.
    pub fn run(&self, args: &[&str]) -> anyhow::Result<Value> {
        let ran = self.command().args(args).output()?;
        let said = String::from_utf8_lossy(&ran.stderr);
        anyhow::ensure!(ran.status.success(), "kessai {}: {said}", args.join(" "));
        Ok(serde_json::from_slice(&ran.stdout)?)
    }
}

/// A running `kessai sandbox`.
pub struct Sandbox {
    _held: Held,
    /// Where it is.
    pub url: String,
    /// Its secret key.
    pub secret_key: String,
    /// Its publishable key.
    pub publishable_key: String,
}

impl Sandbox {
    /// Starts it with books of its own.
    ///
    /// # Errors
    /// When it does not say where it is.
    pub fn start(program: &Program) -> anyhow::Result<Self> {
        let mut child = program
            .command()
            .args(["sandbox", "--listen", "127.0.0.1:0", "--data", "sandbox"])
            .stdout(Stdio::piped())
            .stderr(log_file(&program.folder, "sandbox.log")?)
            .spawn()?;
        let stdout = child.stdout.take().context("piped")?;
        let held = Held(child);
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line).context("the sandbox says where it is")?;
        let text = |name: &str| {
            let text = said["komoju"][name].as_str().map(ToOwned::to_owned);
            text.context("the sandbox says where it is")
        };
        Ok(Self {
            _held: held,
            url: text("url")?,
            secret_key: text("secret_key")?,
            publishable_key: text("publishable_key")?,
        })
    }
}

/// One `kessai serve`.
pub struct Node {
    name: String,
    program: Program,
    client: reqwest::Client,
    /// Where it is.
    pub url: String,
    running: Option<Held>,
    /// How often it was started.
    pub starts: usize,
}

impl Node {
    /// A node that does not run yet.
    pub fn new(name: &str, program: &Program, port: u16, public_url: &str) -> anyhow::Result<Self> {
        let mut program = program.clone();
        let mut set = |name: &str, value: String| program.environment.push((name.into(), value));
        set("KESSAI_SERVER__LISTEN", format!("127.0.0.1:{port}"));
        set("KESSAI_SERVER__PUBLIC_URL", public_url.to_owned());
        Ok(Self {
            name: name.to_owned(),
            program,
            client: reqwest::Client::builder()
                .timeout(Duration::from_secs(10))
                .no_proxy()
                .build()?,
            url: format!("http://127.0.0.1:{port}"),
            running: None,
            starts: 0,
        })
    }

    /// Whether it was started and neither killed nor stopped since.
    pub fn is_up(&self) -> bool {
        self.running.is_some()
    }

    /// Starts it with its clock this far ahead and waits until it is ready; a start that fails, because the database is away, is
    /// tried again as a service manager would.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start(&mut self, ahead_s: u64) -> anyhow::Result<()> {
        let deadline = Deadline::start();
        loop {
            let log = log_file(&self.program.folder, &format!("{}.log", self.name))?;
            let mut command = self.program.command();
            command.arg("serve").stdout(Stdio::null()).stderr(log);
            if ahead_s > 0 {
                command.args(["--clock-ahead", &format!("{ahead_s}s")]);
            }
            let mut held = Held(command.spawn()?);
            self.starts += 1;
            while held.0.try_wait()?.is_none() {
                if self.ready().await {
                    self.running = Some(held);
                    return Ok(());
                }
                deadline.check(&format!("{} to be ready", self.name))?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            deadline.check(&format!("{} to start", self.name))?;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Whether it can serve.
    pub async fn ready(&self) -> bool {
        let reply = self.client.get(format!("{}/readyz", self.url)).send().await;
        reply.is_ok_and(|reply| reply.status().is_success())
    }

    /// Ends it without a chance to tidy up, as kill -9 does.
    ///
    /// # Errors
    /// When it had ended by itself.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.check_alive()?;
        if let Some(mut held) = self.running.take() {
            held.0.kill()?;
            held.0.wait()?;
        }
        Ok(())
    }

    /// Asks it to end and waits; whether it was in time and ended well is checked.
    ///
    /// # Errors
    /// When it did not.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.check_alive()?;
        let Some(mut held) = self.running.take() else {
            return Ok(());
        };
        signal("TERM", held.0.id());
        let deadline = Deadline::start();
        loop {
            if let Some(status) = held.0.try_wait()? {
                anyhow::ensure!(
                    status.success(),
                    "{} ended with {status} when asked to stop",
                    self.name
                );
                return Ok(());
            }
            deadline.check(&format!("{} to stop", self.name))?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Fails when the process ended though nobody ended it.
    ///
    /// # Errors
    /// When it has.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        if let Some(held) = &mut self.running
            && let Some(status) = held.0.try_wait()?
        {
            anyhow::bail!("{} ended by itself with {status}: see its log", self.name);
        }
        Ok(())
    }
}

/// Sends a signal to one process that this program started.
pub fn signal(name: &str, pid: u32) {
    let _ = Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}
