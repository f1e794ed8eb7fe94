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
    kind: Option<Kind>,
    address: String,
    home: tempfile::TempDir,
    server: Option<Process>,
    _x: Process,
}

impl Screen {
    /// Starts both on this bus; `None` (and a note) where one is not installed.
    pub fn start(bus: &Bus, kind: Kind) -> Option<Self> {
        let mut screen = Self::blank(bus)?;
        for program in ["gdbus", kind.program()] {
            if !installed(program) {
                skip("desktop", &format!("{program} is not installed"));
                return None;
            }
        }
        screen.kind = Some(kind);
        screen.up();
        Some(screen)
    }

    /// Without a notification server.
    pub fn blank(bus: &Bus) -> Option<Self> {
        if !installed("Xvfb") {
            skip("desktop", "Xvfb is not installed");
            return None;
        }
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", "1000x700x24", "-nolisten", "tcp", "-noreset", "-ac"]);
        let mut x = Process::start("Xvfb", &mut command);
        let number = x.wait_line("its display", |line| line.trim().parse::<u32>().ok());
        let home = tempfile::Builder::new().prefix("wakeful-screen-").tempdir().unwrap();
        let display = format!(":{number}");
        let screen = Self { display, kind: None, address: bus.address(), home, server: None, _x: x };
        std::fs::write(screen.home.path().join("dunstrc"), DUNSTRC).unwrap();
        let icons = screen.home.path().join("data/icons/hicolor/scalable/apps");
        std::fs::create_dir_all(&icons).unwrap();
        std::fs::write(icons.join("wakeful.svg"), wakeful::notify::ICON).unwrap();
        Some(screen)
    }

    /// What makes a program belong to this desktop, as `NAME=VALUE`.
    pub fn environment(&self) -> Vec<String> {
        let home = self.home.path().display();
        let mut all = vec![format!("DISPLAY={}", self.display), format!("DBUS_SESSION_BUS_ADDRESS={}", self.address)];
        all.extend([format!("HOME={home}"), format!("XDG_RUNTIME_DIR={home}")]);
        let dirs = [("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "data"), ("XDG_CACHE_HOME", "cache")];
        all.extend(dirs.map(|(name, dir)| format!("{name}={home}/{dir}")));
        all.extend(["GDK_BACKEND=x11", "NO_AT_BRIDGE=1", "GIO_USE_VFS=local"].map(String::from));
        all
    }

    /// A command within this desktop.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.envs(self.environment().iter().filter_map(|pair| pair.split_once('=')));
        command.env_remove("WAYLAND_DISPLAY").env_remove("XAUTHORITY");
        command
    }

    /// Runs a command to its end; gives its output.
    pub fn run(&self, program: &str, args: &[&str]) -> String {
        let output = self.command(program).args(args).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Starts the notification server (again) and waits until it answers.
    pub fn up(&mut self) {
        let Some(kind) = self.kind else { return };
        let mut command = self.command(kind.program());
        if kind == Kind::Dunst {
            command.arg("-config").arg(self.home.path().join("dunstrc"));
        }
        self.server = Some(Process::start(kind.program(), &mut command));
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
        let mut import = self.command("import");
        let taken = import.args(["-silent", "-window", "root", "-trim", "+repage"]).arg(file).status().unwrap();
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
mouse_left_click = do_action, close_current
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
