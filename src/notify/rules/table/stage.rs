//! The interpreter of the scripts: the rules, a pretended server, and a clock that moves only when told.

use crate::machine::Machine;
use crate::model::{AccountId, Attention, ConversationId, ConversationKind, MessageId, Position, Timestamp};
use crate::notify::decision::{Verdict, Why};
use crate::notify::desktop::{Capabilities, Closed, DesktopError, Shown};
use crate::notify::rules::{Candidate, Input, Output, Place, Rules};
use crate::notify::settings::{Choices, Override, Privacy, Quiet, QuietChoice, Settings, Until};
use crate::notify::text;
use crate::store::BannerState;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

const CAN: Capabilities = Capabilities {
    actions: false,
    body: true,
    body_markup: false,
    inline_reply: false,
    persistence: true,
    sound: true,
};
/// 2026-03-02, noon UTC.
const NOON: i64 = 1_772_452_800_000;

pub(super) struct Stage {
    rules: Rules,
    settings: Settings,
    choices: Choices,
    start: Instant,
    now: Instant,
    server: &'static str,
    answers: Vec<DesktopError>,
    last_id: u32,
    candidates: Vec<Candidate>,
    rows: BTreeMap<MessageId, BannerState>,
    verdicts: BTreeMap<MessageId, (Verdict, Why)>,
    calls: Vec<String>,
}

impl Stage {
    pub(super) fn new() -> Self {
        let settings = Settings { other_device_delay: Duration::from_secs(10), ..Settings::default() };
        let now = crate::world::Clock::system().now();
        let mut stage = Self {
            rules: Rules::new(settings.clone()),
            settings,
            choices: Choices::default(),
            start: now,
            now,
            server: "s1",
            answers: Vec::new(),
            last_id: 0,
            candidates: Vec::new(),
            rows: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            calls: Vec::new(),
        };
        stage.tell(Input::Up("s1".into()));
        stage
    }

    pub(super) fn calls(&self) -> Vec<String> {
        self.calls.clone()
    }

    /// How many messages the rules hold one by one.
    pub(super) fn kept(&self) -> usize {
        self.rules.tracked().len()
    }

    pub(super) fn verdicts(&self) -> Vec<String> {
        let line = |(index, candidate): (usize, &Candidate)| {
            let (verdict, why) = self.verdicts.get(&candidate.message)?;
            Some(format!("{} {} {}", index + 1, format!("{verdict:?}").to_lowercase(), why.code()))
        };
        self.candidates.iter().enumerate().filter_map(line).collect()
    }

    /// `[catchup|own|read|old|quietly] [ACCOUNT.]CONVERSATION[/SENDER][@]: TEXT`, or a word and its argument.
    pub(super) fn step(&mut self, line: &str) {
        if let Some((head, text)) = line.split_once(": ") {
            let candidate = self.parse(head, text);
            self.candidates.push(candidate.clone());
            self.rows.insert(candidate.message, BannerState::Due);
            self.tell_quietly(Input::Candidate(Box::new(candidate)));
            if !text.ends_with(" ...") {
                self.drain();
            }
            return;
        }
        let (word, argument) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "wait" => self.wait(seconds(argument)),
            "looking" => self.attention(1, &[argument]),
            "idle" => self.attention(1, &[]),
            "detached" => self.attention(0, &[]),
            "read" | "retract" | "edit" => self.message(word, argument),
            "caughtup" => self.tell(Input::CaughtUp(account(argument).0)),
            "elsewhere" => self.tell(Input::OtherDevice(account(argument).0)),
            "lock" | "unlock" => self.tell(Input::Locked(word == "lock")),
            "inhibit" => self.tell(Input::Inhibited(argument == "on")),
            "down" => self.tell(Input::Down),
            "up" => self.up(argument),
            "answers" => self.answers(argument),
            "healthy" => self.answers.clear(),
            "dismiss" => self.tell(Input::Closed(argument.parse().unwrap(), Closed::Dismissed)),
            "expire" => self.tell(Input::Closed(argument.parse().unwrap(), Closed::Expired)),
            "restart" => self.restart(argument),
            "mute" | "unmute" | "dnd" | "quiet" => self.choose(word, argument),
            "set" => self.set(argument),
            other => panic!("no such step: {other}"),
        }
    }

    fn wall(&self) -> Timestamp {
        Timestamp(NOON + i64::try_from((self.now - self.start).as_millis()).unwrap())
    }

    fn tell_quietly(&mut self, input: Input) {
        self.rules.handle_input(self.now, Input::Wall(self.wall(), 0));
        self.rules.handle_input(self.now, input);
    }

    fn tell(&mut self, input: Input) {
        self.tell_quietly(input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.rules.poll_output() {
            match output {
                Output::Notify(replaces, note) => {
                    let notice = text::render(&note, CAN, Some("message"), replaces);
                    let answer = match self.answers.pop() {
                        Some(error) => Err(error),
                        None => Ok(Shown { server: self.server.into(), id: self.id(replaces) }),
                    };
                    let how = match (&answer, replaces) {
                        (Err(_), _) => "failed".to_owned(),
                        (Ok(shown), 0) => format!("new {}", shown.id),
                        (Ok(shown), _) => format!("put {}", shown.id),
                    };
                    let sound = if notice.sound.is_some() { " ♪" } else { "" };
                    let body = notice.body.replace('\n', " / ");
                    let body = if body.is_empty() { body } else { format!(" | {body}") };
                    self.log(&format!("{how} {}{body}{sound}", notice.summary));
                    self.tell_quietly(Input::Answer(answer));
                }
                Output::Close(id) => self.log(&format!("close {id}")),
                Output::Record(message, state) => drop(self.rows.insert(message, state)),
                Output::Uncount(conversation) => self.uncount(conversation),
                Output::Decided(decision) => {
                    self.verdicts.insert(decision.message, (decision.verdict, decision.why));
                }
                Output::Wake => self.log("wake"),
            }
        }
    }

    fn counted(&self, conversation: ConversationId) -> impl Iterator<Item = &Candidate> {
        let counted = BannerState::Dropped(Why::Counted.code().into());
        let of = self.candidates.iter().filter(move |one| one.place.conversation == conversation);
        of.filter(move |one| self.rows.get(&one.message) == Some(&counted))
    }

    fn uncount(&mut self, conversation: ConversationId) {
        let over: Vec<MessageId> = self.counted(conversation).map(|one| one.message).collect();
        self.rows.extend(over.into_iter().map(|message| (message, BannerState::Dropped(Why::Dismissed.code().into()))));
    }

    /// As the driver does after something was read, and at its start.
    fn recount(&mut self) {
        let conversations: BTreeSet<ConversationId> =
            self.candidates.iter().map(|one| one.place.conversation).collect();
        for conversation in conversations {
            let number = self.counted(conversation).count();
            if number > 0 || self.rules.counted_in(conversation) > 0 {
                self.tell_quietly(Input::Counted(conversation, number));
            }
        }
        self.drain();
    }

    fn id(&mut self, replaces: u32) -> u32 {
        if replaces > 0 {
            return replaces;
        }
        self.last_id += 1;
        self.last_id
    }

    fn log(&mut self, call: &str) {
        let at = (self.now - self.start).as_secs_f64();
        self.calls.push(format!("{at} {call}"));
    }

    /// Lets time pass, stopping where the rules want to be woken.
    fn wait(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.rules.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.rules.handle_input(self.now, Input::Wall(self.wall(), 0));
            self.rules.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn parse(&self, head: &str, text: &str) -> Candidate {
        let mut words: Vec<&str> = head.split(' ').collect();
        let mut place = words.pop().unwrap();
        let mentions_me = place.ends_with('@');
        place = place.trim_end_matches('@');
        let (place, sender) = place.split_once('/').map_or((place, None), |(place, sender)| (place, Some(sender)));
        let number = self.candidates.len() + 1;
        let age = if words.contains(&"old") { 8 * 24 * 3_600_000 } else { 0 };
        let (account, account_name) = account(place);
        let title = place.rsplit('.').next().unwrap();
        Candidate {
            message: id(number),
            place: Arc::new(Place {
                account,
                account_name,
                conversation: conversation(place),
                title: title.into(),
                peer: sender.is_none().then(|| format!("{title}@example.org")),
                kind: if sender.is_some() { ConversationKind::Group } else { ConversationKind::Direct },
            }),
            position: Position(i64::try_from(number).unwrap()),
            sender: sender.unwrap_or(title).into(),
            text: text.trim_end_matches(" ...").into(),
            sent_at: Timestamp(self.wall().ms() - age),
            mentions_me,
            silent: words.contains(&"quietly"),
            catch_up: words.contains(&"catchup"),
            outgoing: words.contains(&"own"),
            read: words.contains(&"read"),
            retracted: false,
            shown: None,
            uncertain: false,
        }
    }

    fn attention(&mut self, attached: usize, looking: &[&str]) {
        let looking = looking.iter().map(|name| conversation(name)).collect();
        self.tell(Input::Attention(Attention { attached, looking }));
    }

    /// `NUMBER`, `NUMBER-NUMBER`, or `NUMBER TEXT` for an edit.
    fn message(&mut self, word: &str, argument: &str) {
        let (numbers, text) = argument.split_once(' ').unwrap_or((argument, ""));
        let (from, to) = numbers.split_once('-').unwrap_or((numbers, numbers));
        for number in from.parse().unwrap()..=to.parse().unwrap() {
            self.tell_quietly(match word {
                "read" => Input::Gone(id(number), Why::Read),
                "retract" => Input::Gone(id(number), Why::Retracted),
                _ => Input::Edited(id(number), text.into()),
            });
            let counted = BannerState::Dropped(Why::Counted.code().into());
            if word == "read" && self.rows.get(&id(number)) == Some(&counted) {
                self.rows.remove(&id(number));
            }
        }
        self.drain();
        self.recount();
    }

    fn up(&mut self, name: &str) {
        self.server = if name == "s2" { "s2" } else { "s1" };
        self.tell(Input::Up(self.server.into()));
    }

    fn answers(&mut self, argument: &str) {
        self.answers.push(match argument {
            "silent" => DesktopError::Silent,
            "absent" => DesktopError::Absent("no".into()),
            _ => DesktopError::Refused("no".into()),
        });
    }

    /// The daemon is killed and comes back; what was recorded is all it knows. `lost`: the last record never was.
    fn restart(&mut self, argument: &str) {
        self.rules = Rules::new(self.settings.clone());
        if argument.contains("lost")
            && let Some((_, row)) = self.rows.iter_mut().next_back()
        {
            *row = BannerState::Due;
        }
        self.tell_quietly(Input::Choices(self.choices.clone()));
        for mut candidate in self.candidates.clone() {
            candidate.uncertain = self.rows.get(&candidate.message) == Some(&BannerState::Due);
            candidate.shown = match self.rows.get(&candidate.message) {
                Some(BannerState::Shown { server, id } | BannerState::Withdrawn { server, id }) => {
                    Some(Shown { server: server.clone(), id: *id })
                }
                Some(BannerState::Dropped(_)) | None => continue,
                Some(BannerState::Due | BannerState::Held(_)) => None,
            };
            self.tell_quietly(Input::Candidate(Box::new(candidate)));
        }
        self.drain();
        self.recount();
        self.up(if argument.contains("s2") { "s2" } else { "s1" });
    }

    fn choose(&mut self, word: &str, argument: &str) {
        let (name, span) = argument.split_once(' ').unwrap_or((argument, ""));
        let until = |span: &str| match span {
            "" => Until::Forever,
            span => Until::Time(Timestamp(self.wall().ms() + i64::try_from(seconds(span).as_millis()).unwrap())),
        };
        match (word, name) {
            ("mute", name) if name.starts_with('*') => {
                self.choices.accounts.insert(name.trim_start_matches('*').into(), until(span));
            }
            ("mute", name) => drop(self.choices.conversations.insert(conversation(name), until(span))),
            ("unmute", name) => drop(self.choices.conversations.remove(&conversation(name))),
            ("dnd", "off") => self.choices.dnd = None,
            ("dnd", _) => self.choices.dnd = Some(until(span)),
            ("quiet", "never") => self.choices.quiet = Some(QuietChoice::Never),
            (_, hours) => self.choices.quiet = Some(QuietChoice::Daily(quiet(hours))),
        }
        self.tell(Input::Choices(self.choices.clone()));
    }

    fn set(&mut self, argument: &str) {
        let settings = &mut self.settings;
        match argument.split_once(' ').unwrap_or((argument, "")) {
            ("off", _) => settings.enabled = false,
            ("mentions", "") => settings.mentions_only = true,
            ("mentions", name) => settings.conversations.entry(name.into()).or_default().mentions_only = Some(true),
            ("all", name) => settings.conversations.entry(name.into()).or_default().mentions_only = Some(false),
            ("hide", "") => settings.privacy = Privacy::Hide,
            ("hide", name) => {
                settings
                    .conversations
                    .insert(name.into(), Override { privacy: Some(Privacy::Hide), ..Override::default() });
            }
            ("show", _) => settings.privacy = Privacy::Show,
            ("mute", name) => settings.conversations.entry(name.into()).or_default().mute = Some(true),
            ("mute-account", name) => settings.accounts.entry(name.into()).or_default().mute = Some(true),
            ("quiet", hours) => settings.quiet = Some(quiet(hours)),
            (other, _) => panic!("no such setting: {other}"),
        }
        self.tell(Input::Settings(Box::new(self.settings.clone())));
    }
}

fn id(number: usize) -> MessageId {
    MessageId::new(1, &u64::try_from(number).unwrap().to_be_bytes().repeat(2)[6..].try_into().unwrap())
}

fn conversation(name: &str) -> ConversationId {
    let mut bytes = [0; 10];
    let name = name.trim_start_matches("work.");
    bytes[..name.len().min(10)].copy_from_slice(&name.as_bytes()[..name.len().min(10)]);
    ConversationId::new(1, &bytes)
}

fn account(place: &str) -> (AccountId, String) {
    if place.starts_with("home") { (AccountId(2), "home".into()) } else { (AccountId(1), "work".into()) }
}

fn quiet(hours: &str) -> Quiet {
    let minutes = |text: &str| {
        let (hour, minute) = text.split_once(':').unwrap();
        hour.parse::<u16>().unwrap() * 60 + minute.parse::<u16>().unwrap()
    };
    let (from, to) = hours.split_once('-').unwrap();
    Quiet { from: minutes(from), to: minutes(to) }
}

fn seconds(text: &str) -> Duration {
    let (number, unit) = text.split_at(text.find(char::is_alphabetic).unwrap_or(text.len()));
    let factor = match unit {
        "h" => 3600.0,
        "m" => 60.0,
        _ => 1.0,
    };
    Duration::from_secs_f64(number.parse::<f64>().unwrap() * factor)
}
