//! How amounts, instants and deadlines are written.
use crate::Locale;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

/// Japan has one offset and no daylight saving time, so no time zone database is needed.
fn tokyo(at: Timestamp) -> Zoned {
    at.to_zoned(TimeZone::fixed(Offset::constant(9)))
}

/// `1,234,567`, with a minus sign in front of a negative number.
pub fn grouped(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if n < 0 {
        out.push('-');
    }
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `¥1,234`.
pub fn yen(amount: i64) -> String {
    money(amount, "JPY")
}

/// An amount in a currency's minor unit: `¥1,234`, `$12.34`, `CHF 12.34`.
pub fn money(amount: i64, currency: &str) -> String {
    let code = currency.to_ascii_uppercase();
    let symbol = match code.as_str() {
        "JPY" => "¥",
        "USD" => "$",
        "EUR" => "€",
        "GBP" => "£",
        "KRW" => "₩",
        _ => "",
    };
    let decimals = !matches!(code.as_str(), "JPY" | "KRW" | "VND");
    let sign = if amount < 0 { "-" } else { "" };
    let magnitude = amount.unsigned_abs();
    let (whole, rest) = if decimals {
        (magnitude / 100, magnitude % 100)
    } else {
        (magnitude, 0)
    };
    let whole = grouped(i64::try_from(whole).unwrap_or(i64::MAX));
    let number = if decimals {
        format!("{whole}.{rest:02}")
    } else {
        whole
    };
    if symbol.is_empty() {
        format!("{sign}{code} {number}")
    } else {
        format!("{sign}{symbol}{number}")
    }
}

/// Yen on a chart: `¥1,234`, and in Japanese `¥12.3万` from 10,000 up.
pub fn yen_short(amount: i64, locale: Locale) -> String {
    // With one decimal, which is left out when it is nought.
    let tenths = |unit: i64| match (amount % unit / (unit / 10)).abs() {
        0 => grouped(amount / unit),
        tenth => format!("{}.{tenth}", grouped(amount / unit)),
    };
    match (locale, amount.unsigned_abs()) {
        (Locale::Ja, 10_000..) => format!("¥{}万", tenths(10_000)),
        (Locale::En, 1_000_000..) => format!("¥{}M", tenths(1_000_000)),
        (Locale::En, 10_000..) => format!("¥{}k", grouped(amount / 1000)),
        _ => yen(amount),
    }
}

/// `2026年11月21日(土) 14:05` or `Nov 21, 2026 14:05 JST`.
pub fn moment(at: Timestamp, locale: Locale) -> String {
    let time = tokyo(at);
    match locale {
        Locale::Ja => format!("{} {}", day(at, locale), time.strftime("%H:%M")),
        Locale::En => time.strftime("%b %-d, %Y %H:%M JST").to_string(),
    }
}

/// `2026年11月21日(土)` or `Sat, Nov 21, 2026`.
pub fn day(at: Timestamp, locale: Locale) -> String {
    let time = tokyo(at);
    match locale {
        Locale::Ja => {
            let weekday = ["日", "月", "火", "水", "木", "金", "土"]
                [usize::from(time.weekday().to_sunday_zero_offset().unsigned_abs())];
            format!("{}年{}月{}日({weekday})", time.year(), time.month(), time.day())
        }
        Locale::En => time.strftime("%a, %b %-d, %Y").to_string(),
    }
}

/// In lists: `11/21 14:05`, with the year in front when it is not this one; `Nov 21 14:05` in English.
pub fn brief(at: Timestamp, now: Timestamp, locale: Locale) -> String {
    let time = tokyo(at);
    let same_year = time.year() == tokyo(now).year();
    match (locale, same_year) {
        (Locale::Ja, true) => time.strftime("%-m/%-d %H:%M"),
        (Locale::Ja, false) => time.strftime("%Y/%-m/%-d %H:%M"),
        (Locale::En, true) => time.strftime("%b %-d %H:%M"),
        (Locale::En, false) => time.strftime("%b %-d, %Y %H:%M"),
    }
    .to_string()
}

/// `14:05` in Japan.
pub fn clock(at: Timestamp) -> String {
    tokyo(at).strftime("%H:%M").to_string()
}

/// `11/21` in Japan.
pub fn month_day(at: Timestamp) -> String {
    tokyo(at).strftime("%-m/%-d").to_string()
}

/// Year and month in Japan, against which a card's expiry is compared.
pub fn year_month(at: Timestamp) -> (i16, i8) {
    let time = tokyo(at);
    (time.year(), time.month())
}

/// `2026-11-21 05:05:00 UTC`, for the hover.
pub fn utc(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Seconds the log cares about: `14:05:32`.
pub fn clock_seconds(at: Timestamp) -> String {
    tokyo(at).strftime("%H:%M:%S").to_string()
}

/// What is left until a deadline: 「あと2日と6時間」, "2 days 6 hours left", 「期限を過ぎました」.
pub fn left(deadline: Timestamp, now: Timestamp, locale: Locale) -> String {
    let seconds = deadline.as_second() - now.as_second();
    if seconds <= 0 {
        return locale.t("left-none");
    }
    let text = span(seconds, locale);
    locale.t1("left-some", "span", text)
}

/// How long ago something happened: 「3時間前」, "3 hours ago".
pub fn ago(at: Timestamp, now: Timestamp, locale: Locale) -> String {
    let seconds = now.as_second() - at.as_second();
    if seconds < 60 {
        return locale.t("ago-now");
    }
    let coarse = match seconds {
        86_400.. => seconds / 86_400 * 86_400,
        3_600.. => seconds / 3_600 * 3_600,
        _ => seconds,
    };
    locale.t1("ago-some", "span", span(coarse, locale))
}

/// A length of time in its two largest units.
fn span(seconds: i64, locale: Locale) -> String {
    // A deadline that is 59.5 minutes away has "1 hour" left for a reader, and one second is still a minute.
    let minutes = ((seconds + 30) / 60).max(1);
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    let mut parts = Vec::new();
    if days > 0 {
        parts.push(locale.count("span-days", days));
    }
    if hours > 0 {
        parts.push(locale.count("span-hours", hours));
    }
    if days == 0 && minutes > 0 {
        parts.push(locale.count("span-minutes", minutes));
    }
    parts.join(&locale.t("span-join"))
}

/// Groups a long payment number for reading aloud: `1234 5678 901`. Anything but digits is left alone.
pub fn readable_number(number: &str) -> String {
    if number.len() < 8 || !number.bytes().all(|b| b.is_ascii_digit()) {
        return number.to_owned();
    }
    let mut out = String::with_capacity(number.len() + number.len() / 4);
    for (i, digit) in number.chars().enumerate() {
        if i > 0 && i.is_multiple_of(4) && number.len() - i > 1 {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sample_now, sample_time};

    #[test]
    fn yen_has_no_decimals_and_others_have_two() {
        for (amount, currency, expected) in [
            (0, "JPY", "¥0"),
            (999, "JPY", "¥999"),
            (1234, "JPY", "¥1,234"),
            (-1_234_567, "JPY", "-¥1,234,567"),
            (5, "USD", "$0.05"),
            (123_456, "usd", "$1,234.56"),
            (-123, "EUR", "-€1.23"),
            (1000, "KRW", "₩1,000"),
            (1000, "VND", "VND 1,000"),
            (123_456, "CHF", "CHF 1,234.56"),
            (i64::MIN, "JPY", "-¥9,223,372,036,854,775,807"),
        ] {
            assert_eq!(money(amount, currency), expected);
        }
    }

    #[test]
    fn charts_count_in_man_in_japanese() {
        assert_eq!(yen_short(9_999, Locale::Ja), "¥9,999");
        assert_eq!(yen_short(123_456, Locale::Ja), "¥12.3万");
        assert_eq!(yen_short(200_000, Locale::Ja), "¥20万");
        assert_eq!(yen_short(123_456, Locale::En), "¥123k");
        assert_eq!(yen_short(12_345_678, Locale::En), "¥12.3M");
    }

    #[test]
    fn instants_are_japans() {
        let at = sample_now();
        assert_eq!(moment(at, Locale::Ja), "2026年11月21日(土) 14:05");
        assert_eq!(moment(at, Locale::En), "Nov 21, 2026 14:05 JST");
        assert_eq!(
            day(sample_time("2026-12-31T15:00:00Z"), Locale::Ja),
            "2027年1月1日(金)"
        );
        assert_eq!(day(at, Locale::En), "Sat, Nov 21, 2026");
        assert_eq!(utc(at), "2026-11-21 05:05:00 UTC");
    }

    #[test]
    fn lists_show_the_year_only_when_it_is_another() {
        let (at, now) = (sample_time("2025-11-20T15:05:00Z"), sample_now());
        assert_eq!(brief(now, now, Locale::Ja), "11/21 14:05");
        assert_eq!(brief(now, now, Locale::En), "Nov 21 14:05");
        assert_eq!(brief(at, now, Locale::Ja), "2025/11/21 00:05");
        assert_eq!(brief(at, now, Locale::En), "Nov 21, 2025 00:05");
    }

    #[test]
    fn deadlines_say_what_is_left() {
        let now = sample_now();
        for (deadline, ja, en) in [
            ("2026-11-24T14:59:59Z", "あと3日と9時間", "3 days 9 hours left"),
            ("2026-11-22T05:05:00Z", "あと1日", "1 day left"),
            ("2026-11-21T06:06:00Z", "あと1時間と1分", "1 hour 1 minute left"),
            ("2026-11-21T05:05:01Z", "あと1分", "1 minute left"),
            (
                "2026-11-21T05:05:00Z",
                "期限を過ぎました",
                "The deadline has passed",
            ),
        ] {
            assert_eq!(left(sample_time(deadline), now, Locale::Ja), ja);
            assert_eq!(left(sample_time(deadline), now, Locale::En), en);
        }
        assert_eq!(ago(sample_time("2026-11-18T01:00:00Z"), now, Locale::Ja), "3日前");
        assert_eq!(
            ago(sample_time("2026-11-21T02:00:00Z"), now, Locale::En),
            "3 hours ago"
        );
        assert_eq!(ago(now, now, Locale::En), "just now");
    }

    #[test]
    fn long_numbers_are_grouped_without_leaving_one_digit_alone() {
        assert_eq!(readable_number("1234567890123"), "1234 5678 90123");
        assert_eq!(readable_number("12345678901"), "1234 5678 901");
        assert_eq!(readable_number("123456"), "123456");
        assert_eq!(readable_number("AB123456789"), "AB123456789");
    }
}
