//! A payment's story as moments, newest first.
use super::discrepancies::{books, settled_itself, settlement};
use super::rows;
use http::StatusCode;
use jiff::Timestamp;
use kessai_core::attempt::AttemptStatus;
use kessai_core::payment::CaptureMode;
use kessai_engine::Shop;
use kessai_engine::inbox::InboxBody;
use kessai_engine::model::{AttemptBody, attempt_body};
use kessai_engine::office::DeedBody;
use kessai_engine::outbox::DeliveryBody;
use kessai_engine::timeline::Story;
use kessai_provider::port::Exchange as Said;
use kessai_store::repo::{ActRow, AttemptRow, EventRow, instant};
use kessai_web::office::{Exchange, Happening, Moment, Who};
use kessai_web::{Locale, State};
use serde_json::Value;

/// How much of a body is shown, in characters.
const BODY_MOST: usize = 20_000;

/// What the story tells, newest first. `opened` is when the payment's session was made.
pub(super) fn moments(story: &Story, opened: Option<Timestamp>, shop: &Shop, locale: Locale) -> Vec<Moment> {
    let mut teller = Teller {
        story,
        shop,
        locale,
        moments: Vec::new(),
    };
    if let Some(at) = opened {
        let asked = story.payment.body.state.asked().minor();
        teller.add(Moment {
            amount: rows::money(&story.payment, asked),
            ..plain(at, Who::Shop, Happening::SessionOpened)
        });
    }
    teller.attempts();
    teller.events();
    teller.deliveries();
    teller.notifications();
    teller.discrepancies();
    teller.acts();
    let mut moments = teller.moments;
    // Within one instant, what was told first happened first.
    moments.sort_by_key(|moment| moment.at);
    moments.reverse();
    moments
}

fn plain(at: Timestamp, who: Who, what: Happening) -> Moment {
    Moment {
        at,
        who,
        what,
        becomes: None,
        amount: String::new(),
        detail: None,
        request: None,
        reply: None,
    }
}

struct Teller<'a> {
    story: &'a Story,
    shop: &'a Shop,
    locale: Locale,
    moments: Vec<Moment>,
}

/// An operation, as asked for.
fn asked(operation: &str) -> Happening {
    match operation {
        "capture" => Happening::CaptureAsked,
        "refund" => Happening::RefundAsked,
        "cancel" => Happening::CancelAsked,
        _ => Happening::AuthorizeAsked,
    }
}

impl Teller<'_> {
    fn add(&mut self, moment: Moment) {
        self.moments.push(moment);
    }

    fn provider(&self) -> Who {
        Who::Provider(rows::provider(&self.story.payment.provider))
    }

    fn attempts(&mut self) {
        for row in &self.story.attempts {
            let Ok(body) = attempt_body(row) else { continue };
            self.attempt(row, &body);
        }
    }

    fn attempt(&mut self, row: &AttemptRow, body: &AttemptBody) {
        let amount = rows::money(&self.story.payment, body.totals.total().minor());
        let act = self.story.act_behind(body.idempotency.as_deref());
        let who = match act {
            Some(act) => Who::Clerk(act.who.to_string()),
            None if row.operation.as_ref() == "authorize" && self.story.payment.session.is_some() => {
                Who::Shopper
            }
            None => Who::Shop,
        };
        let reason = act
            .and_then(|act| deed(act).reason)
            .or_else(|| body.description.as_deref().map(Into::into));
        self.add(Moment {
            amount: amount.clone(),
            detail: reason,
            ..plain(instant(row.created_at), who, asked(&row.operation))
        });
        // All but the last exchange were on the way to it.
        let (last, before) = match body.exchanges.split_last() {
            Some((last, before)) => (Some(last), before),
            None => (None, &[][..]),
        };
        for said in before {
            let moment = plain(instant(said.at_us), Who::Hub, asked(&row.operation));
            self.add(Moment {
                detail: Some(said.call.to_string()),
                ..with(moment, Some(said))
            });
        }
        let status = AttemptStatus::parse(&row.status);
        let note = body.note.as_deref().map(str::to_owned);
        if body.inquiries > 0 || status == Some(AttemptStatus::Unknown) {
            let at = last.map_or(row.created_at, |said| said.at_us.max(row.created_at));
            let lost = plain(instant(at), self.provider(), Happening::ReplyLost);
            let detail = note.clone().filter(|_| row.settled_at.is_none());
            self.add(Moment {
                becomes: Some(State::Confirming),
                amount: amount.clone(),
                detail,
                ..with(lost, last)
            });
        }
        let (Some(at), Some(status)) = (row.settled_at, status) else {
            return;
        };
        if body.inquiries > 0 {
            self.add(Moment {
                detail: note,
                ..plain(instant(at), Who::Hub, Happening::Inquired)
            });
            return;
        }
        let told = self
            .story
            .events
            .iter()
            .any(|(event, _)| event.created_at == at && says(event).is_some());
        if told {
            // The event of the same commit tells how it ended and carries the exchange.
            return;
        }
        let ended = match status {
            AttemptStatus::Pending => Moment {
                becomes: Some(State::Pending),
                detail: Some(self.story.payment.method.to_string()),
                ..plain(instant(at), Who::Shopper, Happening::MethodChosen)
            },
            AttemptStatus::Succeeded => Moment {
                detail: note,
                ..plain(instant(at), self.provider(), Happening::Inquired)
            },
            AttemptStatus::Declined
            | AttemptStatus::Rejected
            | AttemptStatus::NotSent
            | AttemptStatus::Intended
            | AttemptStatus::Unknown => {
                let detail = note.map_or_else(
                    || status.as_str().into(),
                    |note| format!("{}: {note}", status.as_str()),
                );
                Moment {
                    amount,
                    detail: Some(detail),
                    ..plain(instant(at), self.provider(), Happening::Declined)
                }
            }
        };
        self.add(with(ended, last));
    }

    /// The exchange that ended in this event's commit.
    fn exchange_of(&self, event: &EventRow) -> (Option<Said>, Option<String>) {
        let row = self
            .story
            .attempts
            .iter()
            .find(|row| row.settled_at == Some(event.created_at));
        match row.and_then(|row| attempt_body(row).ok()) {
            Some(body) if body.inquiries == 0 => (
                body.exchanges.last().cloned(),
                body.note.as_deref().map(Into::into),
            ),
            _ => (None, None),
        }
    }

    fn events(&mut self) {
        let mut carried = None;
        let slip = self.story.payment.body.state.capture_mode() == CaptureMode::Auto;
        for (event, _) in &self.story.events {
            let at = instant(event.created_at);
            let Some(what) = says(event) else {
                // The whole refund was told as a refund just before; everything else is a change of words.
                if event.kind.as_ref() != "payment.refunded" {
                    let detail = Some(event.kind.to_string());
                    self.add(Moment {
                        detail,
                        ..plain(at, Who::Shop, Happening::Noted)
                    });
                }
                continue;
            };
            let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
            let number = |name: &str| data.get(name).and_then(Value::as_i64);
            let (amount, becomes) = match what {
                Happening::Authorized if slip => (number("total"), State::AwaitingPayment),
                Happening::Authorized => (number("total"), State::Authorized),
                Happening::Captured => (number("total"), State::Captured),
                Happening::Refunded => {
                    let last = data
                        .get("refunds")
                        .and_then(Value::as_array)
                        .and_then(|refunds| refunds.last());
                    let whole =
                        number("amount_refunded").is_some() && number("amount_refunded") == number("total");
                    let becomes = if whole {
                        State::Refunded
                    } else {
                        State::PartlyRefunded
                    };
                    (
                        last.and_then(|refund| refund.get("amount"))
                            .and_then(Value::as_i64),
                        becomes,
                    )
                }
                Happening::Cancelled => (None, State::Cancelled),
                Happening::Expired => (None, State::Expired),
                _ => (None, State::Failed),
            };
            let who = if what == Happening::Expired {
                Who::Hub
            } else {
                self.provider()
            };
            // One commit may hold several events; the first carries the exchange.
            let first = carried.replace(event.created_at) != Some(event.created_at);
            let (said, note) = if first {
                self.exchange_of(event)
            } else {
                (None, None)
            };
            let moment = Moment {
                becomes: Some(becomes),
                amount: amount
                    .map(|minor| rows::money(&self.story.payment, minor))
                    .unwrap_or_default(),
                detail: note.or_else(|| event.reason.as_deref().map(Into::into)),
                ..plain(
                    at,
                    who,
                    if what == Happening::Authorized && slip {
                        Happening::SlipIssued
                    } else {
                        what
                    },
                )
            };
            self.add(with(moment, said.as_ref()));
        }
    }

    fn deliveries(&mut self) {
        for (event, deliveries) in &self.story.events {
            for row in deliveries {
                let url = rows::url_of(self.shop, &row.endpoint_id);
                let line = |answer: &str| Some(format!("{} → {url} ({answer})", event.kind));
                let body: DeliveryBody = serde_json::from_str(&row.body).unwrap_or_default();
                for tried in body
                    .tries
                    .iter()
                    .filter(|tried| !matches!(tried.status, Some(200..=299)))
                {
                    let detail = line(&rows::answer_of(tried).unwrap_or_default());
                    self.add(Moment {
                        detail,
                        ..plain(instant(tried.at), Who::Hub, Happening::WebhookFailed)
                    });
                }
                if row.status.as_ref() == "delivered" {
                    let answer = row
                        .last_status
                        .map(|status| status.to_string())
                        .unwrap_or_default();
                    let moment = plain(instant(row.updated_at), Who::Hub, Happening::WebhookDelivered);
                    self.add(Moment {
                        detail: line(&answer),
                        ..moment
                    });
                }
            }
        }
    }

    fn notifications(&mut self) {
        for row in &self.story.notifications {
            let body: InboxBody = serde_json::from_str(&row.body).unwrap_or_default();
            let who = Who::Provider(rows::provider(&row.provider));
            let detail = body
                .note
                .map_or_else(|| body.kind.to_string(), |note| format!("{}: {note}", body.kind));
            self.add(Moment {
                detail: Some(detail),
                ..plain(instant(row.received_at), who, Happening::Notified)
            });
        }
    }

    fn discrepancies(&mut self) {
        for row in &self.story.discrepancies {
            let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
            let currency = self.story.payment.body.totals.currency.code();
            let (ours, theirs) = books(&body, Some(currency), self.locale);
            let found = plain(instant(row.created_at), Who::Hub, Happening::DiscrepancyFound);
            self.add(Moment {
                becomes: Some(State::Discrepancy),
                detail: Some(format!("{}: {ours} / {theirs}", row.kind)),
                ..found
            });
            if let Some(at) = row.settled_at {
                let (who, note) = if settled_itself(&body) {
                    (Who::Hub, self.locale.t("discrepancy-agreed"))
                } else {
                    let (by, note) = settlement(&body).unwrap_or_default();
                    (Who::Clerk(by), note)
                };
                let settled = plain(instant(at), who, Happening::DiscrepancySettled);
                self.add(Moment {
                    detail: Some(note),
                    ..settled
                });
            }
        }
    }

    /// What people did, unless its attempt has told it.
    fn acts(&mut self) {
        let bodies: Vec<AttemptBody> = self
            .story
            .attempts
            .iter()
            .filter_map(|row| attempt_body(row).ok())
            .collect();
        let became: Vec<&ActRow> = bodies
            .iter()
            .filter_map(|body| self.story.act_behind(body.idempotency.as_deref()))
            .collect();
        let mut told = Vec::new();
        for act in &self.story.acts {
            if became.iter().any(|known| known.id == act.id) {
                continue;
            }
            let who = Who::Clerk(act.who.to_string());
            let body = deed(act);
            let moment = match act.what.as_ref() {
                "capture" | "refund" | "cancel" => Moment {
                    amount: body
                        .amount
                        .map(|minor| rows::money(&self.story.payment, minor))
                        .unwrap_or_default(),
                    // Refused before anything was sent: the code is what support asks for.
                    detail: body.code.or(body.reason),
                    ..plain(instant(act.at), who, asked(&act.what))
                },
                "inquire" => plain(instant(act.at), who, Happening::Inquired),
                "note" => Moment {
                    detail: body.reason,
                    ..plain(instant(act.at), who, Happening::Noted)
                },
                // Told by the discrepancy itself.
                "settle" => continue,
                other => Moment {
                    detail: Some(other.into()),
                    ..plain(instant(act.at), who, Happening::Noted)
                },
            };
            told.push(moment);
        }
        self.moments.extend(told);
    }
}

fn deed(act: &ActRow) -> DeedBody {
    serde_json::from_str(&act.body).unwrap_or_default()
}

/// What an event of a payment tells; none for one that is told otherwise.
fn says(event: &EventRow) -> Option<Happening> {
    Some(match event.kind.as_ref() {
        "payment.authorized" => Happening::Authorized,
        "payment.captured" => Happening::Captured,
        "payment.refund.created" => Happening::Refunded,
        "payment.cancelled" => Happening::Cancelled,
        "payment.expired" => Happening::Expired,
        "payment.failed" => Happening::Declined,
        _ => return None,
    })
}

/// With what was sent and what came back. Both were masked before they were stored.
fn with(moment: Moment, said: Option<&Said>) -> Moment {
    let Some(said) = said else { return moment };
    let status = match said.status {
        Some(status) => {
            let reason = StatusCode::from_u16(status)
                .ok()
                .and_then(|status| status.canonical_reason());
            format!("{status} {}", reason.unwrap_or_default())
                .trim_end()
                .to_owned()
        }
        None => "-".into(),
    };
    let part = |head: String, body: &Value| {
        (!body.is_null()).then(|| Exchange {
            head,
            body: pretty(body),
        })
    };
    Moment {
        request: Some(Exchange {
            head: said.call.to_string(),
            body: pretty(&said.request),
        }),
        reply: part(status, &said.reply),
        ..moment
    }
}

fn pretty(body: &Value) -> String {
    let text = match body {
        Value::Null => return String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            serde_json::to_string_pretty(body).unwrap_or_default()
        }
    };
    match text.char_indices().nth(BODY_MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
