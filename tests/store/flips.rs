//! A byte of the database file changes by itself: whatever is then answered is right, and everything else is refused as
//! damaged. Nothing crashes.

use crate::faults::{block, folder};
use crate::support::number;
use crate::workload::{Running, Step, open, steps};
use wakeful::model::ConversationId;
use wakeful::store::StoreError;
use wakeful::world::Entropy;

/// A sound file and everything that it answers.
struct Sound {
    bytes: Vec<u8>,
    conversations: Vec<ConversationId>,
    answers: Vec<Result<String, StoreError>>,
}

async fn sound() -> Sound {
    let (dir, entropy) = (folder(), Entropy::seeded(7));
    let mut running = open(dir.path(), true, &entropy).await.unwrap();
    for step in steps(2) {
        running.step(step).await.unwrap();
    }
    running.store.close().await;
    running = open(dir.path(), true, &entropy).await.unwrap();
    let conversations = running.conversations().await;
    let answers = running.answers(&conversations).await;
    assert!(answers.iter().filter(|answer| answer.is_ok()).count() > 25, "{answers:?}");
    running.store.close().await;
    let log = std::fs::metadata(dir.path().join("wakeful.db-wal")).map_or(0, |log| log.len());
    assert_eq!(log, 0, "everything is in the file");
    Sound { bytes: std::fs::read(dir.path().join("wakeful.db")).unwrap(), conversations, answers }
}

#[derive(Default)]
struct Sums {
    unopened: u64,
    answered: u64,
    refused: u64,
    silent: u64,
}

impl Sums {
    /// Compares what is answered with what is right.
    async fn judge(&mut self, running: &Running, sound: &Sound, what: &str) {
        for (given, right) in running.answers(&sound.conversations).await.into_iter().zip(&sound.answers) {
            match (given, right) {
                (Ok(given), Ok(right)) if given == *right => self.answered += 1,
                (Err(StoreError::NotFound { .. }), Err(StoreError::NotFound { .. })) => self.answered += 1,
                (Err(StoreError::Corrupt { .. }), _) => self.refused += 1,
                (given, right) => {
                    eprintln!("{what}: {given:?}\ninstead of {right:?}");
                    self.silent += 1;
                }
            }
        }
    }
}

#[test]
fn a_byte_that_changes_by_itself_is_refused_as_damage_and_never_answered() {
    let (flips, seed) = (number("WAKEFUL_FLIPS", 100), number("WAKEFUL_SEED", 1));
    block(async {
        let sound = sound().await;
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut sums = Sums::default();
        for n in 0..flips {
            let (dir, mut bytes) = (folder(), sound.bytes.clone());
            let (at, by) = (dice.usize(..bytes.len()), dice.u8(1..));
            bytes[at] ^= by;
            std::fs::write(dir.path().join("wakeful.db"), bytes).unwrap();
            let what = format!("byte {at} ^ {by:#04x}, seed {seed}");
            match open(dir.path(), false, &Entropy::seeded(n)).await {
                Err(StoreError::Corrupt { .. }) => sums.unopened += 1,
                Err(error) => panic!("{what}: {error:?}"),
                Ok(running) => {
                    sums.judge(&running, &sound, &what).await;
                    // What the server repeats is still recognised, or refused.
                    if n % 8 == 0 && running.step(Step::Batch(16)).await.is_ok() {
                        sums.judge(&running, &sound, &what).await;
                    }
                    running.store.close().await;
                }
            }
        }
        let Sums { unopened, answered, refused, silent } = sums;
        eprintln!("flips={flips} unopened={unopened} answered={answered} refused={refused} silent={silent}");
        assert!(unopened + refused > 0, "nothing was refused: these flips show nothing");
        assert_eq!(silent, 0, "wrong answers without a word, seed {seed}");
    });
}
