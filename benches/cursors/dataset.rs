//! A made-up lifetime of messages: heavy-tailed conversations and vocabulary, several languages. The same number and seed
//! give the same messages. Written by the store's own schema, but past its code, which would take hours.

use rusqlite::{Connection, OpenFlags, params};
use std::path::Path;
use wakeful::store::{Settings, Store};
use wakeful::world::{Clock, Entropy};

const SEED: u64 = 6;
const CONVERSATIONS: usize = 300;
const PEOPLE: usize = 1_200;
const WORDS: usize = 20_000;
/// Server time of the first message; they spread over ten years.
const BEGIN: i64 = 1_450_000_000_000;
const YEARS: i64 = 10 * 365 * 86_400_000;

/// Words that a search looks for: about one message in ten, one in a thousand, and twenty in all.
pub(crate) const SOUGHT: [(&str, &str); 3] =
    [("common", "grundwort"), ("medium", "mittelwort"), ("rare", "seltenwort")];

/// Makes `dir/wakeful.db` with so many messages, unless it is there.
pub(crate) fn make(dir: &Path, messages: usize) {
    let done = dir.join("done-3");
    if done.exists() {
        return;
    }
    let _nothing_there = std::fs::remove_dir_all(dir);
    std::fs::create_dir_all(dir).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = Store::open(dir, Settings::default(), Clock::system(), Entropy::system()).unwrap();
        store.account("work", "hub", Some("me")).await.unwrap();
        store.close().await;
    });
    fill(&connect(dir, OpenFlags::SQLITE_OPEN_READ_WRITE), messages);
    std::fs::write(done, "").unwrap();
}

/// A connection of our own, through the same checksums as the store's (which has been opened before).
pub(crate) fn connect(dir: &Path, flags: OpenFlags) -> Connection {
    Connection::open_with_flags_and_vfs(dir.join("wakeful.db"), flags, c"wakeful-sums").unwrap()
}

fn fill(conn: &Connection, messages: usize) {
    // The store's readers close a moment after it.
    while conn.execute_batch("PRAGMA journal_mode=OFF").is_err() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    conn.execute_batch("PRAGMA synchronous=OFF; PRAGMA cache_size=-400000; BEGIN").unwrap();
    // Triggers and further indices are made again at the end: sorted, they are made in one go.
    let later: Vec<(String, String, String)> = {
        let sql = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name = 'message'
            AND type IN ('trigger', 'index')";
        let mut select = conn.prepare(sql).unwrap();
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    for (kind, name, _) in &later {
        conn.execute_batch(&format!("DROP {kind} {name}")).unwrap();
    }
    people(conn);
    rows(conn, messages);
    for (_, _, sql) in later.iter().filter(|(kind, ..)| kind == "index") {
        conn.execute_batch(sql).unwrap();
    }
    conn.execute_batch("INSERT INTO message_text(message_text) VALUES ('rebuild')").unwrap();
    for (_, _, sql) in later.iter().filter(|(kind, ..)| kind == "trigger") {
        conn.execute_batch(sql).unwrap();
    }
    conn.execute_batch("COMMIT; PRAGMA journal_mode=WAL").unwrap();
}

fn people(conn: &Connection) {
    for n in 0..PEOPLE {
        let name = if n == 0 { "me".to_owned() } else { format!("person{n}") };
        conn.execute("INSERT INTO user(key, account, user) VALUES (?1, 1, ?2)", params![n as i64 + 1, name]).unwrap();
    }
    conn.execute("INSERT INTO archive(key, account, name) VALUES (1, 1, 'epoch')", []).unwrap();
    for n in 0..CONVERSATIONS {
        let id = id(1 << 60 | n as u64);
        let title = format!("conversation {n}");
        conn.execute(
            "INSERT INTO conversation(key, id, account, kind, server, title) VALUES (?1, ?2, 1, 1, ?3, ?3)",
            params![n as i64 + 1, id, title],
        )
        .unwrap();
    }
}

fn rows(conn: &Connection, messages: usize) {
    let mut dice = fastrand::Rng::with_seed(SEED);
    let words: Vec<String> = (0..WORDS).map(|_| word(&mut dice)).collect();
    let mut insert = conn
        .prepare(
            "INSERT INTO message(position, id, account, conversation, sender, outgoing, state, kind, sent_at, seq, rev,
                text, archive, server_ref, server_order, link, attachments)
             VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, 0, ?7, 1, 1, ?8, 1, ?9, ?10, ?11, ?12)",
        )
        .unwrap();
    let mut glyph = conn.prepare("INSERT INTO message_glyph(rowid, text) VALUES (?1, ?2)").unwrap();
    for n in 0..messages {
        let at = BEGIN + YEARS / messages as i64 * n as i64;
        let conversation = tail(&mut dice, CONVERSATIONS);
        let sender = if dice.u8(..) < 80 { 0 } else { (conversation * 7 + tail(&mut dice, 40)) % PEOPLE };
        let (text, spaced) = text(&mut dice, &words, messages, n);
        let position = at << 20 | conversation as i64;
        let link = text.contains("https://");
        let file = (dice.u8(..) < 8).then_some(r#"[{"url":"https://example.org/a.png","mime":"image/png","size":9}]"#);
        let state = if sender == 0 {
            4
        } else if n + 50 > messages {
            0
        } else {
            5
        };
        insert
            .execute(params![
                position,
                id(n as u64),
                conversation as i64 + 1,
                sender as i64 + 1,
                sender == 0,
                state,
                at,
                text,
                format!("{conversation}/{n}"),
                n as i64,
                link,
                file
            ])
            .unwrap();
        if let Some(spaced) = spaced {
            glyph.execute(params![position, spaced]).unwrap();
        }
    }
}

fn id(n: u64) -> [u8; 16] {
    let mut bytes = [0x11; 16];
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    bytes
}

/// The id of the `n`th conversation, the largest first.
pub(crate) fn conversation(n: u64) -> String {
    uuid::Uuid::from_bytes(id(1 << 60 | n)).to_string()
}

/// A number below `most`, small ones far more often: the largest conversation has about a fifth of everything.
fn tail(dice: &mut fastrand::Rng, most: usize) -> usize {
    let x = (most as f64).powf(dice.f64()) - 1.0;
    (x as usize).min(most - 1)
}

fn word(dice: &mut fastrand::Rng) -> String {
    const LATIN: [&str; 24] = [
        "ba", "de", "ko", "li", "mu", "na", "re", "so", "ti", "va", "zu", "el", "in", "or", "st", "ch", "ü", "ß", "é",
        "sch", "qu", "ing", "ver", "ell",
    ];
    const CYRILLIC: [&str; 10] = ["ба", "де", "ко", "ли", "му", "на", "ре", "со", "ти", "ва"];
    let syllables: &[&str] = if dice.u8(..) < 200 { &LATIN } else { &CYRILLIC };
    (0..dice.usize(1..5)).map(|_| syllables[dice.usize(..syllables.len())]).collect()
}

/// A message's text, and the same with its characters apart where its script has no spaces.
fn text(dice: &mut fastrand::Rng, words: &[String], messages: usize, n: usize) -> (String, Option<String>) {
    const GLYPHS: &str = "日本語東京今明行来見食人々大小山川天気สวัสดีครับขอบคุณมากไปไหนมา안녕하세요감사";
    if dice.u8(..) < 20 {
        let glyphs: Vec<char> = GLYPHS.chars().collect();
        let text: String = (0..dice.usize(3..30)).map(|_| glyphs[dice.usize(..glyphs.len())]).collect();
        let spaced = text.chars().flat_map(|c| [' ', c, ' ']).collect();
        return (text, Some(spaced));
    }
    let count = 2 + tail(dice, 40);
    let mut text = (0..count).map(|_| words[tail(dice, words.len())].as_str()).collect::<Vec<_>>().join(" ");
    if dice.u16(..).is_multiple_of(10) {
        text += " grundwort";
    }
    if dice.u16(..).is_multiple_of(1_000) {
        text += " mittelwort";
    }
    if n % (messages / 20).max(1) == 7 {
        text += " seltenwort";
    }
    if dice.u16(..).is_multiple_of(25) {
        text += " https://example.org/page";
    }
    (text, None)
}
