//! What must hold of stock: pieces are neither lost nor made, and are where the payments say.
use kessai_store::{ChangeSet, Guard, Op, Value};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// What shops have of each thing at the beginning: plenty of one, little of the other.
pub const SHELVES: [(&str, i64); 2] = [("TEA-COMMON", 200), ("TEA-RARE", 1)];

/// What a payment says that it has of the stock.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct HoldText {
    goods: Vec<GoodsText>,
    hold: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
struct GoodsText {
    sku: String,
    pieces: i64,
}

/// Shop, thing and place.
type Spot = (String, String, String);

/// The stock as it follows from what was committed.
#[derive(Default)]
pub struct Shelves {
    /// How many pieces are where.
    pub spots: BTreeMap<Spot, i64>,
    /// Keys under which somebody changed the stock.
    changed: BTreeSet<Vec<u8>>,
    /// What payments hold, or have bought.
    claims: BTreeMap<String, (String, HoldText)>,
}

impl Shelves {
    /// Pieces are there from the beginning.
    pub fn begin(&mut self, shop: &str, sku: &str, pieces: i64) {
        self.spots
            .insert((shop.to_owned(), sku.to_owned(), "free".to_owned()), pieces);
    }

    /// A change set became durable; what is wrong with it.
    pub fn committed(&mut self, set: &ChangeSet) -> Vec<String> {
        let takes = set.guards.iter().filter_map(|guard| match guard {
            Guard::Take { table, key, amount } if table.name == "stock" => Some((key, -amount)),
            Guard::Insert(..) | Guard::Update { .. } | Guard::Delete { .. } | Guard::Take { .. } => None,
        });
        let adds = set.ops.iter().filter_map(|op| match op {
            Op::Add { table, key, delta } if table.name == "stock" => Some((key, *delta)),
            Op::Insert(..) | Op::Update(..) | Op::Delete(..) | Op::Add { .. } => None,
        });
        let mut sums: BTreeMap<(String, String), i64> = BTreeMap::new();
        let mut broken = Vec::new();
        for (key, delta) in takes.chain(adds) {
            let text = |at: usize| match &key[at] {
                Value::Text(text) => text.to_string(),
                _ => String::new(),
            };
            let spot = (text(0), text(1), text(2));
            *sums.entry((text(0), text(1))).or_default() += delta;
            let left = self.spots.entry(spot).or_default();
            *left += delta;
            if *left < 0 {
                broken.push(format!("stock: {left} pieces of {} are {}", text(1), text(2)));
            }
        }
        if sums.is_empty() {
            return broken;
        }
        let of_payment = set
            .ops
            .iter()
            .any(|op| matches!(op, Op::Insert(table, _) if table.name == "payments"))
            || set
                .guards
                .iter()
                .any(|guard| matches!(guard, Guard::Update { table, .. } if table.name == "payments"));
        if of_payment {
            for ((_, sku), sum) in sums.iter().filter(|(_, sum)| **sum != 0) {
                broken.push(format!("stock: a payment makes {sum} pieces of {sku}"));
            }
        } else {
            let key = set.guards.iter().find_map(|guard| match guard {
                Guard::Insert(table, row) if table.name == "idempotency" => match &row[1] {
                    Value::Blob(hash) => Some(hash.to_vec()),
                    _ => None,
                },
                _ => None,
            });
            if key.is_none_or(|key| !self.changed.insert(key)) {
                broken.push("stock: it is changed twice under one key, or under none".to_owned());
            }
        }
        broken
    }

    /// A payment says what it has of the stock; what is wrong with that.
    pub fn payment(
        &mut self,
        shop: &str,
        id: &str,
        status: &str,
        captured: i64,
        says: Option<HoldText>,
    ) -> Option<String> {
        let before = self.claims.get(id).map(|(_, before)| before);
        let goods = |hold: &HoldText| hold.goods.clone();
        if before.is_some() && before.map(goods) != says.as_ref().map(goods) {
            return Some(format!("stock: {id} is for other goods than before"));
        }
        let says = says?;
        let due = match status {
            _ if captured > 0 => "sold",
            "pending" | "authorized" => "held",
            _ => "released",
        };
        let wrong = says.hold != due;
        let what = format!(
            "stock: the goods of {id} ({status}, {captured} captured) are {}",
            says.hold
        );
        self.claims.insert(id.to_owned(), (shop.to_owned(), says));
        wrong.then_some(what)
    }

    /// Whether what is held and sold is what the payments say; what is not.
    pub fn unclaimed(&self) -> Vec<String> {
        let mut due: BTreeMap<Spot, i64> = BTreeMap::new();
        for (shop, hold) in self.claims.values().filter(|(_, hold)| hold.hold != "released") {
            for goods in &hold.goods {
                *due.entry((shop.clone(), goods.sku.clone(), hold.hold.clone()))
                    .or_default() += goods.pieces;
            }
        }
        let taken = self
            .spots
            .iter()
            .filter(|((_, _, place), n)| place != "free" && **n != 0);
        let taken: BTreeMap<Spot, i64> = taken.map(|(spot, n)| (spot.clone(), *n)).collect();
        if taken == due {
            return vec![];
        }
        vec![format!("stock: {taken:?} is taken, and payments say {due:?}")]
    }
}
