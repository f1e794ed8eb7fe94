//! An agent of launchd. Its plist is linted on Linux; the code is type-checked for macOS (`tests/suites/mac`) and was never run.

use super::command;
use anyhow::Context as _;
use std::path::{Path, PathBuf};

const LABEL: &str = "org.wakeful.daemon";
const PLIST: &str = include_str!("../../../launchd/org.wakeful.daemon.plist");

/// Where the agent stands.
pub(super) fn file() -> anyhow::Result<PathBuf> {
    let dirs = directories::BaseDirs::new().context("no home folder is known: set HOME")?;
    Ok(dirs.home_dir().join("Library/LaunchAgents").join(format!("{LABEL}.plist")))
}

/// Nothing stands beside the agent's file.
pub(super) fn extras() -> anyhow::Result<Vec<(PathBuf, &'static str)>> {
    Ok(Vec::new())
}

/// The agent for this program, and for this `WAKEFUL_HOME` if one is in use.
pub(super) fn render(program: &Path, home: Option<&Path>) -> anyhow::Result<String> {
    let plist = PLIST.replace("/usr/local/bin/wakeful", &escaped(program)?);
    let Some(home) = home else { return Ok(plist) };
    let home = escaped(home)?;
    let variable = format!(
        "    <key>EnvironmentVariables</key>\n    <dict>\n        <key>WAKEFUL_HOME</key>\n        \
         <string>{home}</string>\n    </dict>\n    <key>RunAtLoad</key>"
    );
    Ok(plist.replacen("    <key>RunAtLoad</key>", &variable, 1))
}

fn escaped(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().with_context(|| format!("{} cannot stand in a plist", path.display()))?;
    Ok(text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
}

fn domain() -> String {
    format!("gui/{}", rustix::process::getuid().as_raw())
}

/// Loads and starts it.
pub(super) fn start(file: &Path) -> anyhow::Result<()> {
    let file = file.to_str().context("the agent's path is not text")?;
    command("launchctl", &["bootout", &format!("{}/{LABEL}", domain())]).ok();
    command("launchctl", &["bootstrap", &domain(), file]).map(drop)
}

/// Stops and unloads it; one that is not loaded is as good as stopped.
pub(super) fn stop() -> anyhow::Result<()> {
    if state()?.0 {
        command("launchctl", &["bootout", &format!("{}/{LABEL}", domain())])?;
    }
    Ok(())
}

/// launchd forgets with the file.
pub(super) fn forget() -> anyhow::Result<()> {
    Ok(())
}

/// Whether it is loaded; a loaded agent of ours starts at login too.
pub(super) fn state() -> anyhow::Result<(bool, bool)> {
    let loaded = command("launchctl", &["print", &format!("{}/{LABEL}", domain())]).is_ok();
    Ok((loaded, loaded))
}
