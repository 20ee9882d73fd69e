//! URLs with several hosts, though the syntax of URLs allows one.

use url::form_urlencoded::byte_serialize;
use url::{ParseError, Url};

/// Parses a URL. If it has several hosts, those after the first are put into the option `servers`:
/// `kafka://a:1,b:2/PREFIX` is parsed as `kafka://a:1/PREFIX?servers=b:2`.
pub(super) fn parse(text: &str) -> Result<Url, ParseError> {
    match with_option(text) {
        Some(text) => Url::parse(&text),
        None => Url::parse(text),
    }
}

/// Returns whether a user or a password has a character that ends the hosts, so that the rest of it,
/// up to an `@`, stands where paths and options do. The value of an option may have an `@`.
pub(super) fn cuts_user(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else { return false };
    let (hosts, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let before = rest.split_once('@').map(|(before, _)| before);
    !hosts.contains('@') && before.is_some_and(|before| !before.contains('='))
}

fn with_option(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    if scheme.contains(['/', '?', '#']) {
        return None;
    }
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // A user or a password may have commas too.
    let hosts = authority.rfind('@').map_or(0, |at| at + 1);
    let (first, more) = authority.split_at(hosts + authority[hosts..].find(',')?);
    let (path, rest) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    let servers: String = byte_serialize(&more.as_bytes()[1..]).collect();
    let rest = rest.strip_prefix('?').map_or_else(|| rest.to_owned(), |query| format!("&{query}"));
    Some(format!("{scheme}://{first}{path}?servers={servers}{rest}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn further_hosts_are_an_option() {
        for (text, wanted) in [
            ("kafka://a:1,b:2/P", "kafka://a:1/P?servers=b%3A2"),
            (
                "kafka://u:p,q@a,b:2,[::1]:3?x=1#f",
                "kafka://u:p,q@a?servers=b%3A2%2C%5B%3A%3A1%5D%3A3&x=1#f",
            ),
            ("nats://a,b#f", "nats://a?servers=b#f"),
            // One host: nothing moves.
            ("kafka://u:p,q@a/x,y?z=1,2#,", "kafka://u:p,q@a/x,y?z=1,2#,"),
        ] {
            assert_eq!(parse(text).unwrap(), Url::parse(wanted).unwrap(), "{text}");
        }
    }

    #[test]
    fn hosts_and_the_option_together_are_the_option_twice() {
        let url = parse("kafka://a,b?servers=c").unwrap();
        assert_eq!(url.query_pairs().filter(|(name, _)| name == "servers").count(), 2);
    }

    const HOST: &str = "([a-z][a-z0-9.-]{0,8}|\\[::1\\])(:[1-9][0-9]{0,3})?";

    proptest! {
        #[test]
        fn all_but_the_hosts_stays_as_it_is(
            user in "([a-z,]{1,4}(:[a-z,:]{0,4})?@)?",
            hosts in proptest::collection::vec(HOST, 1..4),
            path in "(/[a-z,@]{0,6})?",
            query in "(\\?([a-z]=[a-z,@:/%?]{0,5}&?){0,3})?",
            fragment in "(#[a-z,?/]{0,4})?",
        ) {
            let one = Url::parse(&format!("kafka://{user}{}{path}{query}{fragment}", hosts[0])).unwrap();
            let url = parse(&format!("kafka://{user}{}{path}{query}{fragment}", hosts.join(","))).unwrap();
            let whole = |url: &Url| {
                let user = (url.username().to_owned(), url.password().map(str::to_owned));
                let host = (url.host_str().map(str::to_owned), url.port());
                (user, host, url.path().to_owned(), url.fragment().map(str::to_owned))
            };
            prop_assert_eq!(whole(&url), whole(&one));
            let mut options: Vec<_> = url.query_pairs().into_owned().collect();
            if hosts.len() > 1 {
                let servers = options.remove(0);
                prop_assert_eq!(servers, ("servers".to_owned(), hosts[1..].join(",")));
            }
            prop_assert!(options.into_iter().eq(one.query_pairs().into_owned()));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[a-z]{0,3}(:|://)(\\PC|[,@:/?#%&=\\[\\]]){0,30}") {
            if let (Ok(ours), Ok(plain)) = (parse(&text), Url::parse(&text)) {
                prop_assert_eq!(ours.scheme(), plain.scheme());
                prop_assert_eq!(ours.username(), plain.username());
                prop_assert_eq!(ours.password(), plain.password());
                prop_assert_eq!(ours.fragment(), plain.fragment());
            }
        }
    }
}
