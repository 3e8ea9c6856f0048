//! Asking KOMOJU for money, against bodies transcribed from its reference.
use super::client_kit::*;
use jiff::Timestamp;
use kessai_core::payment::Status;
use kessai_core::{Currency, Money, Secret};
use kessai_provider::port::*;
use kessai_provider_komoju::Komoju;
use serde_json::{Value, json};
use std::sync::Arc;

#[tokio::test]
async fn a_direct_card_payment_says_everything_and_leaves_no_default_to_komoju() {
    let script = Script::says(&[(200, fixture!("payment_card_captured"))]);
    let view = succeeded(pay(&script, &by_card()).await);

    let request = &script.requests()[0];
    assert_eq!(script.paths(), ["POST /payments"]);
    assert_eq!(sent(request), parsed(fixture!("request_payment_card")));
    assert_eq!(header(request, "authorization"), Some("Basic c2tfdGVzdF8xOg=="));
    assert_eq!(header(request, "x-komoju-api-version"), Some("2025-01-28"));
    assert_eq!(header(request, "x-komoju-idempotency"), Some("att1"));
    assert_eq!(header(request, "content-type"), Some("application/json"));
    assert!(header(request, "user-agent").unwrap().starts_with("kessai/"));
    assert_eq!(header(request, "komoju-scenario"), None);

    let yen = |minor| Money::new(minor, Currency::JPY).unwrap();
    assert_eq!(
        (&*view.reference, view.key.as_deref(), view.status),
        (PAYMENT, Some("att1"), Status::Captured)
    );
    assert_eq!((view.total, view.captured), (yen(1_320), Some(yen(1_320))));
    let Value::Object(details) = json!({
        "type": "credit_card", "brand": "visa", "last_four_digits": "1111", "month": 12, "year": 2030
    }) else {
        unreachable!()
    };
    assert_eq!(view.details, details);
}

#[tokio::test]
async fn a_slip_in_a_session_is_two_requests_under_two_idempotency_keys() {
    let script = Script::says(&[(200, fixture!("session_konbini")), (200, fixture!("pay_konbini"))]);
    let view = succeeded(pay(&script, &by_konbini()).await);

    let requests = script.requests();
    assert_eq!(
        script.paths(),
        [
            "POST /sessions".to_owned(),
            format!("POST /sessions/{SESSION}/pay")
        ]
    );
    assert_eq!(sent(&requests[0]), parsed(fixture!("request_session_konbini")));
    assert_eq!(sent(&requests[1]), parsed(fixture!("request_pay_konbini")));
    assert_eq!(header(&requests[0], "x-komoju-idempotency"), Some("att1-s"));
    assert_eq!(header(&requests[1], "x-komoju-idempotency"), Some("att1"));

    assert_eq!(
        (&*view.reference, view.session.as_deref()),
        (PAYMENT, Some(SESSION))
    );
    assert_eq!(
        (view.status, view.total.minor(), view.captured),
        (Status::Authorized, 1_390, None)
    );
    assert_eq!(view.deadline_at, Some("2026-01-18T14:59:59Z".parse().unwrap()));
    assert_eq!(view.details["receipt"], "1234567890123");
    assert_eq!(view.next, None, "a slip sends nobody away");
}

#[tokio::test]
async fn three_d_secure_in_a_session_is_pending_in_a_frame() {
    let script = Script::says(&[
        (200, fixture!("session_konbini")),
        (200, fixture!("pay_card_3ds")),
    ]);
    let view = pending(pay(&script, &card_in_session()).await);
    let next = view.next.unwrap();
    assert_eq!(
        &*next.redirect_url,
        "https://komoju.com/three_d_secure_service/offsite?token=st5k2m8"
    );
    assert!(next.frameable);
    assert_eq!(
        (&*view.reference, view.session.as_deref()),
        (PAYMENT, Some(SESSION))
    );
}

#[tokio::test]
async fn a_pending_pay_that_names_no_payment_is_named_by_its_session_or_not_at_all() {
    let mut unnamed = parsed(fixture!("pay_card_3ds"));
    let payment = unnamed.as_object_mut().unwrap().remove("payment").unwrap();
    let unnamed = unnamed.to_string();
    let mut session = parsed(fixture!("session_konbini"));
    session["payment"] = payment;
    let session = session.to_string();

    let script = Script::says(&[
        (200, fixture!("session_konbini")),
        (200, &unnamed),
        (200, &session),
    ]);
    let view = pending(pay(&script, &card_in_session()).await);
    assert_eq!(script.paths()[2], format!("GET /sessions/{SESSION}"));
    assert_eq!(&*view.reference, PAYMENT);
    assert!(view.next.unwrap().frameable);

    let script = Script::says(&[
        (200, fixture!("session_konbini")),
        (200, &unnamed),
        (200, fixture!("session_konbini")),
    ]);
    let view = pending(pay(&script, &card_in_session()).await);
    assert_eq!(
        (&*view.reference, view.session.as_deref(), view.total.minor()),
        ("", Some(SESSION), 1_200)
    );
    assert!(view.next.is_some());

    // Asking is a courtesy: when it fails, the shopper can still go where they must.
    let script = Script::says(&[(200, fixture!("session_konbini")), (200, &unnamed)]).then(lost());
    assert!(pending(pay(&script, &card_in_session()).await).next.is_some());
}

#[tokio::test]
async fn before_a_session_is_paid_nothing_can_be_in_doubt() {
    for script in [
        Script::says(&[]).then(lost()),
        Script::says(&[(503, "")]),
        Script::says(&[(500, r#"{"error":{"code":"internal_server_error"}}"#)]),
        Script::says(&[(200, "<html>")]),
        Script::says(&[(200, r#"{"id":"x"}"#)]),
    ] {
        let outcome = pay(&script, &by_konbini()).await;
        assert!(matches!(outcome, Outcome::NotSent(_)), "{outcome:?}");
        assert_eq!(script.paths(), ["POST /sessions"]);
    }
    let script = Script::says(&[(200, fixture!("session_konbini"))]).then(lost());
    assert!(matches!(pay(&script, &by_konbini()).await, Outcome::Unknown(_)));
}

#[tokio::test]
async fn a_session_over_another_amount_is_not_paid() {
    let session = fixture!("session_konbini").replacen("\"amount\":1200", "\"amount\":1201", 1);
    let script = Script::says(&[(200, &session)]);
    assert!(matches!(pay(&script, &by_konbini()).await, Outcome::Rejected(_)));
    assert_eq!(script.paths().len(), 1);
}

#[tokio::test]
async fn a_stored_card_is_charged_directly_even_in_a_session() {
    let script = Script::says(&[(200, fixture!("payment_card_captured"))]);
    let request = Authorize {
        instrument: Instrument::Stored(Secret::new("cu5t0m3r")),
        in_session: true,
        totals: totals(1_320, 0, 0),
        ..by_card()
    };
    succeeded(pay(&script, &request).await);
    let body = sent(&script.requests()[0]);
    assert_eq!(
        (script.paths().as_slice(), &body["customer"]),
        (["POST /payments".to_owned()].as_slice(), &json!("cu5t0m3r"))
    );
    assert_eq!(
        (&body["amount"], &body["tax"], body.get("payment_details")),
        (&json!(1_320), &json!(0), None)
    );
}

#[tokio::test]
async fn tokens_and_prepaid_numbers_are_sent_as_komoju_wants_them() {
    let details = async |instrument: Instrument, method: &str| {
        let script = Script::says(&[(200, fixture!("payment_card_captured"))]);
        let request = Authorize {
            instrument,
            method: method.into(),
            email: None,
            ..by_card()
        };
        succeeded(pay(&script, &request).await);
        sent(&script.requests()[0])["payment_details"].clone()
    };
    assert_eq!(
        details(Instrument::Token(Secret::new("tok_1")), "credit_card").await,
        json!("tok_1")
    );
    assert_eq!(
        details(Instrument::SecureToken(Secret::new("st1")), "credit_card").await,
        json!("st1")
    );
    let numbers = [("prepaid_number".into(), Secret::new("1111111111111111"))]
        .into_iter()
        .collect();
    assert_eq!(
        details(Instrument::Prepaid(numbers), "web_money").await,
        json!({"type": "web_money", "prepaid_number": "1111111111111111"})
    );
}

#[tokio::test]
async fn a_decline_is_read_from_a_502_with_a_key_that_stands_twice_and_from_a_200() {
    let script = Script::says(&[(502, fixture!("error_card_declined"))]);
    let outcome = pay(&script, &by_card()).await;
    assert!(
        matches!(&outcome, Outcome::Declined(decline) if &*decline.code == "card_declined"),
        "{outcome:?}"
    );

    let script = Script::says(&[
        (200, fixture!("session_konbini")),
        (200, fixture!("error_pay_200")),
    ]);
    let outcome = pay(&script, &card_in_session()).await;
    assert!(
        matches!(&outcome, Outcome::Declined(decline) if &*decline.code == "insufficient_funds"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn our_own_key_standing_there_already_is_doubt_never_a_decline() {
    let taken = r#"{"error":{"code":"invalid_parameter","message":"has already been taken","param":"external_order_num"}}"#;
    for request in [by_card(), by_konbini()] {
        let outcome = pay(&Script::says(&[(422, taken)]), &request).await;
        assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_reply_that_is_not_about_what_we_asked_is_doubt() {
    let good = fixture!("payment_card_captured");
    for (from, to) in [
        (r#""status":"captured""#, r#""status":"under_review""#),
        (r#""status":"captured""#, r#""status":"expired""#),
        (r#""currency":"JPY""#, r#""currency":"USD""#),
        (r#""currency":"JPY""#, r#""currency":"XYZ""#),
        (r#""external_order_num":"att1""#, r#""external_order_num":"att2""#),
        (r#""total":1320,"#, ""),
        (r#""total":1320,"#, r#""total":1320.5,"#),
        (r#""total":1320,"#, r#""total":-1320,"#),
        (r#""resource":"payment""#, r#""resource":"session""#),
        (r#""amount_refunded":0"#, r#""amount_refunded":5"#),
        (
            r#""payment_deadline":"2026-01-17T14:59:59Z""#,
            r#""payment_deadline":"soon""#,
        ),
    ] {
        assert!(good.contains(from), "{from}");
        let outcome = pay(&Script::says(&[(200, &good.replacen(from, to, 1))]), &by_card()).await;
        assert!(matches!(outcome, Outcome::Unknown(_)), "{to}: {outcome:?}");
    }
    for body in ["", "null", "[]", "{}", "\"captured\"", &good[..good.len() / 2]] {
        let outcome = pay(&Script::says(&[(200, body)]), &by_card()).await;
        assert!(matches!(outcome, Outcome::Unknown(_)), "{body:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn another_amount_is_shown_as_it_is() {
    for total in ["1321", "\"1321\"", "\"1321.0000\""] {
        let body =
            fixture!("payment_card_captured").replacen("\"total\":1320", &format!("\"total\":{total}"), 1);
        let view = succeeded(pay(&Script::says(&[(200, &body)]), &by_card()).await);
        assert_eq!(view.total.minor(), 1_321);
    }
}

#[tokio::test]
async fn the_scenario_is_passed_on_in_test_mode_only() {
    for (live, expected) in [(false, Some("card_declined")), (true, None)] {
        let script = Script::says(&[(502, fixture!("error_card_declined"))]);
        let account = Arc::new(Account { live, ..account() });
        let call = Call::new(account, "att1", script.clone(), 5_000, Timestamp::UNIX_EPOCH);
        let request = Authorize {
            scenario: Some("card_declined".into()),
            ..by_card()
        };
        let _ = Komoju.authorize(&call, &request).await;
        assert_eq!(header(&script.requests()[0], "komoju-scenario"), expected);
    }
}
