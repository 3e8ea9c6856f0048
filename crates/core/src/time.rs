//! Time and chance are parameters: whoever runs the hub passes them in.
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// Tells the time. The binary owns the real one; tests and the simulator own theirs.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// Rolls the dice. One root seed forks a stream per purpose in tests; the binary uses the operating system's.
pub trait Entropy: Send + Sync {
    /// Fills `into` with bytes nobody can predict.
    fn fill(&self, into: &mut [u8]);
}

/// A calendar day in Asia/Tokyo, the day that slips, deadlines and reports are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BusinessDate(Date);

/// Japan's time zone. It has had no daylight saving since 1951.
pub fn tokyo() -> TimeZone {
    TimeZone::fixed(jiff::tz::offset(9))
}

impl BusinessDate {
    /// The Japanese day in which `at` falls.
    pub fn of(at: Timestamp) -> Self {
        Self(at.to_zoned(tokyo()).date())
    }

    /// The day `days` later (earlier when negative); saturates at the calendar's ends.
    pub fn plus_days(self, days: i32) -> Self {
        Self(self.0.saturating_add(days.days()))
    }

    /// The last second of the day, 23:59:59 in Japan, which is 14:59:59 UTC.
    ///
    /// Source: docs/providers/komoju.md, "Deadlines" (recorded `payment_deadline` values end in `T14:59:59Z`).
    pub fn end(self) -> Timestamp {
        self.0
            .to_datetime(Time::constant(23, 59, 59, 0))
            .to_zoned(tokyo())
            .map_or(Timestamp::MAX, |zoned| zoned.timestamp())
    }

    /// The civil date, for formatting.
    pub fn date(self) -> Date {
        self.0
    }
}

/// The moment a slip made at `made_at` lapses: the end of the Japanese day `days` later.
pub fn deadline(made_at: Timestamp, days: u16) -> Timestamp {
    BusinessDate::of(made_at).plus_days(i32::from(days)).end()
}

/// `2023-08-08T09:56:16Z`: how payments, customers and events show an instant (UTC, no fraction).
pub fn wire_utc(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `2023-08-22T13:05:50.000+09:00`: how sessions show an instant (Japan, milliseconds).
pub fn wire_tokyo_millis(at: Timestamp) -> String {
    at.to_zoned(tokyo())
        .strftime("%Y-%m-%dT%H:%M:%S%.3f%:z")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn a_three_day_slip_lapses_at_the_end_of_the_third_japanese_day() {
        assert_eq!(
            deadline(at("2018-10-15T03:13:55Z"), 3),
            at("2018-10-18T14:59:59Z")
        );
    }

    #[test]
    fn a_slip_made_after_midnight_in_japan_counts_from_the_new_day() {
        assert_eq!(
            deadline(at("2018-10-15T15:00:00Z"), 0),
            at("2018-10-16T14:59:59Z")
        );
        assert_eq!(
            deadline(at("2018-10-15T14:59:59Z"), 0),
            at("2018-10-15T14:59:59Z")
        );
    }

    #[test]
    fn sessions_and_payments_write_instants_each_in_its_own_way() {
        let moment = at("2023-08-22T04:05:50.123456Z");
        assert_eq!(wire_utc(moment), "2023-08-22T04:05:50Z");
        assert_eq!(wire_tokyo_millis(moment), "2023-08-22T13:05:50.123+09:00");
    }
}
