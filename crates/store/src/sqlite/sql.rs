//! SQL as SQLite wants it: generated statements, `$n` to `?n`, values in and out, errors.

use std::borrow::Cow;
use std::collections::HashMap;

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, params_from_iter};

use crate::table::{Table, names};
use crate::{Row, StoreError, Value};

/// What a generated statement does.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Verb {
    InsertNew,
    Insert,
    Update,
    UpdateFrom,
    Delete,
    DeleteFrom,
    Take,
    Add,
}

/// Generated and rewritten texts, made once each.
#[derive(Default)]
pub(super) struct Texts {
    generated: HashMap<(&'static str, Verb), Box<str>>,
    rewritten: HashMap<Cow<'static, str>, Box<str>>,
}

/// Distinct query texts kept; a hub has a few hundred, a bug could make more.
const REWRITTEN: usize = 1024;

impl Texts {
    pub fn generated(&mut self, table: &'static Table, verb: Verb) -> &str {
        self.generated
            .entry((table.name, verb))
            .or_insert_with(|| generate(table, verb).into())
    }

    pub fn rewritten(&mut self, sql: Cow<'static, str>) -> &str {
        if self.rewritten.len() >= REWRITTEN && !self.rewritten.contains_key(&sql) {
            self.rewritten.clear();
        }
        self.rewritten
            .entry(sql)
            .or_insert_with_key(|sql| rewrite(sql).into())
    }
}

fn generate(table: &Table, verb: Verb) -> String {
    let name = table.name;
    let marks = (1..=table.columns.len())
        .map(|n| format!("?{n}"))
        .collect::<Vec<_>>()
        .join(", ");
    let key = (1..)
        .zip(table.key_columns())
        .map(|(n, c)| format!("{} = ?{n}", c.name))
        .collect::<Vec<_>>()
        .join(" AND ");
    let set = table
        .updated_columns()
        .map(|(at, c)| format!("{} = ?{}", c.name, at + 1))
        .collect::<Vec<_>>()
        .join(", ");
    let version = table.version.map_or("", |i| table.columns[i].name);
    match verb {
        Verb::Insert => format!("INSERT INTO {name} ({}) VALUES ({marks})", table.column_list()),
        Verb::InsertNew => format!("{} ON CONFLICT DO NOTHING", generate(table, Verb::Insert)),
        Verb::Update => format!("UPDATE {name} SET {set} WHERE {key}"),
        Verb::UpdateFrom => format!(
            "UPDATE {name} SET {set} WHERE {key} AND {version} = ?{}",
            table.columns.len() + 1
        ),
        Verb::Delete => format!("DELETE FROM {name} WHERE {key}"),
        Verb::DeleteFrom => format!(
            "DELETE FROM {name} WHERE {key} AND {version} = ?{}",
            table.key + 1
        ),
        Verb::Take => {
            let (left, amount) = (table.columns[table.key].name, table.key + 1);
            format!("UPDATE {name} SET {left} = {left} - ?{amount} WHERE {key} AND {left} >= ?{amount}")
        }
        Verb::Add => {
            let sum = table.columns[table.key].name;
            let insert = generate(table, Verb::Insert);
            let key = names(table.key_columns());
            format!("{insert} ON CONFLICT ({key}) DO UPDATE SET {sum} = {sum} + excluded.{sum}")
        }
    }
}

/// `$1` to `?1`: SQLite takes `$1` for a *name*, numbered by first appearance, so `$2 … $1` would bind the wrong way round.
fn rewrite(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut quote = None;
    let mut chars = sql.chars().peekable();
    while let Some(c) = chars.next() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '\'' || c == '"' => quote = Some(c),
            None if c == '$' && chars.peek().is_some_and(char::is_ascii_digit) => {
                out.push('?');
                continue;
            }
            None => {}
        }
        out.push(c);
    }
    out
}

/// A value on its way into a statement.
pub(super) struct Bound<'a>(pub &'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Int(int) => ValueRef::Integer(*int),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(blob) => ValueRef::Blob(blob),
        }))
    }
}

/// Runs a statement that returns rows.
pub(super) fn rows(statement: &mut CachedStatement<'_>, params: &[Value]) -> Result<Vec<Row>, QueryError> {
    let columns = statement.column_count();
    let mut found = statement.query(params_from_iter(params.iter().map(Bound)))?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let values = (0..columns)
            .map(|i| value(i, row.get_ref(i)?))
            .collect::<Result<Vec<_>, QueryError>>()?;
        rows.push(Row::new(values));
    }
    Ok(rows)
}

fn value(column: usize, value: ValueRef<'_>) -> Result<Value, QueryError> {
    let corrupt = |found: &str| {
        QueryError::Row(StoreError::Corrupt {
            column,
            wanted: "int, text or blob",
            found: found.into(),
        })
    };
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(int) => Value::Int(int),
        ValueRef::Text(text) => Value::Text(
            std::str::from_utf8(text)
                .map_err(|_| corrupt("text that is no UTF-8"))?
                .into(),
        ),
        ValueRef::Blob(blob) => Value::Blob(blob.into()),
        ValueRef::Real(_) => return Err(corrupt("a floating-point number")),
    })
}

/// Why a query failed: in the database, or while its rows were read.
#[derive(Debug)]
pub(super) enum QueryError {
    Sqlite(rusqlite::Error),
    Row(StoreError),
}

impl From<rusqlite::Error> for QueryError {
    fn from(error: rusqlite::Error) -> Self {
        QueryError::Sqlite(error)
    }
}

impl From<QueryError> for StoreError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Sqlite(error) => failed(error),
            QueryError::Row(error) => error,
        }
    }
}

/// Reads on a connection, with `$n` markers.
pub(super) fn query(
    connection: &Connection,
    texts: &mut Texts,
    sql: Cow<'static, str>,
    params: &[Value],
) -> Result<Vec<Row>, StoreError> {
    let mut statement = connection.prepare_cached(texts.rewritten(sql)).map_err(failed)?;
    Ok(rows(&mut statement, params)?)
}

/// Whether the statement alone failed, by a constraint, and the transaction goes on.
pub(super) fn is_constraint(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
}

/// Whether a failed COMMIT may have reached the disk after all.
pub(super) fn is_io(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
}

pub(super) fn failed(error: rusqlite::Error) -> StoreError {
    if let rusqlite::Error::SqliteFailure(code, message) = &error {
        match code.code {
            ErrorCode::ConstraintViolation => return constraint(message.as_deref().unwrap_or_default()),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                return StoreError::unavailable("another program holds the database's lock");
            }
            _ => {}
        }
    }
    StoreError::backend(error)
}

/// From "UNIQUE constraint failed: payments.shop_id, payments.id". It names columns, never values.
fn constraint(message: &str) -> StoreError {
    let columns = message
        .split_once("failed: ")
        .map_or(message, |(_, columns)| columns);
    let columns = columns
        .rsplit_once(" column ")
        .map_or(columns, |(_, column)| column);
    let table = columns.split_once('.').map_or("", |(table, _)| table);
    StoreError::Constraint {
        table: table.into(),
        constraint: message.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_rewritten_outside_quotes_only() {
        assert_eq!(
            rewrite("a=$2 AND b='$1' OR \"$3\"=$1 || $x"),
            "a=?2 AND b='$1' OR \"$3\"=?1 || $x"
        );
    }

    #[test]
    fn a_constraint_names_its_table() {
        let StoreError::Constraint { table, .. } = constraint("UNIQUE constraint failed: a.b, a.c") else {
            panic!("not a constraint")
        };
        assert_eq!(&*table, "a");
    }
}
