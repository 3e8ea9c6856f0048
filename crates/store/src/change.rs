//! Change sets: what is asked of the store in one all-or-nothing step.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::table::Table;
use crate::{StoreError, Value};

/// The most bytes one change set may carry.
pub const MAX_CHANGE_BYTES: usize = 64 << 20;

/// A condition that also writes. One refused guard refuses the whole change set. The guards of one change set must not
/// depend on each other's effect.
#[derive(Clone, Debug)]
pub enum Guard {
    /// Insert this row; refused on any unique clash.
    Insert(&'static Table, Vec<Value>),
    /// Replace the whole row (but its `created_at`, which is written once) where the key matches and the version column equals
    /// `expected`.
    Update {
        /// The table; it must have a version column.
        table: &'static Table,
        /// The new row, with its new version.
        row: Vec<Value>,
        /// The version it must have now.
        expected: i64,
    },
    /// Delete the row; refused when it is gone or has another version.
    Delete {
        /// The table.
        table: &'static Table,
        /// The key.
        key: Vec<Value>,
        /// The version it must have now, if that matters.
        expected: Option<i64>,
    },
    /// Subtract from the table's single column beside the key, which must be an integer; refused when less than that is there, or no such
    /// row. Many may take from one row at once: nobody needs to know what is left. Give back with [`Op::Add`].
    Take {
        /// The table. Its key has no column `slot`.
        table: &'static Table,
        /// The key.
        key: Vec<Value>,
        /// What to subtract: more than zero.
        amount: i64,
    },
}

/// A plain write, done when no guard refused.
#[derive(Clone, Debug)]
pub enum Op {
    /// Insert this row; a clash is [`StoreError::Constraint`].
    Insert(&'static Table, Vec<Value>),
    /// Replace the whole row with this key (but its `created_at`). Does nothing when there is none: use a guard where that matters.
    Update(&'static Table, Vec<Value>),
    /// Delete the row with this key, if there is one.
    Delete(&'static Table, Vec<Value>),
    /// Add to the table's single column beside the key, which must be an integer; the row appears when missing. Where the key has a
    /// column `slot`, a store may spread the sum over several of them: read `SUM`.
    Add {
        /// The table.
        table: &'static Table,
        /// The key.
        key: Vec<Value>,
        /// What to add; may be negative.
        delta: i64,
    },
}

/// What is committed in one step: all of it or nothing. A row may be touched once per change set (counters as often as
/// one likes).
#[derive(Clone, Debug, Default)]
pub struct ChangeSet {
    /// Conditions: all hold, or nothing is written. Of several that do not hold, the first is named.
    pub guards: Vec<Guard>,
    /// Plain writes.
    pub ops: Vec<Op>,
}

/// How a commit ended.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// All of it is durable.
    Done,
    /// This guard (by index) refused; nothing was written.
    Refused {
        /// The first guard that refused.
        guard: usize,
    },
}

impl Commit {
    /// Whether it was done.
    pub fn is_done(self) -> bool {
        self == Commit::Done
    }
}

impl ChangeSet {
    /// An empty one.
    pub fn new() -> Self {
        ChangeSet::default()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.guards.is_empty() && self.ops.is_empty()
    }

    /// Adds [`Guard::Insert`].
    pub fn guard_insert(mut self, table: &'static Table, row: Vec<Value>) -> Self {
        self.guards.push(Guard::Insert(table, row));
        self
    }

    /// Adds [`Guard::Update`].
    pub fn guard_update(mut self, table: &'static Table, row: Vec<Value>, expected: i64) -> Self {
        self.guards.push(Guard::Update { table, row, expected });
        self
    }

    /// Adds [`Guard::Delete`].
    pub fn guard_delete(mut self, table: &'static Table, key: Vec<Value>, expected: Option<i64>) -> Self {
        self.guards.push(Guard::Delete { table, key, expected });
        self
    }

    /// Adds [`Guard::Take`].
    pub fn guard_take(mut self, table: &'static Table, key: Vec<Value>, amount: i64) -> Self {
        self.guards.push(Guard::Take { table, key, amount });
        self
    }

    /// Adds [`Op::Insert`].
    pub fn insert(mut self, table: &'static Table, row: Vec<Value>) -> Self {
        self.ops.push(Op::Insert(table, row));
        self
    }

    /// Adds [`Op::Update`].
    pub fn update(mut self, table: &'static Table, row: Vec<Value>) -> Self {
        self.ops.push(Op::Update(table, row));
        self
    }

    /// Adds [`Op::Delete`].
    pub fn delete(mut self, table: &'static Table, key: Vec<Value>) -> Self {
        self.ops.push(Op::Delete(table, key));
        self
    }

    /// Adds [`Op::Add`].
    pub fn add(mut self, table: &'static Table, key: Vec<Value>, delta: i64) -> Self {
        self.ops.push(Op::Add { table, key, delta });
        self
    }

    /// Appends all of another change set, its guards after ours.
    pub fn append(&mut self, other: ChangeSet) {
        self.guards.extend(other.guards);
        self.ops.extend(other.ops);
    }
}

/// A change set that fits its tables, with the rows it touches.
#[derive(Debug)]
pub(crate) struct Checked {
    pub set: ChangeSet,
    /// Hashes of the keys it writes.
    pub writes: Vec<u64>,
    /// Hashes of the keys it only adds to: such changes may share a batch.
    pub adds: Vec<u64>,
    /// Hashes of the keys it only takes from: such changes, too.
    pub takes: Vec<u64>,
    /// Its size in bytes, roughly.
    pub size: usize,
}

impl Checked {
    pub fn new(set: ChangeSet) -> Result<Self, StoreError> {
        let (mut writes, mut adds, mut takes, mut size) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for guard in &set.guards {
            let values = match guard {
                Guard::Insert(table, row) => table.check_row(row).map(|()| row)?,
                Guard::Update { table, row, .. } => {
                    table.version_name()?;
                    table.check_row(row).map(|()| row)?
                }
                Guard::Delete { table, key, expected } => {
                    if expected.is_some() {
                        table.version_name()?;
                    }
                    table.check_key(key).map(|()| key)?
                }
                Guard::Take { table, key, amount } => {
                    table.counts()?;
                    if *amount <= 0 {
                        return Err(StoreError::invalid(format!("{amount} cannot be taken")));
                    }
                    table.check_key(key).map(|()| key)?
                }
            };
            size += values.iter().map(Value::size).sum::<usize>();
            let (table, key) = guard.touches();
            if matches!(guard, Guard::Take { .. }) {
                &mut takes
            } else {
                &mut writes
            }
            .push(hash(table, key));
        }
        for op in &set.ops {
            let values = match op {
                Op::Insert(table, row) | Op::Update(table, row) => table.check_row(row).map(|()| row)?,
                Op::Delete(table, key) => table.check_key(key).map(|()| key)?,
                Op::Add { table, key, .. } => {
                    table.counts()?;
                    table.check_key(key).map(|()| key)?
                }
            };
            size += values.iter().map(Value::size).sum::<usize>();
            let (table, key) = op.touches();
            if matches!(op, Op::Add { .. }) {
                &mut adds
            } else {
                &mut writes
            }
            .push(hash(table, key));
        }
        if size > MAX_CHANGE_BYTES {
            return Err(StoreError::invalid(format!(
                "{size} bytes are more than {MAX_CHANGE_BYTES}"
            )));
        }
        let checked = Checked {
            set,
            writes,
            adds,
            takes,
            size,
        };
        checked.each_row_once()?;
        Ok(checked)
    }

    /// The engines order the writes of one change set differently; with each row touched once it cannot be seen.
    fn each_row_once(&self) -> Result<(), StoreError> {
        let mut sorted = [&self.writes[..], &self.takes].concat();
        sorted.sort_unstable();
        let doubtful = sorted.windows(2).any(|pair| pair[0] == pair[1])
            || self.adds.iter().any(|add| sorted.binary_search(add).is_ok());
        if !doubtful {
            return Ok(());
        }
        let ops = self
            .set
            .ops
            .iter()
            .map(|op| (op.touches(), matches!(op, Op::Add { .. })));
        let guards = self.set.guards.iter().map(|guard| (guard.touches(), false));
        let mut seen = std::collections::HashMap::new();
        for ((table, key), adds) in guards.chain(ops) {
            if seen
                .insert((table.name, key), adds)
                .is_some_and(|before| !(before && adds))
            {
                return Err(StoreError::invalid(format!(
                    "a row of {} is touched twice",
                    table.name
                )));
            }
        }
        Ok(())
    }
}

impl Guard {
    /// The table and the key of the row it touches.
    pub(crate) fn touches(&self) -> (&'static Table, &[Value]) {
        match self {
            Guard::Insert(table, row) | Guard::Update { table, row, .. } => (table, &row[..table.key]),
            Guard::Delete { table, key, .. } | Guard::Take { table, key, .. } => (table, key),
        }
    }
}

impl Op {
    /// The table and the key of the row it touches.
    pub(crate) fn touches(&self) -> (&'static Table, &[Value]) {
        match self {
            Op::Insert(table, row) | Op::Update(table, row) => (table, &row[..table.key]),
            Op::Delete(table, key) | Op::Add { table, key, .. } => (table, key),
        }
    }
}

fn hash(table: &Table, key: &[Value]) -> u64 {
    let mut hasher = DefaultHasher::new();
    table.name.hash(&mut hasher);
    key.hash(&mut hasher);
    hasher.finish()
}
