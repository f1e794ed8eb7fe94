//! What power and network cost: UPower's battery, NetworkManager's meter, where there are such services.

use super::Told;
use super::bus::System;
use crate::model::{Power, Signal};
use std::collections::HashMap;
use zbus::Message;
use zbus::zvariant::OwnedValue;

const NETWORK: &str = "org.freedesktop.NetworkManager";
const BATTERY: &str = "org.freedesktop.UPower";

/// Whose changed properties are heard.
pub(super) const HEARD: &[&str] = &[NETWORK, BATTERY];

/// `NM_CONNECTIVITY_PORTAL` and below: not the whole internet. `NM_CONNECTIVITY_FULL` is 4.
const FULL: u32 = 4;

/// What was told last.
#[derive(Default)]
pub(super) struct Powered {
    power: Power,
    connectivity: Option<u32>,
}

impl Powered {
    pub(super) async fn open(bus: &System, told: &Told) -> Self {
        let mut power = Self::default();
        power.read(bus, told).await;
        power
    }

    /// Reads what both services say now. What is not there costs nothing.
    pub(super) async fn read(&mut self, bus: &System, told: &Told) {
        let mut power = Power::default();
        if bus.runs(BATTERY).await {
            let value = bus.property(BATTERY, "/org/freedesktop/UPower", BATTERY, "OnBattery").await;
            power.battery = value.and_then(|value| bool::try_from(value).ok()).unwrap_or(false);
        }
        if bus.runs(NETWORK).await {
            let value = bus.property(NETWORK, "/org/freedesktop/NetworkManager", NETWORK, "Metered").await;
            power.metered = value.is_some_and(metered);
        }
        self.told(power, told);
    }

    /// Hears a signal, whoever sent it.
    pub(super) async fn hear(&mut self, message: &Message, bus: &System, told: &Told) {
        if let Some(changed) = changed(message, NETWORK) {
            if let Some(now) = changed.get("Connectivity").and_then(|value| u32::try_from(value).ok()) {
                let before = self.connectivity.replace(now);
                if now == FULL && before.is_some_and(|before| before != FULL) {
                    told.tell(Signal::Network { routed: true, local_gone: false });
                }
            }
            if changed.contains_key("Metered") {
                self.read(bus, told).await;
            }
        } else if changed(message, BATTERY).is_some_and(|changed| changed.contains_key("OnBattery")) {
            self.read(bus, told).await;
        }
    }

    fn told(&mut self, power: Power, told: &Told) {
        if power != self.power {
            self.power = power;
            told.tell(Signal::Power(power));
        }
    }
}

/// `NM_METERED_YES` is 1, `NM_METERED_GUESS_YES` 3.
fn metered(value: OwnedValue) -> bool {
    u32::try_from(value).is_ok_and(|value| value == 1 || value == 3)
}

/// The properties of this interface that a signal says have changed.
pub(super) fn changed(message: &Message, interface: &str) -> Option<HashMap<String, OwnedValue>> {
    let header = message.header();
    if header.member()?.as_str() != "PropertiesChanged" {
        return None;
    }
    let body = message.body();
    let (whose, changed, _) = body.deserialize::<(String, HashMap<String, OwnedValue>, Vec<String>)>().ok()?;
    (whose == interface).then_some(changed)
}
