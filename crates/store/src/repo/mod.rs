//! Typed rows: one struct per table, and the questions the hub asks. The SQL is written once for both backends.
mod directory;
mod office;
mod payments;
mod platform;
mod reconcile;
mod stock;

pub use directory::*;
pub use office::*;
pub use payments::*;
pub use platform::*;
pub use reconcile::*;
pub use stock::*;

use crate::{Row, StoreError, Value};
use jiff::Timestamp;

/// A column's Rust type.
pub trait Field: Sized {
    /// To a column value.
    fn into_value(self) -> Value;
    /// From column `index` of `row`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the column holds something else.
    fn from_row(row: &mut Row, index: usize) -> Result<Self, StoreError>;
}

impl Field for i64 {
    fn into_value(self) -> Value {
        Value::Int(self)
    }
    fn from_row(row: &mut Row, index: usize) -> Result<Self, StoreError> {
        row.int(index)
    }
}

impl Field for Option<i64> {
    fn into_value(self) -> Value {
        self.map_or(Value::Null, Value::Int)
    }
    fn from_row(row: &mut Row, index: usize) -> Result<Self, StoreError> {
        row.opt_int(index)
    }
}

impl Field for Box<str> {
    fn into_value(self) -> Value {
        Value::Text(self)
    }
    fn from_row(row: &mut Row, index: usize) -> Result<Self, StoreError> {
        row.take_text(index)
    }
}

impl Field for Option<Box<str>> {
    fn into_value(self) -> Value {
        self.map_or(Value::Null, Value::Text)
    }
    fn from_row(row: &mut Row, index: usize) -> Result<Self, StoreError> {
        Ok(row.opt_text(index)?.map(Into::into))
    }
}

impl Field for Vec<u8> {
    fn into_value(self) -> Value {
        Value::Blob(self.into())
    }
    fn from_row(row: &mut Row, index: usize) -> Result<Self, StoreError> {
        Ok(row.blob(index)?.to_vec())
    }
}

impl Field for Option<Vec<u8>> {
    fn into_value(self) -> Value {
        self.map_or(Value::Null, |bytes| Value::Blob(bytes.into()))
    }
    fn from_row(row: &mut Row, index: usize) -> Result<Self, StoreError> {
        Ok(row.opt_blob(index)?.map(<[u8]>::to_vec))
    }
}

/// Declares a row struct whose fields are the table's columns, in order.
macro_rules! rows {
    ($($(#[$doc:meta])* $name:ident = $table:ident { $($field:ident : $type:ty),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs, reason = "the fields are the table's columns; times are microseconds since 1970")]
        pub struct $name { $(pub $field: $type),+ }

        impl $name {
            /// The columns, for a SELECT.
            pub const COLUMNS: &'static str = crate::repo::columns!($($field),+);

            /// As a row of its table.
            pub fn into_values(self) -> Vec<crate::Value> {
                vec![$(crate::repo::Field::into_value(self.$field)),+]
            }

            /// From a row selected with [`Self::COLUMNS`].
            ///
            /// # Errors
            /// [`crate::StoreError::Corrupt`] when a column holds something else.
            pub fn from_row(mut row: crate::Row) -> Result<Self, crate::StoreError> {
                let mut next = 0..;
                Ok(Self { $($field: {
                    let index = next.next().expect("endless");
                    crate::repo::Field::from_row(&mut row, index)?
                }),+ })
            }

            /// The table.
            pub const TABLE: &'static crate::Table = &crate::tables::$table;
        }
    )+};
}
pub(crate) use rows;

macro_rules! columns {
    ($first:ident $(, $rest:ident)*) => { concat!(stringify!($first) $(, ",", stringify!($rest))*) };
}
pub(crate) use columns;

/// Microseconds since 1970, as stored.
pub fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// The instant of stored microseconds; out of range saturates.
pub fn instant(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}
