//! `[retention]` and `[account.NAME.retention]`: how much history is kept. Without either every message is kept.

use serde::{Deserialize, Deserializer};
use std::str::FromStr;
use std::time::Duration;

/// How much of an account's history is kept. What is not said is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Messages older than this go, such as `"90d"`, `"12w"` or `"2y"`.
    pub age: Option<Age>,
    /// Only the newest so many stay.
    pub count: Option<Count>,
    /// Only the newest stay that fit into so much, such as `"500MB"` or `"2GiB"`.
    pub size: Option<Size>,
}

/// Days to a hundred years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age(Duration);

/// A number of messages, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct Count(u64);

/// A size of at least 1 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(u64);

impl Age {
    /// As the standard library has it.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl Count {
    /// How many.
    #[must_use]
    pub const fn messages(self) -> u64 {
        self.0
    }
}

impl Size {
    /// In bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for Count {
    type Error = String;
    fn try_from(count: u64) -> Result<Self, String> {
        if count == 0 { Err("count must be at least 1".into()) } else { Ok(Self(count)) }
    }
}

/// A number and its unit.
fn parts(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim()))
}

impl FromStr for Age {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not an age: write for example \"90d\", \"12w\" or \"2y\"");
        let (number, unit) = parts(text).ok_or_else(wrong)?;
        let days = match unit {
            "d" => 1,
            "w" => 7,
            "y" => 365,
            _ => return Err(wrong()),
        };
        match number.saturating_mul(days) {
            days @ 1..=36_500 => Ok(Self(Duration::from_secs(days * 86_400))),
            _ => Err(format!("{text:?} is out of range: 1d to 100y")),
        }
    }
}

impl FromStr for Size {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a size: write for example \"500MB\" or \"2GiB\"");
        let (number, unit) = parts(text).ok_or_else(wrong)?;
        let bytes: u64 = match unit {
            "MB" => 1_000_000,
            "MiB" => 1 << 20,
            "GB" => 1_000_000_000,
            "GiB" => 1 << 30,
            _ => return Err(wrong()),
        };
        match number.saturating_mul(bytes) {
            bytes if bytes >= 1 << 20 => Ok(Self(bytes)),
            _ => Err(format!("{text:?} is too little: at least 1MiB")),
        }
    }
}

impl<'de> Deserialize<'de> for Age {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;

    #[test]
    fn limits_read_as_people_write_them_and_an_accounts_own_replace_the_general_ones() {
        let text = "[retention]\nage = \"2y\"\n[account.a]\nprotocol = \"hub\"\nurl = \"ws://h/\"\n\
            [account.a.retention]\ncount = 1000\nsize = \"2GiB\"\n[account.b]\nprotocol = \"hub\"\nurl = \"ws://h/\"\n";
        let config = Config::parse(text, Path::new("c")).unwrap();
        let of = |name: &str| config.retention(&name.parse().unwrap()).clone();
        assert_eq!(of("b").age.unwrap().duration().as_secs(), 730 * 86_400);
        let own = of("a");
        assert_eq!((own.age, own.count.unwrap().messages(), own.size.unwrap().bytes()), (None, 1_000, 2 << 30));
        assert_eq!(Config::default().retention(&"x".parse().unwrap()), &Retention::default(), "everything is kept");
    }

    #[test]
    fn a_limit_that_would_throw_everything_away_is_refused() {
        for line in
            ["age = \"0d\"", "age = \"5\"", "age = \"3h\"", "count = 0", "size = \"10KB\"", "size = 5", "more = 1"]
        {
            let error = Config::parse(&format!("[retention]\n{line}\n"), Path::new("c"));
            assert!(error.is_err(), "{line}");
        }
    }
}
