//! What a shop is told.
use crate::payment::Step;

/// The event types a webhook may subscribe to that this version emits, in the order of the reference.
///
/// Source: docs/providers/komoju.md, "Webhooks".
pub const KINDS: &[&str] = &[
    "ping",
    "payment.authorized",
    "payment.captured",
    "payment.updated",
    "payment.expired",
    "payment.cancelled",
    "payment.refund.created",
    "payment.refunded",
    "payment.failed",
    "refund_request.updated",
    "customer.created",
    "customer.updated",
    "customer.deleted",
];

/// The events one step of a payment is told by. A refund that leaves nothing is told twice: as a refund and as the end.
pub fn kinds(step: &Step) -> &'static [&'static str] {
    match step {
        Step::Authorized => &["payment.authorized"],
        Step::Captured { .. } => &["payment.captured"],
        Step::Refunded { whole: false, .. } => &["payment.refund.created"],
        Step::Refunded { whole: true, .. } => &["payment.refund.created", "payment.refunded"],
        Step::Cancelled => &["payment.cancelled"],
        Step::Expired => &["payment.expired"],
        Step::Failed { .. } => &["payment.failed"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_a_step_makes_can_be_subscribed_to() {
        let amount = crate::Money::zero(crate::Currency::JPY);
        let steps = [
            Step::Authorized,
            Step::Captured { amount },
            Step::Refunded {
                reference: "r".into(),
                amount,
                whole: false,
            },
            Step::Refunded {
                reference: "r".into(),
                amount,
                whole: true,
            },
            Step::Cancelled,
            Step::Expired,
            Step::Failed { code: "x".into() },
        ];
        for kind in steps.iter().flat_map(|step| kinds(step)) {
            assert!(KINDS.contains(kind), "{kind}");
        }
    }
}
