//! Calls to providers: each leaves through here, and one that moves money only while its intent is fresh.
use crate::Engine;
use async_trait::async_trait;
use jiff::Timestamp;
use kessai_core::Clock;
use kessai_core::settle::may_send;
use kessai_provider::port::{Account, Call};
use kessai_provider::transport::{Reply, Request, Transport, TransportFault};
use kessai_store::repo::{AttemptRow, instant};
use std::sync::Arc;

/// The way to the provider for one intended operation: this process may sleep between its intent and its call, or between two requests of
/// it, and others may have settled the attempt as abandoned by then.
struct WhileFresh {
    inner: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    attempt: String,
    intended_at: Timestamp,
    timeout_ms: u64,
}

#[async_trait]
impl Transport for WhileFresh {
    async fn send(&self, request: Request) -> Result<Reply, TransportFault> {
        let age_s = self.clock.now().duration_since(self.intended_at).as_secs();
        if may_send(age_s, self.timeout_ms) {
            return self.inner.send(request).await;
        }
        tracing::error!(
            attempt = self.attempt,
            age_s,
            "this process slept before a call; it is not made"
        );
        Err(TransportFault::NotSent(format!(
            "not sent: {age_s} s passed between intent and call"
        )))
    }
}

impl Engine {
    /// A call under this key of ours. What moves money goes by [`Engine::intended_call`].
    pub(crate) fn call(&self, account: Arc<Account>, key: impl Into<Box<str>>) -> Call {
        Call::new(
            account,
            key,
            self.transport.clone(),
            self.settings.provider_timeout_ms,
            self.now(),
        )
    }

    /// The call of an intended operation. None of its requests leaves once the intent is old.
    pub(crate) fn intended_call(
        &self,
        account: Arc<Account>,
        key: impl Into<Box<str>>,
        row: &AttemptRow,
    ) -> Call {
        let mut call = self.call(account, key);
        call.transport = Arc::new(WhileFresh {
            inner: call.transport,
            clock: self.clock.clone(),
            attempt: format!("{}_{}", row.payment_id, row.n),
            intended_at: instant(row.created_at),
            timeout_ms: self.settings.provider_timeout_ms,
        });
        call
    }
}
