//! Nodes start, die, stand still and sleep.
use super::{Event, World};
use crate::fault::Fault;
use crate::node::Node;
use crate::people::S;
use crate::shared::Owner;
use kessai_provider::transport::Request;

impl World {
    pub(super) fn start(&mut self, n: usize) {
        if self.nodes[n].is_some() {
            return;
        }
        let life = self.lives[n];
        self.lives[n] += 1;
        self.note(8, n as u64, || format!("node {n} starts"));
        let clock = self.clock.skewed(self.skews[n]);
        if self.skews[n] != 0 {
            self.struck(Fault::ClockSkew);
        }
        let rng = self.root.fork(9);
        self.nodes[n] = Some(Node::start(&self.database, n, life, clock, &self.wishes, &rng));
    }

    /// Between any two steps a node may die or stand still.
    pub(super) fn accidents(&mut self) {
        let Some(n) = usize::try_from(self.fates.below(self.nodes.len() as u64)).ok() else {
            return;
        };
        if self.nodes[n].is_none() {
            return;
        }
        if self.strikes(Fault::Crash) {
            self.crash(n);
        } else if self.strikes(Fault::Pause) {
            self.stand_still(n, 20 * S, 400 * S);
        }
    }

    /// A node does nothing for so long; how long.
    pub(super) fn stand_still(&mut self, n: usize, least_us: i64, most_us: i64) -> i64 {
        let us = self.schedule.between(least_us, most_us);
        let until_us = self.now_us + us;
        if let Some(node) = self.nodes.get_mut(n).and_then(Option::as_mut) {
            node.paused_until_us = node.paused_until_us.max(until_us);
        }
        self.note(10, n as u64, || format!("node {n} stands still"));
        self.at(until_us, Event::Wake(n));
        us
    }

    /// How long a node sleeps over a request that changes a payment, if it does.
    pub(super) fn sleeps_over(&mut self, owner: Owner, request: &Request) -> i64 {
        let changes = ["/capture", "/cancel", "/refund"];
        match owner {
            Owner::Node(n, life)
                if changes.iter().any(|verb| request.url.ends_with(verb))
                    && self.nodes[n].as_ref().is_some_and(|node| node.life == life)
                    && self.strikes(Fault::PauseOverSend) =>
            {
                self.stand_still(n, 300 * S, 1_500 * S)
            }
            Owner::Node(..) | Owner::People => 0,
        }
    }

    pub(super) fn crash(&mut self, n: usize) {
        let Some(node) = self.nodes[n].take() else { return };
        self.note(11, n as u64, || format!("node {n} dies"));
        drop(node);
        // What it had asked of the store may still reach it, as over a network, or be gone with it.
        if self.schedule.percent(50) {
            let lost = self.database.forget(n);
            self.note(12, lost as u64, || format!("{lost} change sets die with it"));
        }
        let broken: Vec<u64> = self
            .calls
            .iter()
            .filter(|(_, calling)| calling.at.as_ref().is_some_and(|(at, ..)| *at == n))
            .map(|(call, _)| *call)
            .collect();
        for call in broken {
            if let Some(calling) = self.calls.get_mut(&call) {
                calling.at = None;
            }
            self.after(1_000, 50_000, Event::CallEnds(call, None));
        }
        // What it had sent and what has not arrived yet arrives all the same, or does not.
        let unsent: Vec<u64> = self
            .sends
            .iter()
            .filter(|(_, sending)| matches!(sending.owner, Owner::Node(at, _) if at == n))
            .map(|(send, _)| *send)
            .collect();
        for send in unsent {
            if self.schedule.percent(50) {
                self.sends.remove(&send);
            }
        }
        let _ = self.wishes.take();
        self.after(S / 2, 90 * S, Event::Start(n));
    }

    /// How long a node's runner sleeps when it knows of nothing to do. It looks every two seconds; we let it sleep over what is far.
    pub(super) fn patience(&mut self) -> i64 {
        if !self.clear {
            let most_s = if self.schedule.percent(50) { 30 } else { 400 };
            return self.schedule.between(2 * S, most_s * S);
        }
        if self.in_doubt() {
            return 15 * S;
        }
        match self.next_job_us() {
            Some(due) => (due - self.now_us).clamp(2 * S, 43_200 * S),
            None => 3_600 * S,
        }
    }

    pub(super) fn poke(&mut self, owner: Owner) {
        match owner {
            Owner::People => self.people_poked = true,
            Owner::Node(n, life) => {
                if let Some(node) = self.nodes.get_mut(n).and_then(Option::as_mut)
                    && node.life == life
                {
                    node.poked = true;
                }
            }
        }
    }

    pub(super) fn poke_node(&mut self, n: usize) {
        if let Some(Some(node)) = self.nodes.get_mut(n) {
            node.poked = true;
        }
    }
}
