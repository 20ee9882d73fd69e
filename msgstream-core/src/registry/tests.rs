#![allow(clippy::unwrap_used)]

use std::error::Error as _;

use super::*;

#[derive(Debug)]
struct Tape;

#[async_trait]
impl Scheme for Tape {
    fn schemes(&self) -> &'static [&'static str] {
        &["tape", "reel"]
    }
    fn help(&self) -> &'static str {
        "tape://DEVICE"
    }
    async fn connect(&self, url: &Url) -> Result<Arc<dyn Transport>, ConnectError> {
        Err(ConnectError::address(url, "no tape in the drive"))
    }
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.register(Tape);
    registry
}

#[tokio::test]
async fn a_scheme_answers_to_all_its_names_in_any_case() {
    for url in ["tape://a", "REEL://a"] {
        let error = registry().connect(url).await.unwrap_err();
        assert!(matches!(error, ConnectError::InvalidAddress { .. }), "{error}");
    }
    assert!(registry().schemes().eq(["reel", "tape"]));
    assert!(registry().help().eq(["tape://DEVICE"]));
}

#[tokio::test]
async fn an_unknown_scheme_lists_the_known_ones() {
    let error = registry().connect("kafka://alice:secret@host").await.unwrap_err();
    assert!(matches!(&error, ConnectError::UnknownScheme { scheme, .. } if scheme == "kafka"));
    let text = format!("{error} {error:?}");
    assert!(text.contains("reel, tape"), "{text}");
    assert!(!text.contains("secret") && !text.contains("alice"), "{text}");
    let error = Registry::new().connect("kafka://host").await.unwrap_err();
    assert!(error.to_string().contains("no scheme is compiled in"), "{error}");
}

#[tokio::test]
async fn a_password_that_isnt_escaped_is_refused_without_being_shown() {
    for rest in ["?hunter2@host", "/hunter2@host?x=1", "#hunter2@host", "?a/hunter2@host,b"] {
        let error = registry().connect(&format!("tape://bob:12{rest}")).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(matches!(error, ConnectError::InvalidUrl { .. }), "{rest}: {text}");
        assert!(text.contains("%3F"), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("bob"), "{text}");
    }
    // An option's value may have one.
    for url in ["tape://host:12/reel?user=bob@mail", "tape://u:p%3Fq@host?user=bob@mail"] {
        let error = registry().connect(url).await.unwrap_err();
        assert!(matches!(error, ConnectError::InvalidAddress { .. }), "{error}");
    }
}

#[tokio::test]
async fn what_is_no_url_is_refused_without_being_shown() {
    for url in
        ["", "secret", "secret:pass@host", "tape:secret", "tape://secret@", "tape://h:secret"]
    {
        let error = registry().connect(url).await.unwrap_err();
        assert!(matches!(error, ConnectError::InvalidUrl { .. }), "{url}: {error}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn what_the_parser_of_urls_found_stays_the_cause() {
    let error = registry().connect("tape://h:port").await.unwrap_err();
    let cause = error.source().unwrap();
    assert!(cause.is::<url::ParseError>());
    assert!(!error.to_string().contains(&cause.to_string()), "{error}");
}

#[test]
fn a_cause_goes_where_there_is_a_place_for_it() {
    let url = Url::parse("tape://h").unwrap();
    for error in [
        ConnectError::address(&url, "it is elsewhere"),
        ConnectError::option(&url, "speed", "it is too fast"),
        ConnectError::InvalidUrl { reason: "why".to_owned(), known: Vec::new(), source: None },
    ] {
        assert!(error.source().is_none());
        assert_eq!(error.because("torn").source().unwrap().to_string(), "torn");
    }
    let unknown = ConnectError::UnknownScheme { scheme: "tap".to_owned(), known: Vec::new() };
    assert!(unknown.because("torn").source().is_none());
}
