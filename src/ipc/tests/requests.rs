//! What requests do: names, sending, waiting, reading, the daemon's own controls.

use super::*;
use crate::ipc::wire::{
    ConversationCreate, ConversationGet, FaultCode, Fetch, MarkRead, MessageGet, NotifyTest, OutboxGet, OutboxProgress,
    OutboxWait, PageAsk, Reconnect, Send, Shutdown, Typing, Unread, Until,
};
use crate::model::{Hole, MessageId, MessageState, Outcome, Settled, Signal};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

fn send(conversation: &str, id: Option<MessageId>) -> Send {
    Send {
        account: Some("ann".into()),
        conversation: conversation.into(),
        text: "hi".into(),
        reply_to: None,
        attachments: Vec::new(),
        id,
    }
}

async fn refused<M: crate::ipc::wire::Method>(client: &Client, ask: M) -> FaultCode
where
    M::Answer: std::fmt::Debug,
{
    client.call(ask).await.unwrap_err().fault().expect("a refusal").kind()
}

#[tokio::test]
async fn a_message_is_in_the_outbox_when_send_answers_and_sent_once_however_often_it_is_asked() {
    let house = House::new().await;
    house.conversation("team").await;
    let client = house.client().await;
    let id = Entropy::system().message_id(Timestamp(T0));
    let first = client.call(send("team", Some(id))).await.unwrap();
    let again = client.call(send("team", Some(id))).await.unwrap();
    assert_eq!((first.id, again.id), (id, id));
    let taken = house.store.take_outbox(house.account, 10, Timestamp(T0)).await.unwrap();
    assert_eq!(taken.len(), 1);
    let message = client.call(MessageGet { id }).await.unwrap();
    assert!(message.outgoing && message.text == "hi");
}

#[tokio::test]
async fn a_users_name_opens_the_direct_conversation() {
    let house = House::new().await;
    let client = house.client().await;
    let queued = client.call(send("carol", None)).await.unwrap();
    let get = |conversation: &str| ConversationGet { account: None, conversation: conversation.into() };
    let info = client.call(get(&queued.conversation.unwrap().to_string())).await.unwrap();
    assert_eq!(info.peer.as_deref(), Some("carol"));
    assert_eq!(client.call(send("carol", None)).await.unwrap().conversation, queued.conversation);
    assert_eq!(refused(&client, get("nobody")).await, FaultCode::NotFound);
    let other = Send { account: Some("zoe".into()), ..send("carol", None) };
    assert_eq!(refused(&client, other).await, FaultCode::NotFound);
    let empty = Send { text: "  ".into(), ..send("carol", None) };
    assert_eq!(refused(&client, empty).await, FaultCode::BadParams);
}

#[tokio::test]
async fn waiting_ends_when_the_server_has_the_message_and_tells_why_it_failed() {
    let house = House::new().await;
    house.conversation("team").await;
    let client = house.client().await;
    let (good, bad) = (client.call(send("team", None)).await.unwrap(), client.call(send("team", None)).await.unwrap());
    let wait = |id, timeout_ms| OutboxWait { id, until: Until::Sent, timeout_ms: Some(timeout_ms) };
    assert_eq!(refused(&client, wait(good.id, 20)).await, FaultCode::Timeout);
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.call(wait(good.id, 20_000)).await }
    });
    let rows = house.store.take_outbox(house.account, 10, Timestamp(T0)).await.unwrap();
    let settled = |at: usize, outcome| Event::Settled(Settled { outbox: rows[at].outbox, outcome });
    let server = Some(ServerRef { id: "e/team/900".into(), order: None });
    let failure = crate::model::SendFailure { code: "forbidden".into(), text: "you may not".into() };
    house
        .apply(vec![
            settled(0, Outcome::Sent { conversation: None, server, at: Timestamp(T0) }),
            settled(1, Outcome::Failed(failure)),
        ])
        .await;
    let info = waiting.await.unwrap().unwrap();
    assert_eq!((info.state, info.message_state), (OutboxProgress::Done, Some(MessageState::Sent)));
    let failed = client.call(wait(bad.id, 20_000)).await.unwrap();
    assert_eq!(failed.state, OutboxProgress::Failed);
    assert!(failed.text.unwrap().contains("you may not"));
    let delivered = OutboxWait { id: good.id, until: Until::Delivered, timeout_ms: Some(20) };
    assert_eq!(refused(&client, delivered).await, FaultCode::Timeout);
}

#[tokio::test]
async fn a_group_gets_its_id_when_the_server_has_made_it() {
    let house = House::new().await;
    let client = house.client().await;
    let ask = ConversationCreate { account: "ann".into(), title: "Crew".into(), members: vec!["bob".into()], id: None };
    let queued = client.call(ask).await.unwrap();
    assert_eq!(queued.conversation, None);
    let rows = house.store.take_outbox(house.account, 10, Timestamp(T0)).await.unwrap();
    let conversation = Some(ConversationKey::server("crew"));
    let outcome = Outcome::Sent { conversation, server: None, at: Timestamp(T0) };
    house.conversation("crew").await;
    house.apply(vec![Event::Settled(Settled { outbox: rows[0].outbox, outcome })]).await;
    let info = client.call(OutboxGet { id: queued.id }).await.unwrap();
    assert_eq!(info.state, OutboxProgress::Done);
    assert!(info.conversation.is_some());
}

#[tokio::test]
async fn reading_a_conversation_empties_its_count() {
    let mut house = House::new().await;
    house.conversation("team").await;
    house.arrive("team", 0..3).await;
    let client = house.client().await;
    assert_eq!(client.call(Unread { account: None }).await.unwrap().unread, 3);
    client.call(MarkRead { account: None, conversation: "team".into(), upto: None }).await.unwrap();
    assert_eq!(client.call(Unread { account: Some("ann".into()) }).await.unwrap().unread, 0);
    assert_eq!(client.status().await.unwrap().accounts[0].unread, 0);
}

#[tokio::test]
async fn wishes_reach_the_links_as_signals() {
    let mut house = House::new().await;
    let team = house.conversation("team").await;
    let client = house.client().await;
    client.call(Typing { account: None, conversation: "team".into(), on: true }).await.unwrap();
    let hole = Hole {
        conversation: team,
        archive: "e/team".into(),
        below: Some("3".into()),
        above: Some("9".into()),
        from: None,
        to: None,
        cause: crate::model::HoleCause::Missed,
        fill: crate::model::HoleFill::Open,
        asked_at: None,
    };
    client.call(Fetch { hole, limit: Some(7) }).await.unwrap();
    client.call(Reconnect { account: None }).await.unwrap();
    let typing = house.signals.recv().await.unwrap();
    assert_eq!(typing.account, Some(house.account));
    assert!(matches!(typing.signal, Signal::Typing { on: true, .. }));
    let Signal::Fetch(fetch) = house.signals.recv().await.unwrap().signal else { panic!("not a fetch") };
    assert_eq!((fetch.limit, fetch.above.as_deref()), (7, Some("9")));
    assert_eq!(fetch.conversation.unwrap().server.as_deref(), Some("team"), "the archive is this conversation's own");
    assert_eq!(house.signals.recv().await.unwrap(), Addressed { account: None, signal: Signal::Reconnect });
}

#[tokio::test]
async fn what_only_the_daemon_can_do_is_passed_on_and_its_absence_is_told() {
    let mut house = House::new().await;
    let client = house.client().await;
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.call(NotifyTest {}).await }
    });
    let Some(Control::NotifyTest(answer)) = house.control.recv().await else { panic!("not a test") };
    answer.send(Ok(json!({"shown": true}))).unwrap();
    assert_eq!(asking.await.unwrap().unwrap(), json!({"shown": true}));
    let asking = tokio::spawn({
        let client = client.clone();
        async move { refused(&client, NotifyTest {}).await }
    });
    drop(house.control.recv().await);
    assert_eq!(asking.await.unwrap(), FaultCode::Unavailable);
    client.call(Shutdown {}).await.unwrap();
    assert!(matches!(house.control.recv().await, Some(Control::Shutdown)));
}

#[tokio::test]
async fn a_choice_reaches_the_daemon_with_ids_for_names() {
    use crate::ipc::Wish;
    use crate::ipc::wire::{Hold, NotifyMute};
    let mut house = House::new().await;
    let team = house.conversation("team").await;
    let client = house.client().await;
    let mute = |account: Option<&str>, conversation: Option<&str>| NotifyMute {
        account: account.map(Into::into),
        conversation: conversation.map(Into::into),
        hold: Hold::Until(Timestamp(T0)),
    };
    assert_eq!(refused(&client, mute(None, None)).await, FaultCode::BadParams);
    assert_eq!(refused(&client, mute(Some("zoe"), None)).await, FaultCode::NotFound);
    let asking = tokio::spawn({
        let (client, ask) = (client.clone(), mute(Some("ann"), Some("team")));
        async move { client.call(ask).await }
    });
    let Some(Control::Choose(wish, answer)) = house.control.recv().await else { panic!("not a choice") };
    assert_eq!(wish, Wish::MuteConversation(team, Hold::Until(Timestamp(T0))));
    answer.send(Ok(json!({}))).unwrap();
    asking.await.unwrap().unwrap();
}

#[tokio::test]
async fn pages_need_no_session_and_their_tokens_survive_a_restart_but_no_change() {
    let mut house = House::new().await;
    let team = house.conversation("team").await;
    house.arrive("team", 0..25).await;
    let ask = PageAsk { find: in_conversation(team), batch: Some(10), token: None };
    let first = house.client().await.call(ask).await.unwrap();
    assert_eq!(texts(&first.rows), numbers((15..25).rev()));
    let house = house.restart().await;
    let client = house.client().await;
    let next = |token: String| PageAsk { token: Some(token), batch: Some(10), ..PageAsk::default() };
    let second = client.call(next(first.token.clone().unwrap())).await.unwrap();
    assert_eq!(texts(&second.rows), numbers((5..15).rev()));
    let third = client.call(next(second.token.unwrap())).await.unwrap();
    assert_eq!((texts(&third.rows), third.token), (numbers((0..5).rev()), None));
    let mut bytes = BASE64.decode(first.token.unwrap()).unwrap();
    let at = bytes.windows(4).position(|window| window == b"desc").unwrap();
    bytes[at..at + 4].copy_from_slice(b"rank");
    assert_eq!(refused(&client, next(BASE64.encode(&bytes))).await, FaultCode::BadToken, "another question");
    assert_eq!(refused(&client, next("AAAA".into())).await, FaultCode::BadToken);
}

#[tokio::test]
async fn every_method_stands_in_the_schema_and_answers_are_valid_by_it() {
    let house = House::new().await;
    let schema = crate::ipc::wire::schema();
    for method in crate::ipc::wire::Call::METHODS {
        assert!(schema["methods"][method]["params"].is_object(), "{method}");
        assert!(include_str!("../../../docs/ipc.md").contains(&format!("| `{method}` |")), "{method} is documented");
    }
    let mut raw = house.raw().await;
    let answer = raw.call("status", json!({})).await;
    let mut status = schema["methods"]["status"]["result"].clone();
    status["$defs"] = schema["$defs"].clone();
    jsonschema::validate(&status, &answer["result"]).unwrap();
}
