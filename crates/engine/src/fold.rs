//! What a provider says of a payment is taken in here, whatever door it came through: the reply to a call, an inquiry after a
//! notification, the watch, or a lost answer.
use crate::change::Draft;
use crate::model::Purpose;
use crate::settle::Unwinding;
use crate::wire;
use kessai_core::Money;
use kessai_core::payment::{Fact, Status, Suspicion};
use kessai_core::settle::remedy;
use kessai_provider::port::View;
use serde_json::json;

impl Draft<'_> {
    /// Takes a fresh view in: names, slip numbers and deadline are learnt, facts are folded, and what does not fit is written down as a
    /// discrepancy, which is returned.
    pub(crate) fn take(
        &mut self,
        view: &View,
        purpose: Purpose,
        description: Option<&str>,
    ) -> Option<Suspicion> {
        if !self.payment.is_shown_by(view) {
            // Nothing of it is believed.
            self.doubt(Suspicion::OtherPayment, view);
            return Some(Suspicion::OtherPayment);
        }
        self.learn(view);
        let suspicion = self.fold(&purpose.facts(&view.seen()), description);
        if let Some(suspicion) = suspicion {
            self.doubt(suspicion, view);
        }
        suspicion
    }

    fn learn(&mut self, view: &View) {
        let public_url = self.public_url();
        let payment = &mut self.payment;
        if !view.reference.is_empty() {
            payment.reference = Some(view.reference.clone());
        }
        if view.session.is_some() {
            payment.body.provider_session = view.session.clone();
        }
        if view.deadline_at.is_some() && payment.status().is_open() {
            payment.deadline_at = view.deadline_at;
        }
        for (name, value) in &view.details {
            // How to pay a slip is said on a page of ours, whoever made the slip.
            let value = match name.as_str() {
                "type" => continue,
                "instructions_url" => wire::instructions_url(&public_url, payment.id.as_str()).into(),
                _ => value.clone(),
            };
            payment.body.details.insert(name.clone(), value);
        }
        if payment.status() == Status::Pending {
            payment.body.next = view.next.clone();
        }
    }

    /// A fresh view does not fit. Nothing of it is folded; a person sees it, and what can still be given up at the provider is.
    fn doubt(&mut self, suspicion: Suspicion, view: &View) {
        tracing::error!(payment = %self.payment.id, kind = suspicion.as_str(), "the provider's books differ from ours");
        let refunded: i64 = view.refunds.iter().map(|(_, amount)| amount.minor()).sum();
        let what = json!({
            "ours": {"status": self.payment.status().as_str(), "total": self.payment.body.state.asked().minor(),
                     "captured": self.payment.body.state.captured().minor(),
                     "refunded": self.payment.body.state.refunded().minor(), "reference": self.payment.reference},
            "theirs": {"status": view.status.as_str(), "total": view.total.minor(),
                       "captured": view.captured.map(Money::minor), "refunded": refunded,
                       "reference": view.reference, "number": view.key},
        });
        self.discrepancy(suspicion.as_str(), what);
        let remedy = remedy(suspicion, self.payment.status());
        if remedy.fails {
            self.fold(
                &[Fact::Failed {
                    code: "other_error".into(),
                }],
                None,
            );
        }
        if remedy.unwinds {
            self.unwind(if remedy.refunds {
                Unwinding::Refund
            } else {
                Unwinding::Cancel
            });
        }
    }
}
