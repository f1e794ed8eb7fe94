//! The unit and the agent as files: systemd and Python read them as their managers would.

use crate::file;
use crate::support::{skip, wakeful};
use std::process::Command;

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["wakeful.service", "wakeful.socket"] {
        let text = std::fs::read_to_string(file("systemd").join(name)).unwrap();
        let text = text.replace("/usr/bin/wakeful", wakeful().to_str().unwrap());
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let mut verify = Command::new("systemd-analyze");
    verify.args(["--user", "--man=no", "verify"]).arg(dir.path().join("wakeful.service"));
    let Ok(output) = verify.arg(dir.path().join("wakeful.socket")).env("XDG_RUNTIME_DIR", dir.path()).output() else {
        return skip("service", "systemd-analyze is not installed");
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains("wakeful"), "{said}");
}

/// launchd.plist(5): the keys that are used, with their types.
const CHECK: &str = r#"
import plistlib, sys, os
known = dict(Label=str, ProgramArguments=list, RunAtLoad=bool, KeepAlive=dict, ThrottleInterval=int, ExitTimeOut=int,
             ProcessType=str, Umask=int, LimitLoadToSessionType=str)
path = sys.argv[1]
plist = plistlib.load(open(path, "rb"))
for key, value in plist.items():
    assert type(value) is known[key], key
assert os.path.basename(path) == plist["Label"] + ".plist"
assert plist["ProgramArguments"][1:] == ["run"] and os.path.isabs(plist["ProgramArguments"][0])
assert plist["KeepAlive"] == {"SuccessfulExit": False}
assert plist["Umask"] == 0o077
assert plist["ProcessType"] in ("Background", "Standard", "Adaptive", "Interactive")
"#;

#[test]
fn the_agent_is_a_plist_of_launchds_keys() {
    let agent = file("launchd/org.wakeful.daemon.plist");
    let Ok(output) = Command::new("python3").args(["-c", CHECK]).arg(agent).output() else {
        return skip("service", "python3 is not installed");
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
