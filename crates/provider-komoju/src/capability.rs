//! What KOMOJU can do, method by method.
//!
//! "Confirmed" and "inferred" are those of docs/providers/komoju.md, "Amounts and methods"; a number in brackets is
//! explained there under "Section numbers".
use Currency::{AUD, EUR, GBP, HKD, JPY, KRW, NZD, PLN, SGD, TWD, USD};
use kessai_core::Currency;
use kessai_core::capability::{Capability, Deadline, Flows, Kind, Operations};

/// Confirmed (4): the smallest amount of a direct payment is 1, and the schema of 2019 ends at 9,999,999.
const MINIMUM: i64 = 1;
/// Confirmed (4).
const MAXIMUM: i64 = 9_999_999;
/// Inferred (18): the common rule of convenience stores, excluding the fee.
const KONBINI_MAXIMUM: i64 = 299_999;

/// Confirmed (9): a type with `payment_details` can be sent with and without a session.
const EITHER_WAY: Flows = Flows {
    session: true,
    direct: true,
    stored: false,
};

/// Inferred (8.5, 8.6): cancelling while pending is confirmed, refunds are excluded for slips only. That wallets capture by hand
/// is not sourced, so it is not offered.
const AT_ONCE: Operations = Operations {
    two_step: false,
    partial_capture: false,
    cancel: true,
    refund: true,
    partial_refund: true,
    refund_request: false,
};

/// Confirmed (8.6, 8.7): what was paid in cash goes back by bank transfer, on request.
const CASH: Operations = Operations {
    refund: false,
    partial_refund: false,
    refund_request: true,
    ..AT_ONCE
};

/// Inferred (12.3): how long a shopper may stay away is not documented; one hour.
const AN_HOUR: Deadline = Deadline::Seconds(3_600);

const BASE: Capability = Capability {
    method: "",
    kind: Kind::Offsite,
    name_en: "",
    name_ja: "",
    name_ko: "",
    // Inferred: Japanese methods charge yen.
    currencies: &[JPY],
    minimum: MINIMUM,
    maximum: MAXIMUM,
    subtypes: &[],
    asks: &[],
    flows: EITHER_WAY,
    operations: AT_ONCE,
    deadline: AN_HOUR,
    session_fee: 0,
};

const fn wallet(
    method: &'static str,
    name_en: &'static str,
    name_ja: &'static str,
    name_ko: &'static str,
) -> Capability {
    Capability {
        method,
        name_en,
        name_ja,
        name_ko,
        ..BASE
    }
}

const fn prepaid(
    method: &'static str,
    name_en: &'static str,
    name_ja: &'static str,
    name_ko: &'static str,
) -> Capability {
    Capability {
        kind: Kind::Prepaid,
        ..wallet(method, name_en, name_ja, name_ko)
    }
}

/// The matrix.
pub static CAPABILITIES: &[Capability] = &[
    Capability {
        method: "credit_card",
        kind: Kind::Card,
        name_en: "Credit card",
        name_ja: "クレジットカード",
        name_ko: "신용카드",
        // Inferred: all of these are currencies of KOMOJU (4); which of them an account may charge is set there.
        currencies: &[JPY, USD, EUR, TWD, KRW, PLN, GBP, HKD, SGD, NZD, AUD],
        // Confirmed (4); every brand but Discover has a test card (16).
        subtypes: &[
            "visa",
            "master",
            "jcb",
            "american_express",
            "diners_club",
            "discover",
        ],
        // Confirmed (10): customers hold cards only.
        flows: Flows {
            stored: true,
            ..EITHER_WAY
        },
        // Confirmed (8.5): capture false, one capture, possibly of less.
        operations: Operations {
            two_step: true,
            partial_capture: true,
            ..AT_ONCE
        },
        // Confirmed (12.3): about 30 days, `expiry_days` from 0 to 59.
        deadline: Deadline::Days {
            default: 30,
            least: 0,
            most: 59,
        },
        ..BASE
    },
    Capability {
        method: "konbini",
        kind: Kind::Slip,
        name_en: "Convenience store",
        name_ja: "コンビニ",
        name_ko: "편의점",
        maximum: KONBINI_MAXIMUM,
        // Confirmed (4).
        subtypes: &[
            "seven-eleven",
            "lawson",
            "family-mart",
            "ministop",
            "daily-yamazaki",
            "seicomart",
        ],
        // Confirmed (9): the address is required unless the session has it.
        asks: &["email"],
        operations: CASH,
        // Confirmed (12.3).
        deadline: Deadline::Days {
            default: 3,
            least: 1,
            most: 59,
        },
        // Confirmed (7.3): the fee in recorded sessions; an account's own may differ, which then shows as a mismatch.
        session_fee: 190,
        ..BASE
    },
    Capability {
        method: "bank_transfer",
        kind: Kind::Slip,
        name_en: "Bank transfer",
        name_ja: "銀行振込",
        name_ko: "계좌이체",
        // Confirmed (9): kana names, address and phone are required.
        asks: &["name", "email", "phone"],
        operations: CASH,
        // Confirmed (12.3).
        deadline: Deadline::Days {
            default: 14,
            least: 14,
            most: 59,
        },
        ..BASE
    },
    Capability {
        method: "pay_easy",
        kind: Kind::Slip,
        name_en: "Pay-easy",
        name_ja: "ペイジー",
        name_ko: "페이지(Pay-easy)",
        // Confirmed (9): as for bank transfers.
        asks: &["name", "email", "phone"],
        operations: CASH,
        // Range confirmed, default inferred (12.3).
        deadline: Deadline::Days {
            default: 3,
            least: 0,
            most: 59,
        },
        ..BASE
    },
    wallet("paypay", "PayPay", "PayPay", "PayPay"),
    wallet("linepay", "LINE Pay", "LINE Pay", "라인페이"),
    wallet("merpay", "Merpay", "メルペイ", "메르페이"),
    wallet("aupay", "au PAY", "au PAY", "au PAY"),
    wallet("rakutenpay", "Rakuten Pay", "楽天ペイ", "라쿠텐페이"),
    // Confirmed (9): it takes a name.
    Capability {
        asks: &["name"],
        ..wallet("alipay", "Alipay", "アリペイ", "알리페이")
    },
    wallet("wechatpay", "WeChat Pay", "WeChat Pay", "위챗페이"),
    // The name is confirmed, address and phone are inferred to be asked as well (9).
    Capability {
        asks: &["name", "email", "phone"],
        ..wallet("paidy", "Paidy", "ペイディ", "페이디")
    },
    prepaid("web_money", "WebMoney", "WebMoney", "웹머니"),
    prepaid("net_cash", "NET CASH", "NET CASH", "넷캐시"),
    prepaid("bit_cash", "BitCash", "BitCash", "비트캐시"),
    prepaid("nanaco", "nanaco Gift", "nanacoギフト", "나나코 기프트"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn find(method: &str) -> &'static Capability {
        CAPABILITIES
            .iter()
            .find(|line| line.method == method)
            .expect("in the matrix")
    }

    #[test]
    fn every_line_is_whole_and_stands_once() {
        for line in CAPABILITIES {
            assert_eq!(
                CAPABILITIES
                    .iter()
                    .filter(|other| other.method == line.method)
                    .count(),
                1,
                "{}",
                line.method
            );
            assert!(!line.name_en.is_empty() && !line.name_ja.is_empty() && !line.name_ko.is_empty());
            assert!(line.minimum >= 1 && line.minimum < line.maximum && !line.currencies.is_empty());
            assert!(
                line.asks
                    .iter()
                    .all(|asked| ["name", "email", "phone"].contains(asked))
            );
            let operations = line.operations;
            assert!(operations.refund || !operations.partial_refund, "{}", line.method);
            assert!(
                operations.two_step || !operations.partial_capture,
                "{}",
                line.method
            );
        }
    }

    #[test]
    fn a_slip_is_refunded_by_bank_and_ends_at_the_konbini_limit() {
        let konbini = find("konbini");
        assert!(konbini.fits(299_999, JPY) && !konbini.fits(300_000, JPY) && !konbini.fits(100, USD));
        assert!(konbini.operations.refund_request && !konbini.operations.refund);
    }
}
