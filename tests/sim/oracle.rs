//! What must be true: at every moment that no client shows anything false, and in the end that everybody has it all.

use super::client::{Client, Talk, other};
use super::hub::{Hub, Told};
use std::collections::BTreeMap;
use wakeful::model::{Message, MessageState, PageRow};
use wakeful::proto::hub::wire::ConvObj;

/// What a client shows of one conversation.
struct Shown {
    /// With the server's number; own drafts that the server has not yet are left out.
    rows: Vec<(u64, Message)>,
    /// The numbers of the messages below and above each hole; 0: it reaches down to the beginning.
    holes: Vec<(u64, u64)>,
    unread: u64,
}

impl Shown {
    /// A hole says that something may be missing between these two.
    fn admits(&self, below: u64, above: u64) -> bool {
        self.holes.iter().any(|(from, to)| *from <= below && above <= *to)
    }

    /// From this message on everything is here, as far as is said.
    fn bottom(&self) -> Option<u64> {
        let begins = self.rows.iter().any(|(seq, _)| *seq == 1).then_some(1);
        self.holes.iter().find(|(from, _)| *from == 0).map(|(_, to)| *to).or(begins)
    }
}

async fn shown(client: &Client, conv: &str) -> Result<Option<Shown>, String> {
    let Some(conversation) = client.conversation(conv).await else { return Ok(None) };
    let mut shown = Shown { rows: Vec::new(), holes: Vec::new(), unread: conversation.unread };
    let number = |id: &str| id.parse::<u64>().map_err(|_| format!("a hole with the bound {id:?}"));
    for row in client.history(&conversation).await {
        match row {
            PageRow::Hole(hole) => {
                let below = hole.below.as_deref().map_or(Ok(0), number)?;
                shown.holes.push((below, hole.above.as_deref().map_or(Ok(u64::MAX), number)?));
            }
            PageRow::Message(message) => {
                let Some(id) = &message.server_id else { continue };
                let seq = id.rsplit('/').next().and_then(|seq| seq.parse().ok()).ok_or("an id without its number")?;
                shown.rows.push((seq, *message));
            }
        }
    }
    Ok(Some(shown))
}

/// What may never be wrong, whatever has happened and is under way.
pub async fn check_now(hub: &Hub, client: &mut Client) -> Result<(), String> {
    for conv in hub.conversations(&client.who.clone()).await {
        let record = hub.record(&client.who, &conv.conv).await;
        let Some(shown) = shown(client, &conv.conv).await? else { continue };
        let failed = |what: String| format!("{} in {}: {what}", client.name, name(&conv));
        safe(&shown, &record, &conv, client.name).map_err(failed)?;
        if let Some(bottom) = shown.bottom() {
            let lowest = client.lowest.entry(conv.conv.clone()).or_insert(bottom);
            if bottom > *lowest {
                return Err(format!("{} in {}: {lowest} was here, now only from {bottom}", client.name, name(&conv)));
            }
            *lowest = bottom;
        }
    }
    Ok(())
}

fn safe(shown: &Shown, record: &[Told], conv: &ConvObj, me: &str) -> Result<(), String> {
    let mut before = 0;
    for (seq, message) in &shown.rows {
        let told = record.iter().find(|told| told.seq == *seq).ok_or(format!("{seq} was never said"))?;
        if told.from != message.sender || (message.sender == me) != message.outgoing {
            return Err(format!("{seq} is {}'s, shown as {}'s", told.from, message.sender));
        }
        if *seq <= before {
            return Err(format!("{seq} stands after {before}"));
        }
        // One's own is shown as soon as the server has it, before what others said meanwhile has come.
        if *seq != before + 1 && !message.outgoing && !shown.admits(before, *seq) {
            return Err(format!("{seq} stands after {before} and no hole is shown between them"));
        }
        before = *seq;
    }
    // What the others were told that this device has, it has.
    let bottom = shown.bottom().unwrap_or(u64::MAX);
    for told in record.iter().filter(|told| told.from != me && told.seq >= bottom) {
        let here = shown.rows.iter().any(|(seq, _)| *seq == told.seq);
        if told.seq <= conv.delivered.unwrap_or_default() && !here {
            return Err(format!("{} counts as delivered and is not here", told.seq));
        }
    }
    Ok(())
}

/// What is not yet as it must be once the world has healed.
pub async fn check_end(hub: &Hub, clients: &mut [Client]) -> Result<(), String> {
    for client in clients.iter() {
        if !client.is_online() {
            return Err(format!("{} is not online: {:?}", client.name, client.status()));
        }
        if !client.all_sent().await {
            return Err(format!("{} has not sent everything", client.name));
        }
    }
    for client in clients {
        check_now(hub, client).await?;
        let mut records = BTreeMap::new();
        for conv in hub.conversations(&client.who.clone()).await {
            let record = hub.record(&client.who, &conv.conv).await;
            let shown = shown(client, &conv.conv).await?;
            whole(shown, &record, &conv, client.name)
                .map_err(|what| format!("{} in {}: {what}", client.name, name(&conv)))?;
            records.insert(name(&conv), record);
        }
        sent(client, &records)?;
    }
    Ok(())
}

/// Everything above the oldest hole is here, in its newest form, and counted as the hub counts it.
fn whole(shown: Option<Shown>, record: &[Told], conv: &ConvObj, me: &str) -> Result<(), String> {
    let Some(shown) = shown else {
        return if record.is_empty() { Ok(()) } else { Err("the conversation is missing".into()) };
    };
    let bottom = shown.bottom().unwrap_or(1);
    if shown.holes.iter().any(|hole| *hole != (0, bottom)) {
        return Err(format!("holes that were not filled: {:?}", shown.holes));
    }
    for told in record.iter().filter(|told| told.seq >= bottom) {
        let Some((_, message)) = shown.rows.iter().find(|(seq, _)| *seq == told.seq) else {
            return Err(format!("{told:?} is missing"));
        };
        let text = (!message.retracted).then(|| message.text.clone());
        if text != told.text {
            return Err(format!("{} reads {text:?}, the hub has {:?}", told.seq, told.text));
        }
        if message.outgoing && message.state < MessageState::Sent {
            return Err(format!("{} is {:?} although the hub has it", told.seq, message.state));
        }
    }
    // What was taken back before it was read counts here and not at the hub.
    let read = conv.read.unwrap_or_default();
    let theirs = || record.iter().filter(|told| told.from != me);
    let least = theirs().filter(|told| told.seq > read && told.text.is_some()).count() as u64;
    let most = theirs().filter(|told| told.seq > read).count() as u64;
    if !(least..=most).contains(&shown.unread) {
        return Err(format!("{} unread of {least} to {most}, the hub counts {:?}", shown.unread, conv.unread));
    }
    Ok(())
}

/// What this client was asked to send is in the hub's record once, in its order.
fn sent(client: &Client, records: &BTreeMap<String, Vec<Told>>) -> Result<(), String> {
    for talk in [Talk::Other, Talk::Carol, Talk::Group] {
        let place = match talk {
            Talk::Other => other(client.name).to_owned(),
            Talk::Carol => "carol".into(),
            Talk::Group => "the group".into(),
        };
        let drafts: Vec<&String> = client.drafts.iter().filter(|draft| draft.0 == talk).map(|draft| &draft.2).collect();
        let record = records.get(&place).map(Vec::as_slice).unwrap_or_default();
        let mine: Vec<&String> =
            record.iter().filter(|told| told.from == client.name).filter_map(|told| told.text.as_ref()).collect();
        if mine != drafts {
            return Err(format!("{} wrote to {place} {drafts:?}, the hub has {mine:?}", client.name));
        }
    }
    Ok(())
}

fn name(conv: &ConvObj) -> String {
    conv.peer.clone().unwrap_or_else(|| "the group".into())
}
