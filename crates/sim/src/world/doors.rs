//! Calls to the hub's doors: whoever makes them, which node takes them in, and what their callers hear.
use super::{Event, World, lock};
use crate::fault::Fault;
use crate::people::S;
use crate::shared::{Ask, Heard, Seen};
use kessai_provider::sandbox::Sandbox as _;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

pub(super) enum Caller {
    Person(oneshot::Sender<Heard>),
    /// The sandbox of that number, with a notification.
    Provider(usize, Notice),
}

/// What a provider makes of the answer to a notification.
pub(super) enum Notice {
    /// It waits, under this name, to hear how it went.
    Awaited(String),
    /// It takes it for delivered.
    Forgotten,
    /// It may not be taken.
    Forged,
    /// Sent again until it is taken.
    Again(Ask),
}

pub(super) struct Calling {
    ask: Ask,
    caller: Caller,
    /// The node that has it, which life of that node, and its connection.
    pub(super) at: Option<(usize, u64, AbortHandle)>,
}

impl World {
    pub(super) fn call(&mut self, ask: Ask, caller: Caller, low_us: i64, high_us: i64) {
        let number = self.number();
        self.note(1, number, || {
            format!("call {number}: {} {}", ask.method, ask.path)
        });
        self.calls.insert(
            number,
            Calling {
                ask,
                caller,
                at: None,
            },
        );
        self.after(low_us, high_us, Event::CallArrives(number));
    }

    pub(super) fn call_arrives(&mut self, call: u64) {
        let up: Vec<usize> = (0..self.nodes.len())
            .filter(|n| self.nodes[*n].is_some())
            .collect();
        if up.is_empty() {
            return self.call_ends(call, None);
        }
        let n = up[usize::try_from(self.schedule.below(up.len() as u64)).unwrap_or(0)];
        let Some(calling) = self.calls.get_mut(&call) else {
            return;
        };
        let Some(node) = self.nodes[n].as_mut() else {
            return;
        };
        let abort = node.take_in(call, calling.ask.clone());
        calling.at = Some((n, node.life, abort));
        let person = matches!(calling.caller, Caller::Person(_));
        self.note(18, call, || format!("call {call} reaches node {n}"));
        if person && self.strikes(Fault::HangUp) {
            self.after(500, 3 * S, Event::HangUp(call));
        }
        // Nobody waits for ever, and some wait for long.
        let (least_us, most_us) = if self.schedule.percent(20) {
            (600 * S, 2_400 * S)
        } else {
            (60 * S, 90 * S)
        };
        self.after(least_us, most_us, Event::HangUp(call));
    }

    pub(super) fn answered(&mut self, call: u64, seen: Seen) {
        let Some(calling) = self.calls.get_mut(&call) else {
            return;
        };
        if calling.at.take().is_none() {
            return;
        }
        let person = matches!(calling.caller, Caller::Person(_));
        let path = calling.ask.path.clone();
        lock(&self.checks).no_secret("an answer", &seen.body);
        if seen.status == 500 && !self.disk_was_full {
            let text = String::from_utf8_lossy(&seen.body).into_owned();
            self.fail(format!("500: {path} was answered {text}"));
        }
        self.note(19, call, || format!("call {call} is answered {}", seen.status));
        self.hash = (self.hash ^ u64::from(seen.status)).wrapping_mul(0x0100_0000_01b3);
        if person && self.strikes(Fault::AnswerLost) {
            self.after(S, 30 * S, Event::CallEnds(call, None));
        } else {
            self.after(1_000, 80_000, Event::CallEnds(call, Some(seen)));
        }
    }

    pub(super) fn call_ends(&mut self, call: u64, heard: Heard) {
        let Some(calling) = self.calls.remove(&call) else {
            return;
        };
        let status = heard.as_ref().map(|seen| seen.status);
        self.note(20, call, || {
            format!("call {call} ends for its caller: {status:?}")
        });
        match calling.caller {
            Caller::Person(waits) => {
                drop(waits.send(heard));
                self.people_poked = true;
            }
            Caller::Provider(sandbox, notice) => {
                let taken = status.is_some_and(|status| (200..300).contains(&status));
                match notice {
                    Notice::Awaited(name) => {
                        let now = self.clock_now();
                        self.shops[sandbox].sandbox.noticed(&name, status, now);
                        self.notices_at[sandbox] = None;
                    }
                    Notice::Forged if taken => {
                        self.fail("forged: a notification with a wrong signature was taken".to_owned());
                    }
                    Notice::Again(ask) if !taken => {
                        let caller = Caller::Provider(sandbox, Notice::Again(ask.clone()));
                        self.call(ask, caller, 60 * S, 120 * S);
                    }
                    Notice::Forgotten | Notice::Forged | Notice::Again(_) => {}
                }
            }
        }
    }

    /// The caller hangs up on the node that has its call.
    pub(super) fn hang_up(&mut self, call: u64) {
        if let Some(calling) = self.calls.get(&call)
            && let Some((n, _, abort)) = &calling.at
        {
            abort.abort();
            let n = *n;
            self.poke_node(n);
            self.call_ends(call, None);
        }
    }
}
