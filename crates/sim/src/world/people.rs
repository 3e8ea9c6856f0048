//! Who comes to the shops, and what they do at the provider.
use super::World;
use crate::fault::Fault;
use crate::people::Person;
use std::sync::atomic::Ordering;

impl World {
    pub(super) fn begin(&mut self, n: u64) {
        self.note(7, n, || format!("payment {n} begins"));
        let mut rng = self.root.fork(1_000_000 + n);
        let shop = usize::try_from(rng.below(self.shops.len() as u64)).unwrap_or(0);
        let person = Person::new(&self.wishes, &self.checks, &self.shops[shop].facts, rng, n);
        let left = self.people_left.clone();
        left.fetch_add(1, Ordering::Relaxed);
        self.people.spawn(async move {
            person.live().await;
            left.fetch_sub(1, Ordering::Relaxed);
        });
        self.people_poked = true;
    }

    pub(super) fn shopper(&mut self, payment: &str, act: &'static str, amount: Option<i64>) -> bool {
        let sql = "SELECT provider_ref, total, shop_id FROM payments WHERE id = $1";
        let rows = self.database.look(sql, &[payment.into()]).expect("the database");
        let Some(row) = rows.first() else { return false };
        let (Ok(Some(reference)), Ok(total), Ok(shop_id)) = (row.opt_text(0), row.int(1), row.text(2)) else {
            return false;
        };
        let Some(shop) = self.shops.iter().position(|shop| shop.facts.id == shop_id) else {
            return false;
        };
        let mut amount = amount;
        if act == "pay" && self.strikes(Fault::WrongCash) {
            amount = Some(total + self.fates.between(1, 50));
        }
        let body = match amount {
            Some(amount) => serde_json::json!({"amount": amount}),
            None => serde_json::json!({}),
        };
        let path = format!("payments/{reference}/{act}");
        let said = self.control(shop, &path, body.to_string().into_bytes());
        // A wallet takes what was asked for, whatever somebody who takes it for a slip would pay.
        let paid = said.as_ref().and_then(|said| said["total"].as_i64());
        if amount.is_some() && paid.is_some_and(|paid| paid != total) {
            self.planted.insert(payment.to_owned(), "amount_mismatch");
        }
        let done = said.is_some();
        self.note(21, u64::from(done), || {
            format!("a shopper does {act} for {payment}: {done}")
        });
        done
    }
}
