//! `GET /sessions/{id}`: where a shopper chooses how to pay.
//!
//! Each method is a form of its own that posts to `/sessions/{id}/pay`, so that the page works without JavaScript and
//! what one method requires never blocks another. Cards are the exception: the number goes from the browser straight to
//! the provider's token endpoint, and the inputs that hold it have no `name`, so no mistake can post them to us.
mod method;
mod samples;

pub use method::{Flow, Method};

use crate::errors::{BROWSER_CODES, ErrorBanner};
use crate::parts::{Field, Frame, Html};
use crate::{Csp, Locale, csp, format};
use jiff::Timestamp;

/// The checkout page.
#[derive(Debug, Clone)]
pub struct Checkout {
    /// Shop, time, address.
    pub frame: Frame,
    /// The session's id.
    pub session_id: String,
    /// What is bought costs this much, before a method's fee.
    pub amount: i64,
    /// The currency's ISO code.
    pub currency: String,
    /// What is bought. May be empty: then only the amount is shown.
    pub lines: Vec<Line>,
    /// When the page stops working.
    pub expires_at: Option<Timestamp>,
    /// What can be chosen, in the shop's order.
    pub methods: Vec<Method>,
    /// The slug of the method to show open; the first when `None`.
    pub chosen: Option<String>,
    /// What the shopper typed before, or what the shop knows.
    pub entered: Entered,
    /// What went wrong with the last try.
    pub error: Option<ErrorBanner>,
    /// Which fields of the last try were wrong.
    pub field_errors: Vec<FieldError>,
    /// The six items of 特定商取引法, when the shop gave any.
    pub terms: Option<Terms>,
    /// Posted back as `csrf`.
    pub csrf: String,
    /// Posted back as `attempt`: a number used once, so that a form sent twice is one attempt.
    pub attempt: String,
    /// Where the browser turns a card number into a token. Cards are drawn as unavailable without it.
    pub tokens: Option<TokenEndpoint>,
    /// Back to the shop without paying.
    pub cancel_url: Option<String>,
    /// Where a chosen method's redirect may lead besides any https origin: sandboxes over plain http.
    pub redirect_origins: Vec<String>,
}

/// One line of what is bought.
#[derive(Debug, Clone)]
pub struct Line {
    /// What it is.
    pub description: String,
    /// How many.
    pub quantity: u32,
    /// The line's amount, when the shop gave one.
    pub amount: Option<i64>,
    /// A picture's URL.
    pub image: Option<String>,
}

impl Line {
    fn units(&self) -> i64 {
        i64::from(self.quantity)
    }
}

/// What a shopper typed into a method's fields.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "named as the form fields are")]
pub struct Entered {
    pub store: String,
    pub email: String,
    pub phone: String,
    pub name: String,
    pub family_name: String,
    pub given_name: String,
    pub family_name_kana: String,
    pub given_name_kana: String,
}

/// A field that was wrong.
#[derive(Debug, Clone)]
pub struct FieldError {
    /// The form field, such as `email`.
    pub field: String,
    /// `required`, `email`, `phone`, `kana`, `store`, `number` or `invalid`.
    pub code: String,
}

/// What 特定商取引法 asks a shop to show before the final button, in the shop's own words. What is `None` is left out.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// 分量
    pub quantity: Option<String>,
    /// 販売価格
    pub price: Option<String>,
    /// 支払時期・方法
    pub payment: Option<String>,
    /// 引渡時期
    pub delivery: Option<String>,
    /// 申込期間
    pub application_period: Option<String>,
    /// 申込みの撤回・解除
    pub withdrawal: Option<String>,
}

impl Terms {
    /// The items that were given: key of the label, text.
    fn items(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("terms-quantity", &self.quantity),
            ("terms-price", &self.price),
            ("terms-payment", &self.payment),
            ("terms-delivery", &self.delivery),
            ("terms-period", &self.application_period),
            ("terms-withdrawal", &self.withdrawal),
        ];
        all.into_iter()
            .filter_map(|(key, text)| Some((key, text.as_deref()?)))
            .collect()
    }
}

/// The provider's token endpoint.
#[derive(Debug, Clone)]
pub struct TokenEndpoint {
    /// `POST` here with the card.
    pub url: String,
    /// The key that may only make tokens.
    pub publishable_key: String,
}

impl Checkout {
    fn is_chosen(&self, method: &Method) -> bool {
        let first = || self.methods.first().map(|m| m.slug.as_str());
        let chosen = self
            .chosen
            .as_deref()
            .filter(|slug| self.methods.iter().any(|m| m.slug == *slug));
        chosen.or_else(first) == Some(method.slug.as_str())
    }

    /// What the shopper pays with a method: its converted amount if it has one, and its fee.
    fn total(&self, method: &Method) -> String {
        match &method.charge {
            Some((amount, currency)) => format::money(amount + method.fee, currency),
            None => format::money(self.amount + method.fee, &self.currency),
        }
    }

    fn price(&self, amount: i64) -> String {
        format::money(amount, &self.currency)
    }

    /// The price of the goods in the currency a method charges.
    fn goods(&self, method: &Method) -> String {
        match &method.charge {
            Some((amount, currency)) => format::money(*amount, currency),
            None => self.price(self.amount),
        }
    }

    fn fee(&self, method: &Method) -> String {
        let currency = method
            .charge
            .as_ref()
            .map_or(self.currency.as_str(), |(_, currency)| currency.as_str());
        format::money(method.fee, currency)
    }

    fn year(&self) -> String {
        format::year_month(self.frame.now).0.to_string()
    }

    fn month(&self) -> String {
        format::year_month(self.frame.now).1.to_string()
    }

    fn price_of(&self, amount: &i64) -> String {
        self.price(*amount)
    }

    fn until(&self, at: &Timestamp, l: Locale) -> String {
        format::brief(*at, self.frame.now, l)
    }

    fn has_pictures(&self) -> bool {
        self.lines.iter().any(|line| line.image.is_some())
    }

    fn count(&self) -> i64 {
        self.lines.iter().map(|line| i64::from(line.quantity)).sum()
    }

    fn button(&self, method: &Method, l: Locale) -> String {
        let total = self.total(method);
        match method.flow() {
            Flow::Konbini => l.t1("pay-konbini", "amount", total),
            Flow::BankTransfer => l.t1("pay-bank", "amount", total),
            Flow::PayEasy => l.t1("pay-easy", "amount", total),
            Flow::Offsite => l.t1("pay-offsite", "name", l.method_name(&method.slug)),
            Flow::Card | Flow::Prepaid => l.t1("pay-now", "amount", total),
        }
    }

    /// Browser-side explanations of token errors: code, what happened, the rest.
    fn browser_errors(&self, l: Locale) -> Vec<(&'static str, String, String)> {
        let explain = |code: &&'static str| {
            let banner = ErrorBanner::new(*code, "");
            (*code, banner.what(l), banner.rest(l))
        };
        BROWSER_CODES.iter().map(explain).collect()
    }

    fn error_of(&self, method: &Method, field: &str, l: Locale) -> Option<String> {
        let wrong = self
            .is_chosen(method)
            .then(|| self.field_errors.iter().find(|e| e.field == field))??;
        Some(crate::errors::field_message(&wrong.code, l))
    }

    /// The inputs of a method, in the order a person would say them.
    fn fields(&self, method: &Method, l: Locale) -> Html {
        let all: String = method
            .fields()
            .iter()
            .map(|field| self.field(method, field, l).0)
            .collect();
        Html(all)
    }

    fn field(&self, method: &Method, field: &str, l: Locale) -> Html {
        let id = format!("{}-{field}", method.slug);
        let new = |name: &'static str, key: &str| {
            Field::new(id.clone(), name, l.t(key)).error(self.error_of(method, field, l))
        };
        let entered = &self.entered;
        match field {
            "email" => new("email", "field-email")
                .kind("email")
                .auto("email")
                .mode("email")
                .value(&entered.email)
                .placeholder("name@example.jp")
                .help(l.t(if method.flow() == Flow::Offsite {
                    "field-email-help"
                } else {
                    "field-email-slip-help"
                }))
                .html(),
            "phone" => {
                let phone = new("phone", "field-phone")
                    .kind("tel")
                    .auto("tel")
                    .mode("tel")
                    .value(&entered.phone)
                    .placeholder("090-1234-5678")
                    .max(20);
                // The API asks for it with transfers and wallets only.
                if method.is_konbini() {
                    phone.optional(l.t("field-optional")).html()
                } else {
                    phone.html()
                }
            }
            "name" => new("name", "field-name").auto("name").value(&entered.name).html(),
            "family_name" => new("family_name", "field-family-name")
                .auto("family-name")
                .value(&entered.family_name)
                .class("half")
                .html(),
            "given_name" => new("given_name", "field-given-name")
                .auto("given-name")
                .value(&entered.given_name)
                .class("half")
                .html(),
            "family_name_kana" => new("family_name_kana", "field-family-name-kana")
                .value(&entered.family_name_kana)
                .placeholder(l.t("field-kana-example-family"))
                .class("half")
                .html(),
            "given_name_kana" => new("given_name_kana", "field-given-name-kana")
                .value(&entered.given_name_kana)
                .placeholder(l.t("field-kana-example-given"))
                .class("half")
                .html(),
            "prepaid_number" => new("prepaid_number", "field-prepaid-number")
                .mode("text")
                .max(24)
                .html(),
            _ => Html::default(),
        }
    }

    /// The card's own inputs. None has a name: nothing in them can be posted to us.
    fn card_fields(&self, l: Locale) -> Html {
        let field = |id: &str, key: &str| Field::new(id, "", l.t(key)).nameless();
        let fields = [
            field("card-number", "card-number")
                .auto("cc-number")
                .mode("numeric")
                .placeholder("1234 5678 9012 3456")
                .max(23),
            field("card-expiry", "card-expiry")
                .auto("cc-exp")
                .mode("numeric")
                .placeholder(l.t("card-expiry-example"))
                .max(7)
                .class("half"),
            field("card-cvc", "card-cvc")
                .auto("cc-csc")
                .mode("numeric")
                .placeholder("123")
                .max(4)
                .class("half")
                .help(l.t("card-cvc-help")),
            field("card-name", "card-name")
                .auto("cc-name")
                .placeholder("TARO YAMADA")
                .class("upper"),
        ];
        Html(fields.iter().map(|field| field.html().0).collect())
    }

    fn policy(&self) -> Csp {
        let mut policy = Csp::default();
        policy
            .connect
            .extend(self.tokens.as_ref().and_then(|tokens| csp::origin(&tokens.url)));
        policy.image.extend(
            self.lines
                .iter()
                .filter_map(|line| csp::origin(line.image.as_deref()?)),
        );
        policy
            .form
            .extend(self.redirect_origins.iter().filter_map(|url| csp::origin(url)));
        // Which pages a wallet passes on the way is the wallet's affair.
        policy.form.insert("https:".into());
        policy
    }
}

crate::page!(Checkout, CheckoutView, "shopper/checkout.html", |page| page
    .policy());
