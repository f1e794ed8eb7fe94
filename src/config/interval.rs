//! Lengths of time as people write them: `45s`, `5m`, `1h30m`, `250ms`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time between 10 ms and 30 days, or exactly 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval(Duration);

const LEAST: Duration = Duration::from_millis(10);
const MOST: Duration = Duration::from_secs(30 * 86_400);

impl Interval {
    /// As the standard library has it.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a length of time: write for example \"45s\", \"5m\" or \"1h30m\"");
        let mut total = Duration::ZERO;
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let (number, tail) = rest.split_at(digits);
            let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit);
            let number: u64 = number.parse().map_err(|_| wrong())?;
            let ms: u64 = match unit.trim() {
                "ms" => 1,
                "s" => 1_000,
                "m" | "min" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(wrong()),
            };
            total = total.saturating_add(Duration::from_millis(number.saturating_mul(ms)));
            rest = tail;
        }
        if !total.is_zero() && !(LEAST..=MOST).contains(&total) {
            return Err(format!("{text:?} is out of range: 10ms to 30d"));
        }
        Ok(Self(total))
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        match units.iter().find(|(size, _)| ms > 0 && ms.is_multiple_of(*size)) {
            Some((size, unit)) => write!(f, "{}{unit}", ms / size),
            None => write!(f, "{ms}ms"),
        }
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Interval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Interval;

    #[test]
    fn lengths_of_time_read_as_people_write_them() {
        for (text, ms) in [("45s", 45_000), ("5m", 300_000), ("1h30m", 5_400_000), ("250ms", 250), ("0s", 0)] {
            let interval: Interval = text.parse().unwrap();
            assert_eq!(interval.duration().as_millis(), ms, "{text}");
            assert_eq!(interval.to_string().parse::<Interval>().unwrap(), interval);
        }
    }

    #[test]
    fn a_number_without_a_unit_and_nonsense_are_refused() {
        for text in ["", "45", "s", "-5s", "5 fortnights", "1ms", "31d", "99999999999999999999s", "5s5", "５s"] {
            assert!(text.parse::<Interval>().is_err(), "{text}");
        }
    }
}
