//! Notifications in: stored raw, answered, then processed under the payment's lock and confirmed by inquiry.
use crate::directory::Shop;
use crate::model::Payment;
use crate::problem::Problem;
use crate::{Engine, vault};
use async_trait::async_trait;
use kessai_core::InboxId;
use kessai_jobs::{Backoff, Done, Job, JobError, Lease, NewJob};
use kessai_provider::port::{Notification, NotificationRejected, RawNotification};
use kessai_store::repo::{self, InboxRow, micros};
use kessai_store::{ChangeSet, Commit, Guard, Op};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Processes one notification.
#[derive(Debug, Serialize, Deserialize)]
pub struct ProcessNotification {
    /// Which.
    pub notification: Box<str>,
}

/// What is kept of a notification besides its raw form.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct InboxBody {
    /// Its type, as the provider names it.
    pub kind: Box<str>,
    /// The provider's name for the payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Box<str>>,
    /// Our key as it names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Box<str>>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Box<str>>,
}

/// What became of a notification at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenIn {
    /// It is stored and will be processed.
    Stored,
    /// It came before.
    Again,
}

#[async_trait]
impl Job<Engine> for ProcessNotification {
    const NAME: &'static str = "process-notification.v1";
    const BACKOFF: Backoff = Backoff {
        waits_s: &[5, 15, 60, 300, 900, 3_600, 21_600, 86_400],
        give_up_after: None,
    };

    async fn run(self, engine: &Engine, lease: &Lease) -> Result<Done, JobError> {
        let shop = engine.shop_of_job(&lease.shop).await?;
        engine
            .process_notification(&shop, &self.notification, lease)
            .await
            .map_err(|p| JobError::Retry(p.message.into_owned()))
    }
}

impl Engine {
    /// Takes a notification in. It is on disk when this returns; processing follows.
    ///
    /// # Errors
    /// `not_found` for a shop or provider that is not there; `unauthorized` for one without a good signature, of which nothing is kept;
    /// `bad_request` for one that cannot be read.
    pub async fn take_in(
        &self,
        shop: &str,
        provider: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<TakenIn, Problem> {
        let shop = self.shop(shop).await?.ok_or_else(Problem::not_found)?;
        let (Some(port), Some(account)) = (self.provider(provider), shop.accounts.get(provider)) else {
            return Err(Problem::not_found());
        };
        let raw = RawNotification { headers, body };
        let notification = port.read_notification(account, &raw).map_err(|rejected| {
            metrics::counter!("kessai_notifications_rejected_total", "provider" => provider.to_owned())
                .increment(1);
            tracing::warn!(shop = %shop.id, provider, %rejected, "a notification was not believed");
            match rejected {
                NotificationRejected::Unsigned | NotificationRejected::Mismatch => {
                    Problem::new("unauthorized")
                }
                NotificationRejected::Unreadable => Problem::new("bad_request"),
            }
        })?;
        self.keep(&shop, provider, notification, body).await
    }

    async fn keep(
        &self,
        shop: &Shop,
        provider: &str,
        notification: Notification,
        raw: &[u8],
    ) -> Result<TakenIn, Problem> {
        let now = self.now();
        let id = InboxId::new(now, self.entropy.as_ref());
        let row = InboxRow {
            shop_id: shop.id.clone(),
            id: id.as_str().into(),
            provider: provider.into(),
            dedupe: vault::sha256(notification.dedupe.as_bytes())[..16].to_vec(),
            status: "new".into(),
            payment_id: notification
                .key
                .as_deref()
                .and_then(Payment::of_key)
                .map(Into::into),
            received_at: micros(now),
            version: 1,
            raw: raw.to_vec(),
            body: serde_json::to_string(&InboxBody {
                kind: notification.kind,
                reference: notification.reference,
                key: notification.key,
                note: None,
            })
            .expect("plain data")
            .into(),
        };
        let job = ProcessNotification {
            notification: id.as_str().into(),
        };
        let job = NewJob::new::<Self, _>(&shop.id, id.as_str(), now, &job);
        let guards = vec![Guard::Insert(InboxRow::TABLE, row.into_values())];
        match self
            .store
            .commit(ChangeSet {
                guards,
                ops: vec![job.op()],
            })
            .await?
        {
            Commit::Done => {
                self.wake.notify_one();
                Ok(TakenIn::Stored)
            }
            Commit::Refused { .. } => Ok(TakenIn::Again),
        }
    }

    async fn process_notification(&self, shop: &Shop, id: &str, lease: &Lease) -> Result<Done, Problem> {
        let Some(row) = repo::inbox(self.store.as_ref(), &shop.id, id).await? else {
            return Ok(Done::Finished);
        };
        if row.status.as_ref() != "new" {
            return Ok(Done::Finished);
        }
        let mut body: InboxBody = serde_json::from_str(&row.body).unwrap_or_default();
        let payment = self.notified_payment(shop, &row, &body).await?;
        let (status, payment_id) = match payment {
            Some(payment) => {
                let before = payment.status();
                let after = self.refresh(shop, payment.id.as_str()).await?;
                if after.body.state.in_flight().is_some() {
                    // Our own call has not been answered yet; its end is settled there, and this is looked at again.
                    return Err(Problem::with(
                        "conflict",
                        "the payment's own call is still in flight",
                    ));
                }
                body.note = Some(if before == after.status() {
                    format!("{}: nothing new", before.as_str()).into()
                } else {
                    format!("{} → {}", before.as_str(), after.status().as_str()).into()
                });
                ("processed", Some(payment.id.as_str().into()))
            }
            None if body.reference.is_none() => {
                body.note = Some("not about a payment".into());
                ("ignored", None)
            }
            None if lease.attempt < 4 => {
                // The notification may be faster than our own commit.
                return Err(Problem::with("conflict", "no such payment yet"));
            }
            None => {
                let reference = body.reference.clone().unwrap_or_default();
                tracing::error!(shop = %shop.id, %reference, "a genuine notification about a payment we do not know");
                let what = json!({"provider": row.provider, "reference": reference, "notification": row.id});
                self.raise(&shop.id, &reference, "unknown_payment", &what).await?;
                body.note = Some("unknown payment".into());
                ("ignored", None)
            }
        };
        let expected = row.version;
        let row = InboxRow {
            status: status.into(),
            payment_id: payment_id.or(row.payment_id.clone()),
            version: expected + 1,
            body: serde_json::to_string(&body).expect("plain data").into(),
            ..row
        };
        let guards = vec![lease.finish()];
        let ops = vec![Op::Update(InboxRow::TABLE, row.into_values())];
        let _ = self.store.commit(ChangeSet { guards, ops }).await?;
        Ok(Done::Included)
    }

    async fn notified_payment(
        &self,
        shop: &Shop,
        row: &InboxRow,
        body: &InboxBody,
    ) -> Result<Option<Payment>, Problem> {
        if let Some(id) = body.key.as_deref().and_then(Payment::of_key)
            && let Some(payment) = self.load(&shop.id, id).await?
        {
            return Ok(Some(payment));
        }
        let Some(reference) = &body.reference else {
            return Ok(None);
        };
        let found =
            repo::payment_by_reference(self.store.as_ref(), &shop.id, &row.provider, reference).await?;
        found.map(Payment::from_row).transpose().map_err(|error| {
            tracing::error!(%error, "a payment cannot be read");
            Problem::new("internal_server_error")
        })
    }
}
