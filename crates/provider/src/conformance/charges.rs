//! Asking for money.
use super::{Bench, Purchase, authorize, by_key, by_reference, charged, found, inquire, only, taken};
use crate::port::{Account, Call, Outcome};
use jiff::SignedDuration;
use kessai_core::Secret;
use kessai_core::payment::Status;
use std::sync::Arc;

/// Captured for the whole amount, found by reference and by key alike.
pub async fn a_charge_is_taken_once_and_found_again(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::Immediate) else {
        return;
    };
    let view = charged(bench, "a1", &request).await;
    assert_eq!(
        (view.status, view.total),
        (Status::Captured, request.totals.total())
    );
    assert!(!view.reference.is_empty(), "what was taken has a name");
    assert_eq!(only(bench, "a1").captured, request.totals.total());
    for handle in [by_reference("a1", &request, &view), by_key("a1", &request)] {
        let again = found(bench, &handle).await;
        assert_eq!(
            (&again.reference, again.status),
            (&view.reference, Status::Captured)
        );
        assert_eq!(again.facts(), view.facts());
    }
}

/// A wish that is sent again, knowingly or not, is granted once.
pub async fn the_same_key_sent_twice_is_one_charge(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::Immediate) else {
        return;
    };
    let first = charged(bench, "a1", &request).await;
    match authorize(bench, "a1", &request).await {
        Outcome::Succeeded(again) => assert_eq!(again.reference, first.reference),
        Outcome::Unknown(_) => {
            assert_eq!(
                found(bench, &by_key("a1", &request)).await.reference,
                first.reference
            );
        }
        other => panic!("the second send came out as {other:?}"),
    }
    assert_eq!(taken(bench, "a1"), request.totals.total().minor());
}

/// Different wishes are granted each.
pub async fn two_keys_are_two_charges(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::Immediate) else {
        return;
    };
    let first = charged(bench, "a1", &request).await;
    let second = charged(bench, "a2", &request).await;
    assert_ne!(first.reference, second.reference);
    assert_eq!(
        taken(bench, "a1") + taken(bench, "a2"),
        2 * request.totals.total().minor()
    );
}

/// A decline is known, with a code: nobody has to ask again.
pub async fn a_decline_is_a_decline_and_takes_nothing(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::Declined) else {
        return;
    };
    match authorize(bench, "a1", &request).await {
        Outcome::Declined(decline) => assert!(!decline.code.is_empty()),
        other => panic!("a decline came out as {other:?}"),
    }
    assert_eq!(taken(bench, "a1"), 0);
    if let Some(view) = inquire(bench, &by_key("a1", &request)).await.expect("an answer") {
        assert_eq!(
            view.status,
            Status::Failed,
            "a decline that is kept is a failed payment"
        );
    }
}

/// Awaited, with a deadline; lapsed after it.
pub async fn a_slip_waits_for_its_shopper_until_its_deadline(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::Slip) else {
        return;
    };
    let view = charged(bench, "a1", &request).await;
    assert_eq!(view.status, Status::Authorized);
    assert_eq!(taken(bench, "a1"), 0);
    let deadline = view.deadline_at.expect("a slip has a deadline");
    assert!(deadline > bench.now());
    bench.advance(deadline.duration_since(bench.now()) + SignedDuration::from_secs(1));
    assert_eq!(
        found(bench, &by_reference("a1", &request, &view)).await.status,
        Status::Expired
    );
}

/// The money shows once it is there.
pub async fn a_slip_that_is_paid_is_captured(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::Slip) else {
        return;
    };
    let view = charged(bench, "a1", &request).await;
    bench.shopper_pays(&view.reference);
    let paid = found(bench, &by_reference("a1", &request, &view)).await;
    assert_eq!((paid.status, paid.captured), (Status::Captured, Some(view.total)));
    assert_eq!(only(bench, "a1").captured, view.total);
}

/// Pending and a place to go; captured once approved.
pub async fn an_offsite_payment_sends_the_shopper_away_and_is_captured_on_approval(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::Offsite) else {
        return;
    };
    let view = match authorize(bench, "a1", &request).await {
        Outcome::Pending(view) => view,
        other => panic!("an offsite payment came out as {other:?}"),
    };
    assert_eq!(view.status, Status::Pending);
    assert!(!view.next.as_ref().expect("a place to go").redirect_url.is_empty());
    assert_eq!(taken(bench, "a1"), 0);
    let waiting = found(bench, &by_key("a1", &request)).await;
    assert_eq!(
        (waiting.status, &waiting.reference),
        (Status::Pending, &view.reference)
    );
    bench.shopper_pays(&view.reference);
    let paid = found(bench, &by_reference("a1", &request, &view)).await;
    assert_eq!(
        (paid.status, paid.captured),
        (Status::Captured, Some(request.totals.total()))
    );
}

/// `None` is a no, not an error.
pub async fn a_key_nobody_used_is_found_nowhere(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::Immediate) else {
        return;
    };
    charged(bench, "a1", &request).await;
    for key in ["a", "a11", "never"] {
        assert_eq!(
            inquire(bench, &by_key(key, &request)).await.expect("an answer"),
            None,
            "{key}"
        );
    }
}

/// An operator must look; no shopper is told that their card was refused.
pub async fn wrong_credentials_are_ours_to_mend_and_take_nothing(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::Immediate) else {
        return;
    };
    let good = bench.account();
    let secrets = good
        .secrets
        .keys()
        .map(|name| (name.clone(), Secret::new("wrong")))
        .collect();
    let bad = Arc::new(Account {
        secrets,
        ..(*good).clone()
    });
    let call = Call::new(bad, "a1", bench.transport(), super::TIMEOUT_MS, bench.now());
    let outcome = bench.provider().authorize(&call, &request).await;
    assert!(
        matches!(outcome, Outcome::Rejected(_)),
        "wrong credentials came out as {outcome:?}"
    );
    assert_eq!(bench.booked("a1"), []);
    let asked = bench.provider().inquire(&call, &by_key("a1", &request)).await;
    assert!(
        asked.is_err(),
        "with wrong credentials nobody can say that there is no payment: {asked:?}"
    );
}

/// What is offered can be done; ids are the provider's.
pub async fn what_the_matrix_offers_the_port_can_do(bench: &dyn Bench) {
    let provider = bench.provider();
    assert!(!provider.capabilities().is_empty());
    for line in provider.capabilities() {
        let operations = line.operations;
        assert!(
            !operations.two_step || provider.captures().is_some(),
            "{}",
            line.method
        );
        assert!(
            !operations.cancel || provider.cancels().is_some(),
            "{}",
            line.method
        );
        assert!(
            !operations.refund || provider.refunds().is_some(),
            "{}",
            line.method
        );
        let by_bank = provider.refunds().and_then(|refunds| refunds.bank_refunds());
        assert!(!operations.refund_request || by_bank.is_some(), "{}", line.method);
        assert!(
            !line.flows.stored || provider.vault().is_some(),
            "{}",
            line.method
        );
    }
}
