//! What a refused upgrade, a close code and an error mean. A captive portal or a proxy never signs anybody out.

use crate::model::Reason;
use crate::proto::hub::wire::ErrorCode;
use crate::proto::{CloseCode, Refusal, Verdict};
use std::time::Duration;

/// Where the hub asks to stay away but does not say for how long.
const AWAY: Duration = Duration::from_secs(30);

/// The same request may be granted later.
pub(super) fn passes(code: ErrorCode) -> bool {
    use ErrorCode::{Internal, RateLimited, Timeout, Unavailable, Unknown};
    matches!(code, RateLimited | Unavailable | Timeout | Internal | Unknown)
}

/// An answer to the upgrade that was not 101.
pub(super) fn refusal(refusal: Refusal) -> (Verdict, Reason) {
    let Refusal { status, retry_after, html, body } = refusal;
    let ours = !html || crate::mutant("portal-is-hub");
    match status {
        401 if ours => (Verdict::Halt, Reason::Unauthorized { detail: words(body, "HTTP 401") }),
        429 | 503 if ours || retry_after.is_some() => {
            (Verdict::RetryAfter(retry_after.unwrap_or(AWAY)), Reason::Busy { detail: words(body, "HTTP 503 or 429") })
        }
        429 | 500..=510 => (Verdict::Retry, Reason::Busy { detail: format!("HTTP {status}") }),
        200..=399 | 511.. => (Verdict::Retry, Reason::Portal { status }),
        _ if html => (Verdict::Retry, Reason::Portal { status }),
        _ => (Verdict::Retry, Reason::Upgrade { status }),
    }
}

fn words(body: String, instead: &str) -> String {
    if body.trim().is_empty() { instead.to_owned() } else { body }
}

/// The hub's goodbye: its code is policy.
pub(super) fn bye(code: u64, reason: &str, after: Option<Duration>) -> (Verdict, Reason) {
    let detail = if reason.is_empty() { format!("close code {code}") } else { format!("{reason} ({code})") };
    match code {
        1000 | 1001 | 1012 => (after.map_or(Verdict::Retry, Verdict::RetryAfter), Reason::ServerShutdown),
        1013 => (Verdict::RetryAfter(after.unwrap_or(AWAY)), Reason::Busy { detail }),
        4100..=4199 => (Verdict::RetryAfter(after.unwrap_or(AWAY)), Reason::Busy { detail }),
        4201 => (Verdict::Halt, Reason::Unauthorized { detail }),
        4200..=4299 => (Verdict::Halt, Reason::Policy { detail }),
        _ => (after.map_or(Verdict::Retry, Verdict::RetryAfter), Reason::Lost { detail }),
    }
}

/// A close frame without a goodbye before it; `None`: it says nothing that the loss itself does not say.
pub(super) fn close(close: &CloseCode) -> Option<(Verdict, Reason)> {
    (close.code != 1006).then(|| bye(u64::from(close.code), &close.reason, None))
}

#[cfg(test)]
mod tests {
    use super::{Refusal, Verdict, bye, refusal};
    use crate::model::Reason;
    use std::time::Duration;

    fn answer(status: u16, html: bool, retry_after: Option<u64>) -> (Verdict, Reason) {
        let retry_after = retry_after.map(Duration::from_secs);
        refusal(Refusal { status, retry_after, html, body: String::new() })
    }

    #[test]
    fn only_a_401_that_is_no_web_page_halts() {
        for status in 100..=599 {
            for html in [true, false] {
                let halts = answer(status, html, None).0 == Verdict::Halt;
                assert_eq!(halts, status == 401 && !html, "{status} {html}");
            }
        }
        assert!(matches!(answer(200, true, None).1, Reason::Portal { status: 200 }));
        assert!(matches!(answer(302, false, None).1, Reason::Portal { status: 302 }));
        assert_eq!(answer(503, false, Some(7)).0, Verdict::RetryAfter(Duration::from_secs(7)));
    }

    #[test]
    fn close_codes_are_policy() {
        let wait = Some(Duration::from_secs(3));
        assert_eq!(bye(1001, "", None), (Verdict::Retry, Reason::ServerShutdown));
        assert_eq!(bye(4003, "behind", None).0, Verdict::Retry);
        assert_eq!(bye(4100, "crowded", wait).0, Verdict::RetryAfter(Duration::from_secs(3)));
        assert!(matches!(bye(4201, "token", None), (Verdict::Halt, Reason::Unauthorized { .. })));
        assert!(matches!(bye(4242, "", None), (Verdict::Halt, Reason::Policy { .. })));
        assert_eq!(bye(4999, "", None).0, Verdict::Retry);
    }
}
