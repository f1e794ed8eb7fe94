//! A picture for a conversation's notification: a PNG file that the user configured. It goes to the notification server
//! by its path, and only if it is small: nothing is decoded here but the size in its header.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Largest file, bytes.
const BYTES: u64 = 512 << 10;
/// Largest width and height, pixels.
const SIDE: u32 = 1_024;
/// A file system that takes longer than this has no picture.
const PATIENCE: Duration = Duration::from_millis(250);

/// The file, if a server may be asked to show it.
pub(super) async fn checked(file: PathBuf) -> Option<PathBuf> {
    let look = file.clone();
    let looked = tokio::task::spawn_blocking(move || check(&look));
    let found = match tokio::time::timeout(PATIENCE, looked).await {
        Ok(Ok(found)) => found,
        Ok(Err(_)) | Err(_) => Err("it cannot be read in time".into()),
    };
    match found {
        Ok(()) => Some(file),
        Err(why) => {
            tracing::warn!(file = %file.display(), why, "a picture is left out: check `picture` in the configuration");
            None
        }
    }
}

/// PNG (ISO/IEC 15948), section 5.2 and 11.2.2: the signature, then a header chunk that begins with both sides.
fn check(file: &Path) -> Result<(), String> {
    let mut file = std::fs::File::open(file).map_err(|error| error.to_string())?;
    let data = file.metadata().map_err(|error| error.to_string())?;
    if !data.is_file() || data.len() > BYTES {
        return Err(format!("it is no file of at most {BYTES} bytes"));
    }
    let mut head = [0; 24];
    file.read_exact(&mut head).map_err(|_| "it is no PNG".to_owned())?;
    let (Some(start), Some(sides)) = (head.first_chunk::<16>(), head.last_chunk::<8>()) else { return Ok(()) };
    if start != b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" {
        return Err("it is no PNG".into());
    }
    let sides = u64::from_be_bytes(*sides);
    let fits = |side: u64| (1..=u64::from(SIDE)).contains(&side);
    if fits(sides >> 32) && fits(sides & 0xffff_ffff) || crate::mutant("picture-unbounded") {
        Ok(())
    } else {
        Err(format!("it is larger than {SIDE} x {SIDE} pixels"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32, rest: usize) -> Vec<u8> {
        let sides = [width.to_be_bytes(), height.to_be_bytes()].concat();
        [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(), sides, vec![0; rest]].concat()
    }

    #[tokio::test]
    async fn only_small_pngs_are_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.png");
        let shown = async |bytes: &[u8]| {
            std::fs::write(&file, bytes).unwrap();
            checked(file.clone()).await.is_some()
        };
        assert!(shown(&png(64, 64, 100)).await);
        assert!(shown(&png(1_024, 1, 0)).await);
        assert!(!shown(&png(1_025, 64, 100)).await);
        assert!(!shown(&png(64, 4_000_000_000, 100)).await);
        assert!(!shown(&png(0, 64, 100)).await);
        assert!(!shown(&png(64, 64, 600_000)).await);
        assert!(!shown(b"\x89PNG").await);
        assert!(!shown(b"<svg xmlns='http://www.w3.org/2000/svg'/>").await);
        assert!(checked(dir.path().to_path_buf()).await.is_none());
        assert!(checked(dir.path().join("absent")).await.is_none());
    }
}
