//! The four kinds of value both databases share, and rows of them.

use crate::StoreError;

/// One value. Money, times and flags are `Int`, JSON is `Text`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// A 64-bit integer.
    Int(i64),
    /// Text without NUL.
    Text(Box<str>),
    /// Bytes.
    Blob(Box<[u8]>),
}

impl Value {
    /// "null", "int", "text" or "blob".
    pub fn kind_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Int(_) => "int",
            Value::Text(_) => "text",
            Value::Blob(_) => "blob",
        }
    }

    pub(crate) fn size(&self) -> usize {
        match self {
            Value::Null => 1,
            Value::Int(_) => 8,
            Value::Text(text) => text.len(),
            Value::Blob(blob) => blob.len(),
        }
    }

    pub(crate) fn check_text(&self) -> Result<(), StoreError> {
        match self {
            Value::Text(text) if text.as_bytes().contains(&0) => Err(StoreError::BadText),
            _ => Ok(()),
        }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Int(i64::from(value))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.into())
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Value::Text(value.as_str().into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(value.into_boxed_str())
    }
}

impl From<Box<str>> for Value {
    fn from(value: Box<str>) -> Self {
        Value::Text(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Value::Blob(value.into_boxed_slice())
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Value::Blob(value.into())
    }
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(value: [u8; N]) -> Self {
        Value::Blob(Box::new(value))
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// One row of an answer. Reading another type than the column holds is [`StoreError::Corrupt`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(Vec<Value>);

impl Row {
    /// A row of these values.
    pub fn new(values: Vec<Value>) -> Self {
        Row(values)
    }

    /// Number of columns.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no column at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values in order.
    pub fn values(&self) -> &[Value] {
        &self.0
    }

    /// The values in order, owned.
    pub fn into_values(self) -> Vec<Value> {
        self.0
    }

    /// An integer.
    pub fn int(&self, column: usize) -> Result<i64, StoreError> {
        self.opt_int(column)?.ok_or_else(|| self.wrong(column, "int"))
    }

    /// An integer or null.
    pub fn opt_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match self.0.get(column) {
            Some(Value::Int(value)) => Ok(Some(*value)),
            Some(Value::Null) => Ok(None),
            _ => Err(self.wrong(column, "int")),
        }
    }

    /// Text.
    pub fn text(&self, column: usize) -> Result<&str, StoreError> {
        self.opt_text(column)?.ok_or_else(|| self.wrong(column, "text"))
    }

    /// Text or null.
    pub fn opt_text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        match self.0.get(column) {
            Some(Value::Text(value)) => Ok(Some(value)),
            Some(Value::Null) => Ok(None),
            _ => Err(self.wrong(column, "text")),
        }
    }

    /// Bytes.
    pub fn blob(&self, column: usize) -> Result<&[u8], StoreError> {
        self.opt_blob(column)?.ok_or_else(|| self.wrong(column, "blob"))
    }

    /// Bytes or null.
    pub fn opt_blob(&self, column: usize) -> Result<Option<&[u8]>, StoreError> {
        match self.0.get(column) {
            Some(Value::Blob(value)) => Ok(Some(value)),
            Some(Value::Null) => Ok(None),
            _ => Err(self.wrong(column, "blob")),
        }
    }

    /// Text, moved out of the row (the column is null afterwards).
    pub fn take_text(&mut self, column: usize) -> Result<Box<str>, StoreError> {
        self.take_opt_text(column)?
            .ok_or_else(|| self.wrong(column, "text"))
    }

    /// Text or null, moved out of the row (the column is null afterwards).
    pub fn take_opt_text(&mut self, column: usize) -> Result<Option<Box<str>>, StoreError> {
        match self.0.get_mut(column) {
            Some(Value::Null) => Ok(None),
            Some(value @ Value::Text(_)) => match std::mem::replace(value, Value::Null) {
                Value::Text(text) => Ok(Some(text)),
                other => unreachable!("matched text, found {}", other.kind_name()),
            },
            _ => Err(self.wrong(column, "text")),
        }
    }

    fn wrong(&self, column: usize, wanted: &'static str) -> StoreError {
        let found = self.0.get(column).map_or("nothing", Value::kind_name);
        StoreError::Corrupt {
            column,
            wanted,
            found: found.into(),
        }
    }
}
