//! Every single write, sync and truncation that SQLite makes for the store goes wrong once, in each of four ways:
//! whatever was acknowledged is there afterwards, whole, once, and the protocol's progress never disagrees with it.

use crate::disk::{Disk, Fault};
use crate::support::number;
use crate::workload::{Running, Step, content, mode, open, steps};
use std::path::Path;
use std::sync::Arc;
use wakeful::store::StoreError;
use wakeful::world::Entropy;

/// How often a step is tried again on a disk that works again.
const TRIES: usize = 3;

/// What the file holds after each step, without any fault; and how many operations all of it took.
struct Truth {
    steps: Vec<Step>,
    after: Vec<Vec<String>>,
    operations: u64,
}

/// A file, its disk, and how many steps were acknowledged on it.
struct Trial<'t> {
    dir: tempfile::TempDir,
    disk: Arc<Disk>,
    truth: &'t Truth,
    full_sync: bool,
    entropy: Entropy,
    acknowledged: usize,
}

/// On memory where there is some: a real sync would only cost time, the disk decides what counts as synced.
pub fn folder() -> tempfile::TempDir {
    let shm = Path::new("/dev/shm");
    if shm.is_dir() { tempfile::tempdir_in(shm).unwrap() } else { tempfile::tempdir().unwrap() }
}

pub fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn truth(rounds: u64) -> Truth {
    let (dir, steps, entropy) = (folder(), steps(rounds), Entropy::seeded(7));
    let disk = Disk::under(dir.path());
    let mut running = open(dir.path(), true, &entropy).await.unwrap();
    let mut after = vec![content(dir.path())];
    for step in &steps {
        running.step(*step).await.unwrap();
        if *step == Step::Restart {
            running.store.close().await;
            running = open(dir.path(), true, &entropy).await.unwrap();
        }
        after.push(content(dir.path()));
    }
    running.store.close().await;
    drop(running);
    let operations = disk.operations();
    disk.revive(&mut fastrand::Rng::with_seed(1));
    Truth { steps, after, operations }
}

/// What became of the acknowledged steps.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// All there; the step that was under way is there or not.
    Kept,
    /// As after an earlier step.
    Lost,
    /// As after no step.
    Wrong,
}

impl<'t> Trial<'t> {
    fn new(truth: &'t Truth, full_sync: bool) -> Self {
        let dir = folder();
        let disk = Disk::under(dir.path());
        Self { dir, disk, truth, full_sync, entropy: Entropy::seeded(7), acknowledged: 0 }
    }

    /// Goes on from the step that was acknowledged last, until the end or until the disk is dead.
    async fn go_on(&mut self) {
        let Some(mut running) = self.open().await else { return };
        while let Some(step) = self.truth.steps.get(self.acknowledged) {
            if *step == Step::Restart {
                running.store.close().await;
                drop(running);
                match self.open().await {
                    Some(open) => running = open,
                    None => return,
                }
            } else if !self.attempt(&running, *step).await {
                break;
            }
            self.acknowledged += 1;
        }
        running.store.close().await;
    }

    async fn open(&self) -> Option<Running> {
        for _ in 0..TRIES {
            match open(self.dir.path(), self.full_sync, &self.entropy).await {
                Ok(running) => {
                    assert_eq!(mode(self.dir.path()), "wal", "the log is switched on");
                    return Some(running);
                }
                Err(error) => assert!(may_be_tried_again(&error), "{error}"),
            }
            if self.disk.is_dead() {
                return None;
            }
        }
        panic!("the disk works again, but the store does not open");
    }

    async fn attempt(&self, running: &Running, step: Step) -> bool {
        for _ in 0..TRIES {
            match running.step(step).await {
                Ok(()) => return true,
                Err(error) => {
                    assert!(may_be_tried_again(&error), "{step:?} after operation {}: {error}", self.disk.operations());
                }
            }
            if self.disk.is_dead() {
                return false;
            }
        }
        panic!("{step:?}: the disk works again, but the step does not succeed");
    }

    /// The process is gone and the machine is back: what does the file say?
    async fn found(&mut self, dice: &mut fastrand::Rng) -> Found {
        self.disk.revive(dice);
        let running = open(self.dir.path(), self.full_sync, &self.entropy).await.expect("it opens");
        running.store.close().await;
        drop(running);
        let content = content(self.dir.path());
        let at = self.acknowledged;
        if self.truth.after.get(at + 1) == Some(&content) {
            self.acknowledged = at + 1;
            return Found::Kept;
        }
        match self.truth.after[..=at].iter().rposition(|after| *after == content) {
            Some(found) if found == at => Found::Kept,
            Some(earlier) if self.truth.after[earlier] == self.truth.after[at] => Found::Kept,
            Some(_) => Found::Lost,
            None => {
                let expected = &self.truth.after[at];
                let differs = content.iter().filter(|line| !expected.contains(line)).take(5).collect::<Vec<_>>();
                let misses = expected.iter().filter(|line| !content.contains(line)).take(5).collect::<Vec<_>>();
                eprintln!("after {at} steps: has {differs:#?} instead of {misses:#?}");
                Found::Wrong
            }
        }
    }
}

/// One fault at one place: what was found after it, and whether all went well from there to the end.
async fn trial(truth: &Truth, at: u64, fault: Fault, full_sync: bool) -> Found {
    let mut trial = Trial::new(truth, full_sync);
    let mut dice = fastrand::Rng::with_seed(at);
    trial.disk.plan(at, fault);
    trial.go_on().await;
    if trial.disk.is_dead() {
        let found = trial.found(&mut dice).await;
        if found != Found::Kept {
            return found;
        }
        trial.go_on().await;
    }
    assert_eq!(trial.acknowledged, truth.steps.len(), "everything was done in the end");
    trial.found(&mut dice).await
}

fn may_be_tried_again(error: &StoreError) -> bool {
    matches!(error, StoreError::Disk { .. } | StoreError::Closed)
}

/// Places to try: all of them (0), or those where the file is made and so many spread over all.
fn places(operations: u64, most: u64) -> Vec<u64> {
    let stride = if most == 0 { 1 } else { operations.div_ceil(most).max(1) };
    (1..=operations).filter(|at| *at <= 10 || at.is_multiple_of(stride)).collect()
}

fn everywhere(fault: Fault) {
    let (most, rounds) = (number("WAKEFUL_FAULTS", 12), number("WAKEFUL_FAULT_ROUNDS", 2));
    block(async {
        let truth = truth(rounds).await;
        let (mut tried, mut lost, mut wrong) = (0_u64, 0_u64, 0_u64);
        for at in places(truth.operations, most) {
            tried += 1;
            if most == 0 {
                eprintln!("{fault:?} at {at}");
            }
            match trial(&truth, at, fault, true).await {
                Found::Kept => {}
                Found::Lost => lost += 1,
                Found::Wrong => wrong += 1,
            }
        }
        eprintln!("faults={tried} of={} kind={fault:?} lost={lost} wrong={wrong}", truth.operations);
        assert_eq!((lost, wrong), (0, 0), "{fault:?}: lost, wrong, of {tried}");
    });
}

#[test]
fn a_disk_that_is_full_at_any_one_operation_costs_nothing_that_was_acknowledged() {
    everywhere(Fault::Full);
}

#[test]
fn a_disk_that_fails_at_any_one_operation_costs_nothing_that_was_acknowledged() {
    everywhere(Fault::Io);
}

#[test]
fn a_write_torn_by_the_end_of_the_process_costs_nothing_that_was_acknowledged() {
    everywhere(Fault::Torn);
}

#[test]
fn a_power_cut_at_any_one_operation_costs_nothing_that_was_acknowledged() {
    everywhere(Fault::Cut);
}

/// The control: the same cuts are noticed where a commit does not wait for the disk.
#[test]
fn with_synchronous_normal_the_same_cuts_lose_what_was_acknowledged_but_corrupt_nothing() {
    block(async {
        let truth = truth(2).await;
        let (mut lost, mut wrong) = (0, 0);
        for at in places(truth.operations, number("WAKEFUL_FAULTS", 12)) {
            match trial(&truth, at, Fault::Cut, false).await {
                Found::Kept => {}
                Found::Lost => lost += 1,
                Found::Wrong => wrong += 1,
            }
        }
        eprintln!("control: lost={lost} wrong={wrong}");
        assert!(lost > 0, "these cuts would not notice a commit that is not on disk");
        assert_eq!(wrong, 0, "SQLite stays consistent with NORMAL");
    });
}
