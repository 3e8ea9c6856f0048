//! One job's lease between two nodes whose clocks differ, either of which may die or sleep. The claim's condition, the guard of the end and the
//! guard of another try are read from the product's own values ([`Lease::finish`], [`kessai_jobs::NewJob`]); what a store does with a guard is said here
//! in four lines and tested against both stores by the store's suite.
use jiff::Timestamp;
use kessai_jobs::Lease;
use kessai_store::Guard;
use kessai_store::JobClaim;
use stateright::{Model, Property};

/// How long a lease lasts, in ticks.
const LASTS: i64 = 2;
/// How far apart two clocks may be, in ticks.
const SKEW: i64 = 1;

/// The job's row, while it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Row {
    run_at: i64,
    leased_until: i64,
    attempt: i64,
}

/// What a node is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Node {
    /// Nothing.
    Idle,
    /// It holds, or thinks that it holds, the job as this try.
    Working {
        /// The try.
        attempt: i64,
    },
}

/// Store, nodes and time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    job: Option<Row>,
    nodes: [Node; 2],
    tick: i64,
    /// How often the work's effect was committed together with the end of the job.
    effects: u8,
    /// Whether a job was claimed while its lease lasted by the claimer's clock.
    robbed: bool,
    /// Whether a try that is not the latest ended the job.
    stale: bool,
    crashes: u8,
    agains: u8,
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "they say it themselves")]
pub enum Action {
    Tick,
    Claim(usize),
    Finish(usize),
    Again(usize),
    Crash(usize),
}

/// What decides about a lease.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "named as the product's")]
pub struct LeaseRules {
    /// Whether a job may be claimed: `kessai_store::is_due`.
    pub due: fn(i64, i64, i64) -> bool,
    /// The guard that ends a job.
    pub finish: fn(&Lease) -> Guard,
}

impl LeaseRules {
    /// What runs in the hub.
    pub fn product() -> Self {
        Self {
            due: kessai_store::is_due,
            finish: Lease::finish,
        }
    }
}

/// One job and two nodes.
#[derive(Debug, Clone)]
pub struct OneLease {
    /// The product's decisions, or wrong ones.
    pub rules: LeaseRules,
    /// How long time goes on, in ticks.
    pub ticks: i64,
    /// How often a node dies.
    pub crashes: u8,
    /// How often the job is to run again.
    pub agains: u8,
}

impl OneLease {
    /// The second node's clock is ahead.
    fn clock(world: &World, node: usize) -> i64 {
        world.tick + if node == 1 { SKEW } else { 0 }
    }

    fn lease(attempt: i64) -> Lease {
        Lease {
            shop: "shop".into(),
            id: "job".into(),
            attempt: u32::try_from(attempt).expect("a count"),
            due_at: Timestamp::UNIX_EPOCH,
        }
    }

    /// What a store makes of a guard that deletes: refused unless the row is there with the expected version, which for a job is its try.
    fn deletes(world: &World, guard: &Guard) -> bool {
        let Guard::Delete { expected, .. } = guard else {
            unreachable!("a job ends by a delete")
        };
        world
            .job
            .is_some_and(|row| expected.is_none_or(|expected| expected == row.attempt))
    }
}

impl Model for OneLease {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            job: Some(Row {
                run_at: 1,
                leased_until: 0,
                attempt: 0,
            }),
            nodes: [Node::Idle; 2],
            tick: 0,
            effects: 0,
            robbed: false,
            stale: false,
            crashes: self.crashes,
            agains: self.agains,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.tick < self.ticks {
            actions.push(Action::Tick);
        }
        for (place, node) in world.nodes.iter().enumerate() {
            match node {
                Node::Idle => actions.push(Action::Claim(place)),
                // Whoever works may sleep: any number of ticks pass before this.
                Node::Working { .. } => {
                    actions.push(Action::Finish(place));
                    if world.agains > 0 {
                        actions.push(Action::Again(place));
                    }
                    if world.crashes > 0 {
                        actions.push(Action::Crash(place));
                    }
                }
            }
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        match action {
            Action::Tick => next.tick += 1,
            Action::Claim(place) => {
                let now = Self::clock(world, place);
                let claim = JobClaim {
                    now_us: now,
                    lease_until_us: now + LASTS,
                    limit: 1,
                };
                let row = next.job.as_mut()?;
                if !(self.rules.due)(row.run_at, row.leased_until, claim.now_us) {
                    return None;
                }
                next.robbed |= row.leased_until > now;
                // CLAIM_SQLITE and CLAIM_POSTGRES: SET leased_until = $2, attempt = attempt + 1.
                row.leased_until = claim.lease_until_us;
                row.attempt += 1;
                next.nodes[place] = Node::Working { attempt: row.attempt };
            }
            Action::Finish(place) => {
                let Node::Working { attempt } = world.nodes[place] else {
                    return None;
                };
                next.nodes[place] = Node::Idle;
                // The effect stands in the same change set as the guard: all of it or nothing.
                if Self::deletes(world, &(self.rules.finish)(&Self::lease(attempt))) {
                    next.stale |= world.job.is_some_and(|row| row.attempt != attempt);
                    next.job = None;
                    next.effects += 1;
                }
            }
            Action::Again(place) => {
                let Node::Working { attempt } = world.nodes[place] else {
                    return None;
                };
                next.nodes[place] = Node::Idle;
                // The runner's guard is the same try, by an update.
                if Self::deletes(world, &(self.rules.finish)(&Self::lease(attempt))) {
                    next.agains -= 1;
                    next.job = Some(Row {
                        run_at: Self::clock(world, place) + 1,
                        leased_until: 0,
                        attempt,
                    });
                }
            }
            Action::Crash(place) => {
                next.crashes -= 1;
                next.nodes[place] = Node::Idle;
            }
        }
        Some(next)
    }

    /// Only a wrong rule lets a job be tried again and again without time going on.
    fn within_boundary(&self, world: &World) -> bool {
        world.job.is_none_or(|row| row.attempt <= 8)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one job, one effect", |_, world: &World| world.effects <= 1),
            Property::always(
                "an effect takes its job away, and nothing else does",
                |_, world: &World| (world.effects == 1) == world.job.is_none(),
            ),
            Property::always("only the latest try ends a job", |_, world: &World| !world.stale),
            Property::always(
                "no job is taken from a holder whose lease lasts",
                |_, world: &World| !world.robbed,
            ),
            Property::always("two nodes never hold the same try", |_, world: &World| {
                !matches!(
                    world.nodes,
                    [Node::Working { attempt: one }, Node::Working { attempt: other }] if one == other
                )
            }),
            Property::always(
                "a job that is left can be claimed once its lease is over",
                |model: &Self, world: &World| {
                    world.job.is_none_or(|row| {
                        let later = row.run_at.max(row.leased_until);
                        (model.rules.due)(row.run_at, row.leased_until, later)
                    })
                },
            ),
            Property::sometimes("a stale holder finishes in vain", |_, world: &World| {
                world.effects == 1
                    && world
                        .nodes
                        .iter()
                        .any(|node| matches!(node, Node::Working { .. }))
            }),
        ]
    }
}
