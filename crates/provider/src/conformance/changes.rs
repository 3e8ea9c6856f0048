//! Capture, cancel, refund.
use super::{Bench, Purchase, authorize, by_reference, call, charged, found, only, part, returned, taken};
use crate::port::{Handle, Outcome, View};
use kessai_core::Money;
use kessai_core::payment::Status;
use kessai_core::tax::Totals;

pub(crate) async fn capture(bench: &dyn Bench, key: &str, handle: &Handle, totals: Totals) -> Outcome<View> {
    let provider = bench.provider();
    let captures = provider
        .captures()
        .expect("a provider with two-step purchases captures");
    captures.capture(&call(bench, key), handle, totals).await
}

pub(crate) async fn cancel(bench: &dyn Bench, key: &str, handle: &Handle) -> Outcome<View> {
    let provider = bench.provider();
    let cancels = provider.cancels().expect("asked only when there is one");
    cancels.cancel(&call(bench, key), handle).await
}

pub(crate) async fn refund(bench: &dyn Bench, key: &str, handle: &Handle, minor: i64) -> Outcome<View> {
    let provider = bench.provider();
    let refunds = provider.refunds().expect("asked only when there is one");
    let amount = Money::new(minor, handle.totals.currency).expect("in range");
    refunds
        .refund(&call(bench, key), handle, amount, Some("returned goods"))
        .await
}

fn refunds(bench: &dyn Bench) -> bool {
    bench.provider().refunds().is_some()
}

/// Promised, then taken; a second capture takes nothing more.
pub async fn a_capture_takes_what_was_promised_once(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::TwoStep) else {
        return;
    };
    let view = charged(bench, "a1", &request).await;
    assert_eq!((view.status, taken(bench, "a1")), (Status::Authorized, 0));
    let handle = by_reference("a1", &request, &view);
    for key in ["c1", "c1", "c2"] {
        let outcome = capture(bench, key, &handle, request.totals).await;
        let fits = match &outcome {
            Outcome::Succeeded(view) => {
                view.status == Status::Captured
                    && view.captured == Some(request.totals.total())
                    && key == "c1"
            }
            // "Not capturable" may be our own doing: the inquiry tells.
            Outcome::Rejected(_) | Outcome::Declined(_) | Outcome::Unknown(_) => key == "c2",
            Outcome::Pending(_) | Outcome::NotSent(_) => false,
        };
        assert!(fits, "capture {key} came out as {outcome:?}");
        assert_eq!(only(bench, "a1").captured, request.totals.total());
    }
    assert_eq!(found(bench, &handle).await.captured, Some(request.totals.total()));
}

/// Less than was promised, where the matrix says so.
pub async fn a_part_can_be_captured_and_the_rest_is_released(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::TwoStep) else {
        return;
    };
    let matrix = bench.provider().capabilities();
    if !matrix
        .iter()
        .any(|line| *line.method == *request.method && line.operations.partial_capture)
    {
        return;
    }
    let view = charged(bench, "a1", &request).await;
    let handle = by_reference("a1", &request, &view);
    let asked = part(request.totals, 1_000);
    let outcome = capture(bench, "c1", &handle, asked).await;
    let Outcome::Succeeded(view) = outcome else {
        panic!("a partial capture came out as {outcome:?}")
    };
    assert_eq!((view.captured, view.refunds.len()), (Some(asked.total()), 0));
    assert_eq!(only(bench, "a1").captured, asked.total());
    let seen = found(bench, &handle).await;
    assert_eq!(
        (seen.captured, seen.refunds.len()),
        (Some(asked.total()), 0),
        "released money is not a refund"
    );
}

/// Released; nothing can be taken any more.
pub async fn a_cancelled_authorization_takes_nothing(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::TwoStep) else {
        return;
    };
    if bench.provider().cancels().is_none() {
        return;
    }
    let view = charged(bench, "a1", &request).await;
    let handle = by_reference("a1", &request, &view);
    let outcome = cancel(bench, "x1", &handle).await;
    assert!(
        matches!(&outcome, Outcome::Succeeded(view) if view.status == Status::Cancelled),
        "{outcome:?}"
    );
    let late = capture(bench, "c1", &handle, request.totals).await;
    assert!(
        !matches!(late, Outcome::Succeeded(_) | Outcome::Pending(_)),
        "captured after its cancel: {late:?}"
    );
    assert_eq!(
        (taken(bench, "a1"), found(bench, &handle).await.status),
        (0, Status::Cancelled)
    );
}

/// Given up before the shopper paid.
pub async fn a_cancelled_slip_takes_nothing(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::Slip) else {
        return;
    };
    let matrix = bench.provider().capabilities();
    if !matrix
        .iter()
        .any(|line| *line.method == *request.method && line.operations.cancel)
    {
        return;
    }
    let view = charged(bench, "a1", &request).await;
    let handle = by_reference("a1", &request, &view);
    let outcome = cancel(bench, "x1", &handle).await;
    assert!(
        matches!(&outcome, Outcome::Succeeded(view) if view.status == Status::Cancelled),
        "{outcome:?}"
    );
    assert_eq!(
        (taken(bench, "a1"), found(bench, &handle).await.status),
        (0, Status::Cancelled)
    );
}

/// Money that was taken is returned, not cancelled.
pub async fn a_captured_payment_cannot_be_cancelled(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::Immediate) else {
        return;
    };
    if bench.provider().cancels().is_none() {
        return;
    }
    let view = charged(bench, "a1", &request).await;
    let handle = by_reference("a1", &request, &view);
    let outcome = cancel(bench, "x1", &handle).await;
    assert!(
        !matches!(outcome, Outcome::Succeeded(_) | Outcome::Pending(_)),
        "{outcome:?}"
    );
    let seen = found(bench, &handle).await;
    assert_eq!(
        (seen.status, taken(bench, "a1")),
        (Status::Captured, request.totals.total().minor())
    );
}

/// Returned once, however often it is sent.
pub async fn a_refund_sent_twice_under_one_key_returns_once(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::Immediate).filter(|_| refunds(bench)) else {
        return;
    };
    let view = charged(bench, "a1", &request).await;
    let handle = by_reference("a1", &request, &view);
    for _ in 0..2 {
        let outcome = refund(bench, "r1", &handle, 1_000).await;
        assert!(
            matches!(outcome, Outcome::Succeeded(_) | Outcome::Unknown(_)),
            "{outcome:?}"
        );
        assert_eq!(returned(bench, "a1"), 1_000);
    }
    let seen = found(bench, &handle).await;
    assert_eq!(
        seen.refunds
            .iter()
            .map(|(_, amount)| amount.minor())
            .collect::<Vec<_>>(),
        [1_000]
    );
}

/// Part after part, each with a name of its own; nothing left is a status.
pub async fn parts_are_returned_until_nothing_is_left(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::Immediate).filter(|_| refunds(bench)) else {
        return;
    };
    let view = charged(bench, "a1", &request).await;
    let handle = by_reference("a1", &request, &view);
    let total = request.totals.total().minor();
    let last = charge_back(bench, &handle, "r1", 1_000).await;
    assert_eq!(last.status, Status::Captured);
    let last = charge_back(bench, &handle, "r2", total - 1_000).await;
    assert_eq!((last.status, last.refunds.len()), (Status::Refunded, 2));
    assert_ne!(last.refunds[0].0, last.refunds[1].0, "every refund has a name");
    assert_eq!(
        (returned(bench, "a1"), found(bench, &handle).await.facts()),
        (total, last.facts())
    );
}

async fn charge_back(bench: &dyn Bench, handle: &Handle, key: &str, minor: i64) -> View {
    match refund(bench, key, handle, minor).await {
        Outcome::Succeeded(view) => view,
        other => panic!("refund {key} came out as {other:?}"),
    }
}

/// Not at once, and not in sum.
pub async fn more_than_was_taken_is_never_returned(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::Immediate).filter(|_| refunds(bench)) else {
        return;
    };
    let view = charged(bench, "a1", &request).await;
    let handle = by_reference("a1", &request, &view);
    let total = request.totals.total().minor();
    let tries = [
        ("r1", total + 1, false),
        ("r2", total - 1, true),
        ("r3", 2, false),
        ("r4", 1, true),
        ("r5", 1, false),
    ];
    for (key, minor, good) in tries {
        let outcome = refund(bench, key, &handle, minor).await;
        assert_eq!(
            matches!(outcome, Outcome::Succeeded(_)),
            good,
            "{key}: {outcome:?}"
        );
        assert!(returned(bench, "a1") <= total);
    }
    assert_eq!(returned(bench, "a1"), total);
    // And a payment that took nothing returns nothing.
    let Some(request) = bench.purchase(Purchase::TwoStep) else {
        return;
    };
    let Outcome::Succeeded(view) = authorize(bench, "a2", &request).await else {
        panic!("a good card")
    };
    let outcome = refund(bench, "r6", &by_reference("a2", &request, &view), 1).await;
    assert!(
        !matches!(outcome, Outcome::Succeeded(_) | Outcome::Pending(_)),
        "{outcome:?}"
    );
    assert_eq!(returned(bench, "a2"), 0);
}
