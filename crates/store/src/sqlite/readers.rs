//! Reader threads: each owns a connection that cannot write.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::sql::{self, Texts};
use crate::queue::Reply;
use crate::{Row, Value};

/// Reads that may wait.
pub(super) const QUEUE: usize = 1024;

/// A message to a reader.
pub(super) enum Read {
    Query {
        sql: Cow<'static, str>,
        params: Vec<Value>,
        reply: Reply<Vec<Row>>,
    },
    Stop(oneshot::Sender<()>),
}

pub(super) fn run(connection: Connection, reads: &flume::Receiver<Read>) {
    let mut texts = Texts::default();
    while let Ok(read) = reads.recv() {
        match read {
            Read::Query { sql, params, reply } => answer(&connection, &mut texts, sql, &params, reply),
            Read::Stop(stopped) => {
                drop(connection);
                let _ = stopped.send(());
                return;
            }
        }
    }
}

/// A panic costs its caller the answer, not the store its reader.
pub(super) fn answer(
    connection: &Connection,
    texts: &mut Texts,
    sql: Cow<'static, str>,
    params: &[Value],
    reply: Reply<Vec<Row>>,
) {
    let read = AssertUnwindSafe(|| reply.send(sql::query(connection, texts, sql, params)));
    if catch_unwind(read).is_err() {
        tracing::error!("a read panicked");
    }
}
