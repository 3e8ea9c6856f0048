//! Connections that come back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::{Client, Config, NoTls, Statement};

use super::sql::{Verb, failed, generate};
use crate::StoreError;
use crate::table::Table;

/// How long a lost connection is tried again before callers hear of it.
const PATIENCE: Duration = Duration::from_secs(5);
/// While the database is known to be down, how often it is tried.
const PAUSE: Duration = Duration::from_millis(200);
/// The driver's own patience with a silent server.
const UNSET_KEEPALIVE: Duration = Duration::from_secs(2 * 60 * 60);
/// Statements kept per connection for queries.
const STATEMENTS: usize = 1024;

/// What a connection is for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Role {
    Writer,
    Reader,
    Migration,
}

/// Parses the address and fills in what it leaves open.
pub(super) fn config(text: &str) -> Result<Config, StoreError> {
    // the parser's message may quote the text, and that may hold a password
    let mut config: Config = text
        .parse()
        .map_err(|_| StoreError::unavailable("the PostgreSQL address cannot be read"))?;
    if config.get_application_name().is_none() {
        config.application_name("kessai");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(PATIENCE);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(30));
    }
    // A machine that lost its power says nothing any more: whoever waits for its answer to a COMMIT would wait for hours.
    if config.get_keepalives_idle() == UNSET_KEEPALIVE {
        config.keepalives_idle(Duration::from_secs(10));
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(Duration::from_secs(5));
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(4);
    }
    Ok(config)
}

/// Which writes a statement holds, and how many of them are counted.
type Generated = (Box<[(&'static str, Verb)]>, usize);

pub(super) struct Connection {
    pub client: Client,
    generated: Mutex<HashMap<Generated, Statement>>,
    /// Batches begun, for [`Connection::plan_again`].
    batches: AtomicU64,
    queries: Mutex<HashMap<Box<str>, Statement>>,
}

impl Connection {
    pub async fn open(config: &Config, role: Role) -> Result<Self, tokio_postgres::Error> {
        let (client, driver) = config.connect(NoTls).await?;
        #[expect(clippy::disallowed_methods, reason = "the driver ends with its client")]
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::warn!(error = %super::sql::describe(&error), "a PostgreSQL connection ended");
            }
        });
        match role {
            Role::Migration => {}
            Role::Reader => {
                client
                    .batch_execute("SET default_transaction_read_only = on; SET statement_timeout = '30s'")
                    .await?;
            }
            Role::Writer => {
                // Durable and READ COMMITTED, whatever the role's defaults are: a batch is one statement without a BEGIN to say so.
                // Two writers that wait for each other give up long before the server looks for deadlocks (after 1 s).
                client
                    .batch_execute(
                        "SET default_transaction_read_only = off; SET default_transaction_isolation = 'read committed'; SET lock_timeout = '250ms'; SET statement_timeout = '30s'; \
                         SET idle_in_transaction_session_timeout = '60s'; \
                         SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
                    )
                    .await?;
                // A plan kept from when a table was empty would scan it; also rows are then locked in the order given.
                let plans = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off";
                if let Err(error) = client.batch_execute(plans).await {
                    tracing::debug!(error = %super::sql::describe(&error), "this engine plans on its own");
                }
            }
        }
        Ok(Connection {
            client,
            generated: Mutex::default(),
            batches: AtomicU64::new(0),
            queries: Mutex::default(),
        })
    }

    /// Called before each batch. A plan made while a table was almost empty reads all of it, and is kept for as long as its
    /// statement; so all are prepared anew whenever what this connection wrote has doubled.
    pub fn plan_again(&self) {
        let batches = self.batches.fetch_add(1, Relaxed) + 1;
        if batches.is_power_of_two() && batches >= 8 {
            locked(&self.generated).clear();
        }
    }

    /// The prepared statement for these writes, see [`generate`].
    pub async fn generated(
        &self,
        writes: &[(&'static Table, Verb)],
        counted: usize,
    ) -> Result<Statement, tokio_postgres::Error> {
        let names = writes.iter().map(|(table, verb)| (table.name, *verb));
        let key: Generated = (names.collect(), counted);
        if let Some(statement) = locked(&self.generated).get(&key) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(&generate(writes, counted)).await?;
        let mut generated = locked(&self.generated);
        if generated.len() >= STATEMENTS {
            generated.clear();
        }
        generated.insert(key, statement.clone());
        Ok(statement)
    }

    /// The prepared statement for a query.
    pub async fn query_statement(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        if let Some(statement) = locked(&self.queries).get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        let mut queries = locked(&self.queries);
        if queries.len() >= STATEMENTS {
            queries.clear();
        }
        queries.insert(sql.into(), statement.clone());
        Ok(statement)
    }

    /// Prepares a query anew the next time.
    pub fn forget(&self, sql: &str) {
        locked(&self.queries).remove(sql);
    }
}

/// A panic of another holder leaves these maps whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection that is opened again when it was lost.
pub(super) struct Link {
    config: Config,
    role: Role,
    connection: Option<Arc<Connection>>,
    /// Since when the database is known to be down.
    failed: Option<(Instant, StoreError)>,
}

impl Link {
    pub fn new(config: Config, role: Role) -> Self {
        Link {
            config,
            role,
            connection: None,
            failed: None,
        }
    }

    /// The live connection. When it was lost this tries for a while; once given up, a try now and then, and an
    /// immediate error between them.
    pub async fn get(&mut self) -> Result<Arc<Connection>, StoreError> {
        if let Some(connection) = &self.connection {
            if !connection.client.is_closed() {
                return Ok(Arc::clone(connection));
            }
            self.connection = None;
        }
        let opened = match &self.failed {
            Some((at, error)) if at.elapsed() < PAUSE => return Err(error.clone()),
            Some(_) => Connection::open(&self.config, self.role)
                .await
                .map_err(|error| failed(&error)),
            None => self.open_patiently().await,
        };
        match opened {
            Ok(connection) => {
                self.failed = None;
                Ok(Arc::clone(self.connection.insert(Arc::new(connection))))
            }
            Err(error) => {
                self.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn open_patiently(&self) -> Result<Connection, StoreError> {
        let mut last = StoreError::unavailable("no connection within five seconds");
        let tries = async {
            let mut pause = Duration::from_millis(20);
            loop {
                match Connection::open(&self.config, self.role).await {
                    Ok(connection) => return connection,
                    Err(error) => last = failed(&error),
                }
                sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(500));
            }
        };
        timeout(PATIENCE, tries).await.map_err(|_| last)
    }

    /// Drops the connection: its state is not known.
    pub fn reset(&mut self) {
        self.connection = None;
    }
}

/// A link many callers read through at once; the connection pipelines them.
pub(super) struct Shared {
    current: Mutex<Option<Arc<Connection>>>,
    link: tokio::sync::Mutex<Link>,
}

impl Shared {
    pub fn new(link: Link) -> Self {
        Shared {
            current: Mutex::default(),
            link: tokio::sync::Mutex::new(link),
        }
    }

    fn current(&self) -> Option<Arc<Connection>> {
        let current = locked(&self.current);
        current
            .as_ref()
            .filter(|connection| !connection.client.is_closed())
            .cloned()
    }

    pub async fn get(&self) -> Result<Arc<Connection>, StoreError> {
        if let Some(connection) = self.current() {
            return Ok(connection);
        }
        let connection = self.link.lock().await.get().await?;
        *locked(&self.current) = Some(Arc::clone(&connection));
        Ok(connection)
    }

    pub fn close(&self) {
        locked(&self.current).take();
        if let Ok(mut link) = self.link.try_lock() {
            link.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_fell_silent_is_noticed_within_half_a_minute_unless_the_address_says_otherwise() {
        let usual = config("host=127.0.0.1").unwrap();
        let probes = usual.get_keepalives_retries().unwrap();
        let noticed = usual.get_keepalives_idle() + usual.get_keepalives_interval().unwrap() * probes;
        assert_eq!(noticed, Duration::from_secs(30));
        let own =
            config("host=127.0.0.1 keepalives_idle=60 keepalives_interval=7 keepalives_retries=2").unwrap();
        assert_eq!(own.get_keepalives_idle(), Duration::from_secs(60));
        assert_eq!(own.get_keepalives_interval(), Some(Duration::from_secs(7)));
        assert_eq!(own.get_keepalives_retries(), Some(2));
    }
}
