//! What the rounds of the upkeep have seen of the wall clock: by one reading alone nothing is thrown away for good.

use crate::model::Timestamp;

/// So far the clock may have gone on since the round before, milliseconds: three rounds.
const BELIEVED: i64 = 3 * 3_600_000;
/// A clock that was ahead, and by its own count is so for this long, stays: a round, with room for its being set, ms.
const STAYED: i64 = 3_000_000;

/// The clock as noted by the rounds before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rounds {
    /// The last reading that was believed.
    sure: i64,
    /// A later one that was further ahead than can be, if the machine was not off meanwhile.
    ahead: Option<i64>,
}

impl Rounds {
    /// The first round of all.
    pub(super) fn begin(now: Timestamp) -> Self {
        Self { sure: now.ms(), ahead: None }
    }

    /// As [`note`](Self::note) wrote it.
    pub(super) fn read(note: &str) -> Option<Self> {
        let (sure, ahead) = note.split_once(' ').map_or((note, None), |(sure, ahead)| (sure, Some(ahead)));
        let ahead = ahead.map(str::parse).transpose().ok()?;
        Some(Self { sure: sure.parse().ok()?, ahead })
    }

    /// As text that the next round reads, in this process or the next.
    pub(super) fn note(&self) -> String {
        self.ahead.map_or_else(|| self.sure.to_string(), |ahead| format!("{} {ahead}", self.sure))
    }

    /// The time by which this round may go. One that is far ahead counts from the next round on, if it stays: a clock
    /// that was wrong is set right by then, and after a time off everything goes one round later.
    pub(super) fn believe(&mut self, now: Timestamp) -> Timestamp {
        let now = now.ms();
        if let Some(ahead) = self.ahead
            && now >= ahead.saturating_add(STAYED)
        {
            *self = Self { sure: ahead, ahead: None };
        }
        let most = self.sure.saturating_add(BELIEVED);
        if now <= most {
            *self = Self { sure: now, ahead: None };
            return Timestamp(now);
        }
        // A clock that was set between two readings is not the one that was ahead before.
        self.ahead = self.ahead.filter(|ahead| *ahead <= now).or(Some(now));
        Timestamp(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const YEAR: i64 = 365 * 24 * HOUR;

    /// What is believed of these readings, each in a process of its own.
    fn believed(readings: &[i64]) -> Vec<i64> {
        let mut rounds = Rounds::begin(Timestamp(0));
        let believe = |now: &i64| {
            let now = rounds.believe(Timestamp(*now)).ms();
            rounds = Rounds::read(&rounds.note()).unwrap();
            now
        };
        readings.iter().map(believe).collect()
    }

    #[test]
    fn a_clock_that_is_ahead_for_one_round_is_not_believed_and_one_that_stays_is() {
        assert_eq!(believed(&[HOUR, 2 * HOUR + 5, 5 * HOUR]), [HOUR, 2 * HOUR + 5, 5 * HOUR]);
        assert_eq!(believed(&[YEAR, HOUR, 2 * HOUR]), [3 * HOUR, HOUR, 2 * HOUR]);
        assert_eq!(believed(&[YEAR, YEAR + 60_000, YEAR + HOUR]), [3 * HOUR, 3 * HOUR, YEAR + HOUR]);
        assert_eq!(believed(&[2 * YEAR, YEAR, YEAR + HOUR]), [3 * HOUR, 3 * HOUR, YEAR + HOUR]);
        assert_eq!(believed(&[-YEAR, 2 * HOUR, 3 * HOUR]), [-YEAR, 3 * HOUR - YEAR, 3 * HOUR], "one that was behind");
    }

    #[test]
    fn a_machine_that_is_on_for_minutes_a_day_lags_by_a_day() {
        let day = 24 * HOUR;
        assert_eq!(believed(&[day, 2 * day, 3 * day]), [3 * HOUR, day + 3 * HOUR, 2 * day + 3 * HOUR]);
    }

    #[test]
    fn a_note_that_does_not_read_is_none() {
        assert_eq!((Rounds::read(""), Rounds::read("1 x"), Rounds::read("x")), (None, None, None));
    }
}
