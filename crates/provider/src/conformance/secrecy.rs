//! What may not be seen.
use super::changes::{capture, refund};
use super::{Bench, Purchase, Step, by_key, by_reference, call};
use crate::port::{Call, Outcome};
use crate::sandbox::FaultKind;

/// Everything that was said, and the part of it that is kept with the payment.
#[derive(Default)]
struct Log {
    all: String,
    kept: String,
}

impl Log {
    fn say(&mut self, what: &impl std::fmt::Debug) {
        self.all.push_str(&format!("{what:?}\n"));
    }

    fn keep(&mut self, call: &Call) {
        let exchanges = call.take_exchanges();
        assert!(!exchanges.is_empty(), "every call is written down");
        self.say(&exchanges);
        self.kept
            .push_str(&serde_json::to_string(&exchanges).expect("writable"));
    }
}

/// Where `text` stands by itself: a short number may well be part of a longer one that is nobody's secret.
fn stands(log: &str, text: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric();
    log.match_indices(text).any(|(at, _)| {
        let before = log[..at].chars().next_back();
        let after = log[at + text.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

/// No card number, code, token or key in any exchange, outcome or `Debug` output; no person in what is kept.
pub async fn nothing_secret_is_written_down_or_printed(bench: &dyn Bench) {
    let provider = bench.provider();
    let mut log = Log::default();
    log.say(&bench.account());
    let purchases = [
        Purchase::Immediate,
        Purchase::TwoStep,
        Purchase::Declined,
        Purchase::Slip,
        Purchase::Offsite,
    ];
    let faults = [
        None,
        Some(FaultKind::Status {
            code: 503,
            booked: false,
        }),
        Some(FaultKind::Garble),
    ];
    for (place, purchase) in purchases.into_iter().enumerate() {
        let Some(request) = bench.purchase(purchase) else {
            continue;
        };
        log.say(&request);
        for (turn, fault) in faults.iter().enumerate() {
            if fault
                .as_ref()
                .is_some_and(|fault| !bench.inject(Step::Authorize, fault.clone()))
            {
                continue;
            }
            let key = format!("a{place}{turn}");
            let calling = call(bench, &key);
            let outcome = provider.authorize(&calling, &request).await;
            log.say(&outcome);
            log.keep(&calling);
            let asked = provider.inquire(&calling, &by_key(&key, &request)).await;
            log.say(&asked);
            log.keep(&calling);
            let Outcome::Succeeded(view) = &outcome else {
                continue;
            };
            let handle = by_reference(&key, &request, view);
            match purchase {
                Purchase::TwoStep => {
                    log.say(&capture(bench, &format!("c{key}"), &handle, request.totals).await)
                }
                Purchase::Immediate if provider.refunds().is_some() => {
                    log.say(&refund(bench, &format!("r{key}"), &handle, 1_000).await);
                }
                Purchase::Immediate | Purchase::Declined | Purchase::Slip | Purchase::Offsite => {}
            }
        }
    }
    for secret in bench.secrets() {
        assert!(
            !secret.is_empty() && !stands(&log.all, &secret),
            "a secret of {} characters was told",
            secret.len()
        );
    }
    for text in bench.personal() {
        assert!(
            !text.is_empty() && !log.kept.contains(&text),
            "{text:?} was written down: {}",
            log.kept
        );
    }
}
