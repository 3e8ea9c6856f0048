//! The shop's back office, `/shop/*`: what a clerk uses all day.
//!
//! Acts that move money post twice to the same path: the first answers with [`ConfirmAct`], whose button posts again
//! with `confirmed=yes`.
mod act;
mod deliveries;
mod detail;
mod discrepancies;
mod list;
mod login;
mod timeline;
mod today;

pub use act::{Act, ConfirmAct};
pub use deliveries::{Deliveries, DeliveryCounts, DeliveryFilter, DeliveryRow};
pub use detail::{Acts, Customer, MoneyBox, PaymentDetail, Reference};
pub use discrepancies::{Discrepancies, DiscrepancyRow, RunRow, RunState, Settlement};
pub use list::{Pager, PaymentFilter, PaymentList, PaymentRow};
pub use login::Login;
pub use timeline::{Exchange, Happening, Moment, Who};
pub use today::{DayTotal, Figure, Task, TaskKind, Today};

use crate::Locale;
use crate::parts::with_query;
use jiff::Timestamp;

/// The sections that exist, in the order of the rail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// 今日
    Today,
    /// 決済
    Payments,
    /// 通知(Webhook)
    Deliveries,
    /// 不整合
    Discrepancies,
    /// 開発者
    Developer,
}

impl Section {
    const ALL: [Self; 5] = [
        Self::Today,
        Self::Payments,
        Self::Deliveries,
        Self::Discrepancies,
        Self::Developer,
    ];

    const fn key(self) -> &'static str {
        match self {
            Self::Today => "nav-today",
            Self::Payments => "nav-payments",
            Self::Deliveries => "nav-deliveries",
            Self::Discrepancies => "nav-discrepancies",
            Self::Developer => "nav-developer",
        }
    }

    const fn href(self) -> &'static str {
        match self {
            Self::Today => "/shop",
            Self::Payments => "/shop/payments",
            Self::Deliveries => "/shop/deliveries",
            Self::Discrepancies => "/shop/discrepancies",
            Self::Developer => "/docs",
        }
    }
}

/// What every back office page has around it.
#[derive(Debug, Clone)]
pub struct Shell {
    /// The shop.
    pub shop_name: String,
    /// Who is signed in.
    pub user: String,
    /// Whether real money moves.
    pub live: bool,
    /// Now.
    pub now: Timestamp,
    /// Path and query of this page.
    pub here: String,
    /// Posted back by every form.
    pub csrf: String,
    /// How many things need a person today.
    pub open_tasks: i64,
    /// How many notifications were given up.
    pub dead_deliveries: i64,
    /// How many discrepancies are open.
    pub open_discrepancies: i64,
}

struct NavItem {
    label: String,
    href: &'static str,
    current: bool,
    badge: i64,
}

impl Shell {
    fn nav(&self, current: Section, l: Locale) -> Vec<NavItem> {
        let item = |section: Section| NavItem {
            label: l.t(section.key()),
            href: section.href(),
            current: section == current,
            badge: match section {
                Section::Today => self.open_tasks,
                Section::Deliveries => self.dead_deliveries,
                Section::Discrepancies => self.open_discrepancies,
                Section::Payments | Section::Developer => 0,
            },
        };
        Section::ALL.map(item).into()
    }

    fn in_locale(&self, locale: Locale) -> String {
        with_query(&self.here, "locale", locale.tag())
    }

    pub(crate) fn sample(here: &str) -> Self {
        Self {
            shop_name: "喫茶 みずいろ".into(),
            user: "佐藤 美咲".into(),
            live: false,
            now: crate::sample_now(),
            here: here.into(),
            csrf: "csrf-sample".into(),
            open_tasks: 4,
            dead_deliveries: 2,
            open_discrepancies: 1,
        }
    }
}
