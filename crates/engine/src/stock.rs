//! Stock (在庫): what there is to be sold, and what payments hold of it. See [`kessai_core::stock`].
use crate::Engine;
use crate::change::Draft;
use crate::directory::Shop;
use crate::idempotency::{self, Answer, Halt, Idempotency};
use crate::problem::Problem;
use kessai_core::payment::Step;
use kessai_core::stock::{Goods, Hold, Place};
use kessai_store::repo::{self, StockLevel};
use kessai_store::{ChangeSet, Commit, Guard, Op, Value, tables};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What a payment has of the stock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Holding {
    /// One line for each thing.
    pub goods: Vec<Goods>,
    /// What became of it.
    pub hold: Hold,
}

fn key(shop: &str, sku: &str, place: Place) -> Vec<Value> {
    vec![shop.into(), sku.into(), place.as_str().into()]
}

fn add(shop: &str, sku: &str, place: Place, delta: i64) -> Op {
    Op::Add {
        table: &tables::STOCK,
        key: key(shop, sku, place),
        delta,
    }
}

/// Takes pieces away where they are free; refused when they are not.
fn take(shop: &str, goods: &Goods) -> Guard {
    Guard::Take {
        table: &tables::STOCK,
        key: key(shop, &goods.sku, Place::Free),
        amount: goods.pieces,
    }
}

fn short(sku: &str, free: i64) -> Problem {
    Problem {
        param: Some("line_items".into()),
        ..Problem::with(
            "out_of_stock",
            format!("Of {sku} only {free} are left. Nothing was charged."),
        )
    }
}

impl Draft<'_> {
    /// Holds what the payment is for, in the commit of its intent: one condition for each thing.
    pub(crate) fn hold_stock(&mut self) {
        let Some(holding) = self.payment.body.stock.clone() else {
            return;
        };
        for goods in &holding.goods {
            self.guard(take(&self.shop.id, goods));
            self.op(add(&self.shop.id, &goods.sku, Place::Held, goods.pieces));
        }
    }

    /// What a step of the payment means for what it holds. The payment's version sees to it that this happens once.
    pub(crate) fn move_stock(&mut self, step: &Step) {
        let Some(holding) = &mut self.payment.body.stock else {
            return;
        };
        let (after, moves) = holding.hold.after(step);
        holding.hold = after;
        let Some((from, to)) = moves else { return };
        for goods in holding.goods.clone() {
            self.op(add(&self.shop.id, &goods.sku, from, -goods.pieces));
            self.op(add(&self.shop.id, &goods.sku, to, goods.pieces));
        }
    }
}

impl Engine {
    /// Whether there is enough of everything just now. Whoever pays first gets it: nothing is held before.
    ///
    /// # Errors
    /// `invalid_parameter` for what the shop never had in stock; `out_of_stock`.
    pub(crate) async fn in_stock(&self, shop: &str, goods: &[Goods]) -> Result<(), Problem> {
        for Goods { sku, pieces } in goods {
            match repo::stock_level(self.store.as_ref(), shop, sku).await? {
                None => {
                    let text = format!("{sku} is not in stock: put it there first, or leave sku away");
                    return Err(Problem::invalid("line_items", text));
                }
                Some(level) if level.free < *pieces => return Err(short(sku, level.free)),
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Why a payment's stock could not be held.
    pub(crate) async fn why_short(&self, shop: &str, goods: &[Goods]) -> Problem {
        match self.in_stock(shop, goods).await {
            Err(problem) => problem,
            // Given back in this very moment.
            Ok(()) => Problem::with(
                "conflict",
                "The stock is changing. Nothing was charged; ask again.",
            ),
        }
    }

    /// What there is of one thing, as JSON.
    ///
    /// # Errors
    /// `not_found` when it was never in stock.
    pub async fn show_stock(&self, shop: &Shop, sku: &str) -> Result<String, Problem> {
        let level = repo::stock_level(self.store.as_ref(), &shop.id, sku).await?;
        Ok(shown(&level.ok_or_else(Problem::not_found)?).to_string())
    }

    /// A page of all things in the order of their names, as JSON; `next` names the last when more follow.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn list_stock(&self, shop: &Shop, after: &str, per_page: i64) -> Result<String, Problem> {
        let mut levels = repo::stock_levels(self.store.as_ref(), &shop.id, after, per_page + 1).await?;
        let most = usize::try_from(per_page).unwrap_or(usize::MAX);
        let more = levels.len() > most;
        levels.truncate(most);
        let next = levels.last().filter(|_| more).map(|level| level.sku.clone());
        let data: Vec<_> = levels.iter().map(shown).collect();
        Ok(json!({"resource": "list", "data": data, "next": next}).to_string())
    }

    /// Puts pieces into stock, or takes free ones away.
    ///
    /// # Errors
    /// `out_of_stock` when fewer are free than shall be taken away.
    pub async fn change_stock(
        &self,
        shop: &Shop,
        key: Option<&Idempotency>,
        sku: &str,
        change: i64,
    ) -> Result<Answer, Problem> {
        self.once(&shop.id, key, async {
            let answer =
                Answer::ok(json!({"resource": "stock_change", "sku": sku, "change": change}).to_string());
            let mut set = ChangeSet::new();
            if let Some(key) = key {
                set.guards
                    .push(idempotency::done_at_once(&shop.id, key, &answer, self.now()));
            }
            if change < 0 {
                let goods = Goods {
                    sku: sku.into(),
                    pieces: -change,
                };
                set.guards.push(take(&shop.id, &goods));
            } else {
                set.ops.push(add(&shop.id, sku, Place::Free, change));
            }
            match self.store.commit(set).await? {
                Commit::Done => Ok(answer),
                Commit::Refused { guard: 0 } if key.is_some() => Err(Halt::KeyTaken),
                Commit::Refused { .. } => {
                    let level = repo::stock_level(self.store.as_ref(), &shop.id, sku).await?;
                    let free = level.ok_or_else(Problem::not_found)?.free;
                    let text = format!("Of {sku} only {free} are free. Nothing was changed.");
                    Err(Problem {
                        param: Some("change".into()),
                        ..Problem::with("out_of_stock", text)
                    }
                    .into())
                }
            }
        })
        .await
    }
}

fn shown(level: &StockLevel) -> serde_json::Value {
    json!({"resource": "stock", "sku": level.sku, "free": level.free, "held": level.held, "sold": level.sold})
}
