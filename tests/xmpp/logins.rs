//! Login by each mechanism, over TLS with a private authority; what is wrong is named.

use crate::both;
use crate::client::{Account, Client};
use crate::server::{Kind, Server, Setup};
use wakeful::model::Reason;

both!(each_mechanism_logs_in, |kind| {
    for only in [None, Some("SHA-1"), Some("SHA-256")] {
        let Some(server) = Server::start(kind, Setup { only, ..Setup::default() }) else { return };
        Client::online(Account::new(&server, "alice"));
    }
});

both!(the_password_itself_is_said_under_tls_and_never_without, |kind| {
    let Some(server) = Server::start(kind, Setup { only: Some("PLAIN"), ..Setup::default() }) else { return };
    Client::online(Account { url: server.wss_url(), ca: Some(server.ca_file()), ..Account::new(&server, "alice") });
    let mut client = Client::new(Account::new(&server, "alice"));
    client.connect();
    let reason = client.wait_halted();
    assert!(reason.text().contains("must not cross without TLS"), "{reason:?}");
});

both!(tls_with_a_private_authority_works_and_without_it_is_refused, |kind| {
    let Some(server) = Server::start(kind, Setup::default()) else { return };
    let account = Account { url: server.wss_url(), ca: Some(server.ca_file()), ..Account::new(&server, "alice") };
    Client::online(account.clone());
    let mut client = Client::new(Account { ca: None, ..account });
    client.connect();
    client.until("the certificate is refused", |client| {
        matches!(client.status().last_error, Some(Reason::Tls { .. })).then_some(())
    });
});

both!(a_wrong_password_halts_and_names_the_remedy, |kind| {
    let Some(server) = Server::start(kind, Setup::default()) else { return };
    let mut client = Client::new(Account { password: "wrong".into(), ..Account::new(&server, "alice") });
    client.connect();
    let reason = client.wait_halted();
    assert!(matches!(reason, Reason::Unauthorized { .. }) && reason.remedy().is_some(), "{reason:?}");
});
