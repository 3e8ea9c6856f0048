//! Notifications.
use super::{Bench, Purchase, Sent, charged};
use crate::port::{Account, Notification, NotificationRejected, RawNotification};
use kessai_core::Secret;

fn read(bench: &dyn Bench, account: &Account, sent: &Sent) -> Result<Notification, NotificationRejected> {
    bench.provider().read_notification(
        account,
        &RawNotification {
            headers: &sent.headers,
            body: &sent.body,
        },
    )
}

/// What the sandbox sends about one charge.
async fn about_a_charge(bench: &dyn Bench) -> Option<(Box<str>, Vec<Sent>)> {
    let request = bench
        .purchase(Purchase::Immediate)
        .or_else(|| bench.purchase(Purchase::Slip))?;
    bench.notices();
    let view = charged(bench, "a1", &request).await;
    let sent = bench.notices();
    assert!(!sent.is_empty(), "the sandbox tells about a charge");
    Some((view.reference, sent))
}

/// It says which payment to ask for.
pub async fn a_genuine_notification_names_its_payment(bench: &dyn Bench) {
    let Some((reference, sent)) = about_a_charge(bench).await else {
        return;
    };
    for sent in sent {
        let read = read(bench, &bench.account(), &sent).expect("genuine");
        assert!(!read.dedupe.is_empty() && !read.kind.is_empty());
        let by_reference = read.reference.as_deref() == Some(&*reference);
        assert!(by_reference || read.key.as_deref() == Some("a1"), "{read:?}");
    }
}

/// The same bytes are the same notification, whenever they come; another event is another one.
pub async fn a_notification_that_comes_twice_is_the_same_notification(bench: &dyn Bench) {
    let Some((_, first)) = about_a_charge(bench).await else {
        return;
    };
    let account = bench.account();
    let one = read(bench, &account, &first[0]).expect("genuine");
    assert_eq!(read(bench, &account, &first[0]).expect("genuine"), one);
    let request = bench
        .purchase(Purchase::Immediate)
        .or_else(|| bench.purchase(Purchase::Slip));
    charged(bench, "a2", &request.expect("as before")).await;
    let other = bench.notices();
    assert_ne!(
        read(bench, &account, &other[0]).expect("genuine").dedupe,
        one.dedupe
    );
}

/// Changed, unsigned, or signed by somebody else.
pub async fn a_forged_notification_is_not_believed(bench: &dyn Bench) {
    if !bench.notices_are_signed() {
        return;
    }
    let Some((_, sent)) = about_a_charge(bench).await else {
        return;
    };
    let account = bench.account();
    for genuine in sent {
        for place in 0..genuine.body.len() {
            let mut forged = genuine.clone();
            forged.body[place] ^= 1;
            let read = read(bench, &account, &forged);
            assert_eq!(read, Err(NotificationRejected::Mismatch), "changed at {place}");
        }
        let unsigned = Sent {
            headers: Vec::new(),
            ..genuine.clone()
        };
        assert_eq!(
            read(bench, &account, &unsigned),
            Err(NotificationRejected::Unsigned)
        );
        let cut = Sent {
            body: Vec::new(),
            ..genuine.clone()
        };
        assert!(read(bench, &account, &cut).is_err());
        for secret in ["another", ""] {
            let secrets = account
                .secrets
                .keys()
                .map(|name| (name.clone(), Secret::new(secret)))
                .collect();
            let other = Account {
                secrets,
                ..(*account).clone()
            };
            assert!(
                read(bench, &other, &genuine).is_err(),
                "believed under the secret {secret:?}"
            );
        }
        let none = Account {
            secrets: Default::default(),
            ..(*account).clone()
        };
        assert!(read(bench, &none, &genuine).is_err(), "believed without a secret");
    }
}
