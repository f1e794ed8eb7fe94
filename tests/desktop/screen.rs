//! A screen that nobody sees, with a real notification server on it.

use crate::bus::{Bus, installed};
use crate::support::{Process, eventually, skip};
use std::path::Path;
use std::process::Command;

/// Notification servers that Debian has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Dunst,
    Xfce,
    Gnome,
    Mate,
    Lxqt,
}

impl Kind {
    fn program(self) -> &'static str {
        match self {
            Self::Dunst => "dunst",
            Self::Xfce => "/usr/lib/x86_64-linux-gnu/xfce4/notifyd/xfce4-notifyd",
            Self::Gnome => "/usr/lib/notification-daemon/notification-daemon",
            Self::Mate => "/usr/lib/mate-notification-daemon/mate-notification-daemon",
            Self::Lxqt => "lxqt-notificationd",
        }
    }
}

/// An X server and a notification server on it.
pub struct Screen {
    display: String,
    kind: Kind,
    address: String,
    home: tempfile::TempDir,
    server: Option<Process>,
    _x: Process,
}

impl Screen {
    /// Starts both on this bus; `None` (and a note) where one is not installed.
    pub fn start(bus: &Bus, kind: Kind) -> Option<Self> {
        for program in ["Xvfb", "gdbus", kind.program()] {
            if !installed(program) {
                skip("desktop", &format!("{program} is not installed"));
                return None;
            }
        }
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", "1000x700x24", "-nolisten", "tcp", "-noreset", "-ac"]);
        let mut x = Process::start("Xvfb", &mut command);
        let number = x.wait_line("its display", |line| line.trim().parse::<u32>().ok());
        let home = tempfile::Builder::new().prefix("wakeful-screen-").tempdir().unwrap();
        let display = format!(":{number}");
        let mut screen = Self { display, kind, address: bus.address(), home, server: None, _x: x };
        std::fs::write(screen.home.path().join("dunstrc"), DUNSTRC).unwrap();
        let icons = screen.home.path().join("data/icons/hicolor/scalable/apps");
        std::fs::create_dir_all(&icons).unwrap();
        std::fs::write(icons.join("wakeful.svg"), wakeful::notify::ICON).unwrap();
        screen.up();
        Some(screen)
    }

    /// A command within this desktop.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let home = self.home.path();
        command.env("DISPLAY", &self.display).env("DBUS_SESSION_BUS_ADDRESS", &self.address).env("HOME", home);
        for (name, dir) in [("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "data"), ("XDG_CACHE_HOME", "cache")] {
            command.env(name, home.join(dir));
        }
        command.env("XDG_RUNTIME_DIR", home).env_remove("WAYLAND_DISPLAY").env_remove("XAUTHORITY");
        command
    }

    /// Runs a command to its end; gives its output.
    pub fn run(&self, program: &str, args: &[&str]) -> String {
        let output = self.command(program).args(args).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Starts the notification server (again) and waits until it answers.
    pub fn up(&mut self) {
        let mut command = self.command(self.kind.program());
        if self.kind == Kind::Dunst {
            command.arg("-config").arg(self.home.path().join("dunstrc"));
        }
        self.server = Some(Process::start(self.kind.program(), &mut command));
        eventually("the notification server to answer", || {
            let mut ask = self.command("gdbus");
            ask.args([
                "call",
                "--session",
                "-d",
                "org.freedesktop.Notifications",
                "-o",
                "/org/freedesktop/Notifications",
            ]);
            let answer = ask.args(["-m", "org.freedesktop.Notifications.GetServerInformation"]).output().unwrap();
            answer.status.success().then_some(())
        });
    }

    /// Kills the notification server.
    pub fn down(&mut self) {
        self.server = None;
    }

    /// Whether the notification server still runs.
    pub fn alive(&mut self) -> bool {
        self.server.as_mut().is_some_and(|server| server.ended().is_none())
    }

    /// A picture of the whole screen.
    pub fn shot(&self, file: &Path) {
        let taken = self.command("import").args(["-silent", "-window", "root"]).arg(file).status().unwrap();
        assert!(taken.success());
    }
}

const DUNSTRC: &str = r##"[global]
monitor = 0
follow = none
width = (300, 420)
height = 300
origin = top-right
offset = 16x16
font = DejaVu Sans 11
format = "<b>%s</b>\n%b"
markup = full
stack_duplicates = false
idle_threshold = 0
padding = 12
horizontal_padding = 14
frame_width = 1
frame_color = "#3b4252"
corner_radius = 6
max_icon_size = 48
min_icon_size = 48
icon_position = left
enable_recursive_icon_lookup = true
icon_theme = "hicolor"
show_indicators = no
[urgency_low]
background = "#2e3440"
foreground = "#d8dee9"
timeout = 60
[urgency_normal]
background = "#2e3440"
foreground = "#eceff4"
timeout = 60
[urgency_critical]
background = "#bf616a"
foreground = "#eceff4"
timeout = 0
"##;
