#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

#[derive(Debug, Default, PartialEq, serde::Deserialize)]
#[serde(default)]
struct Sample {
    bytes: Option<u32>,
    ratio: f64,
    tls: bool,
    token: String,
    mode: Mode,
}

#[derive(Debug, Default, PartialEq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Slow,
    Fast,
}

#[derive(Debug, serde::Deserialize)]
struct Strict {
    #[serde(rename = "needed")]
    _needed: u8,
}

fn parse<T: DeserializeOwned>(query: &str) -> Result<T, ConnectError> {
    parse_options(&Url::parse(&format!("tape://user:hunter2@host?{query}")).unwrap())
}

#[test]
fn every_kind_of_value_is_read() {
    let all = "bytes=7&ratio=0.5&tls=true&token=a%26b+c&mode=fast";
    let wanted = Sample {
        bytes: Some(7),
        ratio: 0.5,
        tls: true,
        token: "a&b c".to_owned(),
        mode: Mode::Fast,
    };
    assert_eq!(parse::<Sample>(all).unwrap(), wanted);
    assert_eq!(parse::<Sample>("").unwrap(), Sample::default());
}

#[test]
fn an_unknown_option_lists_the_known_ones() {
    let error = parse::<Sample>("bytes=1&byte=hunter2").unwrap_err();
    assert_eq!(
        error.to_string(),
        "a `tape` URL has no option `byte` (did you mean `bytes`?): the options are: bytes, ratio, tls, token, mode"
    );
}

#[test]
fn a_second_value_is_refused_even_if_equal() {
    let error = parse::<Sample>("bytes=1&tls=true&bytes=1").unwrap_err();
    assert!(matches!(error, ConnectError::DuplicateOption { option, .. } if option == "bytes"));
}

#[test]
fn a_missing_option_is_named() {
    let error = parse::<Strict>("").unwrap_err();
    assert!(matches!(error, ConnectError::InvalidOption { option, .. } if option == "needed"));
}

#[test]
fn a_wrong_value_is_named_and_not_shown() {
    for query in ["bytes=hunter2", "ratio=hunter2", "tls=hunter2", "mode=hunter2", "bytes=-1"] {
        let error = parse::<Sample>(query).unwrap_err();
        let name = query.split('=').next().unwrap();
        let text = format!("{error} {error:?}");
        assert!(matches!(error, ConnectError::InvalidOption { option, .. } if option == name));
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn what_the_parser_of_a_value_found_stays_the_cause() {
    let cause = |query| {
        let error = parse::<Sample>(query).unwrap_err();
        let cause = error.source().unwrap().to_string();
        assert!(!error.to_string().contains(&cause), "{error}");
        cause
    };
    assert_eq!(cause("bytes=many"), "many".parse::<u64>().unwrap_err().to_string());
    assert_eq!(cause("ratio=many"), "many".parse::<f64>().unwrap_err().to_string());
    assert_eq!(cause("tls=many"), "many".parse::<bool>().unwrap_err().to_string());
}

proptest! {
    #[test]
    fn no_query_makes_an_error_show_the_password(query in "(bytes|mode|x|&|=|%|\\PC){0,20}") {
        if let Err(error) = parse::<Sample>(&query.replace('#', "")) {
            let text = format!("{error} {error:?}");
            prop_assert!(!text.contains("hunter2"));
        }
    }

    #[test]
    fn numbers_and_text_round_trip(bytes: u32, token: String) {
        let mut url = Url::parse("tape://host").unwrap();
        url.query_pairs_mut().append_pair("bytes", &bytes.to_string()).append_pair("token", &token);
        let wanted = Sample { bytes: Some(bytes), token, ..Sample::default() };
        prop_assert_eq!(parse_options::<Sample>(&url).unwrap(), wanted);
    }
}
