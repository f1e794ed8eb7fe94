//! The power goes while messages are written: a file system of its own on a loop device that forgets, from one moment to
//! the next, whatever was not synced (`EXT4_IOC_SHUTDOWN` without flushing its journal). Needs root.
#![allow(unsafe_code, reason = "an ioctl(2) that no library wraps")]

use crate::load::Load;
use crate::support::{Home, Pair, eventually, number, skip};
use crate::workload::{Step, open};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use wakeful::world::Entropy;

/// `_IOR('X', 125, __u32)`, linux/ext4.h.
const EXT4_IOC_SHUTDOWN: rustix::ioctl::Opcode = 0x8004_587d;
/// `EXT4_GOING_FLAGS_NOLOGFLUSH`.
const WITHOUT_FLUSH: u32 = 2;

/// An ext4 file system on a loop device, which stays the same while the volume is taken off and on.
pub struct Volume {
    dir: tempfile::TempDir,
    device: String,
}

pub fn run(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).output().map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(said) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}

impl Volume {
    /// A new one, mounted; why not, where that is not possible.
    pub fn new() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root may mount".into());
        }
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image").display().to_string();
        std::fs::File::create(&image).unwrap().set_len(96 << 20).unwrap();
        run("mkfs.ext4", &["-q", "-F", &image])?;
        let device = run("losetup", &["--find", "--show", &image])?.trim().to_owned();
        let volume = Self { dir, device };
        std::fs::create_dir(volume.path()).unwrap();
        volume.mount()?;
        Ok(volume)
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("volume")
    }

    fn mount(&self) -> Result<(), String> {
        run("mount", &[&self.device, &self.path().display().to_string()]).map(drop)
    }

    /// Everything so far is on disk.
    pub fn settle(&self) {
        rustix::fs::syncfs(std::fs::File::open(self.path()).unwrap()).unwrap();
    }

    /// The power goes: nothing more reaches the disk.
    pub fn cut(&self) {
        let file = std::fs::File::open(self.path()).unwrap();
        // SAFETY: the call reads one number of 32 bits.
        unsafe {
            let call = rustix::ioctl::Setter::<EXT4_IOC_SHUTDOWN, u32>::new(WITHOUT_FLUSH);
            rustix::ioctl::ioctl(&file, call).unwrap();
        }
    }

    /// The power is back. Whoever copied the table of mounts meanwhile holds the dead file system for a while.
    pub fn back(&self) {
        eventually("nobody holds the volume", || {
            run("umount", &[&self.path().display().to_string()]).ok()?;
            self.mount().unwrap();
            std::fs::write(self.path().join("alive"), "").ok()
        });
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = run("umount", &["-l", &self.path().display().to_string()]);
        let _ = run("losetup", &["--detach", &self.device]);
    }
}

fn volume() -> Option<Volume> {
    Volume::new().map_err(|why| skip("store", &format!("no power cuts: {why}"))).ok()
}

#[test]
fn a_power_cut_under_load_costs_nothing_that_the_daemon_has_acknowledged() {
    let Some(volume) = volume() else { return };
    let (cuts, seed) = (number("WAKEFUL_CUTS", 20), number("WAKEFUL_SEED", 1));
    let mut dice = fastrand::Rng::with_seed(seed);
    let pair = Pair::with_alice(Home::within(&volume.path()));
    volume.settle();
    let mut alice = Some(pair.alice.daemon());
    let _bob = pair.bob.daemon();
    let load = Load::begin(&pair, seed);
    for _ in 0..cuts {
        std::thread::sleep(Duration::from_millis(dice.u64(5..250)));
        // Without power no program runs either. One that went on would now and then hear from an fsync that this call
        // interrupts that all is on disk, and say so to its client.
        alice.as_ref().unwrap().process.signal(rustix::process::Signal::STOP);
        volume.cut();
        alice.take().unwrap().kill9();
        volume.back();
        alice = Some(pair.alice.daemon());
    }
    let sums = load.end(&pair);
    eprintln!("cuts={cuts} {sums}");
    drop(alice);
    sums.demand(pair, seed);
}

/// Batches that were acknowledged before the cut, and batches that are there after it.
async fn cut_under(volume: &Volume, full_sync: bool, after: Duration) -> (u64, u64) {
    let dir = tempfile::tempdir_in(volume.path()).unwrap();
    let running = open(dir.path(), full_sync, &Entropy::seeded(1)).await.unwrap();
    running.step(Step::Batch(0)).await.unwrap();
    volume.settle();
    let (acknowledged, before) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(after);
            before.store(acknowledged.load(Ordering::Relaxed), Ordering::Relaxed);
            volume.cut();
        });
        block_on(async {
            for n in 1.. {
                if running.step(Step::Keep(n)).await.is_err() {
                    break;
                }
                acknowledged.store(n, Ordering::Relaxed);
            }
        });
    });
    running.store.close().await;
    drop(running);
    let place = dir.keep();
    volume.back();
    let running = open(&place, full_sync, &Entropy::seeded(1)).await.unwrap();
    let kept = running.store.setting("notify").await.unwrap();
    let kept = kept.and_then(|text| text.strip_prefix("kept ")?.parse().ok()).unwrap_or(0);
    running.store.close().await;
    (before.into_inner(), kept)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(future))
}

/// Writes that were acknowledged and are gone, over so many cuts.
fn lost(volume: &Volume, full_sync: bool, cuts: u64) -> u64 {
    let mut dice = fastrand::Rng::with_seed(3);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut lost = 0;
    for _ in 0..cuts {
        let after = Duration::from_millis(dice.u64(20..200));
        let (acknowledged, kept) = runtime.block_on(cut_under(volume, full_sync, after));
        lost += acknowledged.saturating_sub(kept);
    }
    lost
}

/// The control: the same cuts are noticed where a commit does not wait for the disk.
#[test]
fn the_same_cuts_lose_with_synchronous_normal_and_nothing_with_full() {
    let Some(volume) = volume() else { return };
    let cuts = number("WAKEFUL_CUTS", 4);
    let full = lost(&volume, true, cuts);
    // A machine that writes a lot elsewhere may flush this volume too, just before the cut.
    let normal = (0..5).map(|_| lost(&volume, false, cuts)).find(|lost| *lost > 0).unwrap_or(0);
    eprintln!("controls={cuts} lost_full={full} lost_normal={normal}");
    assert_eq!(full, 0, "with FULL everything that was acknowledged is there");
    assert!(normal > 0, "these cuts would not notice a commit that is not on disk");
}
