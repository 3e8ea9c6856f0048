use super::*;
use crate::ledger;
use crate::money::Currency;
use proptest::prelude::*;

fn yen(minor: i64) -> Money {
    Money::new(minor, Currency::JPY).expect("in range")
}

fn state_in(status: Status, capture: CaptureMode) -> State {
    let mut state = State::new(yen(1_000), capture);
    let facts: &[Fact] = match status {
        Status::Pending => &[],
        Status::Authorized => &[Fact::Authorized { amount: yen(1_000) }],
        Status::Captured => &[Fact::Captured { amount: yen(1_000) }],
        Status::Cancelled => &[Fact::Cancelled],
        Status::Expired => &[Fact::Expired],
        Status::Refunded => &[
            Fact::Captured { amount: yen(1_000) },
            Fact::Refunded {
                reference: "r".into(),
                amount: yen(1_000),
            },
        ],
        Status::Failed => &[Fact::Failed {
            code: "card_declined".into(),
        }],
    };
    for fact in facts {
        assert!(matches!(state.fold(fact), Folded::Applied(_)));
    }
    assert_eq!(state.status(), status);
    state
}

#[test]
fn each_command_is_allowed_in_exactly_the_statuses_of_the_table() {
    let table = [
        (Status::Pending, [false, true, false]),
        (Status::Authorized, [true, true, false]),
        (Status::Captured, [false, false, true]),
        (Status::Cancelled, [false; 3]),
        (Status::Expired, [false; 3]),
        (Status::Refunded, [false; 3]),
        (Status::Failed, [false; 3]),
    ];
    for (status, allowed) in table {
        let state = state_in(status, CaptureMode::Manual);
        let commands = [
            Command::Capture { amount: yen(1_000) },
            Command::Cancel,
            Command::Refund { amount: None },
        ];
        for (command, allowed) in commands.into_iter().zip(allowed) {
            assert_eq!(state.permit(command).is_ok(), allowed, "{status:?} {command:?}");
        }
    }
}

#[test]
fn a_slip_that_captures_itself_cannot_be_captured_by_the_shop() {
    let state = state_in(Status::Authorized, CaptureMode::Auto);
    assert_eq!(
        state.permit(Command::Capture { amount: yen(1_000) }),
        Err(Refused::CapturesItself)
    );
}

#[test]
fn amounts_beyond_what_is_left_are_refused_and_name_it() {
    let authorized = state_in(Status::Authorized, CaptureMode::Manual);
    assert_eq!(
        authorized.permit(Command::Capture { amount: yen(1_001) }),
        Err(Refused::TooMuch { left: yen(1_000) })
    );
    assert_eq!(
        authorized.permit(Command::Capture { amount: yen(0) }),
        Err(Refused::NothingAsked)
    );
    let mut captured = state_in(Status::Captured, CaptureMode::Auto);
    captured.fold(&Fact::Refunded {
        reference: "a".into(),
        amount: yen(300),
    });
    assert_eq!(
        captured.permit(Command::Refund {
            amount: Some(yen(701))
        }),
        Err(Refused::TooMuch { left: yen(700) })
    );
    assert_eq!(captured.permit(Command::Refund { amount: None }), Ok(yen(700)));
}

#[test]
fn while_one_operation_is_unanswered_no_other_may_start() {
    let mut state = state_in(Status::Captured, CaptureMode::Auto);
    state.take_off(InFlight {
        attempt: 2,
        operation: Operation::Refund,
        amount: yen(1_000),
    });
    assert_eq!(
        state.permit(Command::Refund { amount: None }),
        Err(Refused::InFlight {
            operation: Operation::Refund
        })
    );
    state.land(1);
    assert!(
        state.in_flight().is_some(),
        "another attempt's landing does not count"
    );
    state.land(2);
    assert!(state.permit(Command::Refund { amount: None }).is_ok());
}

#[test]
fn a_wrong_amount_is_suspect_and_moves_nothing() {
    let mut state = State::new(yen(1_000), CaptureMode::Auto);
    let before = state.clone();
    assert_eq!(
        state.fold(&Fact::Captured { amount: yen(999) }),
        Folded::Suspect(Suspicion::AmountMismatch)
    );
    assert_eq!(
        state.fold(&Fact::Authorized { amount: yen(1_001) }),
        Folded::Suspect(Suspicion::AmountMismatch)
    );
    assert_eq!(state, before);
}

#[test]
fn money_that_arrives_after_the_end_is_suspect_never_silent() {
    for status in [Status::Cancelled, Status::Expired, Status::Failed] {
        let mut state = state_in(status, CaptureMode::Auto);
        let folded = state.fold(&Fact::Captured { amount: yen(1_000) });
        assert_eq!(folded, Folded::Suspect(Suspicion::LateCapture));
        assert_eq!(state.status(), status);
    }
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let amount = prop_oneof![Just(1_000_i64), 0..1_500_i64].prop_map(yen);
    prop_oneof![
        amount.clone().prop_map(|amount| Fact::Authorized { amount }),
        amount.clone().prop_map(|amount| Fact::Captured { amount }),
        ("[a-d]", amount).prop_map(|(r, amount)| Fact::Refunded {
            reference: r.into(),
            amount
        }),
        Just(Fact::Cancelled),
        Just(Fact::Expired),
        Just(Fact::Failed {
            code: "other_error".into()
        }),
    ]
}

fn any_capture() -> impl Strategy<Value = CaptureMode> {
    prop_oneof![Just(CaptureMode::Auto), Just(CaptureMode::Manual)]
}

/// What one provider could truly have lived through, in order.
fn any_history() -> impl Strategy<Value = (CaptureMode, Vec<Fact>)> {
    let closed = prop_oneof![
        Just(Fact::Cancelled),
        Just(Fact::Expired),
        Just(Fact::Failed { code: "x".into() })
    ];
    let refunds = proptest::collection::vec(1..400_i64, 0..3);
    prop_oneof![
        (any_capture(), any::<bool>(), refunds, 800..=1_000_i64).prop_map(
            |(capture, two_step, refunds, taken)| {
                let taken = if capture == CaptureMode::Auto {
                    1_000
                } else {
                    taken
                };
                let mut facts = Vec::new();
                if two_step {
                    facts.push(Fact::Authorized { amount: yen(1_000) });
                }
                facts.push(Fact::Captured { amount: yen(taken) });
                let mut left = taken;
                for (n, refund) in refunds.into_iter().enumerate() {
                    let refund = refund.min(left);
                    if refund > 0 {
                        facts.push(Fact::Refunded {
                            reference: format!("r{n}").into(),
                            amount: yen(refund),
                        });
                        left -= refund;
                    }
                }
                (capture, facts)
            }
        ),
        (any_capture(), any::<bool>(), closed).prop_map(|(capture, two_step, closed)| {
            let mut facts = Vec::new();
            if two_step {
                facts.push(Fact::Authorized { amount: yen(1_000) });
            }
            facts.push(closed);
            (capture, facts)
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_reported_refunded_never_exceeds_captured_nor_captured_authorized(
        capture in any_capture(),
        facts in proptest::collection::vec(any_fact(), 0..24),
    ) {
        let mut state = State::new(yen(1_000), capture);
        for fact in &facts {
            let before = state.clone();
            let folded = state.fold(fact);
            state.assert_sound();
            prop_assert!(state.refunded().minor() <= state.captured().minor());
            prop_assert!(state.captured().minor() <= state.authorized().minor());
            if before.status().is_terminal() {
                prop_assert_eq!(before.status(), state.status(), "terminal states stay");
            }
            match folded {
                Folded::Applied(steps) => for step in &steps {
                    let sum: i64 = ledger::postings(step, yen(0)).iter().map(|p| p.amount).sum();
                    prop_assert_eq!(sum, 0, "postings sum to zero");
                },
                Folded::Known | Folded::Suspect(_) => prop_assert_eq!(&before, &state),
            }
            // The same fact twice changes nothing.
            let once = state.clone();
            let again = state.fold(fact);
            prop_assert!(!matches!(&again, Folded::Applied(_)), "{:?}", again);
            prop_assert_eq!(once, state.clone());
        }
    }

    #[test]
    fn facts_of_one_history_end_in_the_same_state_in_any_order(
        (capture, history, mut shuffled, twice) in any_history().prop_flat_map(|(capture, history)| {
            (Just(capture), Just(history.clone()), Just(history).prop_shuffle(), any::<bool>())
        }),
    ) {
        let mut straight = State::new(yen(1_000), capture);
        for fact in &history {
            straight.fold(fact);
        }
        if twice {
            shuffled.extend(history);
        }
        let mut state = State::new(yen(1_000), capture);
        for fact in &shuffled {
            state.fold(fact);
        }
        prop_assert_eq!(state, straight);
    }

    #[test]
    fn commands_and_facts_mixed_never_allow_more_than_there_is(
        capture in any_capture(),
        moves in proptest::collection::vec((any_fact(), 0..1_200_i64, 0..3_u8), 0..24),
    ) {
        let mut state = State::new(yen(1_000), capture);
        for (n, (fact, amount, command)) in moves.into_iter().enumerate() {
            state.fold(&fact);
            let command = match command {
                0 => Command::Capture { amount: yen(amount) },
                1 => Command::Cancel,
                _ => Command::Refund { amount: Some(yen(amount)) },
            };
            let Ok(permitted) = state.permit(command) else { continue };
            let attempt = u32::try_from(n).unwrap() + 1;
            state.take_off(InFlight { attempt, operation: command.operation(), amount: permitted });
            let fact = match command {
                Command::Capture { .. } => Fact::Captured { amount: permitted },
                Command::Cancel => Fact::Cancelled,
                Command::Refund { .. } => Fact::Refunded { reference: format!("c{n}").into(), amount: permitted },
            };
            prop_assert!(matches!(state.fold(&fact), Folded::Applied(_)), "a permitted command's success always fits");
            state.land(attempt);
        }
    }
}
