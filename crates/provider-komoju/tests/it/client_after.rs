//! What comes after asking for money: inquiries, captures, cancels, refunds; tokens and stored cards; what is written down.
use super::client_kit::*;
use jiff::Timestamp;
use kessai_core::payment::Status;
use kessai_core::{Currency, Money};
use kessai_provider::port::*;
use kessai_provider::transport::Method;
use kessai_provider_komoju::Komoju;
use serde_json::{Map, Value, json};
use std::sync::Arc;

#[tokio::test]
async fn an_inquiry_by_key_prefers_money_and_takes_nobody_elses_order() {
    let script = Script::says(&[(200, fixture!("list_of_one_session"))]);
    let unnamed = Handle {
        reference: None,
        ..handle()
    };
    let view = Komoju.inquire(&call(&script), &unnamed).await.unwrap().unwrap();
    assert_eq!(
        script.paths(),
        ["GET /payments?external_order_num=att1&per_page=100"]
    );
    assert_eq!(
        (&*view.reference, view.status),
        ("middle0captured00000000000", Status::Captured)
    );

    let failed_alone =
        fixture!("list_of_one_session").replace(r#""status":"captured""#, r#""status":"failed""#);
    let script = Script::says(&[(200, &failed_alone)]);
    let view = Komoju.inquire(&call(&script), &unnamed).await.unwrap().unwrap();
    assert_eq!(
        (&*view.reference, view.status),
        ("newest0failed0000000000000", Status::Failed)
    );
    assert_eq!(view.facts().len(), 1);

    let twice = fixture!("list_of_one_session").replace(r#""status":"failed""#, r#""status":"captured""#);
    let script = Script::says(&[(200, &twice)]);
    assert!(
        Komoju.inquire(&call(&script), &unnamed).await.is_err(),
        "two charges under one key need a person"
    );

    for (body, more) in [
        (r#"{"data":[],"last_page":0}"#, false),
        (r#"{"data":[],"last_page":2}"#, true),
    ] {
        let script = Script::says(&[(200, body)]);
        assert_eq!(
            Komoju.inquire(&call(&script), &unnamed).await.is_err(),
            more,
            "{body}"
        );
    }
}

#[tokio::test]
async fn an_inquiry_by_session_sees_its_payment_or_that_there_is_none_yet() {
    let handle = Handle {
        reference: Some("".into()),
        session: Some(SESSION.into()),
        ..handle()
    };
    let empty = r#"{"data":[],"last_page":0}"#;
    for (from, to, status) in [
        ("", "", Status::Pending),
        (r#""expired":false"#, r#""expired":true"#, Status::Expired),
        (
            r#""status":"pending""#,
            r#""status":"cancelled""#,
            Status::Cancelled,
        ),
    ] {
        let session = fixture!("session_konbini").replacen(from, to, 1);
        let script = Script::says(&[(200, &session), (200, empty)]);
        let view = Komoju.inquire(&call(&script), &handle).await.unwrap().unwrap();
        assert_eq!((&*view.reference, view.status), ("", status));
    }
    // A 3-D Secure that failed leaves a failed payment under our key, and none in the session.
    let mut failed = parsed(fixture!("payment_card_captured"));
    failed["status"] = json!("failed");
    let list = json!({"data": [failed], "last_page": 1}).to_string();
    let script = Script::says(&[(200, fixture!("session_konbini")), (200, &list)]);
    let view = Komoju.inquire(&call(&script), &handle).await.unwrap().unwrap();
    assert_eq!((&*view.reference, view.status), (PAYMENT, Status::Failed));
    // In progress: the shopper can be sent back to it.
    let mut session = parsed(fixture!("session_konbini"));
    session["secure_token"] = parsed(fixture!("secure_token"));
    let script = Script::says(&[(200, &session.to_string()), (200, empty)]);
    let view = Komoju.inquire(&call(&script), &handle).await.unwrap().unwrap();
    assert!(view.next.unwrap().frameable);
}

#[tokio::test]
async fn only_komojus_own_not_found_means_that_there_is_nothing() {
    let ask = async |status, body| {
        Komoju
            .inquire(&call(&Script::says(&[(status, body)])), &handle())
            .await
    };
    let nothing = r#"{"error":{"code":"not_found","message":"The requested resource could not be found."}}"#;
    assert!(matches!(ask(404, nothing).await, Ok(None)));
    assert!(matches!(
        ask(404, "<html>").await,
        Err(InquiryError::Unreadable(_))
    ));
    assert!(matches!(ask(401, nothing).await, Err(InquiryError::Refused(_))));
    assert!(matches!(ask(503, "").await, Err(InquiryError::NoAnswer(_))));
    assert!(matches!(ask(429, "{}").await, Err(InquiryError::NoAnswer(_))));
    assert!(matches!(
        ask(200, nothing).await,
        Err(InquiryError::Unreadable(_))
    ));
    let other = fixture!("payment_card_captured").replace(PAYMENT, "another");
    assert!(matches!(ask(200, &other).await, Err(InquiryError::Unreadable(_))));
}

#[tokio::test]
async fn after_a_partial_capture_what_was_taken_is_the_wires_total() {
    let script = Script::says(&[(200, fixture!("payment_card_partly_captured"))]);
    let view = succeeded(
        Komoju
            .capture(&call(&script), &handle(), totals(500, 50, 0))
            .await,
    );
    assert_eq!(script.paths(), [format!("POST /payments/{PAYMENT}/capture")]);
    assert_eq!(sent(&script.requests()[0]), json!({"amount": 500, "tax": 50}));
    assert_eq!(
        (view.captured.map(Money::minor), view.total.minor()),
        (Some(550), 550)
    );

    let script = Script::says(&[(200, fixture!("payment_card_authorized"))]);
    let outcome = Komoju
        .capture(&call(&script), &handle(), totals(500, 50, 0))
        .await;
    assert!(
        matches!(outcome, Outcome::Unknown(_)),
        "a capture must show: {outcome:?}"
    );
}

#[tokio::test]
async fn a_refund_must_show_by_name_and_amount() {
    let thousand = Money::new(1_000, Currency::JPY).unwrap();
    let script = Script::says(&[(200, fixture!("payment_card_refunded"))]);
    let view = succeeded(
        Komoju
            .refund(&call(&script), &handle(), thousand, Some("why"))
            .await,
    );
    assert_eq!(
        sent(&script.requests()[0]),
        json!({"amount": 1_000, "description": "why"})
    );
    assert_eq!(view.facts().len(), 3);

    let script = Script::says(&[(200, fixture!("payment_card_captured"))]);
    let outcome = Komoju.refund(&call(&script), &handle(), thousand, None).await;
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
}

#[tokio::test]
async fn what_may_have_been_done_by_an_earlier_send_is_doubt() {
    let no = |code: &str| format!(r#"{{"error":{{"code":"{code}","message":"no","param":null}}}}"#);
    let script = Script::says(&[
        (422, &no("not_capturable")),
        (422, &no("not_cancellable")),
        (422, &no("not_refundable")),
    ]);
    let calling = call(&script);
    let amount = Money::new(1, Currency::JPY).unwrap();
    assert!(matches!(
        Komoju.capture(&calling, &handle(), totals(1, 0, 0)).await,
        Outcome::Unknown(_)
    ));
    assert!(matches!(
        Komoju.cancel(&calling, &handle()).await,
        Outcome::Unknown(_)
    ));
    assert!(matches!(
        Komoju.refund(&calling, &handle(), amount, None).await,
        Outcome::Unknown(_)
    ));
    let too_much = r#"{"error":{"code":"invalid_parameter","message":"too much","param":"amount"}}"#;
    let script = Script::says(&[(422, too_much)]);
    assert!(matches!(
        Komoju.refund(&call(&script), &handle(), amount, None).await,
        Outcome::Rejected(_)
    ));
}

#[tokio::test]
async fn a_payment_without_a_name_is_cancelled_through_its_session() {
    let cancelled =
        fixture!("session_konbini").replacen(r#""status":"pending""#, r#""status":"cancelled""#, 1);
    let script = Script::says(&[(200, &cancelled)]);
    let unnamed = Handle {
        reference: None,
        session: Some(SESSION.into()),
        ..handle()
    };
    let view = succeeded(Komoju.cancel(&call(&script), &unnamed).await);
    assert_eq!(
        (view.status, script.paths()),
        (
            Status::Cancelled,
            vec![format!("POST /sessions/{SESSION}/cancel")]
        )
    );

    let nameless = Handle {
        reference: None,
        ..handle()
    };
    let script = Script::says(&[]);
    assert!(matches!(
        Komoju.cancel(&call(&script), &nameless).await,
        Outcome::NotSent(_)
    ));
    assert!(script.requests().is_empty());
}

#[tokio::test]
async fn a_bank_refund_is_believed_by_its_status_and_shown_by_the_payment() {
    let Value::Object(fields) =
        json!({"customer_name": "ﾔﾏﾀﾞ ﾀﾛｳ", "account_number": "1234567", "bank_name": "銀行"})
    else {
        unreachable!()
    };
    let refund = BankRefund {
        amount: Money::new(1_320, Currency::JPY).ok(),
        fields,
    };
    let script = Script::says(&[(204, ""), (200, fixture!("payment_card_captured"))]);
    let calling = call(&script);
    let view = pending(BankRefunds::request(&Komoju, &calling, &handle(), &refund).await);
    assert_eq!(view.status, Status::Captured);
    assert_eq!(sent(&script.requests()[0])["amount"], 1_320);
    let written = format!("{:?}", calling.take_exchanges());
    assert!(
        !written.contains("1234567") && !written.contains("ﾔﾏﾀﾞ"),
        "{written}"
    );

    let script = Script::says(&[(204, "")]).then(lost());
    assert!(matches!(
        BankRefunds::request(&Komoju, &call(&script), &handle(), &refund).await,
        Outcome::Unknown(_)
    ));
}

#[tokio::test]
async fn tokens_are_made_with_whichever_key_there_is_and_never_written_down() {
    let script = Script::says(&[
        (200, fixture!("token")),
        (200, fixture!("secure_token")),
        (200, fixture!("secure_token")),
    ]);
    let mut account = account();
    account.secrets.remove("secret_key");
    let calling = Call::new(
        Arc::new(account),
        "att1",
        script.clone(),
        5_000,
        Timestamp::UNIX_EPOCH,
    );

    let token = succeeded(
        Komoju
            .tokenize(&calling, "credit_card", &Instrument::Card(card()), &Map::new())
            .await,
    );
    assert_eq!(token.token.expose(), "tok_9f8e7d6c5b4a39281706f5e4d");
    assert_eq!(token.details.get("name"), None);
    assert_eq!(
        header(&script.requests()[0], "authorization"),
        Some("Basic cGtfdGVzdF8xOg==")
    );

    let request = Authenticate {
        instrument: Instrument::Card(card()),
        amount: Money::new(1_200, Currency::JPY).unwrap(),
        return_url: "https://shop.example/back".into(),
    };
    let begun = succeeded(Komoju.authenticate(&calling, &request).await);
    assert_eq!(
        (&*begun.verification_status, begun.token.expose()),
        ("NEEDS_VERIFY", "st5k2m8")
    );
    let seen = succeeded(Komoju.authentication(&calling, &begun.token).await);
    assert_eq!(seen.token.expose(), "st5k2m8");
    assert_eq!(script.paths()[2], "GET /secure_tokens/st5k2m8");

    let written = serde_json::to_string(&calling.take_exchanges()).unwrap();
    for secret in [
        CARD_NUMBER,
        "tok_9f8",
        "st5k2m8",
        "TARO",
        "pk_test_1",
        "cGtfdGVzdF8x",
    ] {
        assert!(!written.contains(secret), "{secret} in {written}");
    }
    assert!(written.contains("/secure_tokens/{id}"));
}

#[tokio::test]
async fn a_card_is_stored_replaced_and_forgotten() {
    let gone = r#"{"error":{"code":"not_found","message":"The requested resource could not be found."}}"#;
    let script = Script::says(&[
        (200, fixture!("customer")),
        (200, fixture!("customer")),
        (200, fixture!("customer")),
        (404, gone),
    ]);
    let calling = call(&script);
    let card = Instrument::Card(card());
    let email = Some("taro@example.com");
    let stored = succeeded(
        Komoju
            .store(&calling, None, &card, email, Some(Currency::JPY))
            .await,
    );
    assert_eq!(stored.details["last_four_digits"], "1111");
    let again = succeeded(
        Komoju
            .store(&calling, Some(&stored.reference), &card, None, None)
            .await,
    );
    assert_eq!(again.reference.expose(), stored.reference.expose());
    for _ in 0..2 {
        succeeded(Komoju.forget(&calling, &stored.reference).await);
    }

    let requests = script.requests();
    let methods: Vec<_> = requests.iter().map(|request| request.method).collect();
    assert_eq!(
        methods,
        [Method::Post, Method::Patch, Method::Delete, Method::Delete]
    );
    let keys: Vec<_> = requests
        .iter()
        .map(|request| header(request, "x-komoju-idempotency").is_some())
        .collect();
    assert_eq!(
        keys,
        [true, false, false, false],
        "only POST takes an idempotency key"
    );
    let written = serde_json::to_string(&calling.take_exchanges()).unwrap();
    for secret in [CARD_NUMBER, stored.reference.expose(), "taro@"] {
        assert!(!written.contains(secret), "{secret} in {written}");
    }
}

#[tokio::test]
async fn a_payments_exchanges_show_what_support_needs_and_nothing_else() {
    let script = Script::says(&[(200, fixture!("payment_card_captured"))]);
    let calling = call(&script);
    succeeded(Komoju.authorize(&calling, &by_card()).await);
    let exchanges = calling.take_exchanges();
    assert_eq!(
        (exchanges.len(), &*exchanges[0].call, exchanges[0].status),
        (1, "POST /payments", Some(200))
    );
    assert_eq!(
        exchanges[0].reply,
        json!({
            "id": PAYMENT, "status": "captured", "amount": 1200, "tax": 120, "payment_method_fee": 0, "total": 1320,
            "currency": "JPY", "amount_refunded": 0, "payment_deadline": "2026-01-17T14:59:59Z",
            "external_order_num": "att1", "refunds": []
        })
    );
    assert_eq!(exchanges[0].request["payment_details"]["number"], "***");
    let written = serde_json::to_string(&exchanges).unwrap();
    for secret in [
        CARD_NUMBER,
        "sk_test_1",
        "c2tfdGVzdF8x",
        "TARO",
        "taro@",
        "\"123\"",
    ] {
        assert!(!written.contains(secret), "{secret} in {written}");
    }
}
