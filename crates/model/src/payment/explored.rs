//! Which steps there are in a state, and what must hold in every one.
use super::{ASKED, Action, Doing, Fate, Hand, OnePayment, World};
use kessai_core::attempt::{AttemptStatus, Purpose};
use kessai_core::payment::{Operation, Status, Suspicion};
use stateright::{Model, Property};
use std::collections::BTreeSet;

impl Model for OnePayment {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.beginning()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let free = world.hands.len() < 2;
        if free {
            actions.extend(
                (0..self.wishes.len())
                    .filter(|place| world.wished & (1 << place) == 0)
                    .map(Action::Begin),
            );
            for n in Self::unsettled(world) {
                // Its own node concludes it unless it is gone; the sweep waits longer than any call takes.
                let alone = !world.hands.iter().any(|hand| hand.attempt() == Some(n));
                if alone || world.attempts[n as usize - 1].old {
                    actions.push(Action::Settle(n));
                }
            }
            if world.theirs.is_some() && world.notices > 0 {
                actions.push(Action::Notice);
            }
            if world.ours.status().is_open() && world.ours.in_flight().is_none() && world.theirs.is_some() {
                actions.push(Action::Watch);
            }
            if world.unwind.is_some() && world.ours.in_flight().is_none() {
                actions.push(Action::Unwind);
            }
        }
        for (place, hand) in world.hands.iter().enumerate() {
            if matches!(hand, Hand::Sending { .. }) {
                let fates = [
                    Fate::Arrives,
                    Fate::ArrivesAndWaits,
                    Fate::Declined,
                    Fate::ReplyLost,
                    Fate::RequestLost,
                    Fate::Late,
                    Fate::Refused,
                ];
                actions.extend(fates.map(|fate| Action::Send(place, fate)));
            } else {
                actions.push(Action::Commit(place));
            }
            if world.crashes > 0 {
                actions.push(Action::Crash(place));
            }
        }
        actions.extend((0..world.travelling.len()).map(Action::Arrive));
        for n in Self::unsettled(world) {
            // No request is on its way for so long (`providers.absence_s`). A node that does not wait for one may sleep for as long as it likes.
            if !world.attempts[n as usize - 1].old && !world.travelling.contains(&n) {
                actions.push(Action::Age(n));
            }
        }
        if world.doings > 0 {
            let doings = [
                Doing::Authorize,
                Doing::AuthorizeOtherwise,
                Doing::Pay,
                Doing::Fail,
                Doing::Expire,
                Doing::Capture,
                Doing::Cancel,
                Doing::Refund,
            ];
            actions.extend(doings.map(Action::Do));
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        self.step(&mut next, action).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "refunded ≤ captured ≤ authorized, in both books",
                |_, world: &World| {
                    let ours = &world.ours;
                    let sound = ours.refunded().minor() <= ours.captured().minor()
                        && ours.captured().minor() <= ASKED;
                    sound
                        && world.theirs.as_ref().is_none_or(|theirs| {
                            theirs.left() >= 0
                                && theirs
                                    .captured
                                    .is_none_or(|taken| taken.minor() <= theirs.total.minor())
                        })
                },
            ),
            Property::always("nothing moves backwards", |_, world: &World| !world.went_back),
            Property::always("one wish, at most one effect", |_, world: &World| {
                let booked = world.theirs.as_ref().map_or(&[][..], |theirs| &theirs.booked);
                let once: BTreeSet<&u32> = booked.iter().collect();
                once.len() == booked.len()
            }),
            Property::always(
                "what the provider booked is never called failed",
                |_, world: &World| {
                    let booked = world.theirs.as_ref().map_or(&[][..], |theirs| &theirs.booked);
                    !booked.iter().any(|n| {
                        matches!(
                            world.attempts[*n as usize - 1].status,
                            AttemptStatus::NotSent | AttemptStatus::Declined | AttemptStatus::Rejected
                        )
                    })
                },
            ),
            Property::always(
                "money goes back unasked only when its amount was wrong",
                |_, world: &World| {
                    let unasked = world.attempts.iter().any(|attempt| {
                        attempt.purpose == Purpose::Unwind && attempt.operation == Operation::Refund
                    });
                    !unasked || world.raised.contains(&Suspicion::AmountMismatch)
                },
            ),
            Property::always(
                "calm weather ends in agreement or with a discrepancy",
                |model: &Self, world| model.calm(world).as_ref().is_some_and(Self::agrees),
            ),
            Property::always(
                "calm weather leaves nothing promised for a closed payment",
                |model: &Self, world| {
                    let Some(calm) = model.calm(world) else {
                        return false;
                    };
                    let promised = calm
                        .theirs
                        .is_some_and(|theirs| theirs.status == Status::Authorized);
                    !(promised && calm.ours.status().is_terminal())
                },
            ),
        ]
    }
}
