//! Copies the write-ahead log into the file on a thread and a connection of its own, so that no commit waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use rusqlite::Connection;

use super::sql::failed;
use crate::StoreError;

/// One pass copies most of it, the next ones what came meanwhile.
const PASSES: usize = 3;
/// So few pages are left to the writer.
const FEW: i64 = 200;
/// How long the writer waits for readers that still need the log's old pages before it begins the log anew. Later is soon enough.
const READERS: Duration = Duration::from_millis(5);
/// Should nobody copy, the writer does it at so many times the usual length.
const TOO_LONG: i32 = 16;

/// Said by whoever copies: little is left, the log can begin anew.
pub(super) type Rewind = Arc<AtomicBool>;

/// Has the log copied whenever it grew by `every` pages; the writer asks for it from the hook behind its commits.
pub(super) fn ask_every(
    writer: &mut Connection,
    every: u32,
    ask: flume::Sender<()>,
    rewind: Rewind,
) -> Result<(), StoreError> {
    let every = i32::try_from(every).unwrap_or(i32::MAX / TOO_LONG).max(1);
    let (mut last, mut asked_at) = (0_i32, 0_i32);
    writer
        .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
            if pages < last {
                asked_at = 0;
            }
            last = pages;
            if pages >= asked_at.saturating_add(every) {
                asked_at = pages;
                // full: it is asked for already
                let _ = ask.try_send(());
                if pages >= every.saturating_mul(TOO_LONG) {
                    rewind.store(true, Relaxed);
                }
            }
            Ok(())
        }))
        .map_err(failed)
}

/// Copies whenever it is asked to, until nobody is left to ask.
pub(super) fn run(connection: &Connection, asked: &flume::Receiver<()>, rewind: &AtomicBool) {
    while asked.recv().is_ok() {
        for _ in 0..PASSES {
            let left = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
                Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?)
            });
            match left {
                Ok(left) if left >= FEW => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "the write-ahead log could not be copied; the writer will");
                    break;
                }
            }
        }
        rewind.store(true, Relaxed);
    }
}

/// The writer's part, between two batches: copies what is left and begins the log anew, unless a reader still needs it.
pub(super) fn rewind(writer: &Connection, usual_wait: Duration) {
    let begun = writer
        .busy_timeout(READERS)
        .and_then(|()| writer.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())));
    if let Err(error) = begun {
        tracing::warn!(%error, "the write-ahead log could not begin anew; it grows until the next try");
    }
    if let Err(error) = writer.busy_timeout(usual_wait) {
        tracing::error!(%error, "the writer waits less than usual for locks");
    }
}
