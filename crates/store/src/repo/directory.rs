//! Shops, their keys, provider accounts and webhook endpoints.
use super::rows;
use crate::{Store, StoreError, Value};

rows! {
    /// A shop.
    ShopRow = SHOPS {
        shop_id: Box<str>, merchant: Box<str>, live: i64, name: Box<str>, version: i64, created_at: i64, body: Box<str>,
    }
    /// An API key, by its hash.
    ApiKeyRow = API_KEYS {
        key_hash: Vec<u8>, shop_id: Box<str>, kind: Box<str>, created_at: i64, revoked_at: Option<i64>, hint: Box<str>,
    }
    /// A shop's account at a provider; credentials sealed.
    AccountRow = ACCOUNTS {
        shop_id: Box<str>, provider: Box<str>, version: i64, updated_at: i64, sealed: Vec<u8>, body: Box<str>,
    }
    /// A webhook endpoint; its secret sealed.
    EndpointRow = ENDPOINTS {
        shop_id: Box<str>, id: Box<str>, url: Box<str>, enabled: i64, version: i64, created_at: i64, sealed: Vec<u8>,
        body: Box<str>,
    }
    /// A setting of the whole hub.
    SettingRow = SETTINGS { name: Box<str>, value: Box<str>, version: i64 }
}

/// The shop of that id.
pub async fn shop(store: &dyn Store, shop: &str) -> Result<Option<ShopRow>, StoreError> {
    const SQL: &str = "SELECT shop_id,merchant,live,name,version,created_at,body FROM shops WHERE shop_id=$1";
    store
        .query(SQL.into(), vec![shop.into()])
        .await?
        .pop()
        .map(ShopRow::from_row)
        .transpose()
}

/// Every shop, oldest first, at most `limit`.
pub async fn shops(store: &dyn Store, limit: i64) -> Result<Vec<ShopRow>, StoreError> {
    const SQL: &str = "SELECT shop_id,merchant,live,name,version,created_at,body FROM shops ORDER BY created_at, shop_id LIMIT $1";
    store
        .query(SQL.into(), vec![limit.into()])
        .await?
        .into_iter()
        .map(ShopRow::from_row)
        .collect()
}

/// The key of that hash, revoked or not.
pub async fn api_key(store: &dyn Store, hash: &[u8]) -> Result<Option<ApiKeyRow>, StoreError> {
    const SQL: &str =
        "SELECT key_hash,shop_id,kind,created_at,revoked_at,hint FROM api_keys WHERE key_hash=$1";
    store
        .query(SQL.into(), vec![Value::Blob(hash.into())])
        .await?
        .pop()
        .map(ApiKeyRow::from_row)
        .transpose()
}

/// A shop's account at one provider.
pub async fn account(
    store: &dyn Store,
    shop: &str,
    provider: &str,
) -> Result<Option<AccountRow>, StoreError> {
    const SQL: &str = "SELECT shop_id,provider,version,updated_at,sealed,body FROM accounts WHERE shop_id=$1 AND provider=$2";
    store
        .query(SQL.into(), vec![shop.into(), provider.into()])
        .await?
        .pop()
        .map(AccountRow::from_row)
        .transpose()
}

/// A shop's webhook endpoints, oldest first.
pub async fn endpoints(store: &dyn Store, shop: &str) -> Result<Vec<EndpointRow>, StoreError> {
    const SQL: &str = "SELECT shop_id,id,url,enabled,version,created_at,sealed,body FROM endpoints \
                       WHERE shop_id=$1 ORDER BY id";
    store
        .query(SQL.into(), vec![shop.into()])
        .await?
        .into_iter()
        .map(EndpointRow::from_row)
        .collect()
}

/// A setting of the whole hub.
pub async fn setting(store: &dyn Store, name: &str) -> Result<Option<SettingRow>, StoreError> {
    const SQL: &str = "SELECT name,value,version FROM settings WHERE name=$1";
    store
        .query(SQL.into(), vec![name.into()])
        .await?
        .pop()
        .map(SettingRow::from_row)
        .transpose()
}
