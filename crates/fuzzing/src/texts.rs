//! Texts in paths, queries, headers and cookies.
use crate::Loaded;
use jiff::Timestamp;
use kessai_core::{PaymentId, TokenId, id};
use kessai_engine::directory::{check_return_url, check_url};
use kessai_engine::model::Payment;
use kessai_engine::wire::with_query;
use kessai_http::fuzzing;
use kessai_store::repo::Place;
use kessai_web::Locale;

fn lossy(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Lists of the office: filter, place, moment.
pub(crate) fn office_query(bytes: &[u8]) {
    let text = lossy(bytes);
    let query = fuzzing::pairs(&text);
    assert!(query.len() <= 64);
    let (shown, narrowed, printed) = fuzzing::filter(&query);
    let (again, narrowed_again, printed_again) = fuzzing::filter(&fuzzing::pairs(&printed));
    assert_eq!(
        format!("{shown:?}"),
        format!("{again:?}"),
        "a filter printed and read again: {printed}"
    );
    assert_eq!(format!("{narrowed:?}"), format!("{narrowed_again:?}"));
    assert_eq!(printed, printed_again);
    assert!(
        printed.bytes().all(|b| b.is_ascii_graphic()),
        "a link in plain ASCII: {printed}"
    );
    for rows in [0, 1, 50, 51] {
        let (place, links) = fuzzing::leaf(&query, rows);
        if let Place::Below(id) | Place::Above(id) = &place {
            assert!(fuzzing::is_id(id), "{id}");
        }
        for link in links {
            let (there, _) = fuzzing::leaf(&fuzzing::pairs(link.trim_start_matches("/l?")), 51);
            assert_ne!(there, Place::Top, "a link leads to a page: {link}");
        }
    }
    if let Some(at) = fuzzing::moment(&text) {
        at.checked_add(jiff::SignedDuration::from_hours(48))
            .expect("spans can be counted");
    }
    let cleaned = fuzzing::clean(&text, 20);
    assert!(cleaned.chars().count() <= 20 && !cleaned.chars().any(char::is_control));
    if fuzzing::local(&text) {
        let there = url::Url::parse("https://hub.example")
            .and_then(|hub| hub.join(&text))
            .expect("a path");
        assert_eq!(
            there.host_str(),
            Some("hub.example"),
            "a path of the office leaves it"
        );
        assert_eq!(fuzzing::see_other(&text).status(), 303);
    }
    if let Some(here) = fuzzing::here(&text) {
        assert_eq!(fuzzing::here(&here).as_deref().unwrap_or(&here), here);
    }
}

/// Headers: the API key, cookies, sessions, languages.
pub(crate) fn headers(bytes: &[u8]) {
    if let Some(key) = fuzzing::api_key(bytes) {
        let key = key.expose();
        assert!(!key.is_empty() && key.len() <= 200 && !key.contains(':'));
    }
    if let Some(value) = fuzzing::cookie(bytes, "a") {
        assert!(!value.contains(';'));
    }
    let text = lossy(bytes);
    let locale = Locale::negotiate(None, None, Some(&text));
    assert_eq!(Locale::negotiate(None, None, Some(locale.tag())), locale);
    if let Some(spoken) = Locale::from_tag(&text) {
        assert_eq!(Locale::from_tag(spoken.tag()), Some(spoken));
    }
    let now: Timestamp = "2026-01-15T03:00:00Z".parse().expect("an instant");
    let sessions = fuzzing::Sessions::new(&Loaded);
    let good = sessions.begin(now, &Loaded);
    assert!(sessions.opens(&good, now));
    assert_eq!(sessions.opens(&text, now), text == good, "a session was made up");
    // A good one with something done to it opens nothing either.
    let at = usize::from(bytes.first().copied().unwrap_or(0)) % good.len();
    let spoilt = format!("{}{text}{}", &good[..at], &good[at..]);
    assert_eq!(
        sessions.opens(&spoilt, now),
        spoilt == good,
        "a session was made up"
    );
}

/// A URL that a shopper is sent back to really leads there: it still names the same place with a field added, and fits a header.
pub(crate) fn leads_back(url: &str) {
    check_return_url("return_url", url).expect("only what was checked");
    let before = url::Url::parse(url).expect("it was checked");
    let to = with_query(url, "session_id", "abc");
    let after = url::Url::parse(&to).expect("still a URL");
    assert_eq!(
        (before.scheme(), before.host_str(), before.port()),
        (after.scheme(), after.host_str(), after.port())
    );
    let response = fuzzing::see_other(&to);
    assert_eq!(response.status(), 303, "a shopper cannot be sent to {to:?}");
    let location = response.headers()["location"].to_str().expect("ASCII").to_owned();
    let there = url::Url::parse(&location).expect("a URL");
    assert_eq!(there, after, "the header says what was meant");
}

/// URLs of shops.
pub(crate) fn urls(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if check_url("url", text).is_ok() {
        assert!(text.len() <= 2_000 && check_return_url("url", text).is_ok());
    }
    if check_return_url("url", text).is_ok() {
        leads_back(text);
        for scheme in ["javascript:", "data:", "vbscript:", "file:"] {
            // As a browser reads it: leading blanks and line breaks anywhere do not count.
            let seen: String = text
                .chars()
                .filter(|c| !matches!(c, '\t' | '\n' | '\r'))
                .collect();
            let seen = seen.trim_start_matches(|c: char| c <= ' ').to_ascii_lowercase();
            assert!(!seen.starts_with(scheme), "{text:?} runs code");
        }
    }
}

/// Ids and keys.
pub(crate) fn ids(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(id) = text.parse::<PaymentId>() {
        assert_eq!(id.to_string(), text);
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        let json = serde_json::to_string(&id).expect("an id prints");
        assert_eq!(serde_json::from_str::<PaymentId>(&json).ok(), Some(id));
        assert!(text.len() <= 40 && fuzzing::is_id(text));
        assert!(text.parse::<TokenId>().is_ok(), "all ids have one shape");
        let next = id::next_text(text);
        assert_eq!(next.len(), text.len());
    } else {
        assert!(serde_json::from_str::<PaymentId>(&serde_json::Value::from(text).to_string()).is_err());
    }
    if let Some(payment) = Payment::of_key(text) {
        assert_eq!(payment.len(), id::ID_LEN);
        assert!(text.starts_with(payment) && text[payment.len()..].starts_with('_'));
    }
    if let Ok(at) = text.parse::<Timestamp>()
        && at.as_millisecond() >= 0
    {
        assert!(id::floor(at) <= id::new_text(at, &Loaded));
    }
    if let Some(status) = kessai_core::payment::Status::parse(text) {
        assert_eq!(status.as_str(), text);
    }
    if let Ok(currency) = text.parse::<kessai_core::Currency>() {
        assert_eq!(currency.code().parse(), Ok(currency));
    }
}
