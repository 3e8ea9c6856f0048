//! One payment: merchants' operations, the provider's own doings, notifications, two nodes that may die or sleep at any step, replies and
//! requests that are lost or late. The decisions are the product's functions, held in [`Rules`] so that a test can put a wrong one in.
use crate::rules::Rules;
use kessai_core::attempt::{AttemptStatus, Purpose};
use kessai_core::payment::{
    CaptureMode, Command, Fact, Folded, InFlight, Operation, State, Status, Suspicion,
};
use kessai_core::settle::{Answer, Seen};
use kessai_core::{Currency, Money};
use std::collections::BTreeSet;

mod explored;

/// What was asked for.
pub const ASKED: i64 = 10;

/// An amount in yen.
pub fn yen(minor: i64) -> Money {
    Money::new(minor, Currency::JPY).expect("a small amount")
}

/// What a merchant wants, each once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "they say it themselves")]
pub enum Wish {
    Authorize,
    Capture,
    CapturePart,
    Cancel,
    Refund,
    RefundPart,
}

/// What the provider, its operator or the shopper does without us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "they say it themselves")]
pub enum Doing {
    Authorize,
    AuthorizeOtherwise,
    Pay,
    Fail,
    Expire,
    Capture,
    Cancel,
    Refund,
}

/// The provider's books.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Theirs {
    status: Status,
    total: Money,
    captured: Option<Money>,
    refunds: Vec<(Box<str>, Money)>,
    /// Which of our attempts it has booked, each time it did.
    booked: Vec<u32>,
}

impl Theirs {
    fn seen(&self) -> Seen<'_> {
        Seen {
            status: self.status,
            total: self.total,
            captured: self.captured,
            refunds: &self.refunds,
            failure: None,
        }
    }

    fn returned(&self) -> i64 {
        self.refunds.iter().map(|(_, amount)| amount.minor()).sum()
    }

    fn left(&self) -> i64 {
        self.captured.map_or(0, Money::minor) - self.returned()
    }

    fn refund(&mut self, name: String, amount: Money) {
        self.refunds.push((name.into(), amount));
        if self.left() == 0 {
            self.status = Status::Refunded;
        }
    }
}

/// An attempt as it stands in our store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Attempt {
    operation: Operation,
    amount: Money,
    status: AttemptStatus,
    purpose: Purpose,
    /// Older than `absence_s`.
    old: bool,
}

/// What a call brought back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reply {
    /// Done, or accepted while it is pending.
    Shown(Theirs),
    /// Refused.
    Declined,
    /// It never left.
    NotSent,
    /// Nobody knows.
    Unknown,
}

/// One node at work on the payment. A node works on a payment in one place at a time, so two nodes are two hands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Hand {
    /// The intent is written; the call comes next.
    Sending {
        /// Which attempt.
        n: u32,
    },
    /// The call is over; its outcome is to be written.
    Holding {
        /// Which attempt.
        n: u32,
        /// What came back.
        reply: Reply,
        /// The payment as it was read, for rules that do not compare versions.
        copy: Option<Box<State>>,
    },
    /// The provider has been asked; what it said is to be written.
    Looking {
        /// The open attempt that is settled by it, if there is one.
        n: Option<u32>,
        /// What it said.
        view: Option<Theirs>,
        /// Whether the attempt was old when it was asked.
        old: bool,
        /// Whether the payment has changed since it was read.
        stale: bool,
        /// Whether it is the look before giving up what is not ours.
        unwinds: bool,
        /// As for [`Hand::Holding`].
        copy: Option<Box<State>>,
    },
}

impl Hand {
    fn attempt(&self) -> Option<u32> {
        match self {
            Self::Sending { n } | Self::Holding { n, .. } => Some(*n),
            Self::Looking { .. } => None,
        }
    }
}

/// Everything about the payment, on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    theirs: Option<Theirs>,
    ours: State,
    attempts: Vec<Attempt>,
    raised: BTreeSet<Suspicion>,
    /// Whether the job that gives up what is not ours stands.
    /// Something is to be given up at the provider; whether money goes back too.
    unwind: Option<bool>,
    hands: Vec<Hand>,
    /// Requests on their way whose sender has stopped waiting.
    travelling: Vec<u32>,
    wished: u8,
    doings: u8,
    notices: u8,
    crashes: u8,
    losses: u8,
    sleeps: u8,
    went_back: bool,
}

/// How a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "they say it themselves")]
pub enum Fate {
    Arrives,
    ArrivesAndWaits,
    Declined,
    ReplyLost,
    RequestLost,
    Late,
    Refused,
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "they say it themselves")]
pub enum Action {
    /// The merchant's wish of that place is permitted and written down.
    Begin(usize),
    Send(usize, Fate),
    Arrive(usize),
    Commit(usize),
    Crash(usize),
    /// Time passes until the attempt is older than any request can be on its way.
    Age(u32),
    Settle(u32),
    Watch,
    Notice,
    Unwind,
    /// The daily comparison looks at the payment.
    Reconcile,
    Do(Doing),
}

/// How much may go on around one payment.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How often the provider does something by itself.
    pub doings: u8,
    /// How many notifications arrive, be they the first, a second copy or an old one.
    pub notices: u8,
    /// How often a node dies.
    pub crashes: u8,
    /// How many requests or replies are lost, late or refused.
    pub losses: u8,
    /// How often a node sleeps between its intent and its call for longer than any call may take.
    pub sleeps: u8,
}

impl Bounds {
    /// What the tests explore in seconds.
    pub const SMALL: Self = Self {
        doings: 1,
        notices: 1,
        crashes: 1,
        losses: 1,
        sleeps: 1,
    };
    /// Three facts of the provider's, two notifications, a death, a loss and a sleep.
    pub const WHOLE: Self = Self {
        doings: 3,
        notices: 2,
        ..Self::SMALL
    };
}

/// Every pair of operations from every beginning in which both can come about.
pub fn all(rules: Rules, bounds: Bounds) -> Vec<OnePayment> {
    let wishes = [
        Wish::Capture,
        Wish::CapturePart,
        Wish::Cancel,
        Wish::Refund,
        Wish::RefundPart,
    ];
    let mut all = Vec::new();
    let mut add = |begins, mode, wishes: [Wish; 2]| {
        all.push(OnePayment {
            rules,
            begins,
            mode,
            wishes: wishes.to_vec(),
            bounds,
        });
    };
    for (place, one) in wishes.into_iter().enumerate() {
        for other in &wishes[place..] {
            add(Status::Authorized, CaptureMode::Manual, [one, *other]);
        }
    }
    for pair in [
        [Wish::Refund, Wish::Refund],
        [Wish::Refund, Wish::RefundPart],
        [Wish::RefundPart, Wish::RefundPart],
    ] {
        add(Status::Captured, CaptureMode::Manual, pair);
    }
    for mode in [CaptureMode::Manual, CaptureMode::Auto] {
        for other in wishes {
            add(Status::Pending, mode, [Wish::Authorize, other]);
        }
        add(Status::Pending, mode, [Wish::Cancel, Wish::Refund]);
    }
    all
}

/// A payment to explore.
#[derive(Debug, Clone)]
pub struct OnePayment {
    /// The product's decisions, or wrong ones.
    pub rules: Rules,
    /// Where it begins.
    pub begins: Status,
    /// When money is taken.
    pub mode: CaptureMode,
    /// What merchants want.
    pub wishes: Vec<Wish>,
    /// What may go on around it.
    pub bounds: Bounds,
}

impl OnePayment {
    fn take(&self, world: &mut World, state: &mut State, view: &Theirs, purpose: Purpose) {
        let mut suspicion = None;
        for fact in purpose.facts(&view.seen()) {
            if let Folded::Suspect(kind) = (self.rules.fold)(state, &fact) {
                suspicion.get_or_insert(kind);
            }
        }
        let Some(suspicion) = suspicion else { return };
        world.raised.insert(suspicion);
        let remedy = (self.rules.remedy)(suspicion, state.status());
        if remedy.fails {
            (self.rules.fold)(
                state,
                &Fact::Failed {
                    code: "other_error".into(),
                },
            );
        }
        if remedy.unwinds {
            world.unwind = Some(remedy.refunds || world.unwind == Some(true));
        }
    }

    /// The one place where our books change: others that have read them are stale from now on.
    fn commit(&self, world: &mut World, state: State) {
        let rank = |state: &State| match state.status() {
            Status::Pending => 0,
            Status::Authorized => 1,
            Status::Cancelled | Status::Expired | Status::Failed | Status::Captured => 2,
            Status::Refunded => 3,
        };
        let (was, is) = (&world.ours, &state);
        world.went_back |= rank(is) < rank(was)
            || (rank(is) == rank(was) && is.status() != was.status())
            || is.refunded().minor() < was.refunded().minor()
            || (was.captured().minor() > 0 && is.captured() != was.captured());
        world.ours = state;
        for hand in &mut world.hands {
            if let Hand::Looking { stale, .. } = hand {
                *stale = true;
            }
        }
    }

    fn intend(&self, world: &mut World, operation: Operation, amount: Money, purpose: Purpose) {
        let n = u32::try_from(world.attempts.len()).expect("few") + 1;
        let mut state = world.ours.clone();
        state.take_off(InFlight {
            attempt: n,
            operation,
            amount,
        });
        world.attempts.push(Attempt {
            operation,
            amount,
            status: AttemptStatus::Intended,
            purpose,
            old: false,
        });
        self.commit(world, state);
        world.hands.push(Hand::Sending { n });
    }

    /// The provider books a request, or refuses it.
    fn book(&self, world: &mut World, n: u32, waits: bool) -> Reply {
        let attempt = world.attempts[n as usize - 1].clone();
        if attempt.operation == Operation::Authorize {
            let status = match (waits, self.mode) {
                (true, _) => Status::Pending,
                (false, CaptureMode::Auto) => Status::Captured,
                (false, CaptureMode::Manual) => Status::Authorized,
            };
            if let Some(theirs) = &mut world.theirs {
                theirs.booked.push(n);
            } else {
                world.theirs = Some(Theirs {
                    status,
                    total: attempt.amount,
                    captured: (status == Status::Captured).then_some(attempt.amount),
                    refunds: vec![],
                    booked: vec![n],
                });
            }
            return Reply::Shown(world.theirs.clone().expect("just made"));
        }
        let Some(theirs) = &mut world.theirs else {
            return Reply::Unknown;
        };
        let done = match (attempt.operation, theirs.status) {
            (Operation::Capture, Status::Authorized) => {
                theirs.status = Status::Captured;
                theirs.captured = Some(attempt.amount);
                true
            }
            (Operation::Cancel, Status::Pending | Status::Authorized) => {
                theirs.status = Status::Cancelled;
                true
            }
            (Operation::Refund, Status::Captured) if theirs.left() >= attempt.amount.minor() => {
                let name = format!("a{n}.{}", theirs.refunds.len());
                theirs.refund(name, attempt.amount);
                true
            }
            _ => false,
        };
        if !done {
            // What it cannot do any more may have been done before: the client calls that doubt.
            return Reply::Unknown;
        }
        theirs.booked.push(n);
        Reply::Shown(theirs.clone())
    }

    fn does(&self, world: &mut World, doing: Doing) -> bool {
        let Some(theirs) = &mut world.theirs else {
            return false;
        };
        match (doing, theirs.status) {
            (Doing::Authorize, Status::Pending) if self.mode == CaptureMode::Manual => {
                theirs.status = Status::Authorized;
            }
            (Doing::AuthorizeOtherwise, Status::Pending) => {
                theirs.status = Status::Authorized;
                theirs.total = yen(ASKED + 1);
            }
            (Doing::Pay, Status::Pending) if self.mode == CaptureMode::Auto => {
                theirs.status = Status::Captured;
                theirs.captured = Some(theirs.total);
            }
            (Doing::Fail, Status::Pending) => theirs.status = Status::Failed,
            (Doing::Expire, Status::Pending | Status::Authorized) => theirs.status = Status::Expired,
            (Doing::Capture, Status::Authorized) => {
                theirs.status = Status::Captured;
                theirs.captured = Some(theirs.total);
            }
            (Doing::Cancel, Status::Authorized) => theirs.status = Status::Cancelled,
            (Doing::Refund, Status::Captured) if theirs.left() >= 3 => {
                let name = format!("c{}", theirs.refunds.len());
                theirs.refund(name, yen(3));
            }
            _ => return false,
        }
        true
    }

    fn command(wish: Wish) -> Option<Command> {
        match wish {
            Wish::Authorize => None,
            Wish::Capture => Some(Command::Capture { amount: yen(ASKED) }),
            Wish::CapturePart => Some(Command::Capture { amount: yen(6) }),
            Wish::Cancel => Some(Command::Cancel),
            Wish::Refund => Some(Command::Refund { amount: None }),
            Wish::RefundPart => Some(Command::Refund { amount: Some(yen(4)) }),
        }
    }

    fn copy(&self, world: &World) -> Option<Box<State>> {
        (!self.rules.versions).then(|| Box::new(world.ours.clone()))
    }

    fn look(&self, world: &mut World, unwinds: bool) {
        let n = world.ours.in_flight().map(|flight| flight.attempt);
        let copy = self.copy(world);
        world.hands.push(Hand::Looking {
            n,
            view: world.theirs.clone(),
            old: n.is_some_and(|n| world.attempts[n as usize - 1].old),
            stale: false,
            unwinds,
            copy,
        });
    }

    fn conclude(&self, world: &mut World, state: &mut State, n: u32, status: AttemptStatus) {
        world.attempts[n as usize - 1].status = status;
        if status.is_settled() {
            state.land(n);
        }
    }

    fn write(&self, world: &mut World, hand: Hand) {
        match hand {
            Hand::Sending { .. } => unreachable!("it is sent first"),
            Hand::Holding { n, reply, copy } => {
                let attempt = world.attempts[n as usize - 1].clone();
                let answer = match &reply {
                    Reply::Shown(theirs) if theirs.status == Status::Pending => Answer::Accepted,
                    Reply::Shown(_) => Answer::Done,
                    Reply::Declined => Answer::Declined("card_declined"),
                    Reply::NotSent => Answer::NotSent,
                    Reply::Unknown => Answer::Unknown,
                };
                if attempt.status.is_settled()
                    && self.rules.versions
                    && !(self.rules.overrules)(answer, attempt.status)
                {
                    return;
                }
                let mut state = copy.map_or_else(|| world.ours.clone(), |copy| *copy);
                let meaning = (self.rules.answered)(attempt.operation, answer);
                if meaning.status.is_settled() {
                    state.land(n);
                }
                if let Reply::Shown(view) = &reply {
                    self.take(world, &mut state, view, attempt.purpose);
                }
                // An unwinding that failed leaves the payment as it is.
                if let Some(fact) = meaning.fact {
                    (self.rules.fold)(&mut state, &fact);
                }
                self.conclude(world, &mut state, n, meaning.status);
                self.commit(world, state);
            }
            Hand::Looking {
                n,
                view,
                old,
                stale,
                unwinds,
                copy,
            } => {
                if stale && self.rules.versions {
                    return;
                }
                let mut state = copy.map_or_else(|| world.ours.clone(), |copy| *copy);
                if unwinds {
                    let refunds = world.unwind == Some(true);
                    let next = view
                        .as_ref()
                        .and_then(|view| (self.rules.unwinding)(&view.seen(), true, refunds));
                    if let Some((operation, amount)) = next {
                        self.intend(world, operation, amount, Purpose::Unwind);
                        return;
                    }
                    world.unwind = None;
                    // Money that came all the same: a person decides.
                    if let Some(view) = &view
                        && !refunds
                        && view.left() > 0
                        && matches!(view.status, Status::Captured | Status::Refunded)
                    {
                        self.take(world, &mut state, view, Purpose::Usual);
                        self.commit(world, state);
                    }
                    return;
                }
                let Some(n) = n else {
                    if let Some(view) = &view {
                        self.take(world, &mut state, view, Purpose::Usual);
                        if state != world.ours {
                            self.commit(world, state);
                        }
                    }
                    return;
                };
                let attempt = world.attempts[n as usize - 1].clone();
                if attempt.status.is_settled() {
                    return;
                }
                // When it turns out that the end is not known yet, all of this is thrown away.
                let mut draft = world.clone();
                state.land(n);
                let before = state.clone();
                if let Some(view) = &view {
                    self.take(&mut draft, &mut state, view, attempt.purpose);
                }
                let old = if self.rules.old_when_asked {
                    old
                } else {
                    attempt.old
                };
                let seen = view.as_ref().map(Theirs::seen);
                let Some(meaning) =
                    (self.rules.settled)(attempt.operation, seen.as_ref(), &before, attempt.amount, old)
                else {
                    return;
                };
                if let Some(fact) = meaning.fact {
                    (self.rules.fold)(&mut state, &fact);
                }
                self.conclude(&mut draft, &mut state, n, meaning.status);
                self.commit(&mut draft, state);
                *world = draft;
            }
        }
    }

    fn step(&self, world: &mut World, action: Action) -> bool {
        match action {
            Action::Begin(place) => {
                world.wished |= 1 << place;
                match Self::command(self.wishes[place]) {
                    None if world.attempts.is_empty() => {
                        self.intend(world, Operation::Authorize, yen(ASKED), Purpose::Usual);
                        true
                    }
                    None => false,
                    // A payment begins with its authorization.
                    Some(_) if world.theirs.is_none() && world.attempts.is_empty() => false,
                    Some(command) => match (self.rules.permit)(&world.ours, command) {
                        Ok(amount) => {
                            self.intend(world, command.operation(), amount, Purpose::Usual);
                            true
                        }
                        Err(_) => false,
                    },
                }
            }
            Action::Send(place, fate) => {
                let Hand::Sending { n } = world.hands[place] else {
                    return false;
                };
                let attempt = &world.attempts[n as usize - 1];
                // Ages as the product counts them: a fresh attempt, and one older than any request can be under way.
                let age_s = if attempt.old { 600 } else { 0 };
                let authorizes = attempt.operation == Operation::Authorize;
                let reply = if !(self.rules.may_send)(age_s, 30_000) {
                    if fate != Fate::Arrives {
                        return false;
                    }
                    Reply::NotSent
                } else {
                    if !matches!(fate, Fate::Arrives | Fate::ArrivesAndWaits | Fate::Declined) {
                        if world.losses == 0 {
                            return false;
                        }
                        world.losses -= 1;
                    }
                    match fate {
                        Fate::Arrives => self.book(world, n, false),
                        Fate::ArrivesAndWaits if authorizes => self.book(world, n, true),
                        Fate::Declined if authorizes => Reply::Declined,
                        Fate::ArrivesAndWaits | Fate::Declined => return false,
                        Fate::ReplyLost => {
                            self.book(world, n, false);
                            Reply::Unknown
                        }
                        Fate::RequestLost => Reply::Unknown,
                        Fate::Late => {
                            world.travelling.push(n);
                            Reply::Unknown
                        }
                        Fate::Refused => Reply::NotSent,
                    }
                };
                let copy = self.copy(world);
                world.hands[place] = Hand::Holding { n, reply, copy };
                true
            }
            Action::Arrive(place) => {
                let n = world.travelling.remove(place);
                self.book(world, n, false);
                true
            }
            Action::Commit(place) => {
                if matches!(world.hands[place], Hand::Sending { .. }) {
                    return false;
                }
                let hand = world.hands.remove(place);
                self.write(world, hand);
                true
            }
            Action::Crash(place) => {
                world.crashes -= 1;
                world.hands.remove(place);
                true
            }
            Action::Age(n) => {
                if world.hands.contains(&Hand::Sending { n }) {
                    if world.sleeps == 0 {
                        return false;
                    }
                    world.sleeps -= 1;
                }
                world.attempts[n as usize - 1].old = true;
                true
            }
            Action::Settle(n) => {
                if self.rules.resends {
                    world.hands.push(Hand::Sending { n });
                } else {
                    self.look(world, false);
                }
                true
            }
            Action::Watch | Action::Reconcile => {
                self.look(world, false);
                true
            }
            Action::Notice => {
                world.notices -= 1;
                self.look(world, false);
                true
            }
            Action::Unwind => {
                self.look(world, true);
                true
            }
            Action::Do(doing) => {
                world.doings -= 1;
                self.does(world, doing)
            }
        }
    }

    fn unsettled(world: &World) -> Vec<u32> {
        let open = |attempt: &Attempt| !attempt.status.is_settled();
        (1..)
            .zip(&world.attempts)
            .filter(|(_, attempt)| open(attempt))
            .map(|(n, _)| n)
            .collect()
    }

    /// The weather clears: what is under way arrives or is written, nobody dies, time passes, and the jobs run until nothing changes.
    /// None when that never comes about.
    pub fn calm(&self, world: &World) -> Option<World> {
        let mut world = world.clone();
        for _ in 0..60 {
            let before = world.clone();
            if !world.travelling.is_empty() {
                self.step(&mut world, Action::Arrive(0));
            } else if let Some(hand) = world.hands.first() {
                let action = if matches!(hand, Hand::Sending { .. }) {
                    Action::Send(0, Fate::Arrives)
                } else {
                    Action::Commit(0)
                };
                self.step(&mut world, action);
            } else if let Some(&n) = Self::unsettled(&world).first() {
                self.step(&mut world, Action::Age(n));
                self.step(&mut world, Action::Settle(n));
            } else if world.unwind.is_some() {
                self.step(&mut world, Action::Unwind);
            } else if world.ours.status().is_open() || self.rules.reconciles {
                self.step(&mut world, Action::Reconcile);
                self.step(&mut world, Action::Commit(0));
            }
            if world == before {
                return Some(world);
            }
        }
        None
    }

    /// Whether nothing is unknown and the books say the same, or a person was told.
    pub fn agrees(world: &World) -> bool {
        let known =
            world.hands.is_empty() && world.ours.in_flight().is_none() && Self::unsettled(world).is_empty();
        known && (!world.raised.is_empty() || Self::same_books(world))
    }

    fn same_books(world: &World) -> bool {
        let closed = |status: Status| status.is_terminal() && status != Status::Refunded;
        let ours = &world.ours;
        match &world.theirs {
            None => closed(ours.status()) || world.attempts.is_empty(),
            Some(theirs) if closed(theirs.status) => closed(ours.status()),
            Some(theirs) => {
                theirs.status == ours.status()
                    && (theirs.status != Status::Authorized || theirs.total == ours.asked())
                    && theirs.captured.map_or(0, Money::minor) == ours.captured().minor()
                    && theirs.returned() == ours.refunded().minor()
            }
        }
    }

    /// Begins with these facts in both books.
    fn beginning(&self) -> World {
        let mut ours = State::new(yen(ASKED), self.mode);
        let authorized = Fact::Authorized { amount: yen(ASKED) };
        let captured = Fact::Captured { amount: yen(ASKED) };
        let (facts, taken): (&[Fact], _) = match self.begins {
            Status::Authorized => (&[authorized], None),
            Status::Captured => (&[captured], Some(yen(ASKED))),
            Status::Pending | Status::Cancelled | Status::Expired | Status::Refunded | Status::Failed => {
                (&[], None)
            }
        };
        for fact in facts {
            ours.fold(fact);
        }
        let theirs = Theirs {
            status: self.begins,
            total: yen(ASKED),
            captured: taken,
            refunds: vec![],
            booked: vec![],
        };
        World {
            theirs: (!self.wishes.contains(&Wish::Authorize)).then_some(theirs),
            ours,
            attempts: vec![],
            raised: BTreeSet::new(),
            unwind: None,
            hands: vec![],
            travelling: vec![],
            wished: 0,
            doings: self.bounds.doings,
            notices: self.bounds.notices,
            crashes: self.bounds.crashes,
            losses: self.bounds.losses,
            sleeps: self.bounds.sleeps,
            went_back: false,
        }
    }
}
