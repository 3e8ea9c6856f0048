//! The network to providers and to the shops' webhook endpoints: what is sent, what becomes of it, and what comes back.
use super::beginning::endpoint_secret;
use super::{Event, World, lock};
use crate::fault::Fault;
use crate::people::PAYMENT_HOOK_SECRET;
use crate::shared::Owner;
use kessai_provider::sandbox::{Answer, Ask, Sandbox as _};
use kessai_provider::transport::{Reply, Request, TransportFault};
use tokio::sync::oneshot;

pub(super) struct Sending {
    pub(super) owner: Owner,
    webhook: bool,
    request: Request,
    heard: Option<oneshot::Sender<Result<Reply, TransportFault>>>,
    since_us: i64,
    fate: Option<Fault>,
}

/// What one request to a provider may meet.
const PROVIDER_FATES: &[Fault] = &[
    Fault::Refused,
    Fault::LostBefore,
    Fault::LostAfter,
    Fault::LateArrival,
    Fault::LateReply,
    Fault::Truncated,
    Fault::Garbled,
    Fault::UnlistedStatus,
    Fault::ErrorBefore,
    Fault::ErrorAfter,
];
/// What one webhook may meet.
const ENDPOINT_FATES: &[Fault] = &[Fault::EndpointSlow, Fault::EndpointError];

fn not_sent(why: &str) -> TransportFault {
    TransportFault::NotSent(why.to_owned())
}

fn lost(why: &str) -> TransportFault {
    TransportFault::Lost(why.to_owned())
}

fn timeout_us(request: &Request) -> i64 {
    i64::try_from(request.timeout_ms).unwrap_or(30_000) * 1_000
}

impl World {
    pub(super) fn begin_send(
        &mut self,
        owner: Owner,
        webhook: bool,
        request: Request,
        heard: oneshot::Sender<Result<Reply, TransportFault>>,
    ) {
        let number = self.number();
        self.note(2, number, || format!("{owner:?} sends {number}: {request:?}"));
        let timeout_us = timeout_us(&request);
        let mut fate = None;
        let (kinds, windows): (&[Fault], &[Fault]) = if webhook {
            (ENDPOINT_FATES, &[Fault::EndpointDown, Fault::EndpointPrivate])
        } else {
            (PROVIDER_FATES, &[Fault::ProviderDown, Fault::Maintenance])
        };
        for kind in kinds {
            if self.strikes(*kind) {
                fate = Some(*kind);
                break;
            }
        }
        for window in windows {
            if self.windows.contains(window) {
                self.count(window.name());
                fate = Some(*window);
            }
        }
        let latency_us = self.schedule.between(5_000, 800_000);
        let fails = match fate {
            Some(Fault::Refused | Fault::EndpointDown) => Some((latency_us, not_sent("connection refused"))),
            Some(Fault::EndpointPrivate) => Some((latency_us, not_sent("a private address"))),
            Some(Fault::ProviderDown) => {
                // Some do not get through to it, others never hear from it.
                Some(if self.schedule.percent(70) {
                    (latency_us, not_sent("no route"))
                } else {
                    (timeout_us, lost("no reply"))
                })
            }
            Some(Fault::LostBefore) => Some((latency_us, lost("connection reset"))),
            Some(Fault::LateArrival) => {
                let late_us = timeout_us + self.schedule.between(1, 4 * timeout_us);
                self.at(self.now_us + late_us, Event::Arrive(number));
                Some((timeout_us, lost("no reply in time")))
            }
            _ => None,
        };
        match fails {
            Some((us, cause)) => self.at(self.now_us + us, Event::Reply(number, Err(cause))),
            None => {
                let asleep_us = self.sleeps_over(owner, &request);
                self.at(self.now_us + asleep_us + latency_us, Event::Arrive(number));
            }
        }
        self.sends.insert(
            number,
            Sending {
                owner,
                webhook,
                request,
                heard: Some(heard),
                since_us: self.now_us,
                fate,
            },
        );
    }

    pub(super) fn arrive(&mut self, send: u64) {
        let Some(sending) = self.sends.get_mut(&send) else {
            return;
        };
        let (fate, request, webhook) = (sending.fate, sending.request.clone(), sending.webhook);
        let elapsed_us = self.now_us - sending.since_us;
        let timeout_us = timeout_us(&request);
        if webhook {
            return self.endpoint(send, fate, &request, timeout_us - elapsed_us);
        }
        let unbooked = |status: u16| Reply {
            status,
            headers: vec![],
            body: bytes::Bytes::from_static(b"{\"error\":{\"code\":\"internal_server_error\"}}"),
        };
        let mut reply = match fate {
            Some(Fault::ErrorBefore) => Ok(unbooked(500)),
            Some(Fault::Maintenance) => Ok(unbooked(503)),
            _ => self.at_provider(&request),
        };
        self.note(15, send, || match &reply {
            Ok(reply) => format!("{send} arrives at the provider: {}", reply.status),
            Err(fault) => format!("{send} arrives at the provider: {fault}"),
        });
        let mut delay_us = self.schedule.between(5_000, 900_000);
        match fate {
            Some(Fault::LateArrival) => {
                // Its sender stopped waiting long ago.
                self.sends.remove(&send);
                return;
            }
            Some(Fault::LostAfter) => reply = Err(lost("connection reset")),
            Some(Fault::LateReply) => {
                delay_us = (timeout_us - elapsed_us).max(0);
                reply = Err(lost("no reply in time"));
            }
            Some(Fault::ErrorAfter) => reply = Ok(unbooked(502)),
            _ => {}
        }
        if let Ok(reply) = &mut reply {
            spoil(reply, fate);
        }
        self.at(self.now_us + delay_us, Event::Reply(send, reply));
    }

    /// A sandbox's control door, which is beside its API.
    pub fn control(&self, shop: usize, path: &str, body: Vec<u8>) -> Option<serde_json::Value> {
        let method = if body.is_empty() { "GET" } else { "POST" };
        let ask = Ask {
            method: crate::shared::method(method),
            path_and_query: format!("/sandbox/{path}"),
            headers: vec![("content-type".into(), "application/json".into())],
            body: body.into(),
        };
        match self.shops[shop].sandbox.answer(&ask, self.clock_now()) {
            Answer::Reply { reply, .. } if reply.status == 200 => serde_json::from_slice(&reply.body).ok(),
            _ => None,
        }
    }

    fn at_provider(&self, request: &Request) -> Result<Reply, TransportFault> {
        let found = self
            .shops
            .iter()
            .find_map(|shop| Some((shop, crate::shared::below(&request.url, &shop.base)?)));
        let Some((shop, path)) = found else {
            return Err(not_sent("nobody lives there"));
        };
        let ask = Ask {
            method: request.method,
            path_and_query: path.to_owned(),
            headers: request.headers.clone(),
            body: request.body.clone(),
        };
        let now = self.clock_now();
        shop.sandbox.pass_time(now);
        match shop.sandbox.answer(&ask, now) {
            Answer::Reply { reply, .. } => Ok(reply),
            Answer::Refused => Err(not_sent("refused")),
            Answer::Dropped => Err(lost("dropped")),
        }
    }

    /// What a shop's endpoint knows signatures by; any other is a payment's own.
    fn endpoint_secret(&self, url: &str) -> String {
        let place = self.shops.iter().enumerate().find_map(|(n, shop)| {
            let k = shop.endpoints.iter().position(|endpoint| endpoint == url)?;
            Some(endpoint_secret(n, k))
        });
        place.unwrap_or_else(|| PAYMENT_HOOK_SECRET.to_owned())
    }

    /// A webhook comes to a shop's endpoint.
    fn endpoint(&mut self, send: u64, fate: Option<Fault>, request: &Request, left_us: i64) {
        let status = match fate {
            Some(Fault::EndpointError) => 500,
            _ => 200,
        };
        lock(&self.checks).no_secret("a webhook", &request.body);
        let due =
            kessai_provider_komoju::sandbox::signature(&self.endpoint_secret(&request.url), &request.body);
        let signed = |(name, value): &(String, String)| name == "x-komoju-signature" && *value == due;
        if !request.headers.iter().any(signed) {
            self.fail(format!("webhooks: {} gets a wrong signature", request.url));
        }
        let said: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let event = said["id"].as_str().unwrap_or_default().to_owned();
        if status == 200 {
            let times = self
                .delivered
                .entry((request.url.clone(), event.clone()))
                .or_default();
            *times += 1;
            let first = *times == 1;
            let known = lock(&self.checks).events.get(&event).cloned();
            match known {
                Some((subject, seq)) if first => {
                    let last = self
                        .last_delivered
                        .insert((request.url.clone(), subject.clone()), seq)
                        .unwrap_or(0);
                    if last > seq {
                        self.fail(format!(
                            "webhooks: {subject}: event {seq} reached {} after event {last}",
                            request.url
                        ));
                    }
                }
                Some(_) => self.count("a webhook delivered again"),
                None if said["type"] == "ping" => {}
                None => self.fail(format!("webhooks: {event} was delivered and is no event of ours")),
            }
        }
        self.note(16, send, || {
            format!("{send} arrives at {}: {status} {event}", request.url)
        });
        let reply = Reply {
            status,
            headers: vec![],
            body: bytes::Bytes::new(),
        };
        if fate == Some(Fault::EndpointSlow) {
            let late = Err(lost("no reply in time"));
            self.at(self.now_us + left_us.max(0), Event::Reply(send, late));
        } else {
            self.after(5_000, 300_000, Event::Reply(send, Ok(reply)));
        }
    }

    pub(super) fn reply(&mut self, send: u64, result: Result<Reply, TransportFault>) {
        let Some(sending) = self.sends.get_mut(&send) else {
            return;
        };
        let owner = sending.owner;
        if let Some(heard) = sending.heard.take() {
            drop(heard.send(result));
        }
        // One that arrives late stays until it has.
        if sending.fate != Some(Fault::LateArrival) {
            self.sends.remove(&send);
        }
        self.note(17, send, || format!("{send} is over for {owner:?}"));
        self.poke(owner);
    }
}

/// The reply comes through, and not as it was given.
fn spoil(reply: &mut Reply, fate: Option<Fault>) {
    match fate {
        Some(Fault::Truncated) => reply.body.truncate(reply.body.len() / 2),
        Some(Fault::Garbled) => reply.body = bytes::Bytes::from_static(b"<html>upstream \xff\xfe error"),
        Some(Fault::UnlistedStatus) => {
            let mut odd = String::from_utf8_lossy(&reply.body).into_owned();
            for status in ["captured", "authorized", "pending", "refunded", "cancelled"] {
                odd = odd.replace(&format!("\"status\":\"{status}\""), "\"status\":\"hibernating\"");
            }
            reply.body = odd.into();
        }
        _ => {}
    }
}
