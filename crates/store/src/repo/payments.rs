//! Sessions, payments, attempts, refunds' ledger, customers and tokens.
use super::rows;
use crate::{Row, Store, StoreError, Value};
use std::borrow::Cow;

rows! {
    /// A checkout session.
    SessionRow = SESSIONS {
        shop_id: Box<str>, id: Box<str>, status: Box<str>, mode: Box<str>, version: i64, created_at: i64, expires_at: i64,
        completed_at: Option<i64>, body: Box<str>,
    }
    /// A payment.
    PaymentRow = PAYMENTS {
        shop_id: Box<str>, id: Box<str>, status: Box<str>, method: Box<str>, provider: Box<str>,
        provider_ref: Option<Box<str>>, session_id: Option<Box<str>>, customer_id: Option<Box<str>>,
        order_number: Option<Box<str>>, currency: Box<str>, amount: i64, total: i64, refunded: i64,
        deadline_at: Option<i64>, created_at: i64, updated_at: i64, version: i64, body: Box<str>,
    }
    /// One operation at one provider.
    AttemptRow = ATTEMPTS {
        shop_id: Box<str>, payment_id: Box<str>, n: i64, operation: Box<str>, provider: Box<str>, status: Box<str>,
        created_at: i64, settled_at: Option<i64>, version: i64, body: Box<str>,
    }
    /// An order number that is taken.
    OrderNumberRow = ORDER_NUMBERS { shop_id: Box<str>, number: Box<str>, owner_id: Box<str>, created_at: i64 }
    /// An idempotency key and its answer.
    IdempotencyRow = IDEMPOTENCY {
        shop_id: Box<str>, key_hash: Vec<u8>, fingerprint: Vec<u8>, state: i64, status: i64, owner_id: Option<Box<str>>,
        answer_event: Option<Box<str>>, answer: Option<Box<str>>, created_at: i64, version: i64,
    }
    /// A line of the ledger.
    PostingRow = POSTINGS {
        shop_id: Box<str>, payment_id: Box<str>, n: i64, account: Box<str>, amount: i64, currency: Box<str>, at: i64,
    }
    /// A customer.
    CustomerRow = CUSTOMERS {
        shop_id: Box<str>, id: Box<str>, email: Option<Box<str>>, created_at: i64, deleted_at: Option<i64>, version: i64,
        sealed: Option<Vec<u8>>, body: Box<str>,
    }
    /// A one-time token or a 3-D Secure authentication.
    TokenRow = TOKENS {
        shop_id: Box<str>, id: Box<str>, kind: Box<str>, created_at: i64, expires_at: i64, used_at: Option<i64>,
        version: i64, sealed: Vec<u8>, body: Box<str>,
    }
}

fn select(columns: &str, table: &str, rest: &str) -> Cow<'static, str> {
    format!("SELECT {columns} FROM {table} {rest}").into()
}

/// The session of that id.
pub async fn session(store: &dyn Store, shop: &str, id: &str) -> Result<Option<SessionRow>, StoreError> {
    let sql = select(SessionRow::COLUMNS, "sessions", "WHERE shop_id=$1 AND id=$2");
    store
        .query(sql, vec![shop.into(), id.into()])
        .await?
        .pop()
        .map(SessionRow::from_row)
        .transpose()
}

/// Every index leads with the shop, so without one there is a look for each shop, never a look at every row.
macro_rules! owner_sql {
    ($table:literal) => {
        concat!(
            "SELECT shop_id FROM shops WHERE EXISTS (SELECT 1 FROM ",
            $table,
            " t WHERE t.shop_id=shops.shop_id AND t.id=$1)"
        )
    };
}

/// The shop that owns a session: session pages carry no key.
pub async fn session_owner(store: &dyn Store, id: &str) -> Result<Option<Box<str>>, StoreError> {
    const SQL: &str = owner_sql!("sessions");
    store
        .query(SQL.into(), vec![id.into()])
        .await?
        .pop()
        .map(|mut row| row.take_text(0))
        .transpose()
}

/// The shop that owns a payment: instruction pages carry no key.
pub async fn payment_owner(store: &dyn Store, id: &str) -> Result<Option<Box<str>>, StoreError> {
    const SQL: &str = owner_sql!("payments");
    store
        .query(SQL.into(), vec![id.into()])
        .await?
        .pop()
        .map(|mut row| row.take_text(0))
        .transpose()
}

/// The payment of that id.
pub async fn payment(store: &dyn Store, shop: &str, id: &str) -> Result<Option<PaymentRow>, StoreError> {
    const SQL: &str = "SELECT shop_id,id,status,method,provider,provider_ref,session_id,customer_id,order_number,currency,\
                       amount,total,refunded,deadline_at,created_at,updated_at,version,body \
                       FROM payments WHERE shop_id=$1 AND id=$2";
    store
        .query(SQL.into(), vec![shop.into(), id.into()])
        .await?
        .pop()
        .map(PaymentRow::from_row)
        .transpose()
}

/// The payment a provider calls by that reference.
pub async fn payment_by_reference(
    store: &dyn Store,
    shop: &str,
    provider: &str,
    reference: &str,
) -> Result<Option<PaymentRow>, StoreError> {
    let sql = select(
        PaymentRow::COLUMNS,
        "payments",
        "WHERE shop_id=$1 AND provider=$2 AND provider_ref=$3",
    );
    let params = vec![shop.into(), provider.into(), reference.into()];
    store
        .query(sql, params)
        .await?
        .pop()
        .map(PaymentRow::from_row)
        .transpose()
}

/// Which payments a list shows. Ids sort by time, so a span of time is a span of ids.
#[derive(Debug, Clone, Default)]
pub struct PaymentFilter {
    /// Only these statuses; any when empty.
    pub statuses: Vec<&'static str>,
    /// Only this currency.
    pub currency: Option<&'static str>,
    /// Only this order number.
    pub order_number: Option<Box<str>>,
    /// Only this session.
    pub session: Option<Box<str>>,
    /// Only made at or after, in microseconds.
    pub from_us: Option<i64>,
    /// Only made at or before, in microseconds.
    pub until_us: Option<i64>,
    /// Ids at or above (derived from `from_us`).
    pub from_id: Option<Box<str>>,
    /// Ids below (derived from `until_us`).
    pub below_id: Option<Box<str>>,
}

impl PaymentFilter {
    fn clause(&self, shop: &str) -> (String, Vec<Value>) {
        let mut sql = String::from("WHERE shop_id=$1");
        let mut params: Vec<Value> = vec![shop.into()];
        let mut add = |text: &str, value: Value| {
            params.push(value);
            sql.push_str(&text.replace('?', &format!("${}", params.len())));
        };
        if let Some(number) = &self.order_number {
            add(" AND order_number=?", number.as_ref().into());
        }
        if let Some(session) = &self.session {
            add(" AND session_id=?", session.as_ref().into());
        }
        if let Some(currency) = self.currency {
            add(" AND currency=?", currency.into());
        }
        if let Some(id) = &self.from_id {
            add(" AND id>=?", id.as_ref().into());
        }
        if let Some(id) = &self.below_id {
            add(" AND id<?", id.as_ref().into());
        }
        match self.statuses.as_slice() {
            [] => {}
            [one] => add(" AND status=?", (*one).into()),
            many => {
                let mut list = String::from(" AND status IN (");
                for (n, status) in many.iter().enumerate() {
                    if n > 0 {
                        list.push(',');
                    }
                    list.push('\'');
                    list.push_str(status);
                    list.push('\'');
                }
                list.push(')');
                sql.push_str(&list);
            }
        }
        (sql, params)
    }
}

/// One page of payments, newest first.
pub async fn payments(
    store: &dyn Store,
    shop: &str,
    filter: &PaymentFilter,
    offset: i64,
    limit: i64,
) -> Result<Vec<PaymentRow>, StoreError> {
    let (clause, mut params) = filter.clause(shop);
    params.push(offset.into());
    params.push(limit.into());
    let rest = format!(
        "{clause} ORDER BY id DESC LIMIT ${} OFFSET ${}",
        params.len(),
        params.len() - 1
    );
    let sql = select(PaymentRow::COLUMNS, "payments", &rest);
    store
        .query(sql, params)
        .await?
        .into_iter()
        .map(PaymentRow::from_row)
        .collect()
}

/// How many payments a filter matches, counted row by row.
pub async fn count_payments(
    store: &dyn Store,
    shop: &str,
    filter: &PaymentFilter,
) -> Result<i64, StoreError> {
    let (clause, params) = filter.clause(shop);
    let rows = store
        .query(format!("SELECT COUNT(*) FROM payments {clause}").into(), params)
        .await?;
    one_int(&rows)
}

/// How many payments a filter without order number or session matches, from the counters: whole hours from `counts`.
/// `from_bucket..until_bucket` is the span of whole hours.
pub async fn counted_payments(
    store: &dyn Store,
    shop: &str,
    filter: &PaymentFilter,
    from_bucket: i64,
    until_bucket: i64,
) -> Result<i64, StoreError> {
    let mut sql = String::from(
        "SELECT CAST(COALESCE(SUM(n),0) AS BIGINT) FROM counts \
         WHERE shop_id=$1 AND what='payments' AND bucket>=$2 AND bucket<$3",
    );
    let mut params: Vec<Value> = vec![shop.into(), from_bucket.into(), until_bucket.into()];
    if let Some(currency) = filter.currency {
        params.push(currency.into());
        sql.push_str(" AND currency=$4");
    }
    if !filter.statuses.is_empty() {
        let list: Vec<String> = filter
            .statuses
            .iter()
            .map(|status| format!("'{status}'"))
            .collect();
        sql.push_str(&format!(" AND status IN ({})", list.join(",")));
    }
    one_int(&store.query(sql.into(), params).await?)
}

fn one_int(rows: &[Row]) -> Result<i64, StoreError> {
    rows.first().map_or(Ok(0), |row| row.int(0))
}

/// The attempts of a payment, first to last.
pub async fn attempts(store: &dyn Store, shop: &str, payment: &str) -> Result<Vec<AttemptRow>, StoreError> {
    let sql = select(
        AttemptRow::COLUMNS,
        "attempts",
        "WHERE shop_id=$1 AND payment_id=$2 ORDER BY n",
    );
    store
        .query(sql, vec![shop.into(), payment.into()])
        .await?
        .into_iter()
        .map(AttemptRow::from_row)
        .collect()
}

/// One attempt.
pub async fn attempt(
    store: &dyn Store,
    shop: &str,
    payment: &str,
    n: i64,
) -> Result<Option<AttemptRow>, StoreError> {
    let sql = select(
        AttemptRow::COLUMNS,
        "attempts",
        "WHERE shop_id=$1 AND payment_id=$2 AND n=$3",
    );
    let params = vec![shop.into(), payment.into(), n.into()];
    store
        .query(sql, params)
        .await?
        .pop()
        .map(AttemptRow::from_row)
        .transpose()
}

/// An idempotency key, in flight or answered.
pub async fn idempotency(
    store: &dyn Store,
    shop: &str,
    hash: &[u8],
) -> Result<Option<IdempotencyRow>, StoreError> {
    let sql = select(
        IdempotencyRow::COLUMNS,
        "idempotency",
        "WHERE shop_id=$1 AND key_hash=$2",
    );
    let params = vec![shop.into(), Value::Blob(hash.into())];
    store
        .query(sql, params)
        .await?
        .pop()
        .map(IdempotencyRow::from_row)
        .transpose()
}

/// Idempotency keys older than `before_us`, at most `limit`.
pub async fn idempotency_before(
    store: &dyn Store,
    before_us: i64,
    limit: i64,
) -> Result<Vec<IdempotencyRow>, StoreError> {
    let sql = select(
        IdempotencyRow::COLUMNS,
        "idempotency",
        "WHERE created_at<$1 ORDER BY created_at LIMIT $2",
    );
    let rows = store.query(sql, vec![before_us.into(), limit.into()]).await?;
    rows.into_iter().map(IdempotencyRow::from_row).collect()
}

/// The ledger of a payment, in the order it was written.
pub async fn postings(store: &dyn Store, shop: &str, payment: &str) -> Result<Vec<PostingRow>, StoreError> {
    let sql = select(
        PostingRow::COLUMNS,
        "postings",
        "WHERE shop_id=$1 AND payment_id=$2 ORDER BY n",
    );
    store
        .query(sql, vec![shop.into(), payment.into()])
        .await?
        .into_iter()
        .map(PostingRow::from_row)
        .collect()
}

/// The customer of that id, deleted or not.
pub async fn customer(store: &dyn Store, shop: &str, id: &str) -> Result<Option<CustomerRow>, StoreError> {
    let sql = select(CustomerRow::COLUMNS, "customers", "WHERE shop_id=$1 AND id=$2");
    store
        .query(sql, vec![shop.into(), id.into()])
        .await?
        .pop()
        .map(CustomerRow::from_row)
        .transpose()
}

/// Customers that were not deleted, newest first, and how many there are in all.
pub async fn customers(
    store: &dyn Store,
    shop: &str,
    span: (&str, &str),
    offset: i64,
    limit: i64,
) -> Result<(i64, Vec<CustomerRow>), StoreError> {
    const WHERE: &str = "WHERE shop_id=$1 AND deleted_at IS NULL AND id>=$2 AND id<$3";
    let span = || vec![shop.into(), span.0.into(), span.1.into()];
    let total = one_int(
        &store
            .query(format!("SELECT COUNT(*) FROM customers {WHERE}").into(), span())
            .await?,
    )?;
    let mut params = span();
    params.extend([limit.into(), offset.into()]);
    let sql = select(
        CustomerRow::COLUMNS,
        "customers",
        &format!("{WHERE} ORDER BY id DESC LIMIT $4 OFFSET $5"),
    );
    let rows = store
        .query(sql, params)
        .await?
        .into_iter()
        .map(CustomerRow::from_row)
        .collect::<Result<_, _>>()?;
    Ok((total, rows))
}

/// The token of that id.
pub async fn token(store: &dyn Store, shop: &str, id: &str) -> Result<Option<TokenRow>, StoreError> {
    let sql = select(TokenRow::COLUMNS, "tokens", "WHERE shop_id=$1 AND id=$2");
    store
        .query(sql, vec![shop.into(), id.into()])
        .await?
        .pop()
        .map(TokenRow::from_row)
        .transpose()
}

/// The shop that owns a token: the browser comes back without a key.
pub async fn token_owner(store: &dyn Store, id: &str) -> Result<Option<Box<str>>, StoreError> {
    const SQL: &str = owner_sql!("tokens");
    store
        .query(SQL.into(), vec![id.into()])
        .await?
        .pop()
        .map(|mut row| row.take_text(0))
        .transpose()
}
