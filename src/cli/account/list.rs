//! `wakeful account list`: what the configuration says. Secrets are not read.

use super::super::{Global, output, render};
use crate::config::{Account, AccountName, Config, Protocol, Proxy};
use serde::Serialize;

/// List the accounts of the configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wakeful account list\n  wakeful account list --json | jq -r '.[].name'")]
pub(super) struct Args {
    /// Print an array of `{"name", "protocol", "url", "jid", "ca", "proxy", "insecure", "enabled"}`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a AccountName,
    protocol: &'static str,
    url: Option<&'a str>,
    jid: Option<&'a str>,
    ca: Option<&'a std::path::Path>,
    proxy: Option<&'a str>,
    insecure: bool,
    enabled: bool,
}

/// # Errors
/// When the configuration is not right.
pub(super) fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    let config = Config::load(&global.paths.config_file())?;
    let rows: Vec<Row<'_>> = config.accounts.iter().map(row).collect();
    if args.json {
        return output::json(&rows);
    }
    if rows.is_empty() {
        return output::line("no accounts: add one with `wakeful account add`");
    }
    let mut lines = vec![["ACCOUNT", "PROTOCOL", "ADDRESS", ""].map(String::from).to_vec()];
    lines.extend(rows.iter().map(|row| {
        let address = row.jid.or(row.url).unwrap_or_default().to_owned();
        let notes = [(!row.enabled).then_some("switched off"), row.insecure.then_some("insecure")];
        let notes: Vec<&str> = notes.into_iter().flatten().collect();
        vec![row.name.to_string(), row.protocol.to_owned(), address, notes.join(", ")]
    }));
    render::table(&lines).into_iter().try_for_each(output::line)
}

fn row<'a>((name, account): (&'a AccountName, &'a Account)) -> Row<'a> {
    let (url, jid) = match &account.protocol {
        Protocol::Hub { url } => (Some(url.as_str()), None),
        Protocol::Xmpp { jid, url } => (url.as_deref(), Some(jid.as_str())),
    };
    let proxy = account.proxy.as_ref().map(|proxy| match proxy {
        Proxy::Direct => "direct",
        Proxy::Url(url) => url.as_str(),
    });
    let (insecure, enabled) = (account.insecure, account.enabled);
    Row { name, protocol: account.protocol.name(), url, jid, ca: account.ca.as_deref(), proxy, insecure, enabled }
}
