//! A payment method as a row of the checkout.
use crate::Locale;

/// What choosing a method leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Card fields here, token from the provider, perhaps 3-D Secure.
    Card,
    /// A slip to pay at a store.
    Konbini,
    /// An account to transfer to.
    BankTransfer,
    /// Numbers to pay with at an ATM or an internet bank.
    PayEasy,
    /// A prepaid number is entered here.
    Prepaid,
    /// On to the wallet's own pages.
    Offsite,
}

/// A method that may be chosen.
#[derive(Debug, Clone, Default)]
pub struct Method {
    /// `credit_card`, `konbini`, `paypay`…
    pub slug: String,
    /// What the shopper pays on top, in the currency charged.
    pub fee: i64,
    /// Amount and currency charged when they differ from the session's.
    pub charge: Option<(i64, String)>,
    /// Card brands taken: `visa`, `master`, `jcb`…
    pub brands: Vec<String>,
    /// Konbini chains: `seven-eleven`, `lawson`…
    pub stores: Vec<String>,
    /// Extra inputs a wallet needs: a subset of `name`, `email`, `phone`.
    pub additional_fields: Vec<String>,
    /// How many days a slip or transfer may wait.
    pub days: Option<u16>,
}

/// The chains a slip may be paid at.
pub const STORES: [&str; 6] = [
    "seven-eleven",
    "lawson",
    "family-mart",
    "ministop",
    "daily-yamazaki",
    "seicomart",
];

impl Method {
    /// What choosing it leads to. A method newer than this page is one of the wallet kind.
    pub fn flow(&self) -> Flow {
        match self.slug.as_str() {
            "credit_card" => Flow::Card,
            "konbini" | "cvs" => Flow::Konbini,
            "bank_transfer" => Flow::BankTransfer,
            "pay_easy" => Flow::PayEasy,
            "web_money" | "net_cash" | "bit_cash" | "nanaco" => Flow::Prepaid,
            _ => Flow::Offsite,
        }
    }

    pub(super) fn is_card(&self) -> bool {
        self.flow() == Flow::Card
    }

    pub(super) fn is_konbini(&self) -> bool {
        self.flow() == Flow::Konbini
    }

    pub(super) fn is_offsite(&self) -> bool {
        self.flow() == Flow::Offsite
    }

    /// The inputs it needs from the shopper, by form name.
    pub(super) fn fields(&self) -> Vec<&str> {
        match self.flow() {
            Flow::Card => Vec::new(),
            Flow::Konbini => vec!["family_name", "given_name", "email", "phone"],
            Flow::BankTransfer | Flow::PayEasy => {
                vec!["family_name_kana", "given_name_kana", "email", "phone"]
            }
            Flow::Prepaid => vec!["prepaid_number"],
            Flow::Offsite => {
                let known = ["name", "email", "phone"];
                known
                    .into_iter()
                    .filter(|name| self.additional_fields.iter().any(|f| f == name))
                    .collect()
            }
        }
    }

    /// One line under the name.
    pub(super) fn terms(&self, l: Locale) -> String {
        let days = i64::from(
            self.days
                .unwrap_or(if self.flow() == Flow::BankTransfer { 14 } else { 3 }),
        );
        match self.flow() {
            Flow::Card => self.brand_names(l).join(l.t("list-join").as_str()),
            Flow::Konbini => l.count("method-terms-konbini", days),
            Flow::BankTransfer => l.count("method-terms-bank", days),
            Flow::PayEasy => l.count("method-terms-pay-easy", days),
            Flow::Prepaid => l.t("method-terms-prepaid"),
            Flow::Offsite => l.t1("method-terms-offsite", "name", l.method_name(&self.slug)),
        }
    }

    fn brand_names(&self, l: Locale) -> Vec<String> {
        if self.brands.is_empty() {
            return vec![l.t("method-terms-card")];
        }
        self.brands
            .iter()
            .map(|brand| brand_name(brand).to_owned())
            .collect()
    }

    pub(super) fn brands_list(&self) -> String {
        self.brands.join(",")
    }

    pub(super) fn stores_or_all(&self) -> Vec<&str> {
        if self.stores.is_empty() {
            return STORES.to_vec();
        }
        self.stores.iter().map(String::as_str).collect()
    }
}

/// A card brand as people write it. The wire says `master`.
pub(crate) fn brand_name(slug: &str) -> &str {
    match slug {
        "visa" => "Visa",
        "master" | "mastercard" => "Mastercard",
        "jcb" => "JCB",
        "american_express" => "American Express",
        "diners_club" => "Diners Club",
        "discover" => "Discover",
        other => other,
    }
}
