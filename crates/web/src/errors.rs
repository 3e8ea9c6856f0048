//! What a shopper is told when something goes wrong: what happened, whether money moved, what to do next.
use crate::Locale;
use crate::parts::join_sentences;

/// Whether money moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Money {
    /// Nothing was taken.
    Still,
    /// Not known yet: it is being confirmed, and nothing is taken twice.
    Unknown,
}

/// An error as the shopper's pages show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorBanner {
    /// The code: a KOMOJU error code or one of ours (see `CODES`). An unknown one gets a general sentence.
    pub code: String,
    /// The number to quote to support: the payment's, or the session's when there is no payment.
    pub reference: String,
}

/// Every code with a sentence of its own, and what to say about money and about what comes next.
const CODES: &[(&str, Money, &str)] = &[
    ("bad_request", Money::Still, "retry"),
    ("unauthorized", Money::Still, "contact-shop"),
    ("request_failed", Money::Still, "other-method"),
    ("forbidden", Money::Still, "contact-shop"),
    ("not_found", Money::Still, "back-to-shop"),
    ("conflict", Money::Unknown, "wait"),
    ("unprocessable_entity", Money::Still, "check-input"),
    ("missing_parameter", Money::Still, "check-input"),
    ("invalid_parameter", Money::Still, "check-input"),
    ("invalid_payment_type", Money::Still, "other-method"),
    ("invalid_token", Money::Still, "card-again"),
    ("invalid_currency", Money::Still, "contact-shop"),
    ("out_of_stock", Money::Still, "back-to-shop"),
    ("not_refundable", Money::Still, "contact-shop"),
    ("not_capturable", Money::Still, "contact-shop"),
    ("not_cancellable", Money::Still, "contact-shop"),
    ("not_chargebackable", Money::Still, "contact-shop"),
    ("fraudulent", Money::Still, "other-method"),
    ("internal_server_error", Money::Unknown, "wait"),
    ("bad_gateway", Money::Unknown, "wait"),
    ("service_unavailable", Money::Still, "later"),
    ("gateway_timeout", Money::Unknown, "wait"),
    ("card_declined", Money::Still, "other-card"),
    ("card_expired", Money::Still, "other-card"),
    ("bad_verification_value", Money::Still, "check-card"),
    ("exceeds_limit", Money::Still, "other-card"),
    ("insufficient_funds", Money::Still, "other-card"),
    ("used_number", Money::Still, "other-method"),
    ("invalid_number", Money::Still, "check-card"),
    ("invalid_password", Money::Still, "check-input"),
    ("invalid_account", Money::Still, "other-method"),
    ("restricted_account", Money::Still, "other-method"),
    ("other_error", Money::Still, "other-method"),
    ("invalid_user_key", Money::Still, "check-input"),
    ("other_invalid", Money::Still, "check-card"),
    // Ours.
    ("three_d_secure_failed", Money::Still, "other-card"),
    ("abandoned", Money::Still, "choose-again"),
    ("session_expired", Money::Still, "back-to-shop"),
    ("already_paid", Money::Still, "back-to-shop"),
    ("form_expired", Money::Still, "retry"),
    ("token_unreachable", Money::Still, "card-again"),
    ("too_many_tries", Money::Still, "later"),
    ("amount_out_of_range", Money::Still, "other-method"),
];

/// The codes a script may have to explain without asking us again, so that the checkout page carries their texts.
pub(crate) const BROWSER_CODES: &[&str] = &[
    "card_declined",
    "card_expired",
    "bad_verification_value",
    "invalid_number",
    "other_invalid",
    "invalid_parameter",
    "missing_parameter",
    "unauthorized",
    "service_unavailable",
    "token_unreachable",
];

impl ErrorBanner {
    /// A banner for a code and the number to quote.
    pub fn new(code: impl Into<String>, reference: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            reference: reference.into(),
        }
    }

    /// What happened.
    pub fn what(&self, locale: Locale) -> String {
        match self.known() {
            Some((code, _, _)) => locale.t(&format!("error-{code}")),
            None => locale.t("error-general"),
        }
    }

    /// Whether money moved, and what to do next. A code we do not know makes no promise about money.
    pub fn rest(&self, locale: Locale) -> String {
        let (money, next) = self
            .known()
            .map_or((Money::Unknown, "wait"), |(_, money, next)| (money, next));
        let money = match (self.code.as_str(), money) {
            ("already_paid", _) => locale.t("money-once"),
            (_, Money::Still) => locale.t("money-still"),
            (_, Money::Unknown) => locale.t("money-unknown"),
        };
        join_sentences(&[money, locale.t(&format!("next-{next}"))], locale)
    }

    fn known(&self) -> Option<(&'static str, Money, &'static str)> {
        CODES.iter().copied().find(|(code, _, _)| *code == self.code)
    }
}

/// Every code that has a sentence of its own.
pub fn codes() -> impl Iterator<Item = &'static str> {
    CODES.iter().map(|(code, _, _)| *code)
}

/// The sentence under a field for what is wrong with it; the general one for a code we do not know.
pub fn field_message(code: &str, locale: Locale) -> String {
    let key = format!("field-error-{code}");
    if locale.has(&key) {
        locale.t(&key)
    } else {
        locale.t("field-error-invalid")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_says_what_happened_about_money_and_what_next() {
        for locale in Locale::ALL {
            for code in codes().chain(["never_heard_of"]) {
                let banner = ErrorBanner::new(code, "pay_1");
                let text = banner.what(locale) + &banner.rest(locale);
                assert!(!text.contains('⟦'), "{text}");
                let stop = if locale.is_ja() { '。' } else { '.' };
                assert!(text.matches(stop).count() >= 3, "three things: {text}");
            }
        }
    }

    #[test]
    fn a_code_we_do_not_know_promises_nothing_about_money() {
        let banner = ErrorBanner::new("never_heard_of", "x");
        assert!(!banner.rest(Locale::En).contains("not been charged"));
    }
}
