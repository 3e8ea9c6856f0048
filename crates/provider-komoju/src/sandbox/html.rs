//! What all pages share: frame, words, escaping, headers. No script anywhere.
use super::model::{Payment, Status, Way};
use bytes::Bytes;
use kessai_core::Currency;
use kessai_core::time::tokyo;
use kessai_provider::transport::Reply;
use percent_encoding::{CONTROLS, utf8_percent_encode};
use std::fmt;

/// A text within HTML.
pub(super) struct Esc<'a>(pub &'a str);

impl fmt::Display for Esc<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => fmt::Write::write_char(f, c)?,
            }
        }
        Ok(())
    }
}

/// The reader's language: Japanese first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lang {
    pub ja: bool,
}

impl Lang {
    pub fn of(locale: &str) -> Self {
        Self { ja: locale == "ja" }
    }

    pub fn say<'a>(self, ja: &'a str, en: &'a str) -> &'a str {
        if self.ja { ja } else { en }
    }

    pub fn code(self) -> &'static str {
        if self.ja { "ja" } else { "en" }
    }
}

pub(super) fn money(amount: i64, currency: Currency) -> String {
    let unit = 10_u64.pow(currency.exponent());
    let (whole, part) = (amount.unsigned_abs() / unit, amount.unsigned_abs() % unit);
    let digits = whole.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if amount < 0 { "-" } else { "" };
    match currency {
        Currency::JPY => format!("{sign}¥{grouped}"),
        _ if currency.exponent() == 0 => format!("{sign}{grouped} {currency}"),
        _ => format!(
            "{sign}{grouped}.{part:0width$} {currency}",
            width = currency.exponent() as usize
        ),
    }
}

pub(super) fn moment(at: jiff::Timestamp, lang: Lang) -> String {
    let zoned = at.to_zoned(tokyo());
    let shown = if lang.ja {
        "%Y年%-m月%-d日 %H:%M"
    } else {
        "%-d %b %Y %H:%M JST"
    };
    zoned.strftime(shown).to_string()
}

/// A payment's state as word, colour and shape.
pub(super) fn chip(payment: &Payment, lang: Lang) -> String {
    let (tone, ja, en) = match (payment.status, payment.way) {
        (Status::Pending, _) => ("wait", "手続き中", "In progress"),
        (Status::Authorized, Way::Slip) => ("wait", "入金待ち", "Awaiting payment"),
        (Status::Authorized, _) => ("wait", "与信済み", "Authorized"),
        (Status::Captured, _) if payment.amount_refunded > 0 => ("quiet", "一部返金", "Partly refunded"),
        (Status::Captured, _) => ("good", "売上確定", "Captured"),
        (Status::Refunded, _) => ("quiet", "返金済み", "Refunded"),
        (Status::Cancelled, _) => ("quiet", "取消", "Cancelled"),
        (Status::Expired, _) => ("quiet", "期限切れ", "Expired"),
        (Status::Failed, _) => ("bad", "失敗", "Failed"),
    };
    format!("<span class=\"chip {tone}\">{}</span>", lang.say(ja, en))
}

/// A page before it becomes a reply.
pub(super) struct Leaf<'a> {
    pub root: &'a str,
    pub lang: Lang,
    pub title: &'a str,
    /// HTML, everything in it escaped.
    pub body: String,
    pub status: u16,
    /// For tables.
    pub wide: bool,
    /// May stand in another page's frame, and has no links of its own.
    pub framed: bool,
    /// Where its form ends up, when that is not a web address.
    pub leads_to: Option<&'a str>,
}

impl Leaf<'_> {
    pub fn reply(self) -> Reply {
        let Self {
            root,
            lang,
            title,
            body,
            status,
            wide,
            framed,
            leads_to,
        } = self;
        let root = Esc(root);
        let nav = if framed {
            String::new()
        } else {
            format!(
                "<nav aria-label=\"{}\"><a href=\"{root}/\">{}</a><a href=\"{root}/counter\">{}</a><a href=\"{root}/bank\">{}</a>\
                 <a href=\"{root}/books\">{}</a></nav>",
                lang.say("テスト環境のページ", "Sandbox pages"),
                lang.say("決済一覧", "Payments"),
                lang.say("コンビニ・ペイジー窓口", "Convenience store counter"),
                lang.say("銀行窓口", "Bank"),
                lang.say("帳簿", "Books"),
            )
        };
        let html = format!(
            "<!doctype html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><meta name=\"robots\" content=\"noindex\">\
             <title>{} - KOMOJU sandbox</title><link rel=\"icon\" href=\"{root}/payment_methods/credit_card.svg\">\
             <link rel=\"stylesheet\" href=\"{root}/sandbox/style.css\"></head>\
             <body><div class=\"test\">{}</div>{nav}<main{}>{body}</main></body></html>\n",
            lang.code(),
            Esc(title),
            lang.say(
                "テスト環境 ― 実際のお金は動きません",
                "Test environment: no real money moves"
            ),
            if wide { " class=\"wide\"" } else { "" },
        );
        // Browsers hold a form's redirects against `form-action`, and those end at the shop.
        let scheme = leads_to
            .and_then(|url| url.split_once("://"))
            .map(|(scheme, _)| format!(" {scheme}:"));
        let csp = format!(
            "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self' http: https:{}; \
             frame-ancestors {}",
            scheme
                .filter(|s| s != " http:" && s != " https:")
                .unwrap_or_default(),
            if framed { "*" } else { "'none'" },
        );
        let headers = [
            ("content-type", "text/html; charset=utf-8".to_owned()),
            ("content-security-policy", csp),
            ("x-content-type-options", "nosniff".to_owned()),
            ("referrer-policy", "no-referrer".to_owned()),
            ("cache-control", "no-store".to_owned()),
        ];
        Reply {
            status,
            headers: headers
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            body: Bytes::from(html),
        }
    }
}

pub(super) fn redirect(url: &str) -> Reply {
    let location = utf8_percent_encode(url, CONTROLS).to_string();
    let headers = vec![
        ("location".to_owned(), location),
        ("cache-control".to_owned(), "no-store".to_owned()),
    ];
    Reply {
        status: 303,
        headers,
        body: Bytes::new(),
    }
}

pub(super) fn asset(kind: &str, body: impl Into<Bytes>) -> Reply {
    let headers = [
        ("content-type", kind),
        ("cache-control", "public, max-age=3600"),
        ("x-content-type-options", "nosniff"),
    ];
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Reply {
        status: 200,
        headers,
        body: body.into(),
    }
}

pub(super) fn style() -> Reply {
    asset("text/css; charset=utf-8", include_str!("style.css"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_grouped_and_keep_their_decimals() {
        assert_eq!(money(1_234_567, Currency::JPY), "¥1,234,567");
        assert_eq!(money(-100, Currency::JPY), "-¥100");
        assert_eq!(money(123_405, Currency::USD), "1,234.05 USD");
    }

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(
            Esc("<a href='x'>&\"").to_string(),
            "&lt;a href=&#39;x&#39;&gt;&amp;&quot;"
        );
    }
}
