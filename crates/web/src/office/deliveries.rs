//! Notifications to the shop's system: what was sent, what is stuck, and sending again.
use super::{Pager, Section, Shell};
use crate::{DeliveryState, Locale, Notice, sample_time};
use jiff::Timestamp;

/// What the list is narrowed to, named as in the query.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// A [`DeliveryState::slug`]; empty means all.
    pub state: String,
    /// Event type or payment number.
    pub q: String,
}

/// How many there are of each kind.
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "named as the states are")]
pub struct DeliveryCounts {
    pub queued: i64,
    pub retrying: i64,
    pub delivered: i64,
    pub dead: i64,
}

/// One event on its way to one address.
#[derive(Debug, Clone)]
pub struct DeliveryRow {
    /// Its number.
    pub id: String,
    /// `payment.captured`.
    pub event: String,
    /// The payment it tells of.
    pub payment_id: Option<String>,
    /// Where to.
    pub url: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub tries: i64,
    /// When the event happened.
    pub created_at: Timestamp,
    /// The last try.
    pub last_at: Option<Timestamp>,
    /// What the last try met: `200`, `500`, `timeout`.
    pub last_answer: Option<String>,
    /// The next try.
    pub next_at: Option<Timestamp>,
}

impl DeliveryRow {
    pub(super) fn can_replay(&self) -> bool {
        self.state != DeliveryState::Queued
    }
}

/// `GET /shop/deliveries`. Forms post `csrf` to `/shop/deliveries/{id}/replay`, and `csrf`, `from`, `to`
/// (`2026-11-21T09:00`, Japan's time) and `only` (`dead` or `all`) to `/shop/deliveries/replay`.
#[derive(Debug, Clone)]
pub struct Deliveries {
    /// Around it.
    pub shell: Shell,
    /// What it is narrowed to.
    pub filter: DeliveryFilter,
    /// How many of each.
    pub counts: DeliveryCounts,
    /// At most 50.
    pub rows: Vec<DeliveryRow>,
    /// Where in the list.
    pub pager: Pager,
    /// What just happened.
    pub notice: Option<Notice>,
}

impl Deliveries {
    fn section(&self) -> Section {
        Section::Deliveries
    }

    /// Slug, word, count and whether it is the one shown, for the tabs.
    fn tabs(&self, l: Locale) -> Vec<(&'static str, String, i64, bool)> {
        let count = |state: DeliveryState| match state {
            DeliveryState::Queued => self.counts.queued,
            DeliveryState::Retrying => self.counts.retrying,
            DeliveryState::Delivered => self.counts.delivered,
            DeliveryState::Dead => self.counts.dead,
        };
        let all = DeliveryState::ALL.iter().map(|state| count(*state)).sum();
        let mut tabs = vec![("", l.t("filter-all"), all, self.filter.state.is_empty())];
        tabs.extend(
            DeliveryState::ALL
                .iter()
                .map(|s| (s.slug(), s.word(l), count(*s), self.filter.state == s.slug())),
        );
        tabs
    }

    fn sample_data() -> Vec<(&'static str, Self)> {
        let page = Self {
            shell: Shell::sample("/shop/deliveries"),
            filter: DeliveryFilter::default(),
            counts: DeliveryCounts {
                queued: 1,
                retrying: 1,
                delivered: 412,
                dead: 2,
            },
            rows: sample_deliveries(),
            pager: Pager {
                first: 1,
                last: 4,
                newer_href: Some("/shop/deliveries?after=a".into()),
                older_href: Some("/shop/deliveries?before=b".into()),
            },
            notice: None,
        };
        let replayed = Self {
            notice: Some(Notice {
                tone: crate::Tone::Good,
                key: "notice-replayed".into(),
                amount: "2".into(),
            }),
            filter: DeliveryFilter {
                state: "dead".into(),
                q: String::new(),
            },
            rows: Vec::new(),
            pager: Pager::default(),
            ..page.clone()
        };
        vec![("all", page), ("replayed", replayed)]
    }
}

pub(super) fn sample_deliveries() -> Vec<DeliveryRow> {
    let row = |id: &str, event: &str, state, tries, at: &str, answer: Option<&str>, next: Option<&str>| {
        DeliveryRow {
            id: id.into(),
            event: event.into(),
            payment_id: Some("bk3lh5xnsj25e22mn7zo2mgqh".into()),
            url: "https://shop.example/hooks/kessai".into(),
            state,
            tries,
            created_at: sample_time(at),
            last_at: (tries > 0).then(|| sample_time(at)),
            last_answer: answer.map(String::from),
            next_at: next.map(sample_time),
        }
    };
    vec![
        row(
            "dlv_04",
            "payment.refund.created",
            DeliveryState::Queued,
            0,
            "2026-11-21T05:04:01Z",
            None,
            None,
        ),
        row(
            "dlv_03",
            "payment.captured",
            DeliveryState::Retrying,
            2,
            "2026-11-21T04:58:00Z",
            Some("500"),
            Some("2026-11-21T05:28:00Z"),
        ),
        row(
            "dlv_02",
            "payment.authorized",
            DeliveryState::Delivered,
            1,
            "2026-11-21T04:57:00Z",
            Some("200"),
            None,
        ),
        row(
            "dlv_01",
            "payment.expired",
            DeliveryState::Dead,
            8,
            "2026-11-18T15:00:02Z",
            Some("timeout"),
            None,
        ),
    ]
}

crate::page!(Deliveries, DeliveriesView, "office/deliveries.html");
