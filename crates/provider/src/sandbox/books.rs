//! A sandbox's books: one SQLite file of its own, that a plain `sqlite3` can read and compare afterwards.
//!
//! `synchronous=OFF` with a write-ahead log: what was booked survives `kill -9` of the process. It need not survive the
//! machine: a sandbox moves no money.
use jiff::Timestamp;
use parking_lot::{ReentrantMutex, ReentrantMutexGuard};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use serde::Serialize;
use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS objects (
        n INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, number TEXT, status TEXT NOT NULL,
        created_at_us INTEGER NOT NULL, due_at_us INTEGER, body TEXT NOT NULL);
    CREATE UNIQUE INDEX IF NOT EXISTS objects_id ON objects(kind, id);
    CREATE INDEX IF NOT EXISTS objects_number ON objects(kind, number) WHERE number IS NOT NULL;
    CREATE INDEX IF NOT EXISTS objects_due ON objects(due_at_us, kind, status) WHERE due_at_us IS NOT NULL;
    CREATE TABLE IF NOT EXISTS charges (
        n INTEGER PRIMARY KEY, at_us INTEGER NOT NULL,
        what TEXT NOT NULL CHECK (what IN ('authorize','capture','refund','cancel','expire')),
        payment TEXT NOT NULL, amount INTEGER NOT NULL, currency TEXT NOT NULL, number TEXT, detail TEXT);
    CREATE INDEX IF NOT EXISTS charges_payment ON charges(payment);
    CREATE TABLE IF NOT EXISTS notices (
        n INTEGER PRIMARY KEY, next_at_us INTEGER, tries INTEGER NOT NULL, about TEXT NOT NULL, body TEXT NOT NULL);
    CREATE INDEX IF NOT EXISTS notices_due ON notices(next_at_us) WHERE next_at_us IS NOT NULL;
    CREATE TABLE IF NOT EXISTS idempotency (
        n INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, fingerprint BLOB NOT NULL, status INTEGER NOT NULL,
        body TEXT NOT NULL, at_us INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
";

/// The books could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox's books failed")]
pub struct BooksError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl From<rusqlite::Error> for BooksError {
    fn from(fault: rusqlite::Error) -> Self {
        Self(Box::new(fault))
    }
}

impl From<serde_json::Error> for BooksError {
    fn from(fault: serde_json::Error) -> Self {
        Self(Box::new(fault))
    }
}

type Booked<T> = Result<T, BooksError>;

/// What moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Movement {
    /// Money was set aside, or a slip was issued.
    Authorize,
    /// Money was taken.
    Capture,
    /// Money went back.
    Refund,
    /// What was set aside was let go.
    Cancel,
    /// What was set aside lapsed.
    Expire,
}

impl Movement {
    /// As it stands in the `what` column.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Capture => "capture",
            Self::Refund => "refund",
            Self::Cancel => "cancel",
            Self::Expire => "expire",
        }
    }

    /// Money coming in is positive, money going out or let go negative.
    const fn sign(self) -> i64 {
        match self {
            Self::Authorize | Self::Capture => 1,
            Self::Refund | Self::Cancel | Self::Expire => -1,
        }
    }
}

/// A new object.
#[derive(Debug, Clone, Copy)]
pub struct NewObject<'a> {
    /// Its table within the table, as `payment`.
    pub kind: &'a str,
    /// Unique within the kind. Lists are ordered by it, so let it sort by time.
    pub id: &'a str,
    /// The merchant's number for it.
    pub number: Option<&'a str>,
    /// Its state.
    pub status: &'a str,
    /// When it was made.
    pub created_at: Timestamp,
    /// When time itself changes it.
    pub due_at: Option<Timestamp>,
    /// The object, JSON.
    pub body: &'a str,
}

/// An object as it stands.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its id.
    pub id: String,
    /// Its state.
    pub status: String,
    /// The object, JSON.
    pub body: String,
}

/// Which objects to list.
#[derive(Debug, Clone, Default)]
pub struct Filter<'a> {
    /// The kind.
    pub kind: &'a str,
    /// Only this number.
    pub number: Option<&'a str>,
    /// Only these states; all when empty.
    pub statuses: Vec<&'a str>,
    /// Not made before.
    pub from: Option<Timestamp>,
    /// Not made after.
    pub until: Option<Timestamp>,
    /// Only those whose body holds this text under this top-level name.
    pub holding: Option<(&'a str, &'a str)>,
    /// Only those that wait for time to pass.
    pub waiting: bool,
}

/// One movement of money.
#[derive(Debug, Clone, Copy)]
pub struct NewCharge<'a> {
    /// When.
    pub at: Timestamp,
    /// What moved.
    pub what: Movement,
    /// The payment.
    pub payment: &'a str,
    /// How much, never negative: the sign follows from `what`.
    pub amount: i64,
    /// ISO 4217.
    pub currency: &'a str,
    /// The merchant's number.
    pub number: Option<&'a str>,
    /// Free text.
    pub detail: Option<&'a str>,
}

/// A line of the ledger.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs, reason = "the columns of the table `charges`")]
pub struct Charge {
    pub n: i64,
    pub at_us: i64,
    pub what: String,
    pub payment: String,
    pub amount: i64,
    pub currency: String,
    pub number: Option<String>,
    pub detail: Option<String>,
}

/// What the ledger says about one payment, in minor units, none of them negative.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "sums of the table `charges`")]
pub struct Totals {
    pub payment: String,
    pub number: Option<String>,
    pub currency: String,
    pub authorized: i64,
    pub captured: i64,
    pub refunded: i64,
    pub cancelled: i64,
    pub status: Option<String>,
}

/// A notification owed.
#[derive(Debug, Clone)]
pub struct Owed {
    /// Its number in the books.
    pub n: i64,
    /// How often it was tried in vain.
    pub tries: u32,
    /// What it is about, JSON of the sandbox's own.
    pub about: String,
    /// What to send.
    pub body: String,
}

/// An answer kept under an idempotency key.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Of the request.
    pub fingerprint: Vec<u8>,
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
    /// When the key was first used.
    pub at: Timestamp,
}

/// The books.
pub struct Books {
    // Reentrant: what is written together is written by the same calls as alone.
    db: ReentrantMutex<Open>,
    // The next instants at which time itself does something; never later than the truth, so a look at them saves a query.
    next_due_us: AtomicI64,
    next_notice_us: AtomicI64,
}

struct Open {
    db: Connection,
    /// Whether a transaction is open that holds several writes.
    together: Cell<bool>,
}

impl Books {
    /// Opens or makes the file at `path`; in memory when there is none.
    ///
    /// # Errors
    /// When the file cannot be opened or holds something else.
    pub fn open(path: Option<&Path>) -> Booked<Self> {
        let db = match path {
            Some(path) => Connection::open(path)?,
            None => Connection::open_in_memory()?,
        };
        db.execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-16384;
             PRAGMA wal_autocheckpoint=4000; PRAGMA busy_timeout=5000;",
        )?;
        db.execute_batch(SCHEMA)?;
        db.set_prepared_statement_cache_capacity(64);
        let books = Self {
            db: ReentrantMutex::new(Open {
                db,
                together: Cell::new(false),
            }),
            next_due_us: AtomicI64::new(i64::MIN),
            next_notice_us: AtomicI64::new(i64::MIN),
        };
        Ok(books)
    }

    /// Runs `work` in one transaction: booked wholly when it succeeds, not at all when it fails.
    ///
    /// # Errors
    /// What `work` says, or that the books failed.
    pub fn write<T, E: From<BooksError>>(
        &self,
        work: impl FnOnce(&Page<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let open = self.lock();
        let [begin, keep, drop] = if open.together.get() {
            ["SAVEPOINT one", "RELEASE one", "ROLLBACK TO one"]
        } else {
            ["BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"]
        };
        run(&open.db, begin)?;
        let page = Page {
            db: &open.db,
            books: self,
        };
        match work(&page) {
            Ok(done) => {
                run(&open.db, keep)?;
                Ok(done)
            }
            Err(fault) => {
                run(&open.db, drop)?;
                Err(fault)
            }
        }
    }

    /// Books all that `work` writes in one go: a COMMIT costs more than most writes. What fails within it fails alone.
    ///
    /// # Errors
    /// When the books failed; then nothing of it was booked.
    pub fn together<T>(&self, work: impl FnOnce() -> T) -> Result<T, BooksError> {
        let open = self.lock();
        if open.together.get() {
            return Ok(work());
        }
        run(&open.db, "BEGIN IMMEDIATE")?;
        open.together.set(true);
        let ended = Ended(&open);
        let done = work();
        drop(ended);
        match run(&open.db, "COMMIT") {
            Ok(()) => Ok(done),
            Err(fault) => {
                run(&open.db, "ROLLBACK")?;
                Err(fault)
            }
        }
    }

    /// Runs `work`, which only reads.
    ///
    /// # Errors
    /// What `work` says, or that the books failed.
    pub fn read<T, E: From<BooksError>>(&self, work: impl FnOnce(&Page<'_>) -> Result<T, E>) -> Result<T, E> {
        let open = self.lock();
        work(&Page {
            db: &open.db,
            books: self,
        })
    }

    /// Whether an object may be due. Costs nothing when none is.
    pub fn may_be_due(&self, now: Timestamp) -> bool {
        self.next_due_us.load(Ordering::Relaxed) <= us(now)
    }

    /// Whether a notification may be due. Costs nothing when none is.
    pub fn may_owe(&self, now: Timestamp) -> bool {
        self.next_notice_us.load(Ordering::Relaxed) <= us(now)
    }

    /// When the next notice is due, or earlier than that; none when none is owed.
    pub fn next_notice_at(&self) -> Option<Timestamp> {
        let next = self.next_notice_us.load(Ordering::Relaxed);
        (next != i64::MAX).then(|| instant(next))
    }

    fn lock(&self) -> ReentrantMutexGuard<'_, Open> {
        let open = self.db.lock();
        if !open.together.get() && !open.db.is_autocommit() {
            // Someone panicked half-way; what they began never happened.
            let _ = open.db.execute_batch("ROLLBACK");
        }
        open
    }
}

/// Ends what is written together, also when it panics: the next to come then rolls it back.
struct Ended<'a>(&'a Open);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.together.set(false);
    }
}

fn run(db: &Connection, sql: &str) -> Booked<()> {
    db.prepare_cached(sql)?.execute([])?;
    Ok(())
}

fn us(at: Timestamp) -> i64 {
    at.as_microsecond()
}

fn instant(us: i64) -> Timestamp {
    Timestamp::from_microsecond(us).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn object(row: &Row<'_>) -> rusqlite::Result<Object> {
    Ok(Object {
        id: row.get(0)?,
        status: row.get(1)?,
        body: row.get(2)?,
    })
}

fn charge(row: &Row<'_>) -> rusqlite::Result<Charge> {
    Ok(Charge {
        n: row.get(0)?,
        at_us: row.get(1)?,
        what: row.get(2)?,
        payment: row.get(3)?,
        amount: row.get(4)?,
        currency: row.get(5)?,
        number: row.get(6)?,
        detail: row.get(7)?,
    })
}

/// The books, open at a page: what may be done within one transaction.
pub struct Page<'a> {
    db: &'a Connection,
    books: &'a Books,
}

#[allow(
    clippy::missing_errors_doc,
    reason = "they all fail when the books do, and only then"
)]
impl Page<'_> {
    /// Enters a new object.
    pub fn insert(&self, new: &NewObject<'_>) -> Booked<()> {
        self.db
            .prepare_cached(
                "INSERT INTO objects (kind, id, number, status, created_at_us, due_at_us, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                new.kind,
                new.id,
                new.number,
                new.status,
                us(new.created_at),
                new.due_at.map(us),
                new.body
            ])?;
        self.mind(new.due_at);
        Ok(())
    }

    /// Changes an object. Its number stays.
    pub fn update(
        &self,
        kind: &str,
        id: &str,
        status: &str,
        due_at: Option<Timestamp>,
        body: &str,
    ) -> Booked<()> {
        self.db
            .prepare_cached(
                "UPDATE objects SET status = ?3, due_at_us = ?4, body = ?5 WHERE kind = ?1 AND id = ?2",
            )?
            .execute(params![kind, id, status, due_at.map(us), body])?;
        self.mind(due_at);
        Ok(())
    }

    /// Gives an object another number.
    pub fn renumber(&self, kind: &str, id: &str, number: Option<&str>) -> Booked<()> {
        self.db
            .prepare_cached("UPDATE objects SET number = ?3 WHERE kind = ?1 AND id = ?2")?
            .execute(params![kind, id, number])?;
        Ok(())
    }

    /// Removes an object.
    pub fn erase(&self, kind: &str, id: &str) -> Booked<()> {
        self.db
            .prepare_cached("DELETE FROM objects WHERE kind = ?1 AND id = ?2")?
            .execute(params![kind, id])?;
        Ok(())
    }

    /// One object.
    pub fn object(&self, kind: &str, id: &str) -> Booked<Option<Object>> {
        Ok(self
            .db
            .prepare_cached("SELECT id, status, body FROM objects WHERE kind = ?1 AND id = ?2")?
            .query_row(params![kind, id], object)
            .optional()?)
    }

    /// Whether an object of that kind carries the number.
    pub fn has_number(&self, kind: &str, number: &str) -> Booked<bool> {
        Ok(self
            .db
            .prepare_cached("SELECT 1 FROM objects WHERE kind = ?1 AND number = ?2 LIMIT 1")?
            .exists(params![kind, number])?)
    }

    /// The newest object of that kind with the number.
    pub fn numbered(&self, kind: &str, number: &str) -> Booked<Option<Object>> {
        Ok(self
            .db
            .prepare_cached(
                "SELECT id, status, body FROM objects WHERE kind = ?1 AND number = ?2 ORDER BY n DESC LIMIT 1",
            )?
            .query_row(params![kind, number], object)
            .optional()?)
    }

    /// Newest first: how many match, and one page of them.
    pub fn list(&self, filter: &Filter<'_>, skip: u64, limit: u64) -> Booked<(u64, Vec<Object>)> {
        let (condition, mut values) = conditions(filter);
        let by = index(filter);
        let total: i64 = self
            .db
            .prepare_cached(&format!("SELECT count(*) FROM objects {by} WHERE {condition}"))?
            .query_row(params_from_iter(values.iter()), |row| row.get(0))?;
        values.push(Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
        values.push(Value::Integer(i64::try_from(skip).unwrap_or(i64::MAX)));
        let sql = format!(
            "SELECT id, status, body FROM objects {by} WHERE {condition} ORDER BY id DESC LIMIT ? OFFSET ?"
        );
        let mut statement = self.db.prepare_cached(&sql)?;
        let rows = statement.query_map(params_from_iter(values.iter()), object)?;
        Ok((u64::try_from(total).unwrap_or(0), rows.collect::<Result<_, _>>()?))
    }

    /// The newest objects of a kind, without counting them all.
    pub fn newest(&self, filter: &Filter<'_>, limit: u64) -> Booked<Vec<Object>> {
        let (condition, mut values) = conditions(filter);
        values.push(Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
        let by = index(filter);
        let sql =
            format!("SELECT id, status, body FROM objects {by} WHERE {condition} ORDER BY id DESC LIMIT ?");
        let mut statement = self.db.prepare_cached(&sql)?;
        let rows = statement.query_map(params_from_iter(values.iter()), object)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Objects whose time has come, the longest overdue first, as kind and id.
    pub fn due(&self, now: Timestamp, limit: u32) -> Booked<Vec<(String, String)>> {
        let mut statement = self.db.prepare_cached(
            "SELECT kind, id FROM objects WHERE due_at_us <= ?1 ORDER BY due_at_us, n LIMIT ?2",
        )?;
        let rows = statement.query_map(params![us(now), limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Looks up when the next object is due, for [`Books::may_be_due`]. Call after having dealt with [`Page::due`].
    pub fn remember_next_due(&self) -> Booked<()> {
        let next: Option<i64> = self
            .db
            .prepare_cached("SELECT min(due_at_us) FROM objects WHERE due_at_us IS NOT NULL")?
            .query_row([], |row| row.get(0))?;
        self.books
            .next_due_us
            .store(next.unwrap_or(i64::MAX), Ordering::Relaxed);
        Ok(())
    }

    /// Enters a movement of money.
    pub fn charge(&self, new: &NewCharge<'_>) -> Booked<()> {
        self.db
            .prepare_cached(
                "INSERT INTO charges (at_us, what, payment, amount, currency, number, detail)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                us(new.at),
                new.what.as_str(),
                new.payment,
                new.amount.saturating_mul(new.what.sign()),
                new.currency,
                new.number,
                new.detail
            ])?;
        Ok(())
    }

    /// The ledger from after line `after` on.
    pub fn charges(&self, after: i64, limit: u64) -> Booked<Vec<Charge>> {
        let mut statement = self.db.prepare_cached(
            "SELECT n, at_us, what, payment, amount, currency, number, detail FROM charges
              WHERE n > ?1 ORDER BY n LIMIT ?2",
        )?;
        let rows = statement.query_map(params![after, i64::try_from(limit).unwrap_or(i64::MAX)], charge)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The last lines of the ledger, newest first.
    pub fn last_charges(&self, limit: u64) -> Booked<Vec<Charge>> {
        let mut statement = self.db.prepare_cached(
            "SELECT n, at_us, what, payment, amount, currency, number, detail FROM charges
              ORDER BY n DESC LIMIT ?1",
        )?;
        let rows = statement.query_map(params![i64::try_from(limit).unwrap_or(i64::MAX)], charge)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What the ledger says per payment, by payment id from after `after` on. `kind` is the payments' kind.
    pub fn totals(&self, kind: &str, after: &str, limit: u64) -> Booked<Vec<Totals>> {
        let mut statement = self.db.prepare_cached(
            "SELECT c.payment, max(c.number), max(c.currency),
                    sum(CASE WHEN c.what = 'authorize' THEN c.amount ELSE 0 END),
                    sum(CASE WHEN c.what = 'capture' THEN c.amount ELSE 0 END),
                    -sum(CASE WHEN c.what = 'refund' THEN c.amount ELSE 0 END),
                    -sum(CASE WHEN c.what IN ('cancel','expire') THEN c.amount ELSE 0 END),
                    (SELECT status FROM objects o WHERE o.kind = ?1 AND o.id = c.payment)
               FROM charges c WHERE c.payment > ?2 GROUP BY c.payment ORDER BY c.payment LIMIT ?3",
        )?;
        let rows = statement.query_map(
            params![kind, after, i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| {
                Ok(Totals {
                    payment: row.get(0)?,
                    number: row.get(1)?,
                    currency: row.get(2)?,
                    authorized: row.get(3)?,
                    captured: row.get(4)?,
                    refunded: row.get(5)?,
                    cancelled: row.get(6)?,
                    status: row.get(7)?,
                })
            },
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Owes a notification from `at` on.
    pub fn owe(&self, at: Timestamp, about: &str, body: &str) -> Booked<()> {
        self.db
            .prepare_cached("INSERT INTO notices (next_at_us, tries, about, body) VALUES (?1, 0, ?2, ?3)")?
            .execute(params![us(at), about, body])?;
        self.books.next_notice_us.fetch_min(us(at), Ordering::Relaxed);
        Ok(())
    }

    /// Takes what is due, oldest first, and leases each until `lease_until`.
    pub fn take_notices(&self, now: Timestamp, limit: usize, lease_until: Timestamp) -> Booked<Vec<Owed>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let owed: Vec<Owed> = self
            .db
            .prepare_cached(
                "SELECT n, tries, about, body FROM notices WHERE next_at_us <= ?1 ORDER BY next_at_us, n LIMIT ?2",
            )?
            .query_map(params![us(now), limit], |row| {
                Ok(Owed { n: row.get(0)?, tries: row.get(1)?, about: row.get(2)?, body: row.get(3)? })
            })?
            .collect::<Result<_, _>>()?;
        let mut lease = self
            .db
            .prepare_cached("UPDATE notices SET next_at_us = ?2 WHERE n = ?1")?;
        for one in &owed {
            lease.execute(params![one.n, us(lease_until)])?;
        }
        let next: Option<i64> = self
            .db
            .prepare_cached("SELECT min(next_at_us) FROM notices WHERE next_at_us IS NOT NULL")?
            .query_row([], |row| row.get(0))?;
        self.books
            .next_notice_us
            .store(next.unwrap_or(i64::MAX), Ordering::Relaxed);
        Ok(owed)
    }

    /// What is owed under that number.
    pub fn owed(&self, n: i64) -> Booked<Option<Owed>> {
        Ok(self
            .db
            .prepare_cached("SELECT n, tries, about, body FROM notices WHERE n = ?1")?
            .query_row(params![n], |row| {
                Ok(Owed {
                    n: row.get(0)?,
                    tries: row.get(1)?,
                    about: row.get(2)?,
                    body: row.get(3)?,
                })
            })
            .optional()?)
    }

    /// No longer owes it.
    pub fn notice_settled(&self, n: i64) -> Booked<()> {
        self.db
            .prepare_cached("DELETE FROM notices WHERE n = ?1")?
            .execute(params![n])?;
        Ok(())
    }

    /// It failed; owes it again at `next_at`, or gives up and leaves it lying.
    pub fn notice_failed(&self, n: i64, next_at: Option<Timestamp>) -> Booked<()> {
        self.db
            .prepare_cached("UPDATE notices SET next_at_us = ?2, tries = tries + 1 WHERE n = ?1")?
            .execute(params![n, next_at.map(us)])?;
        if let Some(at) = next_at {
            self.books.next_notice_us.fetch_min(us(at), Ordering::Relaxed);
        }
        Ok(())
    }

    /// The answer kept under a key.
    pub fn kept(&self, key: &str) -> Booked<Option<Kept>> {
        Ok(self
            .db
            .prepare_cached("SELECT fingerprint, status, body, at_us FROM idempotency WHERE key = ?1")?
            .query_row(params![key], |row| {
                Ok(Kept {
                    fingerprint: row.get(0)?,
                    status: row.get(1)?,
                    body: row.get(2)?,
                    at: instant(row.get(3)?),
                })
            })
            .optional()?)
    }

    /// Keeps an answer under a key, in place of an older one.
    pub fn keep(&self, key: &str, fingerprint: &[u8], status: u16, body: &str, now: Timestamp) -> Booked<()> {
        self.db
            .prepare_cached(
                "INSERT OR REPLACE INTO idempotency (key, fingerprint, status, body, at_us)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![key, fingerprint, status, body, us(now)])?;
        Ok(())
    }

    /// A setting.
    pub fn setting(&self, name: &str) -> Booked<Option<String>> {
        Ok(self
            .db
            .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
            .query_row(params![name], |row| row.get(0))
            .optional()?)
    }

    /// Changes a setting.
    pub fn set(&self, name: &str, value: &str) -> Booked<()> {
        self.db
            .prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")?
            .execute(params![name, value])?;
        Ok(())
    }

    /// How many objects there are, by kind and state. Reads everything.
    pub fn counts(&self) -> Booked<Vec<(String, String, i64)>> {
        let mut statement = self.db.prepare_cached(
            "SELECT kind, status, count(*) FROM objects GROUP BY kind, status ORDER BY kind, status",
        )?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many notifications are still owed, and how many were given up.
    pub fn notices_left(&self) -> Booked<(i64, i64)> {
        Ok(self
            .db
            .prepare_cached("SELECT count(next_at_us), count(*) - count(next_at_us) FROM notices")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }

    fn mind(&self, due_at: Option<Timestamp>) {
        if let Some(at) = due_at {
            self.books.next_due_us.fetch_min(us(at), Ordering::Relaxed);
        }
    }
}

/// Left alone, the planner walks a whole kind to have it in order rather than sort the one row with the number.
const fn index(filter: &Filter<'_>) -> &'static str {
    match (filter.number, filter.waiting) {
        (Some(_), _) => "INDEXED BY objects_number",
        (None, true) => "INDEXED BY objects_due",
        (None, false) => "INDEXED BY objects_id",
    }
}

/// Constant fragments with bound values: nothing of the request is ever part of the statement's text.
fn conditions(filter: &Filter<'_>) -> (String, Vec<Value>) {
    let mut sql = String::from("kind = ?");
    let mut values = vec![Value::Text(filter.kind.to_owned())];
    if let Some(number) = filter.number {
        sql.push_str(" AND number = ?");
        values.push(Value::Text(number.to_owned()));
    }
    if !filter.statuses.is_empty() {
        let marks = vec!["?"; filter.statuses.len().min(16)].join(",");
        sql.push_str(" AND status IN (");
        sql.push_str(&marks);
        sql.push(')');
        values.extend(
            filter
                .statuses
                .iter()
                .take(16)
                .map(|s| Value::Text((*s).to_owned())),
        );
    }
    if let Some(from) = filter.from {
        sql.push_str(" AND created_at_us >= ?");
        values.push(Value::Integer(us(from)));
    }
    if let Some(until) = filter.until {
        sql.push_str(" AND created_at_us <= ?");
        values.push(Value::Integer(us(until)));
    }
    if let Some((name, text)) = filter.holding {
        sql.push_str(" AND body ->> ? = ?");
        values.push(Value::Text(format!("$.{name}")));
        values.push(Value::Text(text.to_owned()));
    }
    if filter.waiting {
        sql.push_str(" AND due_at_us IS NOT NULL");
    }
    (sql, values)
}

#[cfg(test)]
mod tests;
