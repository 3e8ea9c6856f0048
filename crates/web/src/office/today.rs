//! 今日: what needs a person, above what happened.
use super::list::sample_rows;
use super::{PaymentRow, Section, Shell};
use crate::{Locale, format, sample_time};
use jiff::Timestamp;

/// Why a person is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// Two books disagree.
    Discrepancy,
    /// An outcome has been unknown for long.
    Unknown,
    /// Notifications were given up.
    DeadDeliveries,
    /// Authorizations to capture before they lapse.
    ToCapture,
    /// Slips about to pass their deadline.
    SlipsEnding,
    /// Refund requests of cash methods.
    RefundRequests,
}

impl TaskKind {
    const fn slug(self) -> &'static str {
        match self {
            Self::Discrepancy => "discrepancy",
            Self::Unknown => "unknown",
            Self::DeadDeliveries => "dead-deliveries",
            Self::ToCapture => "to-capture",
            Self::SlipsEnding => "slips-ending",
            Self::RefundRequests => "refund-requests",
        }
    }

    const fn tone(self) -> &'static str {
        match self {
            Self::Discrepancy | Self::DeadDeliveries => "bad",
            Self::Unknown | Self::ToCapture | Self::SlipsEnding | Self::RefundRequests => "wait",
        }
    }
}

/// Something for a person to do.
#[derive(Debug, Clone)]
pub struct Task {
    /// Why.
    pub kind: TaskKind,
    /// How many.
    pub count: i64,
    /// The yen in question, if that says something.
    pub amount: Option<i64>,
    /// The oldest of them.
    pub oldest_at: Option<Timestamp>,
    /// Where it is settled.
    pub href: String,
}

impl Task {
    fn title(&self, l: Locale) -> String {
        l.count(&format!("task-{}", self.kind.slug()), self.count)
    }

    fn button(&self, l: Locale) -> String {
        l.t(&format!("task-{}-act", self.kind.slug()))
    }

    fn tone(&self) -> &'static str {
        self.kind.tone()
    }

    fn amount_text(&self) -> Option<String> {
        self.amount.map(format::yen)
    }
}

/// One number of the day, and the same of the day before.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figure {
    /// How many payments.
    pub count: i64,
    /// How many yen.
    pub amount: i64,
}

/// What one day took.
#[derive(Debug, Clone, Copy)]
pub struct DayTotal {
    /// Any instant of the day.
    pub day: Timestamp,
    /// How many payments.
    pub count: i64,
    /// How many yen.
    pub amount: i64,
}

/// `GET /shop`.
#[derive(Debug, Clone)]
pub struct Today {
    /// Around it.
    pub shell: Shell,
    /// The gravest first.
    pub tasks: Vec<Task>,
    /// Captured today.
    pub captured: Figure,
    /// Awaiting the shopper's money.
    pub waiting: Figure,
    /// Refunded today.
    pub refunded: Figure,
    /// The last days, oldest first.
    pub days: Vec<DayTotal>,
    /// The newest payments.
    pub recent: Vec<PaymentRow>,
}

/// A bar of the chart, in the units of its view box.
struct Bar {
    x: i64,
    y: i64,
    height: i64,
    middle: i64,
    label: String,
    /// Every other day is labelled, so that labels never touch.
    labelled: bool,
    title: String,
    amount: String,
    count: i64,
    today: bool,
}

impl Today {
    fn section(&self) -> Section {
        Section::Today
    }

    fn title(&self, l: Locale) -> String {
        format::day(self.shell.now, l)
    }

    fn day_count(&self) -> i64 {
        i64::try_from(self.days.len()).unwrap_or(i64::MAX)
    }

    /// Key of the label, amount, count, tone.
    fn figures(&self) -> [(&'static str, String, i64, &'static str); 3] {
        [
            (
                "figure-captured",
                format::yen(self.captured.amount),
                self.captured.count,
                "good",
            ),
            (
                "figure-waiting",
                format::yen(self.waiting.amount),
                self.waiting.count,
                "wait",
            ),
            (
                "figure-refunded",
                format::yen(self.refunded.amount),
                self.refunded.count,
                "quiet",
            ),
        ]
    }

    /// The chart's top: the smallest of 1, 2 or 5 times a power of ten that holds the highest day.
    fn top(&self) -> i64 {
        let highest = self
            .days
            .iter()
            .map(|day| day.amount)
            .max()
            .unwrap_or(0)
            .max(1000);
        let mut power = 1;
        loop {
            for step in [1, 2, 5] {
                if power * step >= highest {
                    return power * step;
                }
            }
            power *= 10;
        }
    }

    /// Height on the chart and text of the lines across it.
    fn grid(&self, l: Locale) -> [(i64, String); 3] {
        let top = self.top();
        [(20, top), (90, top / 2), (160, 0)].map(|(y, amount)| (y, format::yen_short(amount, l)))
    }

    fn bars(&self, l: Locale) -> Vec<Bar> {
        let top = self.top();
        let count = i64::try_from(self.days.len().max(1)).unwrap_or(i64::MAX);
        let slot = 560 / count;
        let bar = |(i, day): (usize, &DayTotal)| {
            let i = i64::try_from(i).unwrap_or(0);
            let height = (day.amount.max(0) * 140 / top).max(i64::from(day.amount > 0));
            let label = format::month_day(day.day);
            let amount = format::yen(day.amount);
            Bar {
                x: 70 + i * slot + slot / 6,
                y: 160 - height,
                height,
                middle: 70 + i * slot + slot / 2,
                title: format!("{label} {amount} {}", l.count("payments-count", day.count)),
                label,
                labelled: (count - 1 - i) % 2 == 0,
                amount,
                count: day.count,
                today: i == count - 1,
            }
        };
        self.days.iter().enumerate().map(bar).collect()
    }

    fn bar_width(&self) -> i64 {
        let slot = 560 / i64::try_from(self.days.len().max(1)).unwrap_or(1);
        (slot * 2 / 3).max(2)
    }

    fn sample_data() -> Vec<(&'static str, Self)> {
        let amounts = [
            48_200, 61_980, 39_740, 72_300, 55_000, 91_420, 103_800, 44_110, 58_900, 0, 67_320, 80_040,
            121_980, 65_870,
        ];
        let first = sample_time("2026-11-08T03:00:00Z").as_second();
        let days = amounts.iter().enumerate().map(|(i, amount)| DayTotal {
            day: Timestamp::from_second(first + i64::try_from(i).unwrap_or(0) * 86_400).unwrap_or_default(),
            count: amount / 3900,
            amount: *amount,
        });
        let task = |kind, count, amount, oldest: &str, href: &str| Task {
            kind,
            count,
            amount,
            oldest_at: Some(sample_time(oldest)),
            href: href.into(),
        };
        let busy = Self {
            shell: Shell::sample("/shop"),
            tasks: vec![
                task(
                    TaskKind::Discrepancy,
                    1,
                    Some(450),
                    "2026-11-21T03:00:00Z",
                    "/shop/discrepancies",
                ),
                task(
                    TaskKind::DeadDeliveries,
                    2,
                    None,
                    "2026-11-18T15:00:02Z",
                    "/shop/deliveries?state=dead",
                ),
                task(
                    TaskKind::Unknown,
                    1,
                    Some(12_800),
                    "2026-11-21T04:31:05Z",
                    "/shop/payments?state=confirming",
                ),
                task(
                    TaskKind::ToCapture,
                    3,
                    Some(23_880),
                    "2026-11-19T02:15:00Z",
                    "/shop/payments?state=authorized",
                ),
                task(
                    TaskKind::SlipsEnding,
                    2,
                    Some(6340),
                    "2026-11-18T02:15:00Z",
                    "/shop/payments?state=awaiting_payment",
                ),
                task(
                    TaskKind::RefundRequests,
                    1,
                    Some(1980),
                    "2026-11-20T02:15:00Z",
                    "/shop/payments",
                ),
            ],
            captured: Figure {
                count: 17,
                amount: 65_870,
            },
            waiting: Figure {
                count: 6,
                amount: 21_480,
            },
            refunded: Figure {
                count: 1,
                amount: 1980,
            },
            days: days.collect(),
            recent: sample_rows().into_iter().take(5).collect(),
        };
        let calm = Self {
            tasks: Vec::new(),
            captured: Figure::default(),
            waiting: Figure::default(),
            refunded: Figure::default(),
            days: Vec::new(),
            recent: Vec::new(),
            shell: Shell {
                open_tasks: 0,
                dead_deliveries: 0,
                open_discrepancies: 0,
                ..Shell::sample("/shop")
            },
        };
        vec![("busy", busy), ("first-day", calm)]
    }
}

crate::page!(Today, TodayView, "office/today.html");
