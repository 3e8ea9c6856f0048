//! Where two books disagree and a person must see it.
use super::{Section, Shell};
use crate::{Locale, Notice, sample_time};
use jiff::Timestamp;

/// One disagreement.
#[derive(Debug, Clone)]
pub struct DiscrepancyRow {
    /// Its number.
    pub id: String,
    /// `amount`, `state`, `missing_here`, `missing_there`, `owner`, `late_money`, or `other`.
    pub kind: String,
    /// The payment it is about.
    pub payment_id: Option<String>,
    /// Whose book.
    pub provider: String,
    /// What our book says.
    pub ours: String,
    /// What theirs says.
    pub theirs: String,
    /// When it was found.
    pub found_at: Timestamp,
    /// When and how a person settled it.
    pub settled: Option<(Timestamp, String)>,
}

impl DiscrepancyRow {
    pub(super) fn kind_text(&self, l: Locale) -> String {
        let key = format!("discrepancy-{}", self.kind.replace('_', "-"));
        if l.has(&key) {
            l.t(&key)
        } else {
            l.t("discrepancy-other")
        }
    }
}

/// `GET /shop/discrepancies`. Forms post `csrf` and `note` to `/shop/discrepancies/{id}/settle`.
#[derive(Debug, Clone)]
pub struct Discrepancies {
    /// Around it.
    pub shell: Shell,
    /// Open ones first.
    pub rows: Vec<DiscrepancyRow>,
    /// What just happened.
    pub notice: Option<Notice>,
}

impl Discrepancies {
    fn section(&self) -> Section {
        Section::Discrepancies
    }

    fn open(&self) -> i64 {
        i64::try_from(self.rows.iter().filter(|row| row.settled.is_none()).count()).unwrap_or(i64::MAX)
    }

    fn sample_data() -> Vec<(&'static str, Self)> {
        let open = DiscrepancyRow {
            id: "dsc_01".into(),
            kind: "amount".into(),
            payment_id: Some("bk3lh5xnsj25e22mn7zo2mgqh".into()),
            provider: "KOMOJU".into(),
            ours: "¥5,940".into(),
            theirs: "¥5,490".into(),
            found_at: sample_time("2026-11-21T03:00:00Z"),
            settled: None,
        };
        let settled = DiscrepancyRow {
            id: "dsc_00".into(),
            kind: "late_money".into(),
            ours: "期限切れ".into(),
            theirs: "入金 ¥2,170".into(),
            found_at: sample_time("2026-11-19T03:00:00Z"),
            settled: Some((
                sample_time("2026-11-19T04:10:00Z"),
                "お客様に連絡し、発送することにしました。".into(),
            )),
            ..open.clone()
        };
        let page = Self {
            shell: Shell::sample("/shop/discrepancies"),
            rows: vec![open, settled],
            notice: None,
        };
        let none = Self {
            rows: Vec::new(),
            ..page.clone()
        };
        vec![("some", page), ("none", none)]
    }
}

crate::page!(Discrepancies, DiscrepanciesView, "office/discrepancies.html");
