//! The provider's notifications on their way to the hub.
use super::World;
use super::beginning::WEBHOOK_SECRET;
use super::doors::{Caller, Notice};
use crate::fault::Fault;
use crate::node::HUB_URL;
use crate::people::S;
use crate::shared::Ask;
use kessai_provider::sandbox::Sandbox as _;

impl World {
    pub(super) fn notices(&mut self, shop: usize) {
        if self.notices_at[shop].is_none_or(|planned| planned > self.now_us) {
            // Something earlier came up after this was planned, and took the rest along.
            return;
        }
        self.notices_at[shop] = None;
        let now = self.clock_now();
        self.shops[shop].sandbox.pass_time(now);
        let due = self.shops[shop].sandbox.due_notices(now, 50);
        for notice in due {
            let path = notice.request.url.trim_start_matches(HUB_URL).to_owned();
            if !notice.request.url.starts_with(HUB_URL) {
                // A payment's own webhook at the provider: ours never ask for one.
                self.shops[shop].sandbox.noticed(&notice.id, Some(200), now);
                continue;
            }
            let ask = Ask {
                method: "POST",
                path,
                headers: notice.request.headers.clone(),
                body: notice.request.body.clone(),
            };
            let about = String::from_utf8_lossy(&notice.request.body).into_owned();
            let is_payment = about.contains("\"type\":\"payment.");
            self.note(23, shop as u64, || {
                format!("notification {} from sandbox {shop}", notice.id)
            });
            let from = |notice| Caller::Provider(shop, notice);
            if is_payment && self.strikes(Fault::NoticeForged) {
                let forged = under(&ask, &"0".repeat(64));
                self.call(forged, from(Notice::Forged), 5_000, 500_000);
            }
            if is_payment && self.strikes(Fault::NoticeUnknown) {
                self.unknown_payment(shop, &ask);
            }
            if is_payment && self.strikes(Fault::NoticeLost) {
                self.shops[shop].sandbox.noticed(&notice.id, Some(200), now);
                continue;
            }
            if is_payment && self.strikes(Fault::NoticeTwice) {
                self.call(ask.clone(), from(Notice::Forgotten), 5_000, 20 * S);
            }
            let ask = if is_payment && self.strikes(Fault::NoticeWrongAmount) {
                wrong_amount(ask)
            } else {
                ask
            };
            if is_payment && self.strikes(Fault::NoticeLate) {
                self.shops[shop].sandbox.noticed(&notice.id, Some(200), now);
                self.call(ask, from(Notice::Forgotten), S, 7_200 * S);
            } else {
                self.call(ask, from(Notice::Awaited(notice.id)), 5_000, 500_000);
            }
        }
    }

    fn unknown_payment(&mut self, shop: usize, like: &Ask) {
        let Ok(mut said) = serde_json::from_slice::<serde_json::Value>(&like.body) else {
            return;
        };
        let reference = format!("unknown{}", self.number());
        said["id"] = format!("event{}", self.number()).into();
        said["data"]["id"] = reference.as_str().into();
        said["data"]["external_order_num"] = serde_json::Value::Null;
        let ask = signed(like, said.to_string().into_bytes());
        self.planted.insert(reference, "unknown_payment");
        let caller = Caller::Provider(shop, Notice::Again(ask.clone()));
        self.call(ask, caller, 5_000, 500_000);
    }
}

/// The same under another signature.
fn under(like: &Ask, signature: &str) -> Ask {
    let mut ask = like.clone();
    for (name, value) in &mut ask.headers {
        if name == "x-komoju-signature" {
            signature.clone_into(value);
        }
    }
    ask
}

/// Another body, signed as the provider signs.
fn signed(like: &Ask, body: Vec<u8>) -> Ask {
    let signature = kessai_provider_komoju::sandbox::signature(WEBHOOK_SECRET, &body);
    Ask {
        body: body.into(),
        ..under(like, &signature)
    }
}

fn wrong_amount(ask: Ask) -> Ask {
    let Ok(mut said) = serde_json::from_slice::<serde_json::Value>(&ask.body) else {
        return ask;
    };
    for name in ["amount", "total"] {
        if let Some(amount) = said["data"][name].as_i64() {
            said["data"][name] = (amount + 7).into();
        }
    }
    signed(&ask, said.to_string().into_bytes())
}
