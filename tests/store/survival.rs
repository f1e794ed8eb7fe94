//! What of a file is there after a power cut: all that was synced, and of the rest any part, torn at sectors.

/// A disk writes so many bytes at once or not at all.
const SECTOR: usize = 512;

/// A file as the disk has it: what is sure, and what may be lost.
#[derive(Default)]
pub struct Shadow {
    synced: Vec<u8>,
    since: Vec<Change>,
}

enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl Shadow {
    /// A file that is on disk as it is.
    pub fn of(content: Vec<u8>) -> Self {
        Self { synced: content, since: Vec::new() }
    }

    pub fn write(&mut self, at: usize, content: &[u8]) {
        self.since.push(Change::Write(at, content.to_vec()));
    }

    pub fn truncate(&mut self, length: usize) {
        self.since.push(Change::Truncate(length));
    }

    /// Everything so far is sure.
    pub fn sync(&mut self) {
        for change in std::mem::take(&mut self.since) {
            apply(&mut self.synced, &change, |_| true);
        }
    }

    /// What is left of it.
    pub fn survives(mut self, dice: &mut fastrand::Rng) -> Vec<u8> {
        for change in self.since {
            match dice.u8(..4) {
                0 => {}
                1 => apply(&mut self.synced, &change, |_| dice.bool()),
                _ => apply(&mut self.synced, &change, |_| true),
            }
        }
        self.synced
    }
}

/// Carries a change out, but for the sectors that `reaches` refuses.
fn apply(file: &mut Vec<u8>, change: &Change, mut reaches: impl FnMut(usize) -> bool) {
    match change {
        Change::Truncate(length) => {
            if reaches(0) {
                file.resize(*length, 0);
            }
        }
        Change::Write(at, content) => {
            let end = at + content.len();
            let mut from = *at;
            while from < end {
                let to = ((from / SECTOR + 1) * SECTOR).min(end);
                if reaches(from) {
                    file.resize(file.len().max(to), 0);
                    file[from..to].copy_from_slice(&content[from - at..to - at]);
                }
                from = to;
            }
        }
    }
}

#[test]
fn what_was_synced_survives_and_the_rest_in_parts() {
    let mut whole = 0;
    for seed in 0..200 {
        let mut file = Shadow::of(vec![1; 2_048]);
        file.write(0, &[2; 1_024]);
        file.sync();
        file.write(1_000, &[3; 600]);
        let left = file.survives(&mut fastrand::Rng::with_seed(seed));
        assert!(left[..1_000].iter().all(|byte| *byte == 2) && left[1_600..].iter().all(|byte| *byte == 1));
        whole += usize::from(left[1_000..1_600].iter().all(|byte| *byte == 3));
    }
    assert!((20..180).contains(&whole), "{whole} of 200 whole");
}
