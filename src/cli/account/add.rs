//! `wakeful account add`: tries the login, stores the secret, writes the configuration, tells the daemon.

use super::super::{Fault, Global, output};
use super::conclude;
use crate::config::{Account, AccountName, Config, Protocol, Proxy, edit};
use crate::daemon;
use crate::model::Secret;
use crate::platform::secrets::SECRET_MAX;
use crate::world::{Clock, Entropy};
use anyhow::Context as _;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Add an account, or change the one of this name.
///
/// The login is tried before anything is written. The secret goes to the keyring where there is one, else to a file
/// that only you can read; it never stands in the configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    wakeful account add work hub wss://chat.example.org/ws\n  \
    wakeful account add me xmpp me@example.org\n  \
    pass show chat | wakeful account add work hub wss://chat.example.org/ws --secret-file -")]
pub(super) struct Args {
    /// What to call it here.
    #[arg(value_parser = super::name)]
    name: AccountName,
    /// How to talk to its server.
    protocol: Kind,
    /// The hub's ws:// or wss:// URL, or the JID of an XMPP account.
    address: String,
    /// Read the token or password from this file (`-`: standard input) instead of asking for it.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// XMPP: the WebSocket's URL, where the domain does not announce it.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// A PEM file with a further authority to trust.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// `direct`, or a proxy's URL.
    #[arg(long, value_name = "PROXY")]
    proxy: Option<Proxy>,
    /// Allow ws:// beyond this machine: the secret and all messages cross in the clear.
    #[arg(long)]
    insecure: bool,
    /// Do not try the login first.
    #[arg(long)]
    no_verify: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// A wakeful hub.
    Hub,
    /// XMPP over WebSocket.
    Xmpp,
}

/// # Errors
/// When the login is refused, or something cannot be written; then nothing was changed.
pub(super) fn run(global: &Global, args: Args) -> anyhow::Result<()> {
    let account = account(&args).map_err(Fault::Usage)?;
    let changed = Config::load(&global.paths.config_file())?.accounts.contains_key(&args.name);
    let secret = secret(&args, &account)?;
    super::super::block_on(async {
        if !args.no_verify {
            let (dialer, clock, entropy) = (daemon::network(), Clock::system(), Entropy::system());
            let trial = daemon::probe(&account, secret.clone(), &dialer, &clock, &entropy);
            Box::pin(trial).await.context("the login failed, nothing was changed (--no-verify skips it)")?;
        }
        global.paths.make()?;
        let kept = super::super::secrets(global).set(args.name.as_str(), &secret).await?;
        let (file, lock) = (global.paths.config_file(), global.paths.config_lock());
        edit::put_account(&file, &lock, &args.name, &account)?;
        output::hint(format!("the secret is in {kept}"));
        let verb = if changed { "changed" } else { "added" };
        let tried = if args.no_verify { ", without trying its login" } else { ", its login works" };
        conclude(global, &format!("account {} {verb}{tried}", args.name)).await
    })
}

fn account(args: &Args) -> Result<Account, String> {
    let protocol = match args.protocol {
        Kind::Hub if args.url.is_some() => return Err("--url is for XMPP: a hub's URL is its address".into()),
        Kind::Hub => Protocol::hub(&args.address)?,
        Kind::Xmpp => Protocol::xmpp(&args.address, args.url.as_deref())?,
    };
    let ca = args.ca.as_ref().map(|ca| whole(ca)).transpose()?;
    Ok(Account { protocol, ca, insecure: args.insecure, proxy: args.proxy.clone(), enabled: true, retention: None })
}

fn whole(path: &Path) -> Result<PathBuf, String> {
    path.canonicalize().map_err(|error| format!("cannot read the authority {}: {error}", path.display()))
}

fn secret(args: &Args, account: &Account) -> anyhow::Result<Secret> {
    let text = match &args.secret_file {
        Some(path) if path.as_os_str() == "-" => bounded(io::stdin().lock()).context("reading standard input")?,
        Some(path) => {
            let read = File::open(path).and_then(bounded);
            read.with_context(|| format!("reading the secret from {}", path.display()))?
        }
        None if io::stdin().is_terminal() => ask(args, account)?,
        None => {
            return Err(
                Fault::Usage("no terminal to ask at: give --secret-file FILE, or - for standard input".into()).into()
            );
        }
    };
    Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

fn ask(args: &Args, account: &Account) -> anyhow::Result<Zeroizing<String>> {
    let what = match account.protocol {
        Protocol::Hub { .. } => "Token",
        Protocol::Xmpp { .. } => "Password",
    };
    let asked = rpassword::prompt_password(format!("{what} of account {} (not shown): ", args.name));
    asked.map(Zeroizing::new).context("asking for the secret")
}

/// What is longer than any secret is refused later, by its length.
fn bounded(from: impl io::Read) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(256));
    from.take(SECRET_MAX as u64 + 2).read_to_string(&mut text)?;
    Ok(text)
}
