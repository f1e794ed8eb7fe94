//! How often something happened lately: a sliding window of 24 equal parts, over the wall clock. It never extrapolates.

use super::Timestamp;

/// Parts of a window; what is older than all of them is forgotten a part at a time.
const PARTS: usize = 24;

/// Counts over 24 parts of `PART_MS` milliseconds each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window<const PART_MS: i64> {
    /// The newest first.
    parts: [u64; PARTS],
    /// Which part of time the newest one is.
    newest: i64,
}

/// The last hour, to within 150 s.
pub type Hour = Window<150_000>;
/// The last day, to within an hour.
pub type Day = Window<3_600_000>;

impl<const PART_MS: i64> Window<PART_MS> {
    /// Counts `by` at this time. A clock that was set back goes on in the newest part.
    pub fn add(&mut self, at: Timestamp, by: u64) {
        let part = at.ms().div_euclid(PART_MS);
        let passed = usize::try_from(part.saturating_sub(self.newest)).unwrap_or(0).min(PARTS);
        self.parts.rotate_right(passed % PARTS);
        self.parts.iter_mut().take(passed).for_each(|count| *count = 0);
        self.newest = part;
        if let Some(count) = self.parts.first_mut() {
            *count = count.saturating_add(by);
        }
    }

    /// What was counted in the window that ends now.
    #[must_use]
    pub fn sum(&self, now: Timestamp) -> u64 {
        let passed = now.ms().div_euclid(PART_MS).saturating_sub(self.newest);
        let left = PARTS.saturating_sub(usize::try_from(passed).unwrap_or(0));
        self.parts.iter().take(left).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_800_000_000_000;

    fn at(minutes: i64) -> Timestamp {
        Timestamp(START + minutes * 60_000)
    }

    #[test]
    fn what_is_older_than_an_hour_is_forgotten_also_while_nothing_happens() {
        let mut hour = Hour::default();
        for minute in 0..180 {
            hour.add(at(minute), 2);
            let full = 2 * u64::try_from(minute + 1).unwrap().min(60);
            assert!(
                (full.saturating_sub(6)..=full).contains(&hour.sum(at(minute))),
                "{minute}: {}",
                hour.sum(at(minute))
            );
        }
        assert!(hour.sum(at(210)) <= 62);
        assert_eq!(hour.sum(at(241)), 0);
        hour.add(at(1_000), 1);
        assert_eq!(hour.sum(at(1_000)), 1);
    }

    #[test]
    fn a_clock_that_is_set_back_or_far_ahead_neither_loses_nor_invents() {
        let mut day = Day::default();
        day.add(at(0), 3);
        day.add(at(-1_440), 1);
        assert_eq!(day.sum(at(-1_440)), 4);
        day.add(at(100_000), 1);
        assert_eq!((day.sum(at(100_000)), day.sum(at(0))), (1, 1));
    }
}
