//! Two books disagree: raised once, raised again when it came back, and closed when both books say the same.
use crate::Engine;
use kessai_core::DiscrepancyId;
use kessai_store::repo::{self, DiscrepancyRow, micros};
use kessai_store::{ChangeSet, Guard, StoreError};
use serde_json::{Map, Value, json};

/// What is in a finding but tells nothing about whether it is the same one: it changes with every look.
const PASSING: [&str; 3] = ["asked_for_s", "last", "notification"];
/// What is ours in a discrepancy's body; the rest is the finding.
const OURS: [&str; 4] = ["settled", "earlier", "again_at", "agreed_at"];
/// How many earlier settlements are kept.
const EARLIER_MOST: usize = 10;

impl Engine {
    /// Notes a disagreement about a payment, once per kind. One that was settled is opened again when the books have agreed since, or
    /// say something else than what the person looked at. Whether it is news.
    pub(crate) async fn raise(
        &self,
        shop: &str,
        payment: &str,
        kind: &str,
        what: &Value,
    ) -> Result<bool, StoreError> {
        let now = self.now();
        let row = DiscrepancyRow {
            shop_id: shop.into(),
            payment_id: payment.into(),
            kind: kind.into(),
            id: DiscrepancyId::new(now, self.entropy.as_ref()).as_str().into(),
            status: "open".into(),
            created_at: micros(now),
            settled_at: None,
            version: 1,
            body: what.to_string().into(),
        };
        let news = self
            .guarded(Guard::Insert(DiscrepancyRow::TABLE, row.into_values()))
            .await?
            || self.reopen(shop, payment, kind, what).await?;
        if news {
            metrics::counter!("kessai_discrepancies_total", "kind" => kind.to_owned()).increment(1);
        }
        Ok(news)
    }

    async fn reopen(&self, shop: &str, payment: &str, kind: &str, what: &Value) -> Result<bool, StoreError> {
        let Some(row) = repo::discrepancy(self.store.as_ref(), shop, payment, kind).await? else {
            return Ok(false);
        };
        if row.status.as_ref() == "open" {
            return Ok(false);
        }
        let before = object(&row.body);
        if !before.contains_key("agreed_at") && is_same(&before, what) {
            // A person saw just this and said what came of it.
            return Ok(false);
        }
        let now = micros(self.now());
        let mut body = what.as_object().cloned().unwrap_or_default();
        let mut earlier = before
            .get("earlier")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let mut last = before.get("settled").cloned().unwrap_or_else(|| json!({}));
        last["at"] = json!(row.settled_at);
        earlier.push(last);
        let surplus = earlier.len().saturating_sub(EARLIER_MOST);
        earlier.drain(..surplus);
        body.insert("earlier".into(), Value::Array(earlier));
        body.insert("again_at".into(), json!(now));
        let expected = row.version;
        let row = DiscrepancyRow {
            status: "open".into(),
            settled_at: None,
            version: expected + 1,
            body: Value::Object(body).to_string().into(),
            ..row
        };
        // Refused: somebody else was just faster.
        self.guarded(update(row, expected)).await
    }

    /// Both books say the same about what this discrepancy is about. An open one is settled by that; a settled one is remembered as
    /// gone, so that it is news should it come back. Whether one was settled.
    pub(crate) async fn agree_on(&self, row: DiscrepancyRow) -> Result<bool, StoreError> {
        let mut body = object(&row.body);
        let open = row.status.as_ref() == "open";
        if !open && body.contains_key("agreed_at") {
            return Ok(false);
        }
        let now = micros(self.now());
        body.insert("agreed_at".into(), json!(now));
        if open {
            body.insert(
                "settled".into(),
                json!({"by": "kessai", "itself": true, "note": "both books agree"}),
            );
        }
        let expected = row.version;
        let row = DiscrepancyRow {
            status: "settled".into(),
            settled_at: row.settled_at.or(Some(now)),
            version: expected + 1,
            body: Value::Object(body).to_string().into(),
            ..row
        };
        Ok(self.guarded(update(row, expected)).await? && open)
    }

    async fn guarded(&self, guard: Guard) -> Result<bool, StoreError> {
        let change = ChangeSet {
            guards: vec![guard],
            ops: vec![],
        };
        Ok(self.store.commit(change).await?.is_done())
    }
}

fn update(row: DiscrepancyRow, expected: i64) -> Guard {
    Guard::Update {
        table: DiscrepancyRow::TABLE,
        row: row.into_values(),
        expected,
    }
}

fn object(body: &str) -> Map<String, Value> {
    match serde_json::from_str(body) {
        Ok(Value::Object(map)) => map,
        Ok(other) => Map::from_iter([("found".to_owned(), other)]),
        Err(_) => Map::new(),
    }
}

/// Whether a finding is the one that was settled: all that was known of it then is still so.
fn is_same(before: &Map<String, Value>, now: &Value) -> bool {
    before
        .iter()
        .filter(|(name, _)| !OURS.contains(&name.as_str()) && !PASSING.contains(&name.as_str()))
        .all(|(name, was)| now.get(name).is_some_and(|is| holds(is, was)))
}

/// A later version may know more of the same thing.
fn holds(is: &Value, was: &Value) -> bool {
    match (is, was) {
        (Value::Object(is), Value::Object(was)) => was
            .iter()
            .all(|(name, was)| is.get(name).is_some_and(|is| holds(is, was))),
        _ => is == was,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_the_same_while_what_was_known_of_it_still_holds() {
        let settled =
            object(r#"{"ours":{"status":"failed"},"attempt":1,"last":"HTTP 503","settled":{"by":"a"}}"#);
        let same = json!({"ours": {"status": "failed", "refunded": 0}, "attempt": 1, "last": "HTTP 500"});
        assert!(is_same(&settled, &same));
        for other in [
            json!({"ours": {"status": "captured"}, "attempt": 1}),
            json!({"ours": {"status": "failed"}, "attempt": 2}),
            json!({"attempt": 1}),
        ] {
            assert!(!is_same(&settled, &other), "{other}");
        }
    }
}
