//! Scripts of a hostile server: the recorded exchanges and some of the hostile kind, changed at random. The fuzz target
//! takes the same as its first corpus.
//!
//! `WAKEFUL_FRAMES=100000 cargo test --test xmpp frames` for a long run; `WAKEFUL_CORPUS=FOLDER` writes the corpus there.

use crate::script::play;
use crate::server::{Kind, clock};
use crate::support::number;
use crate::transcripts::{Step, steps};
use fastrand::Rng;
use std::panic::AssertUnwindSafe;

/// A login by PLAIN, up to stanzas.
const LOGIN: &str = "!open
<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='localhost' version='1.0'/>
<stream:features xmlns:stream='http://etherx.jabber.org/streams'><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>
<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>
<stream:features xmlns:stream='http://etherx.jabber.org/streams'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><sm xmlns='urn:xmpp:sm:3'/></stream:features>
<iq xmlns='jabber:client' type='result' id='@0'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>alice@localhost/wakeful</jid></bind></iq>
<enabled xmlns='urn:xmpp:sm:3' resume='true' id='s'/>
<iq xmlns='jabber:client' type='result' id='@0' from='alice@localhost'><query xmlns='http://jabber.org/protocol/disco#info'><feature var='urn:xmpp:mam:2'/></query></iq>
";

/// What nobody honest sends; one a line.
const HOSTILE: [&str; 14] = [
    "<message xmlns='jabber:client' from='bob@localhost/x' id='1'><body>hello</body><stanza-id xmlns='urn:xmpp:sid:0' by='alice@localhost' id='a1'/></message>",
    "<message xmlns='jabber:client' from='eve@localhost'><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='bob@localhost' to='alice@localhost'><body>forged</body></message></forwarded></received></message>",
    "<message xmlns='jabber:client'><result xmlns='urn:xmpp:mam:2' queryid='@q' id='a2'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/><message xmlns='jabber:client' from='bob@localhost/x' to='alice@localhost'><body>old</body></message></forwarded></result></message>",
    "<iq xmlns='jabber:client' type='result' id='@0'><fin xmlns='urn:xmpp:mam:2' complete='true'><set xmlns='http://jabber.org/protocol/rsm'><last>a2</last></set></fin></iq>",
    "<iq xmlns='jabber:client' type='error' id='@0'><error type='wait'><internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
    "<a xmlns='urn:xmpp:sm:3' h='4294967295'/>",
    "<resumed xmlns='urn:xmpp:sm:3' previd='s' h='3'/>",
    "<failed xmlns='urn:xmpp:sm:3'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
    "<r xmlns='urn:xmpp:sm:3'/>",
    "<presence xmlns='jabber:client' from='den@conference.localhost/alice'><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none'/><status code='110'/><status code='307'/></x></presence>",
    "<!DOCTYPE a [<!ENTITY b 'c'><!ENTITY d '&b;&b;&b;'>]><message xmlns='jabber:client'><body>&d;</body></message>",
    "<stream:error xmlns:stream='http://etherx.jabber.org/streams'><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>x@y:99999/..</see-other-host></stream:error>",
    "<message xmlns='jabber:client' from='bob@localhost' id='9'><reactions xmlns='urn:xmpp:reactions:0' id='1'><reaction>👍</reaction></reactions><displayed xmlns='urn:xmpp:chat-markers:0' id='1'/></message>",
    "<iq xmlns='jabber:client' type='set' id='z' from='eve@localhost'><query xmlns='jabber:iq:roster'><item jid='eve@localhost' subscription='both'/></query></iq>",
];

/// A recording as a script; its logins are by PLAIN, since a proof of the password costs more than all the rest.
fn script(steps: &[Step]) -> String {
    let (mut lines, mut ticks) = (Vec::new(), 0);
    for step in steps {
        ticks += u64::from(!matches!(step, Step::Said(_)));
        lines.push(match step {
            Step::Opened => "!open".to_owned(),
            Step::Closed => "!lose".to_owned(),
            Step::Restarted => format!("!restart {ticks}"),
            Step::Waited(ms) => format!("!wait {ms}"),
            Step::Say(row, text) => format!("!say {row} {text}"),
            Step::Join(row, room) => format!("!join {row} {room}"),
            Step::Said(_) => continue,
            Step::Heard(frame) if frame.contains("<challenge") => continue,
            Step::Heard(frame) if frame.contains("<mechanisms") || frame.contains("<success") => {
                let wanted = if frame.contains("<success") { "<success" } else { "<mechanisms" };
                LOGIN.lines().find(|line| line.contains(wanted)).expect("it stands there").to_owned()
            }
            Step::Heard(frame) => frame.replace('\n', " "),
        });
    }
    lines.join("\n")
}

fn corpus() -> Vec<String> {
    let recorded = [Kind::Prosody, Kind::Ejabberd].map(|kind| script(&steps(kind)));
    let hostile =
        (0..HOSTILE.len()).map(|at| format!("{LOGIN}!say 1 hello\n{}\n!lose\n!open", HOSTILE[at..].join("\n")));
    recorded.into_iter().chain(hostile).collect()
}

/// One change.
fn change(lines: &mut Vec<String>, others: &[String], dice: &mut Rng) {
    let at = dice.usize(..lines.len().max(1)).min(lines.len().saturating_sub(1));
    let other = dice.choice(others).expect("a corpus");
    let theirs: Vec<&str> = other.lines().collect();
    match dice.u8(..12) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(at, lines[at].clone()),
        2 => {
            let other = dice.usize(..lines.len());
            lines.swap(at, other);
        }
        3 => lines.insert(at, (*dice.choice(&theirs).expect("lines")).to_owned()),
        4 => lines.insert(at, (*dice.choice(&HOSTILE).expect("lines")).to_owned()),
        5 => lines.insert(
            at,
            (*dice.choice(&["!lose", "!open", "!hold", "!land", "!restart 5", "!wait 95000"]).expect("one")).into(),
        ),
        6 => lines.truncate(at + 1),
        7 => lines[at] = lines[at].repeat(2),
        8 => lines[at] = quoted(&lines[at], dice, |_| String::new()),
        9 => lines[at] = quoted(&lines[at], dice, |old| format!("{old}{old}")),
        10 => {
            let new = [
                "alice@localhost",
                "alice@localhost/wakeful",
                "den@conference.localhost",
                "@0",
                "@q",
                "result",
                "set",
                "-1",
                "4294967295",
            ];
            let new = *dice.choice(&new).expect("one");
            lines[at] = quoted(&lines[at], dice, |_| new.to_owned());
        }
        _ => {
            let mut bytes = std::mem::take(&mut lines[at]).into_bytes();
            if !bytes.is_empty() {
                let place = dice.usize(..bytes.len());
                bytes[place] = dice.u8(32..127);
            }
            lines[at] = String::from_utf8_lossy(&bytes).into_owned();
        }
    }
    if lines.is_empty() {
        lines.push("!open".into());
    }
}

/// With one of its quoted values replaced.
fn quoted(line: &str, dice: &mut Rng, new: impl Fn(&str) -> String) -> String {
    let mut parts: Vec<String> = line.split('\'').map(str::to_owned).collect();
    if parts.len() >= 3 {
        let at = dice.usize(..parts.len() / 2) * 2 + 1;
        parts[at] = new(&parts[at]);
    }
    parts.join("'")
}

#[test]
fn the_corpus_is_written_where_a_fuzzer_wants_it() {
    let Some(folder) = std::env::var_os("WAKEFUL_CORPUS") else { return };
    for (n, script) in corpus().iter().enumerate() {
        let file = std::path::Path::new(&folder).join(format!("seed-{n}"));
        std::fs::write(file, script).expect("the folder is there");
    }
}

#[test]
fn the_recordings_as_scripts_say_what_they_say_as_recordings() {
    for script in &corpus()[..2] {
        let stage = play(script, clock());
        assert!(
            stage.messages >= 6 && stage.refused() == 0,
            "{} messages, {} refused",
            stage.messages,
            stage.refused()
        );
    }
}

#[test]
fn whatever_a_server_says_no_promise_is_broken() {
    let corpus = corpus();
    let (rounds, now) = (number("WAKEFUL_FRAMES", 400), clock());
    let (mut messages, mut refused) = (0, 0);
    for seed in 0..rounds {
        let mut dice = Rng::with_seed(seed);
        let mut lines: Vec<String> = dice.choice(&corpus).expect("a corpus").lines().map(str::to_owned).collect();
        for _ in 0..dice.usize(1..12) {
            change(&mut lines, &corpus, &mut dice);
        }
        let script = lines.join("\n");
        let Ok(stage) = std::panic::catch_unwind(AssertUnwindSafe(|| play(&script, now))) else {
            panic!("seed {seed} breaks a promise:\n{script}")
        };
        messages += stage.messages;
        refused += stage.refused();
    }
    eprintln!("{rounds} scripts: {messages} messages taken, {refused} frames refused");
    assert!(messages > 0 && refused > 0);
}
