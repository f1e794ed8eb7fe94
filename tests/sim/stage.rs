//! What a story is played on: how bad this world is, the dice, the count of what happened, and the trace.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;
use wakeful::db::{Disk, Fate};

/// How bad a world is. Each seed has its own, and leaves most of it out, so that what goes wrong goes wrong in many
/// combinations. Chances are of a hundred.
#[derive(Clone, Debug)]
pub struct Climate {
    /// Events that a user's update stream keeps at the hub.
    pub kept: u64,
    /// Messages of a conversation in a snapshot, and on a page when a gap is filled.
    pub snap_msgs: u64,
    pub fill_page: u64,
    /// One way, milliseconds.
    pub latency: u64,
    /// Hints on the hub's bus.
    pub hints_lost: u32,
    pub hints_twice: u32,
    pub hints_old: u32,
    /// `ev` frames between the hub's session and the client.
    pub evs_lost: u32,
    pub evs_twice: u32,
    pub evs_swapped: u32,
    /// Requests that the hub cannot carry out just now, and refuses.
    pub refused: u32,
    /// A commit lands and is told of within so many milliseconds, or fails.
    pub lands: u64,
    pub told: u64,
    pub fails: u32,
}

impl Climate {
    pub fn calm() -> Self {
        Self {
            kept: 40,
            snap_msgs: 5,
            fill_page: 7,
            latency: 20,
            hints_lost: 0,
            hints_twice: 0,
            hints_old: 0,
            evs_lost: 0,
            evs_twice: 0,
            evs_swapped: 0,
            refused: 0,
            lands: 0,
            told: 0,
            fails: 0,
        }
    }

    pub fn drawn(rng: &mut fastrand::Rng) -> Self {
        // Drawn apart: what else a seed draws stays as it was.
        let mut apart = fastrand::Rng::with_seed(rng.clone().u64(..));
        let refused = [0, 0, 5, 20][apart.usize(0..4)];
        let mut some = |chances: &[u32]| if rng.bool() { chances[rng.usize(0..chances.len())] } else { 0 };
        let (hints_lost, hints_twice, hints_old) = (some(&[10, 50, 100]), some(&[20]), some(&[20]));
        let (evs_lost, evs_twice, evs_swapped) = (some(&[5, 30]), some(&[20]), some(&[20]));
        let (lands, told, fails) = (some(&[3, 50, 800, 8_000]), some(&[3, 50]), some(&[5, 40]));
        Self {
            kept: [4, 12, 40][rng.usize(0..3)],
            snap_msgs: [1, 2, 5][rng.usize(0..3)],
            fill_page: [2, 7][rng.usize(0..2)],
            latency: [1, 20, 400][rng.usize(0..3)],
            hints_lost,
            hints_twice,
            hints_old,
            evs_lost,
            evs_twice,
            evs_swapped,
            refused,
            lands: lands.into(),
            told: told.into(),
            fails,
        }
    }

    /// The same with one evil less; for shortening.
    pub fn calmer(&self) -> Vec<Self> {
        let calm = Self::calm();
        vec![
            Self { hints_lost: 0, ..self.clone() },
            Self { hints_twice: 0, ..self.clone() },
            Self { hints_old: 0, ..self.clone() },
            Self { evs_lost: 0, ..self.clone() },
            Self { evs_twice: 0, ..self.clone() },
            Self { evs_swapped: 0, ..self.clone() },
            Self { refused: 0, ..self.clone() },
            Self { lands: 0, ..self.clone() },
            Self { told: 0, ..self.clone() },
            Self { fails: 0, ..self.clone() },
            Self { kept: calm.kept, ..self.clone() },
            Self { latency: calm.latency, ..self.clone() },
        ]
    }
}

/// Shared by everything in one story.
#[derive(Clone)]
pub struct Stage(Arc<Inner>);

struct Inner {
    climate: Climate,
    rng: Mutex<fastrand::Rng>,
    /// The world has healed: the dice never hit any more.
    calm: AtomicBool,
    events: AtomicU64,
    start: Instant,
    /// `None`: nobody reads it.
    trace: Option<Mutex<Vec<String>>>,
}

impl Stage {
    pub fn new(seed: u64, climate: Climate, traced: bool) -> Self {
        Self(Arc::new(Inner {
            climate,
            rng: Mutex::new(fastrand::Rng::with_seed(seed)),
            calm: AtomicBool::new(false),
            events: AtomicU64::new(0),
            start: Instant::now(),
            trace: traced.then(Mutex::default),
        }))
    }

    pub fn climate(&self) -> &Climate {
        &self.0.climate
    }

    pub fn heal(&self) {
        self.0.calm.store(true, Ordering::Relaxed);
    }

    /// A throw of the dice: does what has this chance happen?
    pub fn hits(&self, chance: u32) -> bool {
        chance > 0 && !self.0.calm.load(Ordering::Relaxed) && self.0.rng.lock().unwrap().u32(0..100) < chance
    }

    /// Something happened: a frame, a hint, a dial, a commit, a step of the story.
    pub fn event(&self, what: impl FnOnce() -> String) {
        self.0.events.fetch_add(1, Ordering::Relaxed);
        if let Some(trace) = &self.0.trace {
            trace.lock().unwrap().push(format!("{:>9} {}", self.0.start.elapsed().as_millis(), what()));
        }
    }

    pub fn events(&self) -> u64 {
        self.0.events.load(Ordering::Relaxed)
    }

    pub fn trace(&self) -> Vec<String> {
        self.0.trace.as_ref().map(|trace| trace.lock().unwrap().clone()).unwrap_or_default()
    }
}

/// One client's disk.
pub struct SimDisk {
    pub name: String,
    pub stage: Stage,
    /// Until then every commit fails.
    pub full_until: Mutex<Instant>,
}

impl Disk for SimDisk {
    fn next(&self) -> Fate {
        let stage = &self.stage;
        let full = Instant::now() < *self.full_until.lock().unwrap();
        let upto = |most: u64| {
            let calm = most == 0 || stage.0.calm.load(Ordering::Relaxed);
            Duration::from_millis(if calm { 0 } else { stage.0.rng.lock().unwrap().u64(0..=most) })
        };
        let (lands_after, told_after) = (upto(stage.climate().lands), upto(stage.climate().told));
        let fate = Fate { lands_after, told_after, fails: full || stage.hits(stage.climate().fails) };
        stage.event(|| format!("{} commits: {fate:?}", self.name));
        fate
    }
}
