//! When the network or the provider fails in the middle.
use super::changes::{cancel, capture, refund};
use super::{
    Bench, Purchase, Step, TIMEOUT_MS, authorize, by_key, by_reference, charged, found, inquire, only,
    returned, taken,
};
use crate::port::Outcome;
use crate::sandbox::FaultKind;
use kessai_core::payment::Status;

/// It was booked, and we were not told.
pub async fn a_lost_reply_is_doubt_and_the_key_finds_one_charge(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::Immediate) else {
        return;
    };
    assert!(
        bench.inject(Step::Authorize, FaultKind::LoseAfter),
        "every sandbox can lose a reply"
    );
    let outcome = authorize(bench, "a1", &request).await;
    assert!(
        matches!(outcome, Outcome::Unknown(_)),
        "a lost reply came out as {outcome:?}"
    );
    let view = found(bench, &by_key("a1", &request)).await;
    assert_eq!(
        (view.status, view.total),
        (Status::Captured, request.totals.total())
    );
    assert_eq!(only(bench, "a1").captured, request.totals.total());
}

/// It was not booked, and we were not told either: the same doubt, and the same key may be sent again.
pub async fn a_request_lost_on_its_way_is_doubt_and_may_be_sent_again(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::Immediate) else {
        return;
    };
    assert!(
        bench.inject(Step::Authorize, FaultKind::LoseBefore),
        "every sandbox can lose a request"
    );
    let outcome = authorize(bench, "a1", &request).await;
    assert!(
        matches!(outcome, Outcome::Unknown(_)),
        "a lost request came out as {outcome:?}"
    );
    assert_eq!(
        inquire(bench, &by_key("a1", &request)).await.expect("an answer"),
        None
    );
    charged(bench, "a1", &request).await;
    assert_eq!(only(bench, "a1").captured, request.totals.total());
}

/// Provably not sent.
pub async fn a_refused_connection_books_nothing_and_may_be_sent_again(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::Immediate) else {
        return;
    };
    assert!(
        bench.inject(Step::Authorize, FaultKind::Refuse),
        "every sandbox can refuse"
    );
    let outcome = authorize(bench, "a1", &request).await;
    assert!(
        matches!(outcome, Outcome::NotSent(_)),
        "a refused connection came out as {outcome:?}"
    );
    assert_eq!(bench.booked("a1"), []);
    charged(bench, "a1", &request).await;
    assert_eq!(only(bench, "a1").captured, request.totals.total());
}

async fn is_doubt(bench: &dyn Bench, key: &str, fault: FaultKind) {
    let Some(request) = bench.purchase(Purchase::Immediate) else {
        return;
    };
    if !bench.inject(Step::Authorize, fault.clone()) {
        return;
    }
    let outcome = authorize(bench, key, &request).await;
    assert!(
        matches!(outcome, Outcome::Unknown(_)),
        "{fault:?} came out as {outcome:?}"
    );
    let truth = bench.booked(key);
    let told = inquire(bench, &by_key(key, &request)).await.expect("an answer");
    assert_eq!(
        told.map(|view| view.status),
        truth.last().map(|booked| booked.status),
        "{fault:?}"
    );
    assert!(truth.len() <= 1, "{fault:?}");
}

/// Cut short, garbled, or a state nobody listed.
pub async fn an_answer_nobody_can_read_is_doubt(bench: &dyn Bench) {
    is_doubt(bench, "a1", FaultKind::Truncate).await;
    is_doubt(bench, "a2", FaultKind::Garble).await;
    is_doubt(bench, "a3", FaultKind::UnlistedStatus).await;
}

/// 5xx says nothing about money.
pub async fn a_server_error_is_doubt_whether_booked_or_not(bench: &dyn Bench) {
    for (place, code) in [500_u16, 502, 503, 504].into_iter().enumerate() {
        for booked in [true, false] {
            is_doubt(
                bench,
                &format!("a{place}{booked}"),
                FaultKind::Status { code, booked },
            )
            .await;
        }
    }
}

/// Late is lost.
pub async fn an_answer_that_comes_too_late_is_doubt(bench: &dyn Bench) {
    is_doubt(bench, "a1", FaultKind::Delay { ms: TIMEOUT_MS + 1 }).await;
}

/// Taken once, whatever we were told.
pub async fn a_lost_capture_is_settled_by_asking(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::TwoStep) else {
        return;
    };
    for (place, fault) in [FaultKind::LoseAfter, FaultKind::Garble].into_iter().enumerate() {
        let (key, capture_key) = (format!("a{place}"), format!("c{place}"));
        let view = charged(bench, &key, &request).await;
        let handle = by_reference(&key, &request, &view);
        assert!(
            bench.inject(Step::Capture, fault),
            "every sandbox can lose a reply"
        );
        let outcome = capture(bench, &capture_key, &handle, request.totals).await;
        assert!(
            matches!(outcome, Outcome::Unknown(_)),
            "a lost capture came out as {outcome:?}"
        );
        let view = found(bench, &handle).await;
        assert_eq!(
            (view.status, view.captured),
            (Status::Captured, Some(request.totals.total()))
        );
        assert_eq!(taken(bench, &key), request.totals.total().minor());
    }
}

/// Released, whatever we were told.
pub async fn a_lost_cancel_is_settled_by_asking(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::TwoStep) else {
        return;
    };
    if bench.provider().cancels().is_none() {
        return;
    }
    let view = charged(bench, "a1", &request).await;
    let handle = by_reference("a1", &request, &view);
    assert!(
        bench.inject(Step::Cancel, FaultKind::LoseAfter),
        "every sandbox can lose a reply"
    );
    let outcome = cancel(bench, "x1", &handle).await;
    assert!(
        matches!(outcome, Outcome::Unknown(_)),
        "a lost cancel came out as {outcome:?}"
    );
    assert_eq!(found(bench, &handle).await.status, Status::Cancelled);
    // A second wish to cancel cannot tell whether it or the first did it.
    let again = cancel(bench, "x2", &handle).await;
    assert!(
        matches!(again, Outcome::Unknown(_) | Outcome::Succeeded(_)),
        "{again:?}"
    );
}

/// Returned once, whatever we were told.
pub async fn a_lost_refund_is_settled_by_asking(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::Immediate) else {
        return;
    };
    if bench.provider().refunds().is_none() {
        return;
    }
    let view = charged(bench, "a1", &request).await;
    let handle = by_reference("a1", &request, &view);
    assert!(
        bench.inject(Step::Refund, FaultKind::LoseAfter),
        "every sandbox can lose a reply"
    );
    let outcome = refund(bench, "r1", &handle, 1_000).await;
    assert!(
        matches!(outcome, Outcome::Unknown(_)),
        "a lost refund came out as {outcome:?}"
    );
    let view = found(bench, &handle).await;
    assert_eq!(
        view.refunds
            .iter()
            .map(|(_, amount)| amount.minor())
            .collect::<Vec<_>>(),
        [1_000]
    );
    assert_eq!(returned(bench, "a1"), 1_000);
}

/// "We could not ask" must never read as "there is none".
pub async fn an_inquiry_without_an_answer_is_not_a_no(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::Immediate) else {
        return;
    };
    let view = charged(bench, "a1", &request).await;
    let faults = [
        FaultKind::Refuse,
        FaultKind::LoseBefore,
        FaultKind::LoseAfter,
        FaultKind::Status {
            code: 503,
            booked: false,
        },
        FaultKind::Status {
            code: 500,
            booked: true,
        },
        FaultKind::Truncate,
        FaultKind::Garble,
        FaultKind::UnlistedStatus,
    ];
    for handle in [by_key("a1", &request), by_reference("a1", &request, &view)] {
        for fault in &faults {
            if !bench.inject(Step::Inquire, fault.clone()) {
                continue;
            }
            let asked = inquire(bench, &handle).await;
            assert!(asked.is_err(), "{fault:?} came out as {asked:?}");
            assert!(
                inquire(bench, &handle).await.expect("an answer").is_some(),
                "{fault:?} struck twice"
            );
        }
    }
}

/// Whatever amount the provider names is the one we report: comparing is the engine's.
pub async fn a_wrong_amount_is_never_hidden(bench: &dyn Bench) {
    let Some(request) = bench.purchase(Purchase::Immediate) else {
        return;
    };
    let asked = request.totals.total();
    if !bench.inject(Step::Authorize, FaultKind::WrongAmount) {
        return;
    }
    match authorize(bench, "a1", &request).await {
        Outcome::Succeeded(view) | Outcome::Pending(view) => assert_ne!(view.total, asked, "{view:?}"),
        Outcome::Unknown(_) => {}
        other => panic!("a wrong amount came out as {other:?}"),
    }
    assert_eq!(
        found(bench, &by_key("a1", &request)).await.total,
        asked,
        "the books are right, the reply was not"
    );
}
