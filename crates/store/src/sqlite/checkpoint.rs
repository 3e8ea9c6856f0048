//! Copies the write-ahead log into the file on a thread and a connection of its own, so that a commit waits for little of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
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

/// How often the last copy is tried, and the pause between: another program may copy at that moment.
const LAST_TRIES: u32 = 200;
const LAST_PAUSE: Duration = Duration::from_millis(25);

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

/// Ends the copier and leaves nothing in the log.
pub(super) fn finish(writer: &mut Connection, copier: JoinHandle<()>) {
    // With the hook goes the last one who asks the copier.
    if let Err(error) = writer.wal_hook(None::<fn(&mut rusqlite::hooks::Wal, i32) -> rusqlite::Result<()>>) {
        tracing::warn!(%error, "the log's copier is not told to end");
        return;
    }
    if copier.join().is_err() {
        tracing::error!("the log's copier had panicked");
    }
    for _ in 0..LAST_TRIES {
        // Its first column says whether somebody was in the way. For this lock SQLite does not wait by itself.
        match writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)) {
            Ok(0) => return,
            Ok(_) => std::thread::sleep(LAST_PAUSE),
            Err(error) => {
                tracing::warn!(%error, "the last copy of the log failed; the next start does it");
                return;
            }
        }
    }
    tracing::warn!(
        "the log was not copied: another program holds the database; copy kessai.db-wal with kessai.db"
    );
}
