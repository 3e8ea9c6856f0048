//! One batch as one transaction. Most go as a single statement that is its own transaction; where order matters, or a guard refused, all
//! guards go as set-based statements, then all operations with COMMIT behind them.

use std::collections::{BTreeMap, HashSet};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use futures_util::future::{MaybeDone, maybe_done, try_join_all};
use tokio_postgres::Statement;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use super::connection::Connection;
use super::sql::{Class, NOT_AS_COUNTED, Param, Verb, class, failed, row};
use crate::change::{Guard, Op};
use crate::queue::{Settled, Work};
use crate::table::Table;
use crate::{Commit, JobClaim, Row, StoreError, Value, jobs};

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// What a batch came to.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// Answers that are final (and, where they say so, durable).
    pub settled: Vec<(usize, Settled)>,
    /// What is still to do, batch by batch, because this transaction was rolled back.
    pub rest: Vec<Vec<usize>>,
}

/// Why a batch did not commit.
#[derive(Debug)]
pub(super) enum Failure {
    /// Rolled back because of another transaction: the same again.
    Again(StoreError),
    /// The connection was lost before anything was sent that commits: nothing is durable.
    Lost(StoreError),
    /// The connection was lost after COMMIT, or the statement that commits by itself, was sent.
    InDoubt,
    /// A statement was refused: some change set of the batch is to blame.
    Rejected(StoreError),
}

/// A row of a statement, and where it comes from.
struct Entry<'a> {
    item: usize,
    guard: usize,
    values: &'a [Value],
    number: i64,
}

/// The rows of one statement.
struct Group<'a> {
    table: &'static Table,
    verb: Verb,
    entries: Vec<Entry<'a>>,
}

/// Statements in an order that is the same in every batch, so that writers rarely wait for each other in a circle.
type Plan<'a> = BTreeMap<(&'static str, Verb), Group<'a>>;

fn put<'a>(plan: &mut Plan<'a>, table: &'static Table, verb: Verb, entry: Entry<'a>) {
    let group = plan.entry((table.name, verb)).or_insert_with(|| Group {
        table,
        verb,
        entries: Vec::new(),
    });
    group.entries.push(entry);
}

fn guards<'a>(works: &'a [Work], segment: &[usize]) -> Plan<'a> {
    let mut plan = Plan::new();
    for &item in segment {
        let Work::Change(checked, _) = &works[item] else {
            continue;
        };
        for (index, guard) in checked.set.guards.iter().enumerate() {
            let (table, verb, values, number) = match guard {
                Guard::Insert(table, row) => (table, Verb::GuardInsert, row, 0),
                Guard::Update { table, row, expected } => (table, Verb::GuardUpdate, row, *expected),
                Guard::Delete {
                    table,
                    key,
                    expected: Some(n),
                } => (table, Verb::GuardDeleteFrom, key, *n),
                Guard::Delete {
                    table,
                    key,
                    expected: None,
                } => (table, Verb::GuardDelete, key, 0),
                Guard::Take { table, key, amount } => (table, Verb::GuardTake, key, *amount),
            };
            put(
                &mut plan,
                table,
                verb,
                Entry {
                    item,
                    guard: index,
                    values,
                    number,
                },
            );
        }
    }
    plan.values_mut().for_each(Group::sort);
    plan
}

fn ops<'a>(works: &'a [Work], segment: impl Iterator<Item = usize>) -> Result<Plan<'a>, StoreError> {
    let mut plan = Plan::new();
    for item in segment {
        let Work::Change(checked, _) = &works[item] else {
            continue;
        };
        for op in &checked.set.ops {
            let (table, verb, values, number) = match op {
                Op::Insert(table, row) => (table, Verb::Insert, row, 0),
                Op::Update(table, row) => (table, Verb::Update, row, 0),
                Op::Delete(table, key) => (table, Verb::Delete, key, 0),
                Op::Add { table, key, delta } => (table, Verb::Add, key, *delta),
            };
            put(
                &mut plan,
                table,
                verb,
                Entry {
                    item,
                    guard: 0,
                    values,
                    number,
                },
            );
        }
    }
    for group in plan.values_mut() {
        group.sort();
        if group.verb == Verb::Add {
            group.sum_up()?;
        }
    }
    Ok(plan)
}

/// The rows that are there already and will be written, table by table in key order: who locks them so first cannot wait
/// in a circle with another who does.
fn locks<'a>(works: &'a [Work], segment: &[usize]) -> Plan<'a> {
    let mut plan = Plan::new();
    for &item in segment {
        let Work::Change(checked, _) = &works[item] else {
            continue;
        };
        let guards = checked
            .set
            .guards
            .iter()
            .filter(|guard| !matches!(guard, Guard::Insert(..)))
            .map(Guard::touches);
        let ops = checked
            .set
            .ops
            .iter()
            .filter(|op| !matches!(op, Op::Insert(..)))
            .map(Op::touches);
        for (table, values) in guards.chain(ops) {
            put(
                &mut plan,
                table,
                Verb::Lock,
                Entry {
                    item,
                    guard: 0,
                    values,
                    number: 0,
                },
            );
        }
    }
    plan.values_mut().for_each(Group::sort);
    plan
}

impl<'a> Group<'a> {
    fn sort(&mut self) {
        let key = self.table.key;
        self.entries.sort_by(|a, b| a.values[..key].cmp(&b.values[..key]));
    }

    /// One row per counter: a statement cannot touch a row twice.
    fn sum_up(&mut self) -> Result<(), StoreError> {
        let mut sums: Vec<Entry<'a>> = Vec::with_capacity(self.entries.len());
        for entry in self.entries.drain(..) {
            match sums.last_mut() {
                Some(sum) if sum.values == entry.values => {
                    sum.number = sum
                        .number
                        .checked_add(entry.number)
                        .ok_or_else(|| StoreError::invalid("a counter's sum passes 64 bits"))?;
                }
                _ => sums.push(entry),
            }
        }
        self.entries = sums;
        Ok(())
    }

    fn arguments(&self) -> Arguments<'a> {
        let width = self.verb.width(self.table);
        let columns = (0..width)
            .map(|c| self.entries.iter().map(|e| Param(&e.values[c])).collect())
            .collect();
        let numbers = self
            .verb
            .numbered()
            .then(|| self.entries.iter().map(|e| e.number).collect());
        Arguments { columns, numbers }
    }

    /// Marks which entries the database let through.
    fn accepted(&self, rows: &[tokio_postgres::Row]) -> Result<Vec<bool>, StoreError> {
        if rows.len() == self.entries.len() {
            return Ok(vec![true; rows.len()]);
        }
        if self.verb == Verb::GuardInsert {
            let keys = rows
                .iter()
                .map(|r| Ok(row(r)?.into_values()))
                .collect::<Result<HashSet<_>, StoreError>>()?;
            return Ok(self
                .entries
                .iter()
                .map(|e| keys.contains(&e.values[..self.table.key]))
                .collect());
        }
        let mut accepted = vec![false; self.entries.len()];
        for ordinal in rows {
            let ordinal = row(ordinal)?.int(0)?;
            let index = usize::try_from(ordinal - 1).ok().filter(|i| *i < accepted.len());
            accepted[index.ok_or_else(|| StoreError::invalid("an ordinal out of range"))?] = true;
        }
        Ok(accepted)
    }

    /// Whether only a row outside this batch can have caused a refusal here. Keys in a batch differ, but rows of two
    /// change sets may clash in another unique constraint.
    fn refuses_for_good(&self) -> bool {
        self.verb != Verb::GuardInsert || !self.table.unique
    }
}

/// The arrays of a statement.
struct Arguments<'a> {
    columns: Vec<Vec<Param<'a>>>,
    numbers: Option<Vec<i64>>,
}

impl Arguments<'_> {
    fn list(&self) -> Vec<&(dyn ToSql + Sync)> {
        let columns = self.columns.iter().map(|column| column as &(dyn ToSql + Sync));
        columns
            .chain(self.numbers.iter().map(|numbers| numbers as &(dyn ToSql + Sync)))
            .collect()
    }
}

type PgRows = Result<Vec<tokio_postgres::Row>, tokio_postgres::Error>;
type Sent<'a> = Pin<Box<dyn Future<Output = PgRows> + Send + 'a>>;

fn simple<'a>(connection: &'a Connection, sql: &'static str) -> Sent<'a> {
    Box::pin(async move { connection.client.batch_execute(sql).await.map(|()| Vec::new()) })
}

/// Waited for: behind a BEGIN that failed, statements would commit one by one.
async fn begin(connection: &Connection) -> Result<(), Failure> {
    let begun = connection.client.batch_execute(BEGIN).await;
    begun.map_err(|error| lost_or_rejected(&error))
}

fn statement<'a>(
    connection: &'a Connection,
    statement: &'a Statement,
    arguments: &'a [Arguments<'a>],
) -> Sent<'a> {
    Box::pin(async move {
        let list: Vec<_> = arguments.iter().flat_map(Arguments::list).collect();
        connection.client.query(statement, &list).await
    })
}

/// Sends all in the order given (each is sent when first polled) and waits for all answers.
async fn pipelined(sent: Vec<Sent<'_>>) -> Vec<PgRows> {
    let mut sent: Vec<Pin<Box<MaybeDone<Sent<'_>>>>> =
        sent.into_iter().map(|f| Box::pin(maybe_done(f))).collect();
    poll_fn(|context| {
        let waiting = sent
            .iter_mut()
            .filter_map(|f| f.as_mut().poll(context).is_pending().then_some(()))
            .count();
        if waiting == 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    sent.iter_mut()
        .map(|f| f.as_mut().take_output().expect("polled to its end, taken once"))
        .collect()
}

fn lost_or_rejected(error: &tokio_postgres::Error) -> Failure {
    match class(error) {
        Class::Again => Failure::Again(failed(error)),
        Class::Connection => Failure::Lost(failed(error)),
        Class::StalePlan | Class::Aborted | Class::Statement => Failure::Rejected(failed(error)),
    }
}

/// Whether the order of these writes cannot matter: no table with a further unique constraint has room made in it.
fn orderless(plans: [&Plan<'_>; 2]) -> bool {
    let all = || plans.into_iter().flat_map(Plan::values);
    let makes_room = |verb| matches!(verb, Verb::GuardDelete | Verb::GuardDeleteFrom | Verb::Delete);
    !all().any(|group| group.table.unique && makes_room(group.verb))
}

/// The change sets that take from a row which an earlier one of the segment takes from, too.
fn crowded(works: &[Work], segment: &[usize]) -> HashSet<usize> {
    let mut taken: HashSet<u64> = HashSet::new();
    let takes_again = |item: &&usize| match &works[**item] {
        Work::Change(checked, _) => {
            let before = checked.takes.iter().filter(|key| taken.contains(*key)).count();
            taken.extend(&checked.takes);
            before > 0
        }
        Work::Claim(..) => false,
    };
    segment.iter().filter(takes_again).copied().collect()
}

/// The guards, with one row for all that is taken from one counter: a statement cannot touch a row twice.
fn taken_together<'a>(works: &'a [Work], segment: &[usize]) -> Result<Plan<'a>, Failure> {
    let mut plan = guards(works, segment);
    for group in plan.values_mut().filter(|group| group.verb == Verb::GuardTake) {
        group.sum_up().map_err(Failure::Rejected)?;
    }
    Ok(plan)
}

/// Commits a batch as one statement, which is a transaction of its own: one message there, one back. None if a guard refused:
/// then nothing was written, and the batch goes the long way to find out which.
async fn at_once(connection: &Connection, guards: &Plan<'_>, ops: &Plan<'_>) -> Result<Option<()>, Failure> {
    let groups: Vec<&Group<'_>> = guards.values().chain(ops.values()).collect();
    let prepared = connection.generated(&writes(&groups), guards.len()).await;
    let prepared = prepared.map_err(|error| lost_or_rejected(&error))?;
    let arguments: Vec<Arguments<'_>> = groups.iter().map(|group| group.arguments()).collect();
    let counts: Vec<i64> = guards
        .values()
        .map(|group| i64::try_from(group.entries.len()).expect("bounded by the batch"))
        .collect();
    let mut list: Vec<&(dyn ToSql + Sync)> = arguments.iter().flat_map(Arguments::list).collect();
    list.extend(counts.iter().map(|count| count as &(dyn ToSql + Sync)));
    match connection.client.query(&prepared, &list).await {
        Ok(_) => Ok(Some(())),
        Err(error) if error.code() == Some(NOT_AS_COUNTED) => Ok(None),
        Err(error) => Err(match lost_or_rejected(&error) {
            // a standby writes nothing; any other loss may have come after the commit
            Failure::Lost(lost) if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => {
                Failure::Lost(lost)
            }
            Failure::Lost(_) => {
                tracing::error!("the connection was lost during a commit");
                Failure::InDoubt
            }
            other => other,
        }),
    }
}

/// Leases jobs: one statement, a transaction of its own.
pub(super) async fn claim(connection: &Connection, claim: &JobClaim) -> Result<Settled, Failure> {
    let statement = connection.query_statement(jobs::CLAIM_POSTGRES).await;
    let statement = statement.map_err(|error| lost_or_rejected(&error))?;
    let limit = i64::from(claim.limit);
    let answer = connection
        .client
        .query(&statement, &[&claim.now_us, &claim.lease_until_us, &limit])
        .await;
    match answer {
        // Jobs leased to nobody wait for their lease to end, so a lost answer may be asked for again.
        Err(error) => Err(lost_or_rejected(&error)),
        Ok(rows) => Ok(claimed_rows(&rows)),
    }
}

/// Runs these changes of the batch as one transaction; a careful one locks all its rows first.
pub(super) async fn run(
    connection: &Connection,
    works: &[Work],
    segment: &[usize],
    careful: bool,
) -> Result<Step, Failure> {
    let locks = if careful {
        locks(works, segment)
    } else {
        Plan::new()
    };
    let guards = guards(works, segment);
    let all_ops = ops(works, segment.iter().copied()).map_err(Failure::Rejected)?;
    connection.plan_again();
    let crowded = crowded(works, segment);
    let plain = !careful && orderless([&guards, &all_ops]);
    if plain {
        let together = match crowded.is_empty() {
            true => None,
            false => Some(taken_together(works, segment)?),
        };
        let guards = together.as_ref().unwrap_or(&guards);
        if at_once(connection, guards, &all_ops).await?.is_some() {
            let done = |&item: &usize| (item, Settled::Commit(Commit::Done));
            return Ok(Step {
                settled: segment.iter().map(done).collect(),
                rest: Vec::new(),
            });
        }
    }
    if !crowded.is_empty() {
        // There is not enough for all of them, or something else refused: in turn, as they came.
        let (first, then) = segment.iter().partition(|item| !crowded.contains(item));
        let then: Vec<usize> = then;
        return Ok(Step {
            settled: Vec::new(),
            rest: std::iter::once(first)
                .chain(then.into_iter().map(|item| vec![item]))
                .filter(|segment: &Vec<usize>| !segment.is_empty())
                .collect(),
        });
    }
    // everything is prepared before BEGIN, so that nothing between BEGIN and COMMIT waits for more than it must
    let first = locks.values().chain(guards.values()).map(|group| vec![group]);
    let first = prepare(connection, first.collect()).await;
    let first = first.map_err(|error| lost_or_rejected(&error))?;
    let mut then = prepare(connection, together(&all_ops))
        .await
        .map_err(|error| lost_or_rejected(&error))?;

    let mut refused: BTreeMap<usize, (usize, bool)> = BTreeMap::new();
    let begun = !guards.is_empty() || !locks.is_empty();
    if begun {
        refused = check_guards(connection, &locks, &guards, &first).await?;
        let partly = |item: &usize| matches!(&works[*item], Work::Change(c, _) if c.set.guards.len() > 1);
        if refused.keys().any(partly) {
            let _ = connection.client.batch_execute("ROLLBACK").await;
            return Ok(without_refused(segment, &refused, partly));
        }
    }

    let accepted = segment.iter().copied().filter(|item| !refused.contains_key(item));
    let ops = if refused.is_empty() {
        all_ops
    } else {
        let ops = ops(works, accepted).map_err(Failure::Rejected)?;
        match prepare(connection, together(&ops)).await {
            Ok(prepared) => then = prepared,
            Err(error) => {
                let _ = connection.client.batch_execute("ROLLBACK").await;
                return Err(lost_or_rejected(&error));
            }
        }
        ops
    };
    let arguments: Vec<Vec<Arguments<'_>>> = together(&ops)
        .into_iter()
        .map(|groups| groups.into_iter().map(Group::arguments).collect())
        .collect();
    let mut sent = Vec::with_capacity(then.len() + 1);
    if !begun {
        begin(connection).await?;
    }
    for (prepared, arguments) in then.iter().zip(&arguments) {
        sent.push(statement(connection, prepared, arguments));
    }
    sent.push(simple(connection, "COMMIT"));
    let mut answers = pipelined(sent).await;
    let committed = answers.pop().expect("COMMIT was sent last");
    judge(&answers, committed).inspect_err(|failure| {
        if matches!(failure, Failure::InDoubt) {
            tracing::error!(changes = segment.len(), "the connection was lost during COMMIT");
        }
    })?;

    let settled = segment.iter().map(|&item| {
        let commit = match refused.get(&item) {
            Some((guard, _)) => Commit::Refused { guard: *guard },
            None => Commit::Done,
        };
        (item, Settled::Commit(commit))
    });
    Ok(Step {
        settled: settled.collect(),
        rest: Vec::new(),
    })
}

/// The groups of a plan, as they are sent together: what makes room goes first and alone, all other operations as one
/// statement, so that the server answers once.
fn together<'a, 'p>(plan: &'p Plan<'a>) -> Vec<Vec<&'p Group<'a>>> {
    let (deletes, others): (Vec<_>, Vec<_>) = plan.values().partition(|group| group.verb == Verb::Delete);
    let mut sent: Vec<Vec<_>> = deletes.into_iter().map(|group| vec![group]).collect();
    if !others.is_empty() {
        sent.push(others);
    }
    sent
}

fn writes(groups: &[&Group<'_>]) -> Box<[(&'static Table, Verb)]> {
    groups.iter().map(|group| (group.table, group.verb)).collect()
}

async fn prepare(
    connection: &Connection,
    plan: Vec<Vec<&Group<'_>>>,
) -> Result<Vec<Statement>, tokio_postgres::Error> {
    let plan: Vec<_> = plan.iter().map(|groups| writes(groups)).collect();
    try_join_all(plan.iter().map(|writes| connection.generated(writes, 0))).await
}

/// BEGIN, then locks and all guards in one round trip. Answers the refused items: their first refusing guard, and whether the
/// refusal stands whatever becomes of the rest of the batch.
async fn check_guards(
    connection: &Connection,
    locks: &Plan<'_>,
    guards: &Plan<'_>,
    prepared: &[Statement],
) -> Result<BTreeMap<usize, (usize, bool)>, Failure> {
    let groups = || locks.values().chain(guards.values());
    let arguments: Vec<Vec<Arguments<'_>>> = groups().map(|group| vec![group.arguments()]).collect();
    begin(connection).await?;
    let mut sent = Vec::with_capacity(prepared.len());
    for (prepared, arguments) in prepared.iter().zip(&arguments) {
        sent.push(statement(connection, prepared, arguments));
    }
    let answers = pipelined(sent).await;
    let errors = || answers.iter().filter_map(|answer| answer.as_ref().err());
    // what follows a guard's failure is an echo
    if let Some(error) = errors()
        .find(|error| class(error) != Class::Aborted)
        .or(errors().next())
    {
        let failure = lost_or_rejected(error);
        let _ = connection.client.batch_execute("ROLLBACK").await;
        return Err(failure);
    }
    let mut refused: BTreeMap<usize, (usize, bool)> = BTreeMap::new();
    for (group, rows) in guards.values().zip(answers.iter().skip(locks.len()).flatten()) {
        let accepted = match group.accepted(rows) {
            Ok(accepted) => accepted,
            Err(error) => {
                let _ = connection.client.batch_execute("ROLLBACK").await;
                return Err(Failure::Rejected(error));
            }
        };
        for (entry, _) in group
            .entries
            .iter()
            .zip(accepted)
            .filter(|(_, accepted)| !accepted)
        {
            let first = refused.entry(entry.item).or_insert((entry.guard, true));
            first.0 = first.0.min(entry.guard);
            first.1 &= group.refuses_for_good();
        }
    }
    Ok(refused)
}

/// The transaction is rolled back because a refused change set had written. Its refusal is final when nothing of this
/// batch can have caused it; otherwise it is asked again alone. The others, refused ones included (what refused them may
/// be undone now), go again together.
fn without_refused(
    segment: &[usize],
    refused: &BTreeMap<usize, (usize, bool)>,
    partly: impl Fn(&usize) -> bool,
) -> Step {
    let mut step = Step::default();
    let (mut together, mut alone) = (Vec::new(), Vec::new());
    for &item in segment {
        match refused.get(&item) {
            Some(&(guard, for_good)) if partly(&item) => {
                if for_good || segment.len() == 1 {
                    step.settled
                        .push((item, Settled::Commit(Commit::Refused { guard })));
                } else {
                    alone.push(vec![item]);
                }
            }
            _ => together.push(item),
        }
    }
    if !together.is_empty() {
        step.rest.push(together);
    }
    step.rest.extend(alone);
    step
}

/// Whether the transaction is durable, from the answers to its operations and to COMMIT.
fn judge(answers: &[PgRows], committed: PgRows) -> Result<(), Failure> {
    let errors = || answers.iter().filter_map(|answer| answer.as_ref().err());
    if let Some(error) = errors()
        .find(|error| class(error) != Class::Aborted)
        .or(errors().next())
    {
        // the server refused an operation, so its COMMIT was a rollback; a lost connection says nothing about it
        return Err(match lost_or_rejected(error) {
            Failure::Lost(_) => Failure::InDoubt,
            other => other,
        });
    }
    match committed {
        Ok(_) => Ok(()),
        Err(error) => Err(match lost_or_rejected(&error) {
            Failure::Lost(_) => Failure::InDoubt,
            other => other,
        }),
    }
}

fn claimed_rows(answer: &[tokio_postgres::Row]) -> Settled {
    match answer.iter().map(row).collect::<Result<Vec<Row>, _>>() {
        Ok(mut rows) => {
            jobs::oldest_first(&mut rows);
            Settled::Rows(rows)
        }
        Err(error) => Settled::Failed(error),
    }
}
