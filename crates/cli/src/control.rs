//! The control door of a hub in sandbox mode: its clock. On loopback, behind a token that lies in the data folder.
use crate::RunningArgs;
use crate::real::SystemClock;
use anyhow::Context as _;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use jiff::SignedDuration;
use kessai_core::{Clock as _, Secret};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `kessai clock …`
#[derive(Debug, clap::Subcommand)]
pub enum ClockCommand {
    /// Move the clock ahead, as `3d`, `12h`, `90m` or `1d 6h`. It never goes back.
    Advance {
        /// How far.
        by: String,
        #[command(flatten)]
        running: RunningArgs,
    },
    /// Tell the hub's time.
    Show {
        #[command(flatten)]
        running: RunningArgs,
    },
}

/// What a running hub leaves in its data folder for the other commands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ControlFile {
    /// Where the hub is.
    pub hub: String,
    /// Opens the control door.
    pub token: String,
    /// A secret key of the first shop, for `listen` and `trigger`.
    pub secret_key: Option<String>,
    /// The sandbox of KOMOJU.
    pub komoju: Option<String>,
}

impl ControlFile {
    fn path(data: &Path) -> PathBuf {
        data.join("control.json")
    }

    /// Leaves it in the data folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn leave(&self, data: &Path) -> anyhow::Result<()> {
        crate::hub::write_private(&Self::path(data), &serde_json::to_string_pretty(self)?)
    }

    /// Finds the hub that runs on a data folder.
    ///
    /// # Errors
    /// When none left its file there.
    pub fn find(data: &Path) -> anyhow::Result<Self> {
        let path = Self::path(data);
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "no running hub left {}; start `kessai demo`, or name its folder with --data",
                path.display()
            )
        })?;
        serde_json::from_str(&text).with_context(|| format!("{} cannot be read", path.display()))
    }
}

/// What the control door opens onto.
#[derive(Clone)]
pub struct Control {
    clock: Arc<SystemClock>,
    token: Arc<Secret>,
    /// Where the clock's lead is kept across restarts.
    lead: Arc<PathBuf>,
    moved: Arc<dyn Fn() + Send + Sync>,
}

impl Control {
    /// A control door. `moved` is called whenever the clock was moved.
    pub fn new(
        clock: Arc<SystemClock>,
        token: &str,
        data: &Path,
        moved: Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        Self {
            clock,
            token: Arc::new(Secret::new(token)),
            lead: Arc::new(data.join("clock")),
            moved,
        }
    }

    fn allows(&self, headers: &HeaderMap) -> bool {
        let given = headers
            .get("authorization")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let given = given.strip_prefix("Bearer ").unwrap_or_default();
        kessai_engine::vault::same(given.as_bytes(), self.token.expose().as_bytes())
    }
}

/// How far the clock of a data folder is ahead, in microseconds.
pub fn kept_lead(data: &Path) -> i64 {
    std::fs::read_to_string(data.join("clock"))
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}

/// The door's routes.
pub fn router(control: Control) -> axum::Router {
    axum::Router::new()
        .route("/control/clock", get(show).post(advance))
        .route("/control/clock/advance", post(advance))
        .with_state(control)
}

#[derive(Deserialize)]
struct Advance {
    seconds: i64,
}

async fn show(State(control): State<Control>, headers: HeaderMap) -> (StatusCode, Json<Value>) {
    if !control.allows(&headers) {
        return (
            StatusCode::UNAUTHORIZED,
            Json(json!({"error": "the token is in control.json"})),
        );
    }
    (
        StatusCode::OK,
        Json(json!({"now": control.clock.now().to_string()})),
    )
}

async fn advance(
    State(control): State<Control>,
    headers: HeaderMap,
    Json(by): Json<Advance>,
) -> (StatusCode, Json<Value>) {
    if !control.allows(&headers) {
        return (
            StatusCode::UNAUTHORIZED,
            Json(json!({"error": "the token is in control.json"})),
        );
    }
    if !(0..=5 * 366 * 86_400).contains(&by.seconds) {
        let error = json!({"error": "seconds must be from 0 to five years; the clock never goes back"});
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(error));
    }
    let lead = control.clock.advance(SignedDuration::from_secs(by.seconds));
    if let Err(error) = std::fs::write(control.lead.as_path(), lead.to_string()) {
        tracing::error!(%error, "the clock's lead could not be kept");
    }
    (control.moved)();
    (
        StatusCode::OK,
        Json(json!({"now": control.clock.now().to_string()})),
    )
}

/// Runs `kessai clock …` against a running hub.
///
/// # Errors
/// When no hub answers.
pub async fn run(command: ClockCommand) -> anyhow::Result<()> {
    let (running, seconds) = match &command {
        ClockCommand::Show { running } => (running, None),
        ClockCommand::Advance { by, running } => {
            let span: jiff::Span = by
                .parse()
                .with_context(|| format!("{by} is no duration; try 3d or 12h"))?;
            let total = span
                .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
                .with_context(|| format!("{by} is no duration; try 3d or 12h"))?;
            (running, Some(total.as_secs()))
        }
    };
    let found = ControlFile::find(&running.data)?;
    let client = reqwest::Client::builder()
        .timeout(std::time::Duration::from_secs(10))
        .no_proxy()
        .build()?;
    let url = format!("{}/control/clock", found.hub);
    let request = match seconds {
        None => client.get(url),
        Some(seconds) => client
            .post(url)
            .header("content-type", "application/json")
            .body(json!({"seconds": seconds}).to_string()),
    };
    let reply = request
        .header("authorization", format!("Bearer {}", found.token))
        .send()
        .await?;
    let status = reply.status();
    let body: Value = serde_json::from_str(&reply.text().await?)?;
    anyhow::ensure!(status.is_success(), "the hub said no: {body}");
    println!("{}", body["now"].as_str().unwrap_or_default());
    Ok(())
}
