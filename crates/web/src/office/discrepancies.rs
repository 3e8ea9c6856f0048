//! Where two books disagree and a person must see it, and how the books were last compared.
use super::{Section, Shell};
use crate::{Locale, Notice, sample_time};
use jiff::Timestamp;

/// One disagreement.
#[derive(Debug, Clone)]
pub struct DiscrepancyRow {
    /// Its number.
    pub id: String,
    /// As the engine names it: `late_capture`, `missing_refund`…
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
    /// When it was found again after it had been settled.
    pub again_at: Option<Timestamp>,
    /// How it was settled before: what was done, and who did it.
    pub earlier: Vec<String>,
    /// When and how it was settled.
    pub settled: Option<(Timestamp, Settlement)>,
}

/// How a disagreement ended.
#[derive(Debug, Clone)]
pub enum Settlement {
    /// A person said what was done.
    Said(String),
    /// Both books say the same again.
    Agreed,
}

impl Settlement {
    pub(super) fn text(&self, l: Locale) -> String {
        match self {
            Self::Said(note) => note.clone(),
            Self::Agreed => l.t("discrepancy-agreed"),
        }
    }
}

impl DiscrepancyRow {
    fn key(&self, l: Locale, end: &str) -> String {
        let key = format!("discrepancy-{}{end}", self.kind.replace('_', "-"));
        if l.has(&key) {
            l.t(&key)
        } else {
            l.t(&format!("discrepancy-other{end}"))
        }
    }

    pub(super) fn kind_text(&self, l: Locale) -> String {
        self.key(l, "")
    }

    pub(super) fn means(&self, l: Locale) -> String {
        self.key(l, "-means")
    }

    pub(super) fn to_do(&self, l: Locale) -> String {
        self.key(l, "-do")
    }
}

/// Where a comparison stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// It is under way.
    Running,
    /// It waits for the provider.
    Held,
    /// Nobody works on it any more.
    Left,
    /// All was compared.
    Done,
    /// Some could not be.
    Partial,
}

/// The last comparison with one provider.
#[derive(Debug, Clone)]
pub struct RunRow {
    /// Whose book.
    pub provider: String,
    /// Where it stands.
    pub state: RunState,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How many payments it has been through.
    pub seen: i64,
    /// How many there are.
    pub total: i64,
    /// How many were compared.
    pub compared: i64,
    /// How many of these agree.
    pub agreed: i64,
    /// How many of these were settled by it.
    pub settled: i64,
    /// How many new discrepancies it found.
    pub raised: i64,
    /// How many of these are in a discrepancy that was known.
    pub standing: i64,
    /// For how many it is too early to tell.
    pub waiting: i64,
    /// How many got no usable answer.
    pub unanswered: i64,
    /// What the provider answered instead.
    pub trouble: Option<String>,
}

impl RunRow {
    pub(super) fn is_on(&self) -> bool {
        matches!(self.state, RunState::Running | RunState::Held)
    }

    pub(super) fn state_text(&self, l: Locale) -> String {
        match self.state {
            RunState::Running => l.t2(
                "reconcile-running",
                "seen",
                crate::format::grouped(self.seen),
                "total",
                crate::format::grouped(self.total),
            ),
            RunState::Held => l.t("reconcile-held"),
            RunState::Left => l.t("reconcile-left"),
            RunState::Done => l.t("reconcile-done"),
            RunState::Partial => l.t("reconcile-partial"),
        }
    }

    pub(super) fn tone(&self) -> &'static str {
        match self.state {
            RunState::Done => "good",
            RunState::Running | RunState::Held => "wait",
            RunState::Left | RunState::Partial => "bad",
        }
    }

    pub(super) fn figures(&self, l: Locale) -> Vec<(String, String)> {
        let mut figures = vec![
            (l.t("reconcile-compared"), self.compared),
            (l.t("reconcile-agreed"), self.agreed),
            (l.t("reconcile-settled"), self.settled),
            (l.t("reconcile-raised"), self.raised),
        ];
        let rest = [
            ("reconcile-standing", self.standing),
            ("reconcile-waiting", self.waiting),
            ("reconcile-unanswered", self.unanswered),
        ];
        figures.extend(
            rest.into_iter()
                .filter(|(_, n)| *n > 0)
                .map(|(key, n)| (l.t(key), n)),
        );
        figures
            .into_iter()
            .map(|(label, n)| (label, crate::format::grouped(n)))
            .collect()
    }
}

/// `GET /shop/discrepancies`, or with `?state=settled` those that are over. Forms post `csrf` and `note` to
/// `/shop/discrepancies/{id}/settle`, and `csrf` to `/shop/discrepancies/reconcile`.
#[derive(Debug, Clone)]
pub struct Discrepancies {
    /// Around it.
    pub shell: Shell,
    /// Whether those that are over are shown.
    pub settled: bool,
    /// Newest first.
    pub rows: Vec<DiscrepancyRow>,
    /// Whether there are more than are shown.
    pub more: bool,
    /// The last comparison with each provider.
    pub runs: Vec<RunRow>,
    /// What just happened.
    pub notice: Option<Notice>,
}

impl Discrepancies {
    fn section(&self) -> Section {
        Section::Discrepancies
    }

    fn open(&self) -> i64 {
        self.shell.open_discrepancies
    }

    fn shown(&self) -> i64 {
        i64::try_from(self.rows.len()).unwrap_or(i64::MAX)
    }

    fn is_running(&self) -> bool {
        self.runs.iter().any(RunRow::is_on)
    }

    fn sample_data() -> Vec<(&'static str, Self)> {
        let open = DiscrepancyRow {
            id: "dsc_01".into(),
            kind: "amount_mismatch".into(),
            payment_id: Some("bk3lh5xnsj25e22mn7zo2mgqh".into()),
            provider: "KOMOJU".into(),
            ours: "¥5,940".into(),
            theirs: "¥5,490".into(),
            found_at: sample_time("2026-11-21T03:00:00Z"),
            again_at: None,
            earlier: vec![],
            settled: None,
        };
        let again = DiscrepancyRow {
            id: "dsc_02".into(),
            kind: "late_capture".into(),
            ours: "期限切れ".into(),
            theirs: "入金 ¥2,170".into(),
            again_at: Some(sample_time("2026-11-21T19:30:00Z")),
            earlier: vec!["お客様に連絡し、発送することにしました。 (佐藤 美咲)".into()],
            ..open.clone()
        };
        let settled = DiscrepancyRow {
            id: "dsc_00".into(),
            settled: Some((
                sample_time("2026-11-19T04:10:00Z"),
                Settlement::Said("決済会社で返金しました。 (佐藤 美咲)".into()),
            )),
            ..again.clone()
        };
        let agreed = DiscrepancyRow {
            id: "dsc_03".into(),
            kind: "missing_capture".into(),
            settled: Some((sample_time("2026-11-20T19:31:00Z"), Settlement::Agreed)),
            ..open.clone()
        };
        let strange = DiscrepancyRow {
            id: "dsc_04".into(),
            kind: "of_a_later_version".into(),
            payment_id: None,
            ..open.clone()
        };
        let run = RunRow {
            provider: "KOMOJU".into(),
            state: RunState::Done,
            started_at: sample_time("2026-11-20T19:30:00Z"),
            ended_at: Some(sample_time("2026-11-20T19:31:40Z")),
            seen: 1_284,
            total: 1_284,
            compared: 1_281,
            agreed: 1_277,
            settled: 2,
            raised: 1,
            standing: 1,
            waiting: 3,
            unanswered: 0,
            trouble: None,
        };
        let page = Self {
            shell: Shell::sample("/shop/discrepancies"),
            settled: false,
            rows: vec![again, open, strange],
            more: false,
            runs: vec![run.clone()],
            notice: None,
        };
        let state = |state, trouble: Option<&str>| RunRow {
            state,
            trouble: trouble.map(Into::into),
            seen: 412,
            ended_at: None,
            ..run.clone()
        };
        let running = Self {
            runs: vec![state(RunState::Running, None)],
            ..page.clone()
        };
        let troubled = Self {
            runs: vec![
                state(RunState::Held, Some("the provider did not answer: HTTP 503")),
                state(RunState::Left, None),
                RunRow {
                    unanswered: 8,
                    ..state(RunState::Partial, Some("HTTP 503"))
                },
            ],
            more: true,
            ..page.clone()
        };
        let over = Self {
            settled: true,
            rows: vec![settled, agreed],
            ..page.clone()
        };
        let none = Self {
            rows: Vec::new(),
            runs: Vec::new(),
            ..page.clone()
        };
        let none_over = Self {
            rows: Vec::new(),
            ..over.clone()
        };
        vec![
            ("some", page),
            ("running", running),
            ("troubled", troubled),
            ("settled", over),
            ("none", none),
            ("none-settled", none_over),
        ]
    }
}

crate::page!(Discrepancies, DiscrepanciesView, "office/discrepancies.html");
