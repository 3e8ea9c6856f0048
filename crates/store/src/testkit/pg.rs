//! A PostgreSQL database per test.
//!
//! `KESSAI_TEST_POSTGRES` names a server the tests may create databases on (`testkit/pg-run` starts one and sets it).
//! Without it each test starts a server of its own, which is slow. Without that too it panics: a skipped test would
//! count as passed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls};

use crate::PgSettings;

/// The variable that names the server.
pub const VARIABLE: &str = "KESSAI_TEST_POSTGRES";

/// A server tests may create databases on.
pub struct Server {
    config: Config,
    own: Option<Own>,
}

/// A server of our own, stopped when dropped.
struct Own {
    bin: PathBuf,
    folder: TempDir,
}

/// The server named by `KESSAI_TEST_POSTGRES`, or one of our own.
pub fn server() -> Server {
    match std::env::var(VARIABLE) {
        Ok(address) => {
            let config = address
                .parse()
                .unwrap_or_else(|_| panic!("{VARIABLE} is no PostgreSQL address"));
            Server { config, own: None }
        }
        Err(_) => start_own(),
    }
}

/// A fresh database on [`server`].
pub async fn database() -> Database {
    let server = server();
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "k_{}_{}_{:x}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed),
        random()
    );
    let admin = connect(&server.config).await;
    admin
        .batch_execute(&format!("CREATE DATABASE {name}"))
        .await
        .expect("the server lets us create a database");
    Database { name, server }
}

/// A database that is dropped with this value, whoever is still connected.
pub struct Database {
    name: String,
    server: Server,
}

impl Database {
    /// Its address.
    pub fn address(&self) -> String {
        let config = &self.server.config;
        let mut words = vec![format!("dbname={}", quoted(&self.name))];
        let hosts = config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.to_string_lossy().into_owned(),
        });
        words.push(format!("host={}", quoted(&hosts.collect::<Vec<_>>().join(","))));
        if let [port] = config.get_ports() {
            words.push(format!("port={port}"));
        }
        if let Some(user) = config.get_user() {
            words.push(format!("user={}", quoted(user)));
        }
        if let Some(password) = config.get_password() {
            words.push(format!("password={}", quoted(&String::from_utf8_lossy(password))));
        }
        words.join(" ")
    }

    /// Settings for a store on it.
    pub fn settings(&self) -> PgSettings {
        // More than the default: what two writers do to each other is to be seen in tests.
        PgSettings {
            writers: 2,
            ..PgSettings::new(self.address())
        }
    }

    /// A plain connection to it.
    pub async fn client(&self) -> Client {
        connect(&self.address().parse().expect("our own address")).await
    }

    /// Ends all other connections to it, as a failing network or a restart would.
    pub async fn disconnect_all(&self) {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
        connect(&self.server.config)
            .await
            .execute(sql, &[&self.name])
            .await
            .expect("we may end connections");
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (config, name) = (self.server.config.clone(), self.name.clone());
        // a runtime of its own: this one may be unwinding, or have one thread only
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let admin = connect(&config).await;
                admin
                    .batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
                    .await
            })
        });
        if !matches!(dropped.join(), Ok(Ok(()))) {
            eprintln!("the test database {} could not be dropped", self.name);
        }
    }
}

async fn connect(config: &Config) -> Client {
    let (client, driver) = config.connect(NoTls).await.expect("the test server answers");
    #[expect(clippy::disallowed_methods, reason = "the driver ends with its client")]
    tokio::spawn(driver);
    client
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Test databases need distinct names across processes, not reproducible ones.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

fn start_own() -> Server {
    let Some(bin) = binaries() else {
        panic!(
            "no PostgreSQL: set {VARIABLE}, or run the tests under crates/store/testkit/pg-run, or install postgresql"
        );
    };
    let folder = TempDir::with_prefix("kessai-pg-").expect("a temporary folder");
    let root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|id| id.stdout.trim_ascii() == b"0");
    if root {
        done(Command::new("chown").arg("postgres").arg(folder.path()));
    }
    let data = folder.path().join("data");
    let initdb = [
        "-A",
        "trust",
        "-U",
        "postgres",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
        "-N",
        "-D",
    ];
    done(as_postgres(root, &bin.join("initdb")).args(initdb).arg(&data));
    let options = format!(
        "-c listen_addresses= -c unix_socket_directories={}",
        folder.path().display()
    );
    let mut start = as_postgres(root, &bin.join("pg_ctl"));
    start
        .args(["-w", "-l"])
        .arg(folder.path().join("log"))
        .arg("-D")
        .arg(&data)
        .args(["-o", &options, "start"]);
    done(&mut start);
    let mut config = Config::new();
    config
        .host_path(folder.path())
        .user("postgres")
        .dbname("postgres");
    Server {
        config,
        own: Some(Own { bin, folder }),
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let root = Command::new("id")
            .arg("-u")
            .output()
            .is_ok_and(|id| id.stdout.trim_ascii() == b"0");
        let mut stop = as_postgres(root, &self.bin.join("pg_ctl"));
        stop.args(["-m", "immediate", "-D"])
            .arg(self.folder.path().join("data"))
            .arg("stop");
        let _ = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

impl Server {
    /// Whether it was started for this test alone.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }
}

fn binaries() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut folders: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders
        .into_iter()
        .rev()
        .chain(std::env::split_paths(&path))
        .find(|folder| folder.join("initdb").exists())
}

/// PostgreSQL refuses to run as root.
fn as_postgres(root: bool, program: &Path) -> Command {
    let mut command = if root {
        Command::new("runuser")
    } else {
        Command::new(program)
    };
    if root {
        command.args(["-u", "postgres", "--"]).arg(program);
    }
    command
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

fn done(command: &mut Command) {
    let status = command.stdout(Stdio::null()).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "this failed: {command:?}"
    );
}
