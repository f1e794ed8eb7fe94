//! A small file system in memory, which a test can fill. Needs root.

use super::skip;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

/// A file system of its own.
pub struct Small {
    dir: tempfile::TempDir,
}

impl Small {
    /// One of this size (as `mount` takes it); `None`, and a note for this suite, where it cannot be mounted.
    pub fn new(suite: &str, size: &str) -> Option<Self> {
        let small = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(small.path()).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(small.path());
        let why = match mount.output() {
            Ok(output) if output.status.success() => return Some(small),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().replace(['\n', '\t'], " "),
            Err(error) => error.to_string(),
        };
        skip(suite, &format!("no small disk: {why}"));
        None
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("small")
    }

    /// Takes all room that there is; gives the file that does.
    pub fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        for size in [1 << 20, 4096, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
        path
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
