//! SQL as PostgreSQL wants it: generated set-based statements, values in and out, errors.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::table::{Column, Kind, Table, names};
use crate::{Row, StoreError, Value};

/// The key column that spreads a counter over several rows.
const SLOT: &str = "slot";
/// Over how many.
const SLOTS: u32 = 16;

/// What a generated statement does. Ordered: where two verbs meet in one table, what makes room goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Verb {
    Lock,
    GuardDelete,
    GuardDeleteFrom,
    GuardUpdate,
    GuardInsert,
    GuardTake,
    Delete,
    Update,
    Insert,
    Add,
}

impl Verb {
    /// How many columns of the table its rows carry.
    pub fn width(self, table: &Table) -> usize {
        match self {
            Verb::Lock
            | Verb::GuardDelete
            | Verb::GuardDeleteFrom
            | Verb::GuardTake
            | Verb::Delete
            | Verb::Add => table.key,
            Verb::GuardUpdate | Verb::GuardInsert | Verb::Update | Verb::Insert => table.columns.len(),
        }
    }

    /// Whether an integer of its own follows them: an expected version, or a sum to add or to take.
    pub fn numbered(self) -> bool {
        matches!(
            self,
            Verb::GuardDeleteFrom | Verb::GuardUpdate | Verb::GuardTake | Verb::Add
        )
    }
}

/// One statement for these writes: several go as one `WITH`, so that the server answers once. They must not depend on each other,
/// since all see the state before any of them. The first `counted` of them must come to as many rows as the integers after all
/// arrays say; else it fails with [`NOT_AS_COUNTED`].
pub(super) fn generate(writes: &[(&Table, Verb)], counted: usize) -> String {
    if let ([(table, verb)], 0) = (writes, counted) {
        return generate_one(table, *verb, 1);
    }
    let mut next = 1;
    let parts: Vec<String> = writes
        .iter()
        .enumerate()
        .map(|(n, (table, verb))| {
            let part = format!("w{n} AS ({})", generate_one(table, *verb, next));
            next += verb.width(table) + usize::from(verb.numbered());
            part
        })
        .collect();
    let as_counted: Vec<String> = (0..counted)
        .map(|n| format!("(SELECT count(*) FROM w{n}) = ${}::bigint", next + n))
        .collect();
    let result = if as_counted.is_empty() {
        "1".to_owned()
    } else {
        // The server's log shows the text. Taken from a row, since a constant would be cast when the statement is planned.
        format!(
            "CASE WHEN {} THEN 1 ELSE CAST((SELECT '{REFUSED}' || coalesce(left(max(1)::text, 0), '') FROM w0) AS int) END",
            as_counted.join(" AND ")
        )
    };
    format!("WITH {} SELECT {result}", parts.join(", "))
}

/// Casting a text to an integer fails: nothing else of ours does.
pub(super) const NOT_AS_COUNTED: &SqlState = &SqlState::INVALID_TEXT_REPRESENTATION;
/// What it says there.
const REFUSED: &str = "kessai: a condition refused a batch; it is tried in parts and nothing is lost";

/// One statement for any number of rows; each column is an array, the first of them marked `$first`.
fn generate_one(table: &Table, verb: Verb, first: usize) -> String {
    let name = table.name;
    let columns = &table.columns[..verb.width(table)];
    let unnest = unnest(columns, verb.numbered(), first);
    let list = table.column_list();
    let given = names(columns);
    let key = table
        .key_columns()
        .iter()
        .map(|c| format!("{name}.{0} = u.{0}", c.name))
        .collect::<Vec<_>>()
        .join(" AND ");
    let set = table
        .updated_columns()
        .map(|(_, c)| format!("{0} = u.{0}", c.name))
        .collect::<Vec<_>>()
        .join(", ");
    let version = table.version.map_or("", |i| table.columns[i].name);
    let with = "WITH ORDINALITY AS";
    match verb {
        Verb::Lock => {
            let order = columns
                .iter()
                .map(|c| format!("{name}.{}", c.name))
                .collect::<Vec<_>>()
                .join(", ");
            format!(
                "SELECT 1 FROM {name} JOIN {unnest} AS u({given}) ON {key} ORDER BY {order} FOR UPDATE OF {name}"
            )
        }
        Verb::GuardDelete => {
            format!(
                "DELETE FROM {name} USING {unnest} {with} u({given}, ordinal) WHERE {key} RETURNING u.ordinal"
            )
        }
        Verb::GuardDeleteFrom => format!(
            "DELETE FROM {name} USING {unnest} {with} u({given}, expected, ordinal) \
             WHERE {key} AND {name}.{version} = u.expected RETURNING u.ordinal"
        ),
        Verb::GuardUpdate => format!(
            "UPDATE {name} SET {set} FROM {unnest} {with} u({given}, expected, ordinal) \
             WHERE {key} AND {name}.{version} = u.expected RETURNING u.ordinal"
        ),
        Verb::GuardInsert => {
            let key = names(table.key_columns());
            format!(
                "INSERT INTO {name} ({list}) SELECT * FROM {unnest} ON CONFLICT DO NOTHING RETURNING {key}"
            )
        }
        Verb::GuardTake => {
            let left = table.columns[table.key].name;
            format!(
                "UPDATE {name} SET {left} = {name}.{left} - u.taken FROM {unnest} {with} u({given}, taken, ordinal) \
                 WHERE {key} AND {name}.{left} >= u.taken RETURNING u.ordinal"
            )
        }
        Verb::Delete => format!("DELETE FROM {name} USING {unnest} AS u({given}) WHERE {key}"),
        Verb::Update => format!("UPDATE {name} SET {set} FROM {unnest} AS u({given}) WHERE {key}"),
        Verb::Insert => format!("INSERT INTO {name} ({list}) SELECT * FROM {unnest}"),
        Verb::Add => {
            let (key, sum) = (names(table.key_columns()), table.columns[table.key].name);
            let all = names(table.columns);
            // A connection adds to rows of its own, so that writers need not wait for each other's COMMIT.
            let values = table
                .columns
                .iter()
                .map(|c| match c.name {
                    SLOT => format!("u.{SLOT} + pg_backend_pid() % {SLOTS}"),
                    other => format!("u.{other}"),
                })
                .collect::<Vec<_>>()
                .join(", ");
            format!(
                "INSERT INTO {name} ({list}) SELECT {values} FROM {unnest} AS u({all}) \
                 ON CONFLICT ({key}) DO UPDATE SET {sum} = {name}.{sum} + excluded.{sum}"
            )
        }
    }
}

fn unnest(columns: &[Column], numbered: bool, first: usize) -> String {
    let kinds = columns
        .iter()
        .map(|c| c.kind)
        .chain(numbered.then_some(Kind::Int));
    let arrays = (first..).zip(kinds).map(|(n, kind)| match kind {
        Kind::Int => format!("${n}::bigint[]"),
        Kind::Text => format!("${n}::text[]"),
        Kind::Blob => format!("${n}::bytea[]"),
    });
    format!("UNNEST({})", arrays.collect::<Vec<_>>().join(", "))
}

/// A value on its way into a statement.
#[derive(Debug)]
pub(super) struct Param<'a>(pub &'a Value);

impl ToSql for Param<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self.0 {
            Value::Null => Ok(IsNull::Yes),
            // in expressions PostgreSQL may settle on a smaller type for a marker
            Value::Int(int) if *ty == Type::INT4 => i32::try_from(*int)?.to_sql(ty, out),
            Value::Int(int) if *ty == Type::INT2 => i16::try_from(*int)?.to_sql(ty, out),
            Value::Int(int) if *ty == Type::BOOL => (*int != 0).to_sql(ty, out),
            Value::Int(int) if *ty == Type::INT8 => int.to_sql(ty, out),
            Value::Text(text) if <&str as ToSql>::accepts(ty) => (&**text).to_sql(ty, out),
            Value::Blob(blob) if *ty == Type::BYTEA => (&**blob).to_sql(ty, out),
            other => Err(format!("{} given where the statement takes {ty}", other.kind_name()).into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A value on its way out.
struct Cell(Value);

impl<'a> FromSql<'a> for Cell {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Cell(match *ty {
            Type::INT8 => Value::Int(i64::from_sql(ty, raw)?),
            Type::INT4 => Value::Int(i32::from_sql(ty, raw)?.into()),
            Type::INT2 => Value::Int(i16::from_sql(ty, raw)?.into()),
            Type::BOOL => Value::from(bool::from_sql(ty, raw)?),
            Type::BYTEA => Value::Blob(raw.into()),
            _ if <&str as FromSql>::accepts(ty) => Value::Text(<&str>::from_sql(ty, raw)?.into()),
            _ => return Err(format!("{ty}; cast it to BIGINT, TEXT or BYTEA").into()),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Cell(Value::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

pub(super) fn row(row: &tokio_postgres::Row) -> Result<Row, StoreError> {
    let value = |column| {
        row.try_get::<_, Cell>(column)
            .map(|cell| cell.0)
            .map_err(|error| {
                let found = error
                    .source()
                    .map_or_else(|| error.to_string(), ToString::to_string);
                StoreError::Corrupt {
                    column,
                    wanted: "int, text or blob",
                    found: found.into(),
                }
            })
    };
    Ok(Row::new((0..row.len()).map(value).collect::<Result<_, _>>()?))
}

/// What to make of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Two transactions stood in each other's way (conflict, deadlock, lock wait): the same again.
    Again,
    /// The connection is gone, or leads to a server that cannot serve.
    Connection,
    /// The table changed under a prepared statement.
    StalePlan,
    /// An echo of an earlier error in the same transaction.
    Aborted,
    /// The statement itself was refused.
    Statement,
}

pub(super) fn class(error: &tokio_postgres::Error) -> Class {
    let Some(state) = error.code() else {
        return Class::Connection;
    };
    match state {
        s if ["40001", "40P01", "55P03"].contains(&s.code()) => Class::Again,
        s if *s == SqlState::IN_FAILED_SQL_TRANSACTION => Class::Aborted,
        s if *s == SqlState::FEATURE_NOT_SUPPORTED => Class::StalePlan,
        // also 25006: a primary that became a standby
        s if s.code().starts_with("08")
            || s.code().starts_with("57P")
            || ["25006", "25P03", "40003", "53300"].contains(&s.code()) =>
        {
            Class::Connection
        }
        _ => Class::Statement,
    }
}

pub(super) fn failed(error: &tokio_postgres::Error) -> StoreError {
    if let Some(db) = error.as_db_error()
        && db.code().code().starts_with("23")
    {
        let constraint = db.constraint().or(db.column()).unwrap_or(db.code().code());
        return StoreError::Constraint {
            table: db.table().unwrap_or_default().into(),
            constraint: constraint.into(),
        };
    }
    match class(error) {
        Class::Connection | Class::Again => StoreError::unavailable(describe(error)),
        _ => StoreError::backend(PgFailure(describe(error))),
    }
}

/// The error without its detail, which quotes the values of rows.
pub(super) fn describe(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(db), _) => format!("{} ({})", db.message(), db.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct PgFailure(String);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{COUNTS, SETTINGS};

    #[test]
    fn statements_are_set_based() {
        assert_eq!(
            generate(&[(&SETTINGS, Verb::GuardUpdate)], 0),
            "UPDATE settings SET value = u.value, version = u.version FROM UNNEST($1::text[], $2::text[], $3::bigint[], $4::bigint[]) \
             WITH ORDINALITY AS u(name, value, version, expected, ordinal) \
             WHERE settings.name = u.name AND settings.version = u.expected RETURNING u.ordinal"
        );
        assert!(generate(&[(&COUNTS, Verb::Add)], 0).ends_with("DO UPDATE SET n = counts.n + excluded.n"));
    }

    #[test]
    fn several_writes_go_as_one_statement_with_markers_in_a_row() {
        assert_eq!(
            generate(&[(&SETTINGS, Verb::GuardDelete), (&SETTINGS, Verb::Insert)], 1),
            "WITH w0 AS (DELETE FROM settings USING UNNEST($1::text[]) WITH ORDINALITY AS u(name, ordinal) \
             WHERE settings.name = u.name RETURNING u.ordinal), \
             w1 AS (INSERT INTO settings (name, value, version) SELECT * FROM UNNEST($2::text[], $3::text[], $4::bigint[])) \
             SELECT CASE WHEN (SELECT count(*) FROM w0) = $5::bigint THEN 1 \
             ELSE CAST((SELECT 'kessai: a condition refused a batch; it is tried in parts and nothing is lost' \
             || coalesce(left(max(1)::text, 0), '') FROM w0) AS int) END"
        );
    }
}
