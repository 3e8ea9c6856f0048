//! What every provider's client must do, whoever the provider is: one suite, run against each provider's sandbox.
//!
//! A provider's crate implements [`Bench`] over its sandbox and writes one line in its tests:
//!
//! ```ignore
//! kessai_provider::conformance!(KomojuBench::open());
//! ```
//!
//! The suite looks at two things only: what the client says ([`Outcome`]), and what stands in the sandbox's books. A promise the
//! provider has no method for (no slip, no two-step card) is kept by not being asked.
use crate::port::{Account, Authorize, Call, Handle, InquiryError, Outcome, Provider, View};
use crate::sandbox::FaultKind;
use crate::transport::Transport;
use jiff::{SignedDuration, Timestamp};
use kessai_core::Money;
use kessai_core::payment::Status;
use kessai_core::tax::Totals;
use std::sync::Arc;

mod changes;
mod charges;
mod doubts;
mod notices;
mod secrecy;

pub use changes::*;
pub use charges::*;
pub use doubts::*;
pub use notices::*;
pub use secrecy::*;

/// What is bought, so that something particular happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purchase {
    /// Charged at once. Every provider has one: a card, or whatever is decided at once there.
    Immediate,
    /// Authorized now, captured later.
    TwoStep,
    /// Declined.
    Declined,
    /// Paid later, elsewhere, before a deadline.
    Slip,
    /// The shopper goes to another site and comes back.
    Offsite,
}

/// What is asked of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the port's verbs")]
pub enum Step {
    Authorize,
    Capture,
    Cancel,
    Refund,
    Inquire,
}

/// A payment as it stands in the sandbox's books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Booked {
    /// Its status.
    pub status: Status,
    /// What is promised or awaited.
    pub total: Money,
    /// What was taken.
    pub captured: Money,
    /// What went back.
    pub refunded: Money,
}

/// A notification as the sandbox would send it.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A provider's client and its sandbox, side by side, fresh for each promise.
pub trait Bench: Send + Sync {
    /// The client.
    fn provider(&self) -> Arc<dyn Provider>;
    /// The way to the sandbox.
    fn transport(&self) -> Arc<dyn Transport>;
    /// An account that the sandbox accepts.
    fn account(&self) -> Arc<Account>;
    /// What time it is, there and here.
    fn now(&self) -> Timestamp;
    /// Lets time pass, there and here.
    fn advance(&self, by: SignedDuration);
    /// A purchase that ends like that, of 3,000 yen or as near as the provider allows; none when it has no such method.
    fn purchase(&self, purchase: Purchase) -> Option<Authorize>;
    /// Every payment that stands under our key, oldest first, failed ones included.
    fn booked(&self, key: &str) -> Vec<Booked>;
    /// Lets the next request for that step go wrong, once. False when this sandbox cannot.
    fn inject(&self, step: Step, fault: FaultKind) -> bool;
    /// The shopper pays the slip, or approves on the other site.
    fn shopper_pays(&self, reference: &str);
    /// Takes the notifications the sandbox owes by now.
    fn notices(&self) -> Vec<Sent>;
    /// Whether its notifications carry a signature.
    fn notices_are_signed(&self) -> bool {
        true
    }
    /// Texts that must appear nowhere: the account's secrets as they travel, and card numbers and codes of [`Bench::purchase`].
    fn secrets(&self) -> Vec<String>;
    /// Texts that must not be written down with a call: names and addresses of people.
    fn personal(&self) -> Vec<String>;
}

/// How long the suite lets a client wait, in milliseconds; a delay beyond it is a lost reply.
pub const TIMEOUT_MS: u64 = 30_000;

/// A call as the engine would make it.
pub(crate) fn call(bench: &dyn Bench, key: &str) -> Call {
    Call::new(bench.account(), key, bench.transport(), TIMEOUT_MS, bench.now())
}

/// The payment as the engine would name it after a reply was lost: by key alone.
pub(crate) fn by_key(key: &str, request: &Authorize) -> Handle {
    let method = request.method.clone();
    Handle {
        key: key.into(),
        reference: None,
        session: None,
        totals: request.totals,
        method,
    }
}

/// The payment as the engine names it when all is well.
pub(crate) fn by_reference(key: &str, request: &Authorize, view: &View) -> Handle {
    let reference = Some(view.reference.clone()).filter(|reference| !reference.is_empty());
    Handle {
        reference,
        session: view.session.clone(),
        ..by_key(key, request)
    }
}

pub(crate) async fn authorize(bench: &dyn Bench, key: &str, request: &Authorize) -> Outcome<View> {
    bench.provider().authorize(&call(bench, key), request).await
}

/// Charges, which must work.
pub(crate) async fn charged(bench: &dyn Bench, key: &str, request: &Authorize) -> View {
    match authorize(bench, key, request).await {
        Outcome::Succeeded(view) => view,
        other => panic!("a good purchase came out as {other:?}"),
    }
}

pub(crate) async fn inquire(bench: &dyn Bench, handle: &Handle) -> Result<Option<View>, InquiryError> {
    bench.provider().inquire(&call(bench, "inquiry"), handle).await
}

/// Finds a payment, which must be there.
pub(crate) async fn found(bench: &dyn Bench, handle: &Handle) -> View {
    inquire(bench, handle)
        .await
        .expect("an answer")
        .expect("a payment under the key")
}

/// The one payment that must stand under a key.
pub(crate) fn only(bench: &dyn Bench, key: &str) -> Booked {
    let booked = bench.booked(key);
    assert_eq!(booked.len(), 1, "one wish, one payment: {booked:?}");
    booked[0]
}

/// What was taken under a key, over all payments.
pub(crate) fn taken(bench: &dyn Bench, key: &str) -> i64 {
    bench
        .booked(key)
        .iter()
        .map(|booked| booked.captured.minor())
        .sum()
}

/// What went back under a key, over all payments.
pub(crate) fn returned(bench: &dyn Bench, key: &str) -> i64 {
    bench
        .booked(key)
        .iter()
        .map(|booked| booked.refunded.minor())
        .sum()
}

/// `amount` yen or whatever the currency is, without tax.
pub(crate) fn part(totals: Totals, amount: i64) -> Totals {
    Totals {
        amount,
        tax: 0,
        fee: 0,
        ..totals
    }
}

/// Expands to one test per promise. The expression makes a fresh [`Bench`](crate::conformance::Bench); `tokio` must be a development
/// dependency of the crate that writes this.
#[macro_export]
macro_rules! conformance {
    ($bench:expr) => {
        $crate::conformance! { @promises $bench;
            a_charge_is_taken_once_and_found_again,
            the_same_key_sent_twice_is_one_charge,
            two_keys_are_two_charges,
            a_decline_is_a_decline_and_takes_nothing,
            a_slip_waits_for_its_shopper_until_its_deadline,
            a_slip_that_is_paid_is_captured,
            an_offsite_payment_sends_the_shopper_away_and_is_captured_on_approval,
            a_key_nobody_used_is_found_nowhere,
            wrong_credentials_are_ours_to_mend_and_take_nothing,
            what_the_matrix_offers_the_port_can_do,
            a_capture_takes_what_was_promised_once,
            a_part_can_be_captured_and_the_rest_is_released,
            a_cancelled_authorization_takes_nothing,
            a_cancelled_slip_takes_nothing,
            a_captured_payment_cannot_be_cancelled,
            a_refund_sent_twice_under_one_key_returns_once,
            parts_are_returned_until_nothing_is_left,
            more_than_was_taken_is_never_returned,
            a_lost_reply_is_doubt_and_the_key_finds_one_charge,
            a_request_lost_on_its_way_is_doubt_and_may_be_sent_again,
            a_refused_connection_books_nothing_and_may_be_sent_again,
            an_answer_nobody_can_read_is_doubt,
            a_server_error_is_doubt_whether_booked_or_not,
            an_answer_that_comes_too_late_is_doubt,
            a_lost_capture_is_settled_by_asking,
            a_lost_cancel_is_settled_by_asking,
            a_lost_refund_is_settled_by_asking,
            an_inquiry_without_an_answer_is_not_a_no,
            a_wrong_amount_is_never_hidden,
            a_genuine_notification_names_its_payment,
            a_notification_that_comes_twice_is_the_same_notification,
            a_forged_notification_is_not_believed,
            nothing_secret_is_written_down_or_printed,
        }
    };
    (@promises $bench:expr; $($promise:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $promise() {
            let bench = $bench;
            $crate::conformance::$promise(&bench).await;
        }
    )+};
}
