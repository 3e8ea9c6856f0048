//! What the store does with what nodes ask of it: when it writes and reads, and what they hear.
use super::{Event, World, lock};
use crate::fault::Fault;
use crate::node::LEASE_S;
use crate::people::S;
use kessai_store::sqlite::stepped::StoreAnswer;
use kessai_store::{ChangeSet, Op};

impl World {
    pub(super) fn flush(&mut self) {
        self.flush_due = false;
        if self.strikes(Fault::DoubtLost)
            && let Some(node) = self.database.fail_first(kessai_store::StoreError::InDoubt)
        {
            self.poke_node(node);
        }
        if self.strikes(Fault::CrashBeforeCommit) {
            let n = usize::try_from(self.schedule.below(self.nodes.len() as u64)).unwrap_or(0);
            self.database.forget(n);
            return self.crash(n);
        }
        let most = 1 + usize::try_from(self.schedule.below(24)).unwrap_or(1);
        let checks = self.checks.clone();
        let mut tables: Vec<String> = Vec::new();
        let mut intents: Vec<bool> = Vec::new();
        let keep_log = self.plan.keep_log;
        let answers = self.database.flush(most, &mut |set| {
            lock(&checks).committed(set);
            intents.push(intends(set));
            if keep_log {
                tables.push(summary(set));
            }
        });
        self.note(13, answers.len() as u64, || {
            format!("flush of {}: {}", answers.len(), tables.join("; "))
        });
        let dies = self.strikes(Fault::CrashAfterCommit);
        let durable = answers.iter().filter(|answer| answer.is_durable());
        let intending = durable.zip(&intents).find(|(_, intends)| **intends);
        let intending = intending.map(|(answer, _)| answer.node);
        let sleeps = !dies && !answers.is_empty() && self.strikes(Fault::PauseAfterCommit);
        let dying = answers.first().map(|answer| answer.node);
        for answer in answers {
            for row in answer.claimed() {
                if let (Ok(shop), Ok(job), Ok(until_us)) = (row.text(0), row.text(1), row.int(5)) {
                    lock(&self.checks).leased(shop, job, until_us, until_us - LEASE_S * S);
                }
            }
            if dies && Some(answer.node) == dying {
                continue;
            }
            self.after(20, 400, Event::Stored(answer));
        }
        if let (true, Some(n)) = (dies, dying)
            && n < self.nodes.len()
        {
            self.crash(n);
        }
        if let (true, Some(n)) = (sleeps, dying) {
            self.stand_still(n, 100 * S, 1_500 * S);
        }
        if let Some(n) = intending
            && self.strikes(Fault::PauseAfterIntent)
        {
            self.stand_still(n, 100 * S, 1_500 * S);
        }
    }

    pub(super) fn reads(&mut self, number: u64) {
        self.reads_due = false;
        self.note(3, number, String::new);
        for node in self.database.read_waiting() {
            self.poke_node(node);
        }
    }

    pub(super) fn stored(&mut self, number: u64, answer: StoreAnswer) {
        let node = answer.node;
        self.note(14, number, || format!("node {node} hears from the store"));
        if self.strikes(Fault::DoubtApplied) {
            answer.deliver_doubt();
        } else {
            answer.deliver();
        }
        self.poke_node(node);
    }
}

/// Whether a change set writes down what the provider is about to be asked for.
fn intends(set: &ChangeSet) -> bool {
    let attempt = |op: &Op| matches!(op, Op::Insert(table, _) if table.name == "attempts");
    set.ops.iter().any(attempt)
}

/// A change set in a few words, for the log.
fn summary(set: &ChangeSet) -> String {
    use kessai_store::{Guard, Value};
    let shown = |table: &str, row: &[Value], verb: char| {
        let text = |at: usize| match row.get(at) {
            Some(Value::Text(text)) => text.to_string(),
            Some(Value::Int(n)) => n.to_string(),
            _ => String::new(),
        };
        match table {
            "payments" => format!("{verb}payment {} {}", text(1), text(2)),
            "attempts" => format!("{verb}attempt {}_{} {} {}", text(1), text(2), text(3), text(5)),
            "events" => format!("{verb}event {} {} {}", text(2), text(3), text(4)),
            "jobs" => format!("{verb}job {}", text(1)),
            "discrepancies" => format!("{verb}discrepancy {} {}", text(1), text(2)),
            "deliveries" => format!("{verb}delivery {} {}", text(1), text(4)),
            "idempotency" => format!("{verb}key {}", text(3)),
            other => format!("{verb}{other}"),
        }
    };
    let guards = set.guards.iter().map(|guard| match guard {
        Guard::Insert(table, row) => shown(table.name, row, '+'),
        Guard::Update { table, row, .. } => shown(table.name, row, '~'),
        Guard::Delete { table, key, .. } | Guard::Take { table, key, .. } => shown(table.name, key, '-'),
    });
    let ops = set.ops.iter().filter_map(|op| match op {
        Op::Insert(table, row) => Some(shown(table.name, row, '+')),
        Op::Update(table, row) => Some(shown(table.name, row, '~')),
        Op::Delete(table, key) => Some(shown(table.name, key, '-')),
        Op::Add { .. } => None,
    });
    guards.chain(ops).collect::<Vec<_>>().join(", ")
}
