//! How long a request took, and how much of it went by while a provider was asked: the header `Server-Timing`, so that a shop sees
//! from outside whom it waited for.
use async_trait::async_trait;
use http::HeaderValue;
use kessai_provider::transport::{Reply, Request, Transport, TransportFault};
use std::cell::Cell;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

tokio::task_local! {
    static ASKED: Cell<Duration>;
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a request takes is real time, whatever the hub's clock shows"
)]
pub(crate) fn stopwatch() -> Instant {
    Instant::now()
}

/// Runs `answering`, and says how long providers were asked within it.
pub(crate) async fn told<T>(answering: impl Future<Output = T>) -> (T, Duration) {
    let scope = ASKED.scope(Cell::default(), async {
        let answer = answering.await;
        (answer, ASKED.with(Cell::get))
    });
    scope.await
}

/// The header, in milliseconds with three places.
pub(crate) fn header(took: Duration, asked: Duration) -> Option<HeaderValue> {
    let ms = |time: Duration| format!("{}.{:03}", time.as_millis(), time.as_micros() % 1000);
    HeaderValue::from_str(&format!("total;dur={}, provider;dur={}", ms(took), ms(asked))).ok()
}

/// The way to providers, with a stopwatch: what is sent on behalf of a request is counted in that request's `Server-Timing`.
pub struct Timed(Arc<dyn Transport>);

impl Timed {
    /// Times whatever goes through `inner`.
    pub fn new(inner: Arc<dyn Transport>) -> Self {
        Self(inner)
    }
}

#[async_trait]
impl Transport for Timed {
    async fn send(&self, request: Request) -> Result<Reply, TransportFault> {
        let began = stopwatch();
        let answer = self.0.send(request).await;
        // jobs ask as well, and nobody times them
        let _ = ASKED.try_with(|asked| asked.set(asked.get() + began.elapsed()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_milliseconds_with_three_places() {
        let header = header(Duration::from_micros(12_034), Duration::from_micros(7)).expect("a header");
        assert_eq!(header, "total;dur=12.034, provider;dur=0.007");
    }
}
