//! Times as people type them: `2026-11-24T18:00Z`, `2026-11-24 18:00`, `yesterday 18:00`, `18:00`, `3 hours ago`, `2d`.

use crate::model::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan as _, ZonedDateTime};

/// A time as it was typed; what it means is settled when the command runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct When(String);

impl std::str::FromStr for When {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let now = ZonedDateTime::new(jiff::Timestamp::UNIX_EPOCH, TimeZone::UTC);
        read(text, &now).map(|_| Self(text.into()))
    }
}

impl When {
    /// The time meant, seen from now.
    ///
    /// # Errors
    /// When it does not exist in the local time zone.
    pub(super) fn at(&self, now: Timestamp) -> anyhow::Result<Timestamp> {
        let now = jiff::Timestamp::from_millisecond(now.ms())?.to_zoned_datetime(TimeZone::system());
        read(&self.0, &now).map_err(anyhow::Error::msg)
    }
}

fn read(text: &str, now: &ZonedDateTime) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp(time.as_millisecond()));
    }
    local(text, now)
        .and_then(|time| time.to_zoned_datetime(now.time_zone().clone()).ok())
        .or_else(|| ago(text).and_then(|span| now.checked_sub(span).ok()))
        .map(|time| Timestamp(time.timestamp().as_millisecond()))
        .ok_or_else(|| {
            format!(
                "{text:?} is not a time: try \"yesterday 18:00\", \"2026-11-24 18:00\", \"3 hours ago\" or RFC 3339"
            )
        })
}

/// A day, a time, or both.
fn local(text: &str, now: &ZonedDateTime) -> Option<DateTime> {
    let today = now.date();
    let day = |word: &str| match word {
        "today" => Some(today),
        "yesterday" => today.yesterday().ok(),
        _ if word.contains(':') => None,
        _ => word.parse::<Date>().ok(),
    };
    if text == "now" {
        return Some(now.datetime());
    }
    if let Some(date) = day(text) {
        return Some(date.to_datetime(Time::midnight()));
    }
    if let Some(time) = time(text) {
        return Some(today.to_datetime(time));
    }
    let (date, clock) = text.split_once([' ', 'T'])?;
    Some(day(date)?.to_datetime(time(clock.trim())?))
}

fn time(text: &str) -> Option<Time> {
    let mut parts = text.split(':');
    let (hour, minute) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let second = parts.next().map_or(Some(0), |second| second.parse().ok())?;
    if parts.next().is_some() { None } else { Time::new(hour, minute, second, 0).ok() }
}

/// `3 hours ago`, `2d`, `90 min`.
fn ago(text: &str) -> Option<Span> {
    let text = text.strip_suffix("ago").unwrap_or(text).trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at_checked(digits)?;
    let count: i64 = count.parse().ok()?;
    if count > 100_000 {
        return None;
    }
    Some(match unit.trim() {
        "s" | "second" | "seconds" => count.seconds(),
        "m" | "min" | "minute" | "minutes" => count.minutes(),
        "h" | "hour" | "hours" => count.hours(),
        "d" | "day" | "days" => count.days(),
        "w" | "week" | "weeks" => count.weeks(),
        "month" | "months" => count.months(),
        "y" | "year" | "years" => count.years(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> String {
        let now: ZonedDateTime = "2026-11-24T12:30:00[UTC]".parse().unwrap();
        read(text, &now).map_or_else(|error| error, |time| time.to_string())
    }

    #[test]
    fn people_say_times_in_many_ways() {
        assert_eq!(at("yesterday 18:00"), "2026-11-23T18:00:00.000Z");
        assert_eq!(at("today"), "2026-11-24T00:00:00.000Z");
        assert_eq!(at("09:15"), "2026-11-24T09:15:00.000Z");
        assert_eq!(at("2025-01-02 03:04:05"), "2025-01-02T03:04:05.000Z");
        assert_eq!(at("2025-01-02"), "2025-01-02T00:00:00.000Z");
        assert_eq!(at("3 hours ago"), "2026-11-24T09:30:00.000Z");
        assert_eq!(at("2d"), "2026-11-22T12:30:00.000Z");
        assert_eq!(at("2025-01-02T03:04:05+01:00"), "2025-01-02T02:04:05.000Z");
    }

    #[test]
    fn what_is_no_time_is_refused_with_examples() {
        for text in ["", "soon", "25:00", "yesterday noon", "999999999 years", "d"] {
            assert!(at(text).contains("is not a time"), "{text}: {}", at(text));
        }
    }
}
