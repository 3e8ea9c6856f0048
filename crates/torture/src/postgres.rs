//! A PostgreSQL server of our own that can be killed, restarted, followed by a standby, and promoted.
use crate::patience::Deadline;
use crate::processes::{free_port, signal};
use anyhow::Context as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The name under which the standby follows.
const STANDBY: &str = "kessai_standby";

/// One server with its folder; stopped and taken away with this value.
pub struct Server {
    bin: PathBuf,
    root: bool,
    folder: TempDir,
    /// Where it listens on loopback.
    pub port: u16,
    /// Settings given when it starts.
    options: Vec<String>,
    /// Every process it was seen to have.
    seen: Vec<u32>,
}

impl Server {
    fn empty() -> anyhow::Result<Self> {
        let bin = binaries().context("no PostgreSQL server is installed: apt-get install postgresql")?;
        let root = Command::new("id").arg("-u").output()?.stdout.trim_ascii() == b"0";
        let folder = TempDir::with_prefix("kessai-torture-pg-")?;
        if root {
            done(Command::new("chown").arg("postgres").arg(folder.path()))?;
        }
        let port = free_port()?;
        let options = [
            format!("port={port}"),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", folder.path().display()),
            "max_connections=100".to_owned(),
            "fsync=on".to_owned(),
        ];
        Ok(Self {
            bin,
            root,
            folder,
            port,
            options: options.to_vec(),
            seen: Vec::new(),
        })
    }

    /// A new server, running.
    ///
    /// # Errors
    /// When Debian's server is not installed or does not start.
    pub async fn start_new(with_standby: bool) -> anyhow::Result<Self> {
        let mut server = Self::empty()?;
        let mut initdb = server.tool("initdb");
        initdb.args([
            "-A",
            "trust",
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "-N",
            "-D",
        ]);
        done(initdb.arg(server.data()))?;
        if with_standby {
            // On the command line and not in a file: the standby's copy must not wait for a standby of its own once it leads.
            let names = format!("synchronous_standby_names={STANDBY}");
            server.options.extend([names, "synchronous_commit=on".to_owned()]);
        }
        server.start().await?;
        Ok(server)
    }

    /// A standby of this server, running and following.
    ///
    /// # Errors
    /// When it cannot be copied or does not follow.
    pub async fn standby(&self) -> anyhow::Result<Self> {
        let mut standby = Self::empty()?;
        let from = format!(
            "host=127.0.0.1 port={} user=postgres application_name={STANDBY}",
            self.port
        );
        let mut copy = standby.tool("pg_basebackup");
        copy.args(["-d", &from, "-R", "-X", "stream", "-c", "fast", "-D"]);
        done(copy.arg(standby.data()))?;
        standby.start().await?;
        crate::patience::until("the standby to follow", || async {
            self.ask("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")
                .is_ok_and(|said| said == "1")
        })
        .await?;
        Ok(standby)
    }

    /// Starts it on its folder; again while remains of the last run stand in the way.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        let deadline = Deadline::start();
        let options: Vec<String> = self.options.iter().map(|option| format!("-c {option}")).collect();
        loop {
            let mut start = self.tool("pg_ctl");
            start
                .args(["-w", "-t", "60", "-l"])
                .arg(self.folder.path().join("log"));
            start
                .arg("-D")
                .arg(self.data())
                .args(["-o", &options.join(" "), "start"]);
            match done(&mut start) {
                Ok(()) => break,
                Err(_) => deadline.check("PostgreSQL to start")?,
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        self.look();
        Ok(())
    }

    /// Kills the postmaster and nothing else: what it started finds out by itself.
    pub fn kill_postmaster(&mut self) {
        self.look();
        if let Some(pid) = self.postmaster() {
            signal("KILL", pid);
        }
    }

    /// Ends every process of it at once, as a power failure does.
    pub fn kill_all(&mut self) {
        self.kill_postmaster();
        self.look();
        // Only those whose parent we knew: a child of a dead postmaster is still listed under the id it had.
        for pid in std::mem::take(&mut self.seen) {
            if self.is_ours(pid) {
                signal("KILL", pid);
            }
        }
    }

    /// Stops it without a checkpoint: it recovers when it starts.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn stop_at_once(&self) -> anyhow::Result<()> {
        let mut stop = self.tool("pg_ctl");
        stop.args(["-m", "immediate", "-w", "-D"])
            .arg(self.data())
            .arg("stop");
        done(&mut stop)
    }

    /// Makes a standby the primary.
    ///
    /// # Errors
    /// When it does not come to lead.
    pub fn promote(&self) -> anyhow::Result<()> {
        let mut promote = self.tool("pg_ctl");
        promote
            .args(["-w", "-t", "60", "-D"])
            .arg(self.data())
            .arg("promote");
        done(&mut promote)
    }

    /// Holds all its processes where they are, or lets them go on.
    pub fn freeze(&mut self, hold: bool) {
        self.look();
        for pid in &self.seen {
            if self.is_ours(*pid) {
                signal(if hold { "STOP" } else { "CONT" }, *pid);
            }
        }
    }

    /// Asks it something by psql; the answer as text.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn ask(&self, sql: &str) -> anyhow::Result<String> {
        let mut psql = self.tool("psql");
        psql.args([
            "-X",
            "-A",
            "-t",
            "-h",
            "127.0.0.1",
            "-U",
            "postgres",
            "-d",
            "postgres",
            "-p",
        ]);
        let said = psql
            .arg(self.port.to_string())
            .args(["-c", sql])
            .stderr(Stdio::null())
            .stdout(Stdio::piped());
        let said = said.output()?;
        anyhow::ensure!(said.status.success(), "psql failed");
        Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
    }

    /// Where its own words are.
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn postmaster(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok()
    }

    /// Notes the postmaster and its children.
    fn look(&mut self) {
        let Some(postmaster) = self.postmaster() else {
            return;
        };
        let children = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let children = children
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
            .filter(|pid| parent(*pid) == Some(postmaster));
        self.seen.extend(children.chain([postmaster]));
        self.seen.sort_unstable();
        self.seen.dedup();
    }

    /// Whether a process noted earlier is still one of this server's: its working folder is the server's data.
    fn is_ours(&self, pid: u32) -> bool {
        std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == self.data())
    }

    /// PostgreSQL refuses to run as root.
    fn tool(&self, name: &str) -> Command {
        let program = self.bin.join(name);
        let mut command = if self.root {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.freeze(false);
        if self.stop_at_once().is_err() {
            self.kill_all();
        }
    }
}

fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything; the state and the parent follow it.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn done(command: &mut Command) -> anyhow::Result<()> {
    let ran = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    anyhow::ensure!(ran.success(), "this failed: {command:?}");
    Ok(())
}

fn binaries() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut folders: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    folders.sort();
    let all = folders.into_iter().rev().chain(std::env::split_paths(&path));
    all.into_iter()
        .find(|folder: &PathBuf| Path::new(folder).join("initdb").exists())
}
