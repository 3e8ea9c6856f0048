//! Same key, same answer: keys live in the database beside the effect, never in a cache.
use crate::problem::Problem;
use crate::{Engine, later, vault};
use kessai_store::repo::{self, IdempotencyRow, instant, micros};
use kessai_store::{ChangeSet, Commit, Guard, Op};
use std::future::Future;

/// How long a key is remembered, in seconds.
///
/// Source: docs/providers/komoju.md, "Idempotency" (24 hours after first use).
pub const KEPT_S: i64 = 86_400;

/// What the API answers: an HTTP status and a JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// JSON.
    pub body: String,
}

impl Answer {
    /// A success.
    pub fn ok(body: String) -> Self {
        Self { status: 200, body }
    }

    /// A problem as an answer.
    pub fn problem(problem: &Problem) -> Self {
        Self {
            status: problem.status(),
            body: problem.body(),
        }
    }
}

/// A caller's idempotency key with what was asked under it, hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// Of the key.
    pub hash: [u8; 16],
    /// Of method, path and body, under the vault's newest key: a body may hold a card number, and a plain hash of one can be guessed.
    pub fingerprint: [u8; 16],
    /// The same under the vault's older keys, so that a rotation changes nobody's answer.
    older: Vec<[u8; 16]>,
}

impl Idempotency {
    /// A key whose hashes are known already.
    pub(crate) fn known(hash: [u8; 16], fingerprint: [u8; 16]) -> Self {
        Self {
            hash,
            fingerprint,
            older: vec![],
        }
    }

    fn fits(&self, fingerprint: &[u8]) -> bool {
        vault::same(fingerprint, &self.fingerprint)
            || self.older.iter().any(|older| vault::same(fingerprint, older))
    }
}

impl Engine {
    /// Hashes a key and a request.
    ///
    /// # Errors
    /// `invalid_parameter` for an empty key, one longer than 100 characters, or one that is not printable ASCII.
    pub fn idempotency(
        &self,
        key: &[u8],
        method: &str,
        path: &str,
        body: &[u8],
    ) -> Result<Idempotency, Problem> {
        const HEADER: &str = "X-KOMOJU-IDEMPOTENCY";
        if key.is_empty() || key.len() > 100 || !key.iter().all(|b| (b' '..=b'~').contains(b)) {
            return Err(Problem::invalid(
                HEADER,
                "X-KOMOJU-IDEMPOTENCY must be 1 to 100 ASCII characters",
            ));
        }
        let asked = [method.as_bytes(), b" ", path.as_bytes(), b"\n", body].concat();
        let mut prints = self.vault.prints(&asked).into_iter();
        let fingerprint = prints.next().expect("a vault has a key");
        Ok(Idempotency {
            hash: key_hash(key),
            fingerprint,
            older: prints.collect(),
        })
    }
}

/// How a key stands in the store.
pub fn key_hash(key: &[u8]) -> [u8; 16] {
    vault::sha256(key)[..16].try_into().expect("half of 32")
}

/// Why a command stopped before it did anything.
#[derive(Debug)]
pub enum Halt {
    /// It was refused.
    Problem(Problem),
    /// Its idempotency key is taken: see what was answered under it.
    KeyTaken,
}

impl<P: Into<Problem>> From<P> for Halt {
    fn from(problem: P) -> Self {
        Self::Problem(problem.into())
    }
}

const IN_FLIGHT: i64 = 0;
const ANSWERED: i64 = 1;

/// The row of a key whose command is about to run.
pub(crate) fn begun(shop: &str, key: &Idempotency, owner: &str, now: jiff::Timestamp) -> Guard {
    Guard::Insert(
        IdempotencyRow::TABLE,
        row(shop, key, IN_FLIGHT, 0, Some(owner), None, None, now).into_values(),
    )
}

/// The row of a key whose command is done in the same commit.
pub(crate) fn done_at_once(shop: &str, key: &Idempotency, answer: &Answer, now: jiff::Timestamp) -> Guard {
    let row = row(
        shop,
        key,
        ANSWERED,
        answer.status,
        None,
        None,
        Some(answer.body.clone()),
        now,
    );
    Guard::Insert(IdempotencyRow::TABLE, row.into_values())
}

/// The answer to a key that was begun. When an event of the same commit holds the same JSON, only its id is kept.
pub(crate) fn answered(
    shop: &str,
    key: &Idempotency,
    owner: &str,
    answer: &Answer,
    event: Option<&str>,
    now: jiff::Timestamp,
) -> Op {
    let body = if event.is_some() {
        None
    } else {
        Some(answer.body.clone())
    };
    let row = row(shop, key, ANSWERED, answer.status, Some(owner), event, body, now);
    Op::Update(IdempotencyRow::TABLE, row.into_values())
}

/// Frees a key: nothing was done under it.
pub(crate) fn released(shop: &str, hash: &[u8; 16]) -> Op {
    Op::Delete(IdempotencyRow::TABLE, vec![shop.into(), hash.to_vec().into()])
}

#[allow(clippy::too_many_arguments, reason = "the table's columns")]
fn row(
    shop: &str,
    key: &Idempotency,
    state: i64,
    status: u16,
    owner: Option<&str>,
    event: Option<&str>,
    answer: Option<String>,
    now: jiff::Timestamp,
) -> IdempotencyRow {
    IdempotencyRow {
        shop_id: shop.into(),
        key_hash: key.hash.to_vec(),
        fingerprint: key.fingerprint.to_vec(),
        state,
        status: i64::from(status),
        owner_id: owner.map(Into::into),
        answer_event: event.map(Into::into),
        answer: answer.map(Into::into),
        created_at: micros(now),
        version: state,
    }
}

impl Engine {
    /// Runs a command under a key. The command's own first commit claims the key; this answers when that was refused,
    /// and keeps refusals that are final.
    ///
    /// # Errors
    /// The command's problem; `conflict` while the same key is running; `unprocessable_entity` for the same key with another body.
    pub async fn once(
        &self,
        shop: &str,
        key: Option<&Idempotency>,
        command: impl Future<Output = Result<Answer, Halt>>,
    ) -> Result<Answer, Problem> {
        self.once_as(shop, key, Problem::body, command).await
    }

    /// As [`Engine::once`], with the JSON that a refusal is kept as.
    ///
    /// # Errors
    /// As [`Engine::once`].
    pub async fn once_as(
        &self,
        shop: &str,
        key: Option<&Idempotency>,
        refusal: fn(&Problem) -> String,
        command: impl Future<Output = Result<Answer, Halt>>,
    ) -> Result<Answer, Problem> {
        let problem = match command.await {
            Ok(answer) => return Ok(answer),
            Err(Halt::Problem(problem)) => problem,
            Err(Halt::KeyTaken) => return self.replay(shop, key.expect("only a key can be taken")).await,
        };
        if let Some(key) = key
            && problem.is_kept()
        {
            let answer = Answer {
                status: problem.status(),
                body: refusal(&problem),
            };
            let guard = done_at_once(shop, key, &answer, self.now());
            let kept = self
                .store
                .commit(ChangeSet {
                    guards: vec![guard],
                    ops: vec![],
                })
                .await?;
            return match kept {
                Commit::Done => Ok(answer),
                Commit::Refused { .. } => self.replay(shop, key).await,
            };
        }
        Err(problem)
    }

    /// What stands under a key that somebody else has answered for us, or `given` when nothing does.
    pub(crate) async fn as_kept(&self, shop: &str, key: Option<&Idempotency>, given: Answer) -> Answer {
        match key {
            Some(key) => self.replay(shop, key).await.unwrap_or(given),
            None => given,
        }
    }

    /// What was answered under a key.
    pub(crate) async fn replay(&self, shop: &str, key: &Idempotency) -> Result<Answer, Problem> {
        let Some(row) = repo::idempotency(self.store.as_ref(), shop, &key.hash).await? else {
            return Err(Problem::with(
                "conflict",
                "The request under this key has just ended without effect. Send it again.",
            ));
        };
        if later(instant(row.created_at), KEPT_S) <= self.now() && row.state == ANSWERED {
            let gone = Guard::Delete {
                table: IdempotencyRow::TABLE,
                key: vec![shop.into(), key.hash.to_vec().into()],
                expected: Some(row.version),
            };
            let _ = self
                .store
                .commit(ChangeSet {
                    guards: vec![gone],
                    ops: vec![],
                })
                .await?;
            return Err(Problem::with(
                "conflict",
                "The key had expired and is free now. Send the request again.",
            ));
        }
        if !key.fits(&row.fingerprint) {
            return Err(Problem::with(
                "unprocessable_entity",
                "The idempotency key was used with another request.",
            ));
        }
        if row.state != ANSWERED {
            return Err(Problem::with(
                "conflict",
                "A request with this idempotency key is still running.",
            ));
        }
        let body = match (row.answer, row.answer_event) {
            (Some(body), _) => body.into(),
            (None, Some(event)) => {
                let event = repo::event(self.store.as_ref(), shop, &event).await?;
                event
                    .ok_or_else(|| Problem::new("internal_server_error"))?
                    .data
                    .into()
            }
            (None, None) => return Err(Problem::new("internal_server_error")),
        };
        Ok(Answer {
            status: u16::try_from(row.status).unwrap_or(500),
            body,
        })
    }

    /// Takes away keys that expired, at most `limit`; how many there were.
    pub async fn purge_keys(&self, limit: i64) -> Result<usize, Problem> {
        let before = micros(later(self.now(), -KEPT_S));
        let rows = repo::idempotency_before(self.store.as_ref(), before, limit).await?;
        let mut change = ChangeSet {
            guards: vec![],
            ops: vec![],
        };
        for row in &rows {
            if row.state == ANSWERED {
                change.ops.push(Op::Delete(
                    IdempotencyRow::TABLE,
                    vec![row.shop_id.as_ref().into(), row.key_hash.clone().into()],
                ));
            }
        }
        let purged = change.ops.len();
        if purged > 0 {
            let _ = self.store.commit(change).await?;
        }
        Ok(purged)
    }
}
