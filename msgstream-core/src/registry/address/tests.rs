#![allow(clippy::unwrap_used)]

use std::error::Error as _;
use std::str::Utf8Error;

use super::*;

fn read(url: &str, servers: &str) -> Result<Vec<String>, ConnectError> {
    let hosts = hosts(&Url::parse(url).unwrap(), servers, 7)?;
    Ok(hosts.iter().map(ToString::to_string).collect())
}

#[test]
fn hosts_come_in_their_order_and_have_a_port() {
    assert_eq!(read("tape://h", "").unwrap(), ["h:7"]);
    assert_eq!(read("tape://h:80/p", "a_b.c,,d-e:80,").unwrap(), ["h:80", "a_b.c:7", "d-e:80"]);
    assert_eq!(read("tape://[::1]", "[::2],[::3]:9").unwrap(), ["[::1]:7", "[::2]:7", "[::3]:9"]);
    let six = hosts(&Url::parse("tape://[::1]:5").unwrap(), "", 7).unwrap();
    assert_eq!((&*six[0].name, six[0].port), ("::1", 5));
}

#[test]
fn what_is_no_host_is_refused_and_not_shown() {
    for url in ["tape://", "tape:///p", "tape://a,secret", "tape://a%20secret"] {
        let error = read(url, "").unwrap_err();
        assert!(matches!(error, ConnectError::InvalidAddress { .. }), "{url}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    for servers in
        ["u:secret@a", "a/secret", ":1", "a:secret", "a:65536", "[secret]:1", "[::1", "::1"]
    {
        let error = read("tape://h", servers).unwrap_err();
        assert!(matches!(error, ConnectError::InvalidOption { .. }), "{servers}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn what_isnt_text_stays_the_cause() {
    let error = user(&Url::parse("tape://%ff@h").unwrap()).unwrap_err();
    assert!(matches!(error, ConnectError::InvalidAddress { .. }), "{error}");
    assert!(error.source().unwrap().is::<Utf8Error>());
}

#[test]
fn a_password_without_a_user_is_refused_and_not_shown() {
    let error = user(&Url::parse("tape://:hunter2@h").unwrap()).unwrap_err();
    assert!(matches!(error, ConnectError::InvalidAddress { .. }), "{error}");
    let text = format!("{error} {error:?}");
    assert!(text.contains("no user") && !text.contains("hunter2"), "{text}");
    assert_eq!(user(&Url::parse("tape://@h").unwrap()).unwrap(), None);
}

#[test]
fn a_user_that_is_no_text_is_refused() {
    for url in ["tape://%FF@h", "tape://u:%FF@h"] {
        assert!(user(&Url::parse(url).unwrap()).is_err(), "{url}");
    }
    let alone = user(&Url::parse("tape://u@h").unwrap()).unwrap();
    assert_eq!(alone, Some(("u".to_owned(), None)));
}
