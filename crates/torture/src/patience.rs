//! Waiting for what another process does: for a condition, up to a deadline.
use std::time::{Duration, Instant};

/// How long one thing in another process may take.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A stopwatch for a wait that has an end.
pub struct Deadline(Instant);

impl Deadline {
    /// Starts it.
    #[expect(clippy::disallowed_methods, reason = "real processes take real time")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// How long it runs.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Fails once [`PATIENCE`] is over, saying what was waited for.
    ///
    /// # Errors
    /// When it is over.
    pub fn check(&self, what: &str) -> anyhow::Result<()> {
        anyhow::ensure!(self.elapsed() < PATIENCE, "waited in vain for {what}");
        Ok(())
    }
}

/// Waits until `done` says so.
///
/// # Errors
/// After [`PATIENCE`], saying what was waited for.
pub async fn until<F: Future<Output = bool>>(what: &str, mut done: impl FnMut() -> F) -> anyhow::Result<()> {
    let deadline = Deadline::start();
    while !done().await {
        deadline.check(what)?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// The machine's time, in microseconds.
#[expect(clippy::disallowed_methods, reason = "the nodes run by the machine's time")]
pub fn now_us() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
