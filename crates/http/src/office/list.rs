//! The list of payments, on the page and as CSV.
use super::session::{Clerk, clean, encoded};
use super::{Handled, Instead, csv, page, rows};
use crate::app::{App, is_id};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use kessai_core::time::tokyo;
use kessai_core::{BusinessDate, id};
use kessai_engine::Problem;
use kessai_store::repo::{OfficeFilter, Place};
use kessai_web::State as Shown;
use kessai_web::office::{Pager, PaymentFilter, PaymentList};
use std::collections::BTreeMap;

/// How many rows a page of a list has.
pub(super) const ROWS: i64 = 50;
/// How many rows a CSV file has, at most.
const CSV_MOST: usize = 10_000;
/// How many rows of a CSV file are read at a time.
const CSV_STEP: i64 = 500;

/// `GET /shop/payments`
pub(super) async fn show(State(app): State<App>, clerk: Clerk) -> Handled {
    let problem = |problem: Problem| clerk.refused(&problem);
    let shown = asked(&app, &clerk).await?;
    let narrowed = narrowed(&shown);
    let sums = app
        .engine
        .office_sums(&clerk.shop, &narrowed)
        .await
        .map_err(problem)?;
    let leaf = Leaf::asked(&clerk.query, is_id);
    let engine = &app.engine;
    let mut found = engine
        .office_payments(&clerk.shop, &narrowed, &leaf.place, ROWS + 1)
        .await
        .map_err(problem)?;
    let leaf = if leaf.is_short_top(found.len()) {
        found = engine
            .office_payments(&clerk.shop, &narrowed, &Place::Top, ROWS + 1)
            .await
            .map_err(problem)?;
        Leaf::top()
    } else {
        leaf
    };
    let query = query(&shown);
    let pager = leaf.turn(&mut found, "/shop/payments", &query, |payment| {
        payment.id.as_str().to_owned()
    });
    let csv = if query.is_empty() {
        "/shop/payments.csv".into()
    } else {
        format!("/shop/payments.csv?{query}")
    };
    let list = PaymentList {
        shell: clerk.fresh_shell(&app).await?,
        methods: engine
            .offered(&clerk.shop)
            .iter()
            .map(|capability| capability.method.to_owned())
            .collect(),
        rows: found
            .iter()
            .map(|payment| rows::payment_row(payment, clerk.locale))
            .collect(),
        count: sums.count,
        total: sums.amount,
        pager,
        csv_href: (!found.is_empty()).then_some(csv),
        filter: shown,
    };
    Ok(page(StatusCode::OK, &list, clerk.locale))
}

/// `GET /shop/payments.csv`
pub(super) async fn csv(State(app): State<App>, clerk: Clerk) -> Handled {
    let encoding = clerk.query.get("encoding").map_or("utf-8", String::as_str);
    if !matches!(encoding, "utf-8" | "") {
        let problem = Problem::invalid("encoding", "Only utf-8 is offered");
        return Err(clerk.refused(&problem));
    }
    let narrowed = narrowed(&asked(&app, &clerk).await?);
    let mut table = csv::Table::new(clerk.locale);
    let mut place = Place::Top;
    while table.rows() < CSV_MOST {
        let found = app
            .engine
            .office_payments(&clerk.shop, &narrowed, &place, CSV_STEP)
            .await;
        let found = found.map_err(|problem| clerk.refused(&problem))?;
        found
            .iter()
            .take(CSV_MOST - table.rows())
            .for_each(|payment| table.add(payment));
        match found.last() {
            Some(last) if found.len() == CSV_STEP as usize => place = Place::Below(last.id.as_str().into()),
            _ => break,
        }
    }
    let name = format!("payments-{}.csv", BusinessDate::of(app.engine.now()).date());
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static("text/csv; charset=utf-8; header=present"),
        ),
        (
            CONTENT_DISPOSITION,
            HeaderValue::from_str(&disposition).expect("plain ASCII"),
        ),
    ];
    Ok::<Response, Instead>((headers, table.into_bytes()).into_response())
}

/// What was asked for. In a shop with very many payments a list without a beginning begins later, and its filter says so.
async fn asked(app: &App, clerk: &Clerk) -> Result<PaymentFilter, Instead> {
    let mut shown = filter(&clerk.query);
    if shown.from.is_empty() && shown.q.is_empty() {
        let reach = app.engine.office_reach(&clerk.shop).await;
        if let Some(day) = reach.map_err(|problem| clerk.refused(&problem))? {
            shown.from = day.date().to_string();
        }
    }
    Ok(shown)
}

/// What was asked for, as far as it can be understood; the rest is not filtered by.
pub(crate) fn filter(query: &BTreeMap<String, String>) -> PaymentFilter {
    let text = |name: &str, most| clean(query.get(name).map(String::as_str).unwrap_or_default(), most);
    let day = |name: &str| {
        text(name, 10)
            .parse::<Date>()
            .map(|day| day.to_string())
            .unwrap_or_default()
    };
    let state = text("state", 40);
    let known = Shown::from_slug(&state).and_then(rows::standing).is_some();
    PaymentFilter {
        q: text("q", 255),
        state: if known { state } else { String::new() },
        method: text("method", 60),
        from: day("from"),
        to: day("to"),
    }
}

/// The filter as the store takes it. Days are Japan's, the last one included.
pub(crate) fn narrowed(shown: &PaymentFilter) -> OfficeFilter {
    let given = |text: &str| (!text.is_empty()).then(|| text.into());
    let begins = |day: Date| {
        day.to_zoned(tokyo())
            .ok()
            .map(|zoned| id::floor(zoned.timestamp()).into())
    };
    let narrowed = OfficeFilter {
        q: given(&shown.q),
        method: given(&shown.method),
        from_id: shown.from.parse().ok().and_then(begins),
        below_id: shown
            .to
            .parse::<Date>()
            .ok()
            .and_then(|day| day.tomorrow().ok())
            .and_then(begins),
        ..OfficeFilter::default()
    };
    match Shown::from_slug(&shown.state).and_then(rows::standing) {
        Some(standing) => standing.narrow(narrowed),
        None => narrowed,
    }
}

pub(crate) fn query(shown: &PaymentFilter) -> String {
    let fields = [
        ("q", &shown.q),
        ("state", &shown.state),
        ("method", &shown.method),
        ("from", &shown.from),
        ("to", &shown.to),
    ];
    let given = fields.into_iter().filter(|(_, value)| !value.is_empty());
    given
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect::<Vec<_>>()
        .join("&")
}

/// One page of a long list: where it begins, and the number of its first row.
pub(crate) struct Leaf {
    pub(crate) place: Place,
    first: i64,
}

impl Leaf {
    pub(super) fn top() -> Self {
        Self {
            place: Place::Top,
            first: 1,
        }
    }

    /// From `before` or `after` and `n` of a query.
    pub(crate) fn asked(query: &BTreeMap<String, String>, is_place: impl Fn(&str) -> bool) -> Self {
        let place = |name: &str| {
            query
                .get(name)
                .filter(|id| is_place(id))
                .map(|id| id.as_str().into())
        };
        let first = query
            .get("n")
            .and_then(|n| n.parse().ok())
            .filter(|n| (1..=1_000_000_000).contains(n))
            .unwrap_or(1);
        match (place("before"), place("after")) {
            (Some(id), _) => Self {
                place: Place::Below(id),
                first,
            },
            (None, Some(id)) => Self {
                place: Place::Above(id),
                first,
            },
            (None, None) => Self::top(),
        }
    }

    /// Whether this page, reached upwards, is the top one and lacks rows that came since.
    pub(super) fn is_short_top(&self, found: usize) -> bool {
        matches!(self.place, Place::Above(_)) && found <= ROWS as usize
    }

    /// Takes the row too many away and makes the links.
    pub(crate) fn turn<T>(
        &self,
        found: &mut Vec<T>,
        path: &str,
        query: &str,
        id: impl Fn(&T) -> String,
    ) -> Pager {
        let more = found.len() > ROWS as usize;
        let upwards = matches!(self.place, Place::Above(_));
        if more {
            if upwards {
                found.remove(0);
            } else {
                found.truncate(ROWS as usize);
            }
        }
        let (newer, older) = match self.place {
            Place::Top => (false, more),
            Place::Below(_) => (true, more),
            Place::Above(_) => (more, true),
        };
        let last = self.first + found.len() as i64 - 1;
        let joint = if query.is_empty() { "" } else { "&" };
        let href = |way: &str, row: &T, n: i64| format!("{path}?{query}{joint}{way}={}&n={n}", id(row));
        Pager {
            first: self.first,
            last: if found.is_empty() { 0 } else { last },
            newer_href: found
                .first()
                .filter(|_| newer)
                .map(|row| href("after", row, (self.first - ROWS).max(1))),
            older_href: found
                .last()
                .filter(|_| older)
                .map(|row| href("before", row, last + 1)),
        }
    }
}

/// `2026-11-21T09:00` as Japan means it.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let at = civil.to_zoned(tokyo()).ok()?.timestamp();
    // Far from the calendar's ends, so that spans can be counted.
    at.saturating_add(SignedDuration::from_hours(48)).ok().map(|_| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_takes_what_it_understands() {
        let asked = |text: &str| filter(&super::super::session::pairs(text));
        let shown = asked("q=MZ-1&state=captured&method=konbini&from=2026-11-01&to=nonsense");
        assert_eq!(
            (
                shown.q.as_str(),
                shown.state.as_str(),
                shown.from.as_str(),
                shown.to.as_str()
            ),
            ("MZ-1", "captured", "2026-11-01", "")
        );
        assert_eq!(
            query(&shown),
            "q=MZ%2D1&state=captured&method=konbini&from=2026%2D11%2D01"
        );
        assert_eq!(asked("state=shipped").state, "");
        let narrowed = narrowed(&asked("from=2026-11-01&to=2026-11-01"));
        assert_eq!(
            narrowed.from_id.unwrap().as_ref(),
            id::floor("2026-10-31T15:00:00Z".parse().unwrap())
        );
        assert_eq!(
            narrowed.below_id.unwrap().as_ref(),
            id::floor("2026-11-01T15:00:00Z".parse().unwrap())
        );
    }

    #[test]
    fn pages_lead_to_each_other() {
        let asked = |text: &str| Leaf::asked(&super::super::session::pairs(text), is_id);
        let id = |n: &i64| n.to_string();
        let mut rows: Vec<i64> = (0..51).collect();
        let top = asked("").turn(&mut rows, "/l", "q=x", id);
        assert_eq!(
            (rows.len(), top.first, top.last, top.newer_href),
            (50, 1, 50, None)
        );
        assert_eq!(top.older_href.as_deref(), Some("/l?q=x&before=49&n=51"));
        let mut rows: Vec<i64> = vec![50, 51];
        let end = asked("before=49&n=51").turn(&mut rows, "/l", "", id);
        assert_eq!((end.first, end.last, end.older_href), (51, 52, None));
        assert_eq!(end.newer_href.as_deref(), Some("/l?after=50&n=1"));
        assert!(asked("after=50&n=1").is_short_top(50));
    }

    #[test]
    fn moments_are_japans() {
        assert_eq!(
            moment("2026-11-21T09:00"),
            Some("2026-11-21T00:00:00Z".parse().unwrap())
        );
        assert_eq!(
            moment("2026-11-21T09:00:30"),
            Some("2026-11-21T00:00:30Z".parse().unwrap())
        );
        assert_eq!(moment("yesterday"), None);
    }
}
