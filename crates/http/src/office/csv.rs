//! Payments as CSV, for spreadsheets: UTF-8 with BOM, CRLF, and nothing that a spreadsheet would run.
use super::rows;
use crate::shown::state_of;
use jiff::Timestamp;
use kessai_core::time::tokyo;
use kessai_engine::model::Payment;
use kessai_store::repo::instant;
use kessai_web::Locale;

const BOM: &str = "\u{feff}";
const HEAD: [(&str, &str); 17] = [
    ("決済番号", "Payment"),
    ("日時", "Made at"),
    ("状態", "State"),
    ("注文番号", "Order"),
    ("お客様", "Customer"),
    ("メールアドレス", "Email"),
    ("決済方法", "Method"),
    ("詳細", "Detail"),
    ("金額", "Amount"),
    ("通貨", "Currency"),
    ("売上確定", "Captured"),
    ("返金", "Refunded"),
    ("手数料", "Fee"),
    ("売上確定日時", "Captured at"),
    ("支払期限", "Deadline"),
    ("決済会社", "Provider"),
    ("決済会社の番号", "Provider's number"),
];

/// A file being written.
pub(super) struct Table {
    text: String,
    rows: usize,
    locale: Locale,
}

impl Table {
    pub(super) fn new(locale: Locale) -> Self {
        let mut table = Self {
            text: BOM.into(),
            rows: 0,
            locale,
        };
        let head = HEAD.map(|(ja, en)| if locale.is_ja() { ja } else { en });
        table.line(&head.map(String::from));
        table
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn add(&mut self, payment: &Payment) {
        let (locale, body) = (self.locale, &payment.body);
        let code = body.totals.currency.code();
        // Amounts in the currency's own unit, with a point where it has decimals and never a separator.
        let amount = |minor: i64| plain(minor, body.totals.currency.exponent());
        let key = format!("method-{}", payment.method);
        let method = if locale.has(&key) {
            locale.t(&key)
        } else {
            payment.method.to_string()
        };
        let line = [
            payment.id.to_string(),
            moment(payment.created_at),
            state_of(payment).word(locale),
            payment.order_number.as_deref().unwrap_or_default().into(),
            rows::customer(payment).unwrap_or_default(),
            rows::field_of(payment, "email").unwrap_or_default(),
            method,
            rows::detail(payment, locale).unwrap_or_default(),
            amount(payment.total().minor()),
            code.into(),
            amount(body.state.captured().minor()),
            amount(body.state.refunded().minor()),
            amount(body.totals.fee),
            body.captured_at.map(|at| moment(instant(at))).unwrap_or_default(),
            payment.deadline_at.map(moment).unwrap_or_default(),
            rows::provider(&payment.provider),
            payment.reference.as_deref().unwrap_or_default().into(),
        ];
        self.line(&line);
        self.rows += 1;
    }

    fn line(&mut self, cells: &[String]) {
        let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
        self.text.push_str(&cells.join(","));
        self.text.push_str("\r\n");
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.text.into_bytes()
    }
}

/// A cell. What a spreadsheet would take for a formula gets an apostrophe in front.
fn quoted(cell: &str) -> String {
    let runs = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let safe = if runs { format!("'{cell}") } else { cell.to_owned() };
    if safe.contains([',', '"', '\r', '\n', '\'']) {
        format!("\"{}\"", safe.replace('"', "\"\""))
    } else {
        safe
    }
}

fn plain(minor: i64, exponent: u32) -> String {
    if exponent == 0 {
        return minor.to_string();
    }
    let unit = 10_i64.pow(exponent);
    format!(
        "{}.{:0width$}",
        minor / unit,
        minor % unit,
        width = exponent as usize
    )
}

/// `2026-11-21 14:05:00`, in Japan, which spreadsheets read as a date.
fn moment(at: Timestamp) -> String {
    at.to_zoned(tokyo()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_none_leaks_into_the_next() {
        for (cell, expected) in [
            ("MZ-1", "MZ-1"),
            ("=1+1", "\"'=1+1\""),
            ("+81 90", "\"'+81 90\""),
            ("-2", "\"'-2\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("a,\"b\"", "\"a,\"\"b\"\"\""),
            ("二行\r\n目", "\"二行\r\n目\""),
        ] {
            assert_eq!(quoted(cell), expected);
        }
    }

    #[test]
    fn amounts_are_plain_numbers_of_their_currency() {
        assert_eq!(
            (plain(1_234, 0), plain(1_234, 2), plain(5, 2)),
            ("1234".into(), "12.34".into(), "0.05".into())
        );
    }
}
