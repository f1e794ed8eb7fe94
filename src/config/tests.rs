use super::*;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("config.toml")).map_err(|error| error.to_string())
}

#[test]
fn a_whole_configuration_is_read() {
    let config = parse(
        r#"
        [daemon]
        log = "debug"
        [link]
        probe_interval = "1s"
        [notifications]
        preview = "hide"
        quiet = { from = "22:30", to = "07:00" }
        app = "org.example.Chat"
        [notifications.conversation.Crew]
        mentions_only = true
        [account.work]
        protocol = "hub"
        url = "wss://chat.example.org/ws"
        ca = "/etc/ca.pem"
        proxy = "socks5h://localhost:1080"
        [account."me@example.org"]
        protocol = "xmpp"
        jid = "me@example.org"
        "#,
    )
    .unwrap();
    assert_eq!(config.link.probe_interval.unwrap().duration().as_secs(), 1);
    assert_eq!(config.notifications.quiet.unwrap().from, ClockTime(22 * 60 + 30));
    let names: Vec<_> = config.accounts.keys().map(AccountName::as_str).collect();
    assert_eq!(names, ["me@example.org", "work"]);
    let work = config.accounts.values().nth(1).unwrap();
    assert_eq!(work.proxy, Some(Proxy::Url("socks5h://localhost:1080".into())));
    assert!(work.enabled && !work.insecure);
}

#[test]
fn an_empty_or_absent_file_is_an_empty_configuration() {
    assert_eq!(parse("").unwrap(), Config::default());
    assert_eq!(Config::load(Path::new("/nonexistent/config.toml")).unwrap(), Config::default());
}

#[test]
fn each_mistake_is_named_with_its_line_and_column_and_what_would_be_right() {
    let account = "[account.a]\nprotocol = \"hub\"\nurl = \"wss://h\"\n";
    let cases: &[(&str, &str, &str)] = &[
        ("[dæmon]\n", "config.toml:1:3", "expected"),
        ("[daemon]\nlogs = \"x\"\n", "config.toml:2:1", "unknown field `logs`, expected `log`"),
        ("[link]\nprobe_interval = 45\n", "config.toml:2:18", "expected a string"),
        ("[link]\nprobe_interval = \"45\"\n", "config.toml:2:18", "write for example"),
        ("[link]\nprobe_timeout = \"0s\"\n", "config.toml:1:1", "probe_timeout must not be zero"),
        ("[account.a]\nprotocol = \"irc\"\n", "config.toml:2:12", "expected `hub` or `xmpp`"),
        ("\n[account.a]\nprotocol = \"hub\"\n", "config.toml:2:1", "account a: a hub account needs url"),
        ("[account.a]\nprotocol = \"xmpp\"\n", "config.toml:1:1", "needs jid"),
        ("[account.a]\nprotocol = \"xmpp\"\njid = \"me\"\n", "config.toml:3:7", "not a bare JID"),
        ("[account.a]\nurl = \"wss://h\"\n", "config.toml:1:1", "missing field `protocol`"),
        ("[account.a]\nprotocol = \"hub\"\nurl = \"http://h\"\n", "config.toml:3:7", "ws:// or wss://"),
        ("[account.a]\nprotocol = \"hub\"\nurl = \"wss://u:p@h\"\n", "config.toml:3:7", "secrets do not stand"),
        ("[account.\"a b\"]\nprotocol = \"hub\"\n", "config.toml:1:10", "cannot name an account"),
        ("[account.\"../a\"]\nprotocol = \"hub\"\n", "config.toml:1:10", "cannot name an account"),
        (&format!("{account}ca = \"ca.pem\"\n"), "config.toml:1:1", "whole path"),
        (&format!("{account}proxy = \"h:3\"\n"), "config.toml:4:9", "a proxy is"),
        (&format!("{account}{}", account.replace("a]", "A]")), "config.toml:1:1", "differ only in case"),
        (&format!("{account}password = \"x\"\n"), "config.toml:4:1", "unknown field `password`"),
        (&format!("{account}{account}"), "config.toml:4:", "duplicate"),
        ("[notifications.quiet]\nfrom = \"24:00\"\nto = \"7:00\"\n", "config.toml:2:8", "not a time of day"),
    ];
    let wrong: Vec<String> = cases
        .iter()
        .map(|(text, place, what)| (text, place, what, parse(text).unwrap_err()))
        .filter(|(_, place, what, error)| !error.starts_with(*place) || !error.contains(*what))
        .map(|(text, place, what, error)| format!("{text:?} should be {place} {what}, is {error}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_unreadable_file_is_an_error_and_not_an_empty_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let error = Config::load(dir.path()).unwrap_err();
    assert!(matches!(error, ConfigError::Read { .. }));
}
