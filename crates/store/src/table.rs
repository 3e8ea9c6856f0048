//! How a table looks to the store: enough to generate both engines' statements.

use crate::{StoreError, Value};

/// The kind of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 64-bit integer.
    Int,
    /// Text.
    Text,
    /// Bytes.
    Blob,
}

/// A column of a [`Table`].
#[derive(Debug)]
pub struct Column {
    /// Its name, the same on both engines.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may be null.
    pub nullable: bool,
}

/// A table. Values are passed in the order of `columns`.
#[derive(Debug)]
pub struct Table {
    /// Its name, the same on both engines.
    pub name: &'static str,
    /// All columns, in order.
    pub columns: &'static [Column],
    /// The first `key` columns are the primary key.
    pub key: usize,
    /// Index of the column that compare-and-set looks at.
    pub version: Option<usize>,
    /// Whether a unique constraint beside the key exists.
    pub unique: bool,
}

impl Table {
    /// The column names, comma-separated, in order: what a SELECT lists to get whole rows.
    pub fn column_list(&self) -> String {
        names(self.columns)
    }

    /// The key columns.
    pub fn key_columns(&self) -> &'static [Column] {
        &self.columns[..self.key]
    }

    /// The columns beside the key.
    pub fn other_columns(&self) -> &'static [Column] {
        &self.columns[self.key..]
    }

    /// What an update sets, with each column's position: all beside the key but `created_at`, which is written once. An index that
    /// holds it is then left alone. (A last column stays, so that a statement has as many markers as a row has values.)
    pub(crate) fn updated_columns(&self) -> impl Iterator<Item = (usize, &'static Column)> {
        let last = self.columns.len() - 1;
        let beside = self.columns.iter().enumerate().skip(self.key);
        beside.filter(move |(at, column)| column.name != "created_at" || *at == last)
    }

    /// The version column's name.
    pub(crate) fn version_name(&self) -> Result<&'static str, StoreError> {
        self.version
            .map(|i| self.columns[i].name)
            .ok_or_else(|| StoreError::invalid(format!("{} has no version column", self.name)))
    }

    /// Whether it counts something: one integer beside the key.
    pub(crate) fn counts(&self) -> Result<(), StoreError> {
        match self.other_columns() {
            [only] if only.kind == Kind::Int => Ok(()),
            _ => Err(StoreError::invalid(format!(
                "{} is no table of counters",
                self.name
            ))),
        }
    }

    pub(crate) fn check_row(&self, row: &[Value]) -> Result<(), StoreError> {
        self.check(self.columns, row)
    }

    pub(crate) fn check_key(&self, key: &[Value]) -> Result<(), StoreError> {
        self.check(self.key_columns(), key)
    }

    fn check(&self, columns: &[Column], values: &[Value]) -> Result<(), StoreError> {
        if columns.len() != values.len() {
            let (name, wanted, found) = (self.name, columns.len(), values.len());
            return Err(StoreError::invalid(format!(
                "{name} takes {wanted} values here, not {found}"
            )));
        }
        for (column, value) in columns.iter().zip(values) {
            let fits = match (value, column.kind) {
                (Value::Null, _) => column.nullable,
                (Value::Int(_), Kind::Int) | (Value::Text(_), Kind::Text) | (Value::Blob(_), Kind::Blob) => {
                    true
                }
                _ => false,
            };
            if !fits {
                let (kind, found) = (column.kind, value.kind_name());
                let reason = format!("{}.{} is {kind:?}, not {found}", self.name, column.name);
                return Err(StoreError::invalid(reason));
            }
            value.check_text()?;
        }
        Ok(())
    }
}

/// Names, comma-separated.
pub(crate) fn names(columns: &[Column]) -> String {
    columns.iter().map(|c| c.name).collect::<Vec<_>>().join(", ")
}
