//! A unit of systemd's user manager.

use super::command;
use anyhow::Context as _;
use std::path::{Path, PathBuf};

const NAME: &str = "wakeful.service";
const UNIT: &str = include_str!("../../../systemd/wakeful.service");

/// Where the unit stands.
pub(super) fn file() -> anyhow::Result<PathBuf> {
    let dirs = directories::BaseDirs::new().context("no home folder is known: set HOME")?;
    Ok(dirs.config_dir().join("systemd/user").join(NAME))
}

/// What stands beside the unit: the desktop entry and the icon that notifications name.
pub(super) fn extras() -> anyhow::Result<Vec<(PathBuf, &'static str)>> {
    let dirs = directories::BaseDirs::new().context("no home folder is known: set HOME")?;
    let data = dirs.data_dir();
    Ok(vec![
        (data.join("applications/wakeful.desktop"), crate::notify::DESKTOP_ENTRY),
        (data.join("icons/hicolor/scalable/apps/wakeful.svg"), crate::notify::ICON),
    ])
}

/// The unit for this program, and for this `WAKEFUL_HOME` if one is in use.
pub(super) fn render(program: &Path, home: Option<&Path>) -> anyhow::Result<String> {
    let program = quoted(program)?;
    let unit = UNIT.replace("/usr/bin/wakeful", &program);
    let Some(home) = home else { return Ok(unit) };
    let home = quoted(home)?;
    let variable = format!("[Service]\nEnvironment=WAKEFUL_HOME={home}\n");
    Ok(unit.replacen("[Service]\n", &variable, 1))
}

/// A path for a unit file: specifiers and quotes are escaped (systemd.service(5), "Command lines"). `$` would be
/// expanded in command lines only where it names a variable, and is not escaped alike everywhere: it is refused.
fn quoted(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().filter(|text| !text.contains(['\n', '\r', '$']));
    let text = text.with_context(|| format!("{} cannot stand in a unit file", path.display()))?;
    let escaped = text.replace('\\', r"\\").replace('"', r#"\""#).replace('%', "%%");
    Ok(if text.contains([' ', '\t', '"', '\'', '\\', ';']) { format!("\"{escaped}\"") } else { escaped })
}

/// Reads the unit, enables and starts it; returns when the daemon says that it is ready.
pub(super) fn start(_file: &Path) -> anyhow::Result<()> {
    command("systemctl", &["--user", "daemon-reload"])?;
    command("systemctl", &["--user", "enable", NAME])?;
    let started = command("systemctl", &["--user", "restart", NAME]);
    started.map(drop).context("`journalctl --user -u wakeful` tells why")
}

/// Disables and stops it; one that is not there is as good as stopped.
pub(super) fn stop() -> anyhow::Result<()> {
    if file()?.exists() {
        command("systemctl", &["--user", "disable", "--now", NAME])?;
    }
    Ok(())
}

/// Forgets the unit's file.
pub(super) fn forget() -> anyhow::Result<()> {
    command("systemctl", &["--user", "daemon-reload"]).map(drop)
}

/// Whether it runs, and whether it starts at login.
pub(super) fn state() -> anyhow::Result<(bool, bool)> {
    let shown = command("systemctl", &["--user", "show", NAME, "--property=ActiveState,UnitFileState"])?;
    let has = |line: &str| shown.lines().any(|shown| shown == line);
    Ok((has("ActiveState=active") || has("ActiveState=reloading"), has("UnitFileState=enabled")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_names_this_program_in_every_command_line() {
        let unit = render(Path::new("/opt/w/wakeful"), None).unwrap();
        assert!(unit.contains("ExecStart=/opt/w/wakeful run\n") && unit.contains("ExecReload=/opt/w/wakeful reload\n"));
        assert!(!unit.contains("/usr/bin") && !unit.contains("WAKEFUL_HOME"));
    }

    #[test]
    fn odd_paths_are_quoted_and_impossible_ones_refused() {
        let unit = render(Path::new("/opt/my 100%/wakeful"), Some(Path::new("/srv/w"))).unwrap();
        assert!(unit.contains("ExecStart=\"/opt/my 100%%/wakeful\" run\n"), "{unit}");
        assert!(unit.contains("[Service]\nEnvironment=WAKEFUL_HOME=/srv/w\n"), "{unit}");
        assert!(render(Path::new("/opt/$x/wakeful"), None).is_err());
        assert!(render(Path::new("/opt/a\nExecStart=/bin/evil"), None).is_err());
    }
}
