use super::*;
use serde_json::json;

fn fields(value: Value) -> Fields {
    let Value::Object(map) = value else {
        panic!("an object")
    };
    Fields::new(map)
}

#[test]
fn amounts_are_whole_numbers_however_they_are_written() {
    for (given, expected) in [
        (json!(1500), Some(1500)),
        (json!("1500"), Some(1500)),
        (json!("1500.0000"), Some(1500)),
        (json!(1500.0), Some(1500)),
        (json!(" 7 "), Some(7)),
        (json!(null), None),
        (json!(""), None),
    ] {
        assert_eq!(
            fields(json!({"amount": given})).amount("amount").unwrap(),
            expected,
            "{given}"
        );
    }
}

#[test]
fn amounts_that_are_none_are_refused() {
    for given in [
        json!(0),
        json!(-1),
        json!("-1"),
        json!(1500.5),
        json!("1500.5"),
        json!("1e3"),
        json!("x"),
        json!({}),
        json!([1]),
        json!(true),
        json!(10_000_000),
        json!(u64::MAX),
        json!("99999999999999999999"),
        json!(1e30),
        json!("０"),
        json!("."),
        json!("1."),
        json!("--1"),
        json!("0x10"),
    ] {
        let read = fields(json!({"amount": given})).amount("amount");
        if given == json!("1.") {
            assert_eq!(read.unwrap(), Some(1));
            continue;
        }
        let problem = read.unwrap_err();
        assert_eq!(
            (problem.code.name, problem.param.as_deref()),
            ("invalid_parameter", Some("amount")),
            "{given}"
        );
    }
    let zero = fields(json!({"amount": 0})).amount("amount").unwrap_err();
    assert_eq!(zero.message, "Amount must be greater than 0");
}

#[test]
fn tax_is_automatic_exact_or_rounded_half_up() {
    for (given, expected) in [
        (json!("auto"), None),
        (json!(0), Some(0)),
        (json!("80.5"), Some(81)),
        (json!(80.4), Some(80)),
        (json!("12"), Some(12)),
    ] {
        assert_eq!(fields(json!({"tax": given})).tax().unwrap(), expected, "{given}");
    }
    for bad in [
        json!(-1),
        json!("-0.6"),
        json!("ten"),
        json!([]),
        json!(10_000_000),
    ] {
        assert!(fields(json!({"tax": bad})).tax().is_err(), "{bad}");
    }
}

#[test]
fn metadata_is_text_to_text_within_bounds() {
    let many: Map<String, Value> = (0..51).map(|n| (n.to_string(), json!("x"))).collect();
    for bad in [
        json!({"a": 1}),
        json!({"a": true}),
        json!({"a": null}),
        json!({"a": {}}),
        json!("x"),
        json!([1]),
        json!({"k".repeat(31): "v"}),
        json!({"k": "v".repeat(2_001)}),
        Value::Object(many),
    ] {
        let problem = fields(json!({"metadata": bad})).metadata().unwrap_err();
        assert_eq!(
            (problem.code.name, problem.param.as_deref()),
            ("invalid_parameter", Some("metadata"))
        );
    }
    assert!(
        fields(json!({"metadata": []}))
            .metadata()
            .unwrap()
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        fields(json!({"metadata": {"名".repeat(30): "値".repeat(2_000)}}))
            .metadata()
            .unwrap()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn capture_is_understood_as_word_and_as_flag() {
    for (given, expected) in [
        (json!(true), CaptureMode::Auto),
        (json!("true"), CaptureMode::Auto),
        (json!("auto"), CaptureMode::Auto),
        (json!(false), CaptureMode::Manual),
        (json!("0"), CaptureMode::Manual),
        (json!("manual"), CaptureMode::Manual),
    ] {
        assert_eq!(
            fields(json!({"capture": given})).capture_flag().unwrap(),
            Some(expected),
            "{given}"
        );
    }
    for bad in [json!("yes"), json!(2), json!({}), json!([])] {
        assert!(fields(json!({"capture": bad})).capture_flag().is_err());
        assert!(fields(json!({"capture": bad})).capture_mode().is_err());
    }
}

#[test]
fn instants_are_read_with_offset_without_and_as_days() {
    for (text, expected) in [
        ("2026-01-15T12:00:00+09:00", "2026-01-15T03:00:00Z"),
        ("2026-01-15T12:00:00 09:00", "2026-01-15T03:00:00Z"),
        ("2026-01-15T03:00:00Z", "2026-01-15T03:00:00Z"),
        ("2026-01-15T03:00:00", "2026-01-15T03:00:00Z"),
        ("2026-01-15", "2026-01-15T00:00:00Z"),
    ] {
        assert_eq!(instant(text), expected.parse().ok(), "{text}");
    }
    for bad in [
        "",
        "yesterday",
        "2026-13-01",
        "1700000000",
        "2026-01-15T25:00:00Z",
        "日日日",
    ] {
        assert_eq!(instant(bad), None, "{bad}");
    }
}

#[test]
fn pages_are_bounded() {
    assert_eq!(fields(json!({})).page().unwrap(), (1, 10));
    assert_eq!(
        fields(json!({"page": "3", "per_page": "1000"})).page().unwrap(),
        (3, 100)
    );
    for bad in [
        json!({"page": "0"}),
        json!({"page": "-1"}),
        json!({"page": "x"}),
        json!({"per_page": "0"}),
        json!({"page": "9223372036854775807"}),
        json!({"page": "1000002", "per_page": "10"}),
        json!({"page": "1.5"}),
    ] {
        assert_eq!(
            fields(bad.clone()).page().unwrap_err().code.name,
            "invalid_parameter",
            "{bad}"
        );
    }
}
