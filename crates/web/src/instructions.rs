//! `GET /instructions/{payment}`: how to pay a slip, a transfer or a Pay-easy bill, until the money is in.
use crate::parts::{Frame, Html};
use crate::{Csp, Locale, State, format, sample_time};
use jiff::Timestamp;

/// The page a shopper takes to the store or the bank.
#[derive(Debug, Clone)]
pub struct Instructions {
    /// Shop, time, address.
    pub frame: Frame,
    /// The payment's number.
    pub payment_id: String,
    /// What is to be paid, the fee included.
    pub amount: i64,
    /// The currency's ISO code.
    pub currency: String,
    /// The fee within the amount.
    pub fee: i64,
    /// Until when.
    pub deadline: Option<Timestamp>,
    /// Where the payment stands.
    pub state: State,
    /// What to take where.
    pub slip: Slip,
    /// Where a copy was mailed.
    pub email: Option<String>,
    /// The shop's order number.
    pub order_number: Option<String>,
    /// Back to the shop.
    pub return_url: Option<String>,
    /// Asked every five seconds; answers `{"state":"captured"}` (see `assets/poll.js`).
    pub status_url: String,
}

/// What to take where.
#[derive(Debug, Clone)]
pub enum Slip {
    /// To a konbini's till or terminal.
    Konbini {
        /// `seven-eleven`, `lawson`…
        store: String,
        /// The number on the slip (KOMOJU's `receipt`).
        receipt: String,
        /// The second number, where the chain asks for one.
        confirmation_code: Option<String>,
        /// A barcode for the till, from [`crate::code128_svg`].
        barcode: Option<Html>,
    },
    /// To an account.
    BankTransfer {
        /// The bank.
        bank: String,
        /// Its branch.
        branch: String,
        /// The branch's number.
        branch_number: Option<String>,
        /// `normal`, `checking` or `savings`.
        account_type: String,
        /// The account.
        account_number: String,
        /// Whose it is.
        account_name: String,
    },
    /// To an ATM or internet bank with the Pay-easy mark.
    PayEasy {
        /// 収納機関番号
        bank_id: String,
        /// お客様番号
        customer_id: String,
        /// 確認番号
        confirmation_id: String,
        /// The internet bank's page.
        payment_url: Option<String>,
    },
}

/// One number or name to read off the page.
struct Entry {
    label: String,
    shown: String,
    /// What the copy button copies; `None` for what nobody types.
    copied: Option<String>,
    big: bool,
}

impl Instructions {
    fn price(&self) -> String {
        format::money(self.amount, &self.currency)
    }

    fn fee_text(&self) -> String {
        format::money(self.fee, &self.currency)
    }

    fn is_waiting(&self) -> bool {
        !self.state.is_settled()
    }

    fn is_paid(&self) -> bool {
        self.state == State::Captured
    }

    fn has_fee(&self) -> bool {
        self.fee > 0
    }

    /// The konbini chain, or the kind of slip; names the mark and the steps.
    fn place(&self) -> &str {
        match &self.slip {
            Slip::Konbini { store, .. } => store,
            Slip::BankTransfer { .. } => "bank_transfer",
            Slip::PayEasy { .. } => "pay_easy",
        }
    }

    fn place_name(&self, l: Locale) -> String {
        match &self.slip {
            Slip::Konbini { store, .. } => l.store_name(store),
            Slip::BankTransfer { .. } | Slip::PayEasy { .. } => l.method_name(self.place()),
        }
    }

    fn title(&self, l: Locale) -> String {
        let name = self.place_name(l);
        match &self.slip {
            Slip::Konbini { .. } => l.t1("slip-title-konbini", "name", name),
            Slip::BankTransfer { .. } => l.t("slip-title-bank"),
            Slip::PayEasy { .. } => l.t("slip-title-pay-easy"),
        }
    }

    fn barcode_svg(&self) -> Option<&Html> {
        match &self.slip {
            Slip::Konbini { barcode, .. } => barcode.as_ref(),
            Slip::BankTransfer { .. } | Slip::PayEasy { .. } => None,
        }
    }

    fn pay_link(&self) -> Option<&str> {
        match &self.slip {
            Slip::PayEasy { payment_url, .. } => payment_url.as_deref(),
            Slip::Konbini { .. } | Slip::BankTransfer { .. } => None,
        }
    }

    fn entries(&self, l: Locale) -> Vec<Entry> {
        let number = |key: &str, value: &str| Entry {
            label: l.t(key),
            shown: format::readable_number(value),
            copied: Some(value.to_owned()),
            big: true,
        };
        let text = |key: &str, value: String| Entry {
            label: l.t(key),
            shown: value,
            copied: None,
            big: false,
        };
        match &self.slip {
            Slip::Konbini {
                store,
                receipt,
                confirmation_code,
                ..
            } => {
                let label = match store.as_str() {
                    "seven-eleven" => "slip-number-seven-eleven",
                    "daily-yamazaki" => "slip-number-daily-yamazaki",
                    "seicomart" => "slip-number-seicomart",
                    _ => "slip-number-customer",
                };
                let mut all = vec![number(label, receipt)];
                all.extend(
                    confirmation_code
                        .as_deref()
                        .map(|code| number("slip-number-confirmation", code)),
                );
                all
            }
            Slip::BankTransfer {
                bank,
                branch,
                branch_number,
                account_type,
                account_number,
                account_name,
            } => {
                let branch = match branch_number {
                    Some(n) => l.t2("bank-branch-with-number", "branch", branch, "number", n),
                    None => branch.clone(),
                };
                let kind = match account_type.as_str() {
                    "checking" => l.t("bank-account-checking"),
                    "savings" => l.t("bank-account-savings"),
                    _ => l.t("bank-account-normal"),
                };
                vec![
                    text("bank-name", bank.clone()),
                    text("bank-branch", branch),
                    text("bank-account-type", kind),
                    number("bank-account-number", account_number),
                    Entry {
                        copied: Some(account_name.clone()),
                        ..text("bank-account-name", account_name.clone())
                    },
                ]
            }
            Slip::PayEasy {
                bank_id,
                customer_id,
                confirmation_id,
                ..
            } => vec![
                number("pay-easy-bank-id", bank_id),
                number("pay-easy-customer-id", customer_id),
                number("pay-easy-confirmation-id", confirmation_id),
            ],
        }
    }

    /// What to do, one step a line; a chain we have no steps for gets the general ones. A step that names the confirmation
    /// number has a plain form for slips without one.
    fn steps(&self, l: Locale) -> Vec<String> {
        let place = if l.has(&format!("steps-{}-1", self.place())) {
            self.place()
        } else {
            "konbini"
        };
        let plain = matches!(
            &self.slip,
            Slip::Konbini {
                confirmation_code: None,
                ..
            }
        );
        (1..=5)
            .map(|n| format!("steps-{place}-{n}"))
            .take_while(|key| l.has(key))
            .map(|key| {
                let other = format!("{key}-plain");
                l.t(if plain && l.has(&other) { &other } else { &key })
            })
            .collect()
    }

    pub(crate) fn sample_data() -> Vec<(&'static str, Self)> {
        let konbini = |store: &str, receipt: &str, code: Option<&str>| Self {
            frame: Frame::sample("/instructions/bk3lh5xnsj25e22mn7zo2mgqh"),
            payment_id: "bk3lh5xnsj25e22mn7zo2mgqh".into(),
            amount: 4170,
            currency: "JPY".into(),
            fee: 190,
            deadline: Some(sample_time("2026-11-24T14:59:59Z")),
            state: State::AwaitingPayment,
            slip: Slip::Konbini {
                store: store.into(),
                receipt: receipt.into(),
                confirmation_code: code.map(String::from),
                barcode: None,
            },
            email: Some("hanako@example.jp".into()),
            order_number: Some("MZ-20261121-0042".into()),
            return_url: Some("https://shop.example/thanks".into()),
            status_url: "/sessions/63r9bjkqklasnofxttq7z9abc/status".into(),
        };
        let mut seven = konbini("seven-eleven", "1234567890123", None);
        if let Slip::Konbini { barcode, .. } = &mut seven.slip {
            *barcode = crate::code128_svg("91908801234567890123", "1234567890123").map(Html::trusted);
        }
        let bank = Self {
            amount: 3980,
            fee: 0,
            deadline: Some(sample_time("2026-12-05T14:59:59Z")),
            slip: Slip::BankTransfer {
                bank: "みずいろ銀行".into(),
                branch: "サクラ支店".into(),
                branch_number: Some("208".into()),
                account_type: "normal".into(),
                account_number: "7153042".into(),
                account_name: "キッサ ミズイロ".into(),
            },
            ..konbini("", "", None)
        };
        let pay_easy = Self {
            slip: Slip::PayEasy {
                bank_id: "58021".into(),
                customer_id: "0012345678".into(),
                confirmation_id: "904217".into(),
                payment_url: Some("https://bank.example/payeasy".into()),
            },
            email: None,
            return_url: None,
            ..bank.clone()
        };
        let paid = Self {
            state: State::Captured,
            ..konbini("lawson", "12345678901", Some("400008"))
        };
        let expired = Self {
            state: State::Expired,
            deadline: Some(sample_time("2026-11-20T14:59:59Z")),
            ..konbini("daily-yamazaki", "12345678901", None)
        };
        vec![
            ("seven-eleven", seven),
            ("lawson", konbini("lawson", "12345678901", Some("400008"))),
            (
                "family-mart",
                konbini("family-mart", "123456789012", Some("20020")),
            ),
            ("ministop", konbini("ministop", "12345678901", Some("400008"))),
            ("daily-yamazaki", konbini("daily-yamazaki", "12345678901", None)),
            ("seicomart", konbini("seicomart", "123456", Some("09012345678"))),
            ("new-chain", konbini("poplar", "123456", None)),
            ("bank-transfer", bank),
            ("pay-easy", pay_easy),
            ("paid", paid),
            ("expired", expired),
        ]
    }
}

crate::page!(
    Instructions,
    InstructionsView,
    "shopper/instructions.html",
    |_page| Csp::default()
);
