//! A notification server that does what the test tells it: records calls, clicks, replies, hangs, restarts.

use crate::bus::Bus;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use zbus::zvariant::OwnedValue;

const NAME: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";

/// What it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    Notify { replaces: u32, summary: String, body: String, actions: Vec<String>, hints: Vec<String> },
    Close(u32),
}

/// A running server.
pub struct Programmable {
    connection: Option<zbus::Connection>,
    face: Face,
    hang: watch::Sender<bool>,
}

/// What the bus sees of it.
#[derive(Clone)]
struct Face {
    capabilities: Vec<String>,
    asked: Arc<Mutex<Vec<Asked>>>,
    last: Arc<Mutex<(u32, String)>>,
    inhibited: Arc<Mutex<bool>>,
    hang: watch::Receiver<bool>,
}

#[zbus::interface(name = "org.freedesktop.Notifications")]
impl Face {
    async fn get_capabilities(&self) -> Vec<String> {
        self.awake().await;
        self.capabilities.clone()
    }

    #[zbus(out_args("name", "vendor", "version", "spec_version"))]
    async fn get_server_information(&self) -> (String, String, String, String) {
        self.awake().await;
        ("programmable".into(), "test".into(), "1".into(), "1.2".into())
    }

    #[allow(clippy::too_many_arguments)]
    async fn notify(
        &self,
        #[zbus(header)] header: zbus::message::Header<'_>,
        _app: String,
        replaces: u32,
        _icon: String,
        summary: String,
        body: String,
        actions: Vec<String>,
        hints: HashMap<String, OwnedValue>,
        _timeout: i32,
    ) -> zbus::fdo::Result<u32> {
        if summary == "refuse" {
            return Err(zbus::fdo::Error::InvalidArgs("no".into()));
        }
        let mut hints: Vec<String> = hints.into_keys().collect();
        hints.sort();
        self.asked.lock().unwrap().push(Asked::Notify { replaces, summary, body, actions, hints });
        let sender = header.sender().unwrap().to_string();
        self.awake().await;
        let mut last = self.last.lock().unwrap();
        let id = if replaces > 0 { replaces } else { last.0 + 1 };
        *last = (id.max(last.0), sender);
        Ok(id)
    }

    fn close_notification(&self, id: u32) -> zbus::fdo::Result<()> {
        self.asked.lock().unwrap().push(Asked::Close(id));
        if id > self.last.lock().unwrap().0 {
            return Err(zbus::fdo::Error::InvalidArgs("no such notification".into()));
        }
        Ok(())
    }

    #[zbus(property)]
    fn inhibited(&self) -> bool {
        *self.inhibited.lock().unwrap()
    }
}

impl Face {
    async fn awake(&self) {
        let _ = self.hang.clone().wait_for(|hang| !hang).await;
    }
}

impl Programmable {
    /// Takes the name on this bus.
    pub async fn on(bus: &Bus, capabilities: &[&str]) -> Self {
        let (hang, hangs) = watch::channel(false);
        let face = Face {
            capabilities: capabilities.iter().map(|name| (*name).into()).collect(),
            asked: Arc::default(),
            last: Arc::default(),
            inhibited: Arc::default(),
            hang: hangs,
        };
        let mut server = Self { connection: None, face, hang };
        server.up(bus).await;
        server
    }

    /// Comes (back) under a new unique name.
    pub async fn up(&mut self, bus: &Bus) {
        let connection = bus.connect().await;
        connection.object_server().at(PATH, self.face.clone()).await.unwrap();
        connection.request_name(NAME).await.unwrap();
        self.connection = Some(connection);
    }

    /// Leaves the bus.
    pub async fn down(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = connection.close().await;
        }
    }

    /// Answers nothing from now on, or answers again.
    pub fn hang(&self, on: bool) {
        self.hang.send_replace(on);
    }

    /// Its unique name.
    pub fn unique_name(&self) -> String {
        self.connection.as_ref().unwrap().unique_name().unwrap().to_string()
    }

    /// The last id it gave: it has answered that call.
    pub fn last_id(&self) -> u32 {
        self.face.last.lock().unwrap().0
    }

    /// Everything it was asked.
    pub fn asked(&self) -> Vec<Asked> {
        self.face.asked.lock().unwrap().clone()
    }

    /// Emits a signal; to the last caller only, as dunst does, or to everybody.
    pub async fn emit<B>(&self, member: &str, body: &B, unicast: bool)
    where
        B: serde::Serialize + zbus::zvariant::DynamicType,
    {
        let to = self.face.last.lock().unwrap().1.clone();
        let to = unicast.then_some(to.as_str());
        self.connection.as_ref().unwrap().emit_signal(to, PATH, NAME, member, body).await.unwrap();
    }

    /// Its own do-not-disturb.
    pub async fn inhibit(&self, on: bool) {
        *self.face.inhibited.lock().unwrap() = on;
        let changed = HashMap::from([("Inhibited", zbus::zvariant::Value::from(on))]);
        let body = (NAME, changed, Vec::<String>::new());
        let properties = "org.freedesktop.DBus.Properties";
        let connection = self.connection.as_ref().unwrap();
        connection.emit_signal(None::<&str>, PATH, properties, "PropertiesChanged", &body).await.unwrap();
    }
}
