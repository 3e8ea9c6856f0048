//! What must always hold, checked on every change as it becomes durable and on every answer as it is given.
use crate::goods::{HoldText, Shelves};
use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kessai_store::{ChangeSet, Guard, Op, Value};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct MoneyText {
    minor: i64,
}

#[derive(Deserialize)]
struct StateText {
    asked: MoneyText,
    captured: MoneyText,
    #[serde(default)]
    refunds: BTreeMap<String, MoneyText>,
}

#[derive(Deserialize)]
struct BodyText {
    state: StateText,
    #[serde(default)]
    stock: Option<HoldText>,
    events: i64,
    postings: i64,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

/// What is known of one payment.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Its shop.
    pub shop: String,
    /// Its status.
    pub status: String,
    /// Counts its changes.
    pub version: i64,
    /// In minor units.
    pub asked: i64,
    /// In minor units.
    pub captured: i64,
    /// In minor units.
    pub refunded: i64,
    /// The number of its last event.
    pub events: i64,
    /// The number of its last ledger line.
    pub postings: i64,
    /// The provider's name for it.
    pub reference: Option<String>,
    /// The shop's number for it, or its session.
    pub order: Option<String>,
    /// The idempotency key it was asked for under.
    pub key: Option<String>,
    /// What merchants were told for certain: the furthest status, and how much was refunded.
    pub told: (u8, i64),
}

/// What was written, as the checks remember it.
pub struct Checks {
    secrets: AhoCorasick,
    secret_names: Vec<&'static str>,
    /// By id.
    pub payments: BTreeMap<String, Known>,
    /// Which payments of an order can still bring money, or did.
    live: BTreeMap<(String, String), Vec<String>>,
    /// Which event is which of whose: subject and number, by id.
    pub events: BTreeMap<String, (String, i64)>,
    last_event: BTreeMap<String, i64>,
    /// What the ledger's lines of a payment sum to, by account.
    ledger: BTreeMap<String, BTreeMap<String, i64>>,
    /// Final answers by shop and key.
    answers: BTreeMap<(String, String), (u64, u16, bytes::Bytes)>,
    /// How often a payment went from one status to another.
    pub transitions: BTreeMap<(String, String), u64>,
    /// Discrepancies by payment and kind.
    pub discrepancies: BTreeMap<(String, String), String>,
    /// How many refunds merchants asked for, by payment.
    pub refund_wishes: BTreeMap<String, u64>,
    /// The shops' stock.
    pub shelves: Shelves,
    /// Until when jobs are leased, by id.
    leases: BTreeMap<(String, String), i64>,
    /// What was found.
    pub broken: Vec<String>,
}

/// How far a status is on its way. Nothing comes back from the last rank.
pub fn rank(status: &str) -> u8 {
    match status {
        "pending" => 0,
        "authorized" => 1,
        "captured" => 2,
        _ => 3,
    }
}

fn allowed(from: &str, to: &str) -> bool {
    match from {
        "pending" => true,
        "authorized" => to != "pending",
        "captured" => matches!(to, "captured" | "refunded"),
        _ => from == to,
    }
}

fn text(row: &[Value], at: usize) -> &str {
    match row.get(at) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

fn int(row: &[Value], at: usize) -> i64 {
    match row.get(at) {
        Some(Value::Int(n)) => *n,
        _ => 0,
    }
}

impl Checks {
    /// Checks that know these secrets by name, as they are and as they begin in base64, which is how a header shows them.
    pub fn new(secrets: &[(&'static str, &str)]) -> Self {
        let plain = secrets.iter().map(|(name, secret)| (*name, (*secret).to_owned()));
        let encoded = secrets.iter().filter_map(|(name, secret)| {
            let whole = &secret.as_bytes()[..secret.len() / 3 * 3];
            (whole.len() >= 9).then(|| (*name, STANDARD.encode(whole)))
        });
        let (names, patterns): (Vec<_>, Vec<_>) = plain.chain(encoded).unzip();
        Self {
            secrets: AhoCorasick::new(patterns).expect("patterns"),
            secret_names: names,
            payments: BTreeMap::new(),
            live: BTreeMap::new(),
            events: BTreeMap::new(),
            last_event: BTreeMap::new(),
            ledger: BTreeMap::new(),
            answers: BTreeMap::new(),
            transitions: BTreeMap::new(),
            discrepancies: BTreeMap::new(),
            refund_wishes: BTreeMap::new(),
            shelves: Shelves::default(),
            leases: BTreeMap::new(),
            broken: Vec::new(),
        }
    }

    /// A node leases this shop's job until then, saying that it is `now_us`. Nobody else may hold it.
    pub fn leased(&mut self, shop: &str, job: &str, until_us: i64, now_us: i64) {
        if let Some(held) = self.leases.insert((shop.to_owned(), job.to_owned()), until_us)
            && held > now_us
        {
            self.fail(format!("lease: {job} is given away while it is held"));
        }
    }

    /// Notes what must not be.
    pub fn fail(&mut self, what: String) {
        if self.broken.len() < 20 {
            self.broken.push(what);
        }
    }

    /// Looks for secrets where none may be.
    pub fn no_secret(&mut self, place: &str, bytes: &[u8]) {
        if let Some(found) = self.secrets.find(bytes) {
            let name = self.secret_names[found.pattern().as_usize()];
            self.fail(format!("secret: {name} stands in {place}"));
        }
    }

    /// A change set became durable.
    pub fn committed(&mut self, set: &ChangeSet) {
        let mut sums: BTreeMap<(&str, &str), i64> = BTreeMap::new();
        let mut payment: Option<(&[Value], bool)> = None;
        let guards = set.guards.iter().filter_map(|guard| match guard {
            Guard::Insert(table, row) => Some((table.name, row, true)),
            Guard::Update { table, row, .. } => Some((table.name, row, false)),
            Guard::Delete { .. } | Guard::Take { .. } => None,
        });
        let ops = set.ops.iter().filter_map(|op| match op {
            Op::Insert(table, row) => Some((table.name, row, true)),
            Op::Update(table, row) => Some((table.name, row, false)),
            Op::Delete(..) | Op::Add { .. } => None,
        });
        let keys = set.guards.iter().filter_map(|guard| match guard {
            Guard::Delete { table, key, .. } => Some((table.name, key)),
            Guard::Update { table, row, .. } => Some((table.name, row)),
            Guard::Insert(..) | Guard::Take { .. } => None,
        });
        let ended = set.ops.iter().filter_map(|op| match op {
            Op::Delete(table, key) | Op::Update(table, key) => Some((table.name, key)),
            Op::Insert(..) | Op::Add { .. } => None,
        });
        for (table, key) in keys.chain(ended) {
            if table == "jobs" {
                self.leases
                    .remove(&(text(key, 0).to_owned(), text(key, 1).to_owned()));
            }
        }
        let mut events = Vec::new();
        for (table, row, new) in guards.chain(ops) {
            for value in row {
                match value {
                    Value::Text(text) if text.len() > 8 => self.no_secret(table, text.as_bytes()),
                    Value::Blob(blob) => self.no_secret(table, blob),
                    _ => {}
                }
            }
            match table {
                "payments" => payment = Some((row, new)),
                "postings" => {
                    *sums.entry((text(row, 1), text(row, 5))).or_default() += int(row, 4);
                    let accounts = self.ledger.entry(text(row, 1).to_owned()).or_default();
                    *accounts.entry(text(row, 3).to_owned()).or_default() += int(row, 4);
                }
                "events" => events.push((text(row, 1), text(row, 2), int(row, 3))),
                "discrepancies" => {
                    let key = (text(row, 1).to_owned(), text(row, 2).to_owned());
                    if new && self.discrepancies.contains_key(&key) {
                        self.fail(format!("discrepancy: {key:?} is raised twice"));
                    }
                    self.discrepancies.insert(key, text(row, 8).to_owned());
                }
                _ => {}
            }
        }
        for broken in self.shelves.committed(set) {
            self.fail(broken);
        }
        for ((payment, currency), sum) in sums {
            if sum != 0 {
                self.fail(format!(
                    "ledger: postings of {payment} in one commit sum to {sum} {currency}"
                ));
            }
        }
        for (id, subject, seq) in events {
            let last = self.last_event.entry(subject.to_owned()).or_default();
            let expected = *last + 1;
            *last = seq;
            self.events.insert(id.to_owned(), (subject.to_owned(), seq));
            if seq != expected {
                self.fail(format!(
                    "events: {subject} has number {seq} where {expected} was due"
                ));
            }
        }
        if let Some((row, new)) = payment {
            self.payment(row, new);
        }
    }

    fn payment(&mut self, row: &[Value], new: bool) {
        let id = text(row, 1).to_owned();
        let (shop, status) = (text(row, 0).to_owned(), text(row, 2).to_owned());
        let body: BodyText = match serde_json::from_str(text(row, 17)) {
            Ok(body) => body,
            Err(error) => return self.fail(format!("payment {id}: its body cannot be read: {error}")),
        };
        let refunded: i64 = body.state.refunds.values().map(|refund| refund.minor).sum();
        let order = match (text(row, 8), text(row, 6)) {
            ("", "") => None,
            ("", session) => Some(format!("session {session}")),
            (number, _) => Some(format!("order {number}")),
        };
        let before = self.payments.get(&id).cloned();
        let known = Known {
            shop: shop.clone(),
            status: status.clone(),
            version: int(row, 16),
            asked: body.state.asked.minor,
            captured: body.state.captured.minor,
            refunded,
            events: body.events,
            postings: body.postings,
            reference: Some(text(row, 5).to_owned()).filter(|reference| !reference.is_empty()),
            order: order.clone(),
            key: body.metadata.get("key").cloned(),
            told: before.as_ref().map_or((0, 0), |before| before.told),
        };
        let from = before
            .as_ref()
            .map_or("new", |before| before.status.as_str())
            .to_owned();
        *self
            .transitions
            .entry((from.clone(), status.clone()))
            .or_default() += 1;
        if new != before.is_none() {
            self.fail(format!(
                "payment {id}: inserted twice, or changed before it was there"
            ));
        }
        if let Some(before) = &before {
            if !allowed(&from, &status) {
                self.fail(format!("state: {id} went from {from} back to {status}"));
            }
            if known.version != before.version + 1 {
                self.fail(format!(
                    "version: {id} went from {} to {}",
                    before.version, known.version
                ));
            }
            if known.captured < before.captured || known.refunded < before.refunded {
                self.fail(format!("money: of {id} less is captured or refunded than before"));
            }
            if known.asked != before.asked {
                self.fail(format!("money: another amount is asked for {id} than before"));
            }
        }
        if known.captured > known.asked || known.refunded > known.captured {
            self.fail(format!(
                "money: {id}: asked {}, captured {}, refunded {}",
                known.asked, known.captured, known.refunded
            ));
        }
        let booked = |account: &str| -> i64 {
            let accounts = self.ledger.get(&id);
            accounts
                .and_then(|accounts| accounts.get(account))
                .copied()
                .unwrap_or(0)
        };
        let (owed, returned) = (booked("provider"), booked("refunds"));
        if (owed, returned) != (known.captured - known.refunded, known.refunded) {
            self.fail(format!(
                "ledger: of {id} captured {} and refunded {}, and the lines say {owed} is with the provider and {returned} went back",
                known.captured, known.refunded
            ));
        }
        let told = self.last_event.get(&id).copied().unwrap_or(0);
        if told != known.events {
            self.fail(format!(
                "events: {id} says it has {} and {told} are there",
                known.events
            ));
        }
        let stock = self
            .shelves
            .payment(&shop, &id, &status, known.captured, body.stock);
        if let Some(broken) = stock {
            self.fail(broken);
        }
        if let Some(order) = order {
            let live = self.live.entry((shop, order.clone())).or_default();
            live.retain(|other| *other != id);
            if rank(&status) < 3 {
                live.push(id.clone());
            }
            if live.len() > 1 {
                let live = format!("one live payment: {order} has {live:?}");
                self.fail(live);
            }
        }
        self.payments.insert(id, known);
    }

    /// A merchant was told something about a payment. It must hold from then on.
    pub fn told(&mut self, payment: &str, status: &str, refunded: i64) {
        let Some(known) = self.payments.get_mut(payment) else {
            return self.fail(format!("acknowledged: {payment} was shown and is not there"));
        };
        let (rank_told, refunded_told) = known.told;
        known.told = (rank_told.max(rank(status)), refunded_told.max(refunded));
        let (now, there) = (known.status.clone(), known.refunded);
        if rank(&now) < rank(status) || there < refunded {
            self.fail(format!(
                "acknowledged: {payment} was told to be {status} with {refunded} refunded and is {now} with {there}"
            ));
        }
    }

    /// A shop was given an answer under a key, to a request with this fingerprint. What is final stays the same.
    pub fn answered(&mut self, shop: &str, key: &str, print: u64, status: u16, body: &bytes::Bytes) {
        if matches!(status, 401 | 408 | 409 | 413 | 500 | 503 | 504) {
            return;
        }
        let place = (shop.to_owned(), key.to_owned());
        match self.answers.get(&place) {
            None => {
                self.answers.insert(place, (print, status, body.clone()));
            }
            Some((first, ..)) if *first != print => {
                if status != 422 {
                    self.fail(format!(
                        "same key, another body: {key}: another request under it was answered {status}"
                    ));
                }
            }
            Some((_, first, text)) => {
                if *first != status || text != body {
                    let (was, is) = (String::from_utf8_lossy(text), String::from_utf8_lossy(body));
                    let what =
                        format!("same key, same answer: {key}: first {first} {was}\n    then {status} {is}");
                    self.fail(what);
                }
            }
        }
    }
}
