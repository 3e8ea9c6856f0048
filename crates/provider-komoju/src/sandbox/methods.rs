//! What the sandbox's merchant accepts.
use kessai_core::Currency;
use serde_json::{Value, json};

/// How a method pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Card,
    /// A slip or an account to pay cash to.
    Slip,
    /// The buyer approves elsewhere.
    Offsite,
    /// A number bought beforehand.
    Prepaid,
}

pub(super) struct Spec {
    pub slug: &'static str,
    pub en: &'static str,
    pub ja: &'static str,
    pub flow: Flow,
    /// Inputs an offsite method needs.
    pub fields: &'static [&'static str],
}

const fn spec(slug: &'static str, en: &'static str, ja: &'static str, flow: Flow) -> Spec {
    Spec {
        slug,
        en,
        ja,
        flow,
        fields: &[],
    }
}

const fn asking(spec: Spec, fields: &'static [&'static str]) -> Spec {
    Spec { fields, ..spec }
}

pub(super) static METHODS: &[Spec] = &[
    spec("credit_card", "Credit card", "クレジットカード", Flow::Card),
    spec("konbini", "Convenience store", "コンビニ", Flow::Slip),
    spec("bank_transfer", "Bank transfer", "銀行振込", Flow::Slip),
    spec("pay_easy", "Pay-easy", "ペイジー", Flow::Slip),
    spec("paypay", "PayPay", "PayPay", Flow::Offsite),
    spec("merpay", "Merpay", "メルペイ", Flow::Offsite),
    spec("aupay", "au PAY", "au PAY", Flow::Offsite),
    spec("rakutenpay", "Rakuten Pay", "楽天ペイ", Flow::Offsite),
    spec("linepay", "LINE Pay", "LINE Pay", Flow::Offsite),
    spec("amazon_pay", "Amazon Pay", "Amazon Pay", Flow::Offsite),
    asking(
        spec("paidy", "Paidy", "ペイディ", Flow::Offsite),
        &["name", "email", "phone"],
    ),
    asking(spec("alipay", "Alipay", "アリペイ", Flow::Offsite), &["name"]),
    spec("wechatpay", "WeChat Pay", "WeChat Pay", Flow::Offsite),
    spec("docomo", "d Payment (carrier)", "ドコモ払い", Flow::Offsite),
    spec("au", "au Easy Payment", "auかんたん決済", Flow::Offsite),
    spec(
        "softbank",
        "SoftBank",
        "ソフトバンクまとめて支払い",
        Flow::Offsite,
    ),
    spec("web_money", "WebMoney", "WebMoney", Flow::Prepaid),
    spec("net_cash", "NET CASH", "NET CASH", Flow::Prepaid),
    spec("nanaco", "nanaco gift", "nanacoギフト", Flow::Prepaid),
    spec("bit_cash", "BitCash", "BitCash", Flow::Prepaid),
];

pub(super) const STORES: &[&str] = &[
    "seven-eleven",
    "lawson",
    "family-mart",
    "ministop",
    "daily-yamazaki",
    "seicomart",
];
pub(super) const CARD_BRANDS: &[&str] = &[
    "visa",
    "american_express",
    "master",
    "jcb",
    "diners_club",
    "discover",
];

/// What a buyer adds for a slip paid in a shop.
pub(super) const KONBINI_FEE: i64 = 190;

pub(super) fn find(slug: &str) -> Option<&'static Spec> {
    METHODS.iter().find(|spec| spec.slug == slug)
}

pub(super) fn store_name(store: &str, ja: bool) -> &str {
    match (store, ja) {
        ("seven-eleven", true) => "セブン-イレブン",
        ("seven-eleven", false) => "7-Eleven",
        ("lawson", true) => "ローソン",
        ("lawson", false) => "Lawson",
        ("family-mart", true) => "ファミリーマート",
        ("family-mart", false) => "FamilyMart",
        ("ministop", true) => "ミニストップ",
        ("ministop", false) => "Ministop",
        ("daily-yamazaki", true) => "デイリーヤマザキ",
        ("daily-yamazaki", false) => "Daily Yamazaki",
        ("seicomart", true) => "セイコーマート",
        ("seicomart", false) => "Seicomart",
        (other, _) => other,
    }
}

/// What a session's amount is in the currency a method is paid in, and the rate as the wire writes it.
/// Cards are charged in any currency; everything else in yen, at rates that never change here.
pub(super) fn charged(flow: Flow, amount: i64, currency: Currency) -> Option<(i64, Currency, &'static str)> {
    match (flow, currency) {
        (Flow::Card, _) | (_, Currency::JPY) => Some((amount, currency, "1.0")),
        (_, Currency::USD) => Some((amount.saturating_mul(150) / 100, Currency::JPY, "150.0")),
        (_, Currency::EUR) => Some((amount.saturating_mul(165) / 100, Currency::JPY, "165.0")),
        _ => None,
    }
}

/// One entry of a session's `payment_methods`.
pub(super) fn offered(spec: &Spec, amount: i64, currency: Currency, with_amount: bool) -> Option<Value> {
    let (amount, currency, rate) = charged(spec.flow, amount, currency)?;
    let mut entry = json!({"type": spec.slug, "hashed_gateway": hashed(spec.slug)});
    if with_amount {
        entry["amount"] = json!(amount);
        entry["currency"] = json!(currency);
        entry["exchange_rate"] = serde_json::from_str(rate).unwrap_or(json!(1));
    }
    match (spec.flow, spec.slug) {
        (Flow::Card, _) => entry["brands"] = json!(CARD_BRANDS),
        (Flow::Slip, "konbini") => {
            let icon = |store: &&str| {
                (
                    (*store).to_owned(),
                    json!({"icon": format!("/payment_methods/konbini-{store}.svg")}),
                )
            };
            entry["brands"] = Value::Object(STORES.iter().map(icon).collect());
            entry["customer_fee"] = json!(KONBINI_FEE);
        }
        (Flow::Offsite, _) => {
            entry["offsite"] = json!(true);
            entry["additional_fields"] = json!(spec.fields);
        }
        (Flow::Slip | Flow::Prepaid, _) => {}
    }
    Some(entry)
}

/// 16 hex digits that stay the same for a method (FNV-1a; means nothing).
fn hashed(slug: &str) -> String {
    let hash = slug.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// `GET /payment_methods`: a bare array, one entry per method and currency.
pub(super) fn all() -> Value {
    let entry = |spec: &Spec, currency: &str| {
        let mut entry = json!({
            "name_en": spec.en, "name_ja": spec.ja, "name_ko": spec.en, "type_slug": spec.slug, "currency": currency,
        });
        match (spec.flow, spec.slug) {
            (Flow::Card, _) => {
                entry["subtypes"] = json!(CARD_BRANDS);
                entry["secure_token_supported"] = json!(true);
            }
            (Flow::Slip, "konbini") => entry["subtypes"] = json!(STORES),
            (Flow::Slip | Flow::Offsite | Flow::Prepaid, _) => {}
        }
        entry
    };
    let mut list = Vec::new();
    for spec in METHODS {
        list.push(entry(spec, "JPY"));
        if spec.flow == Flow::Card {
            list.push(entry(spec, "USD"));
            list.push(entry(spec, "EUR"));
        }
    }
    Value::Array(list)
}
