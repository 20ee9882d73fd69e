//! Names of channels and subscriptions as names of files.
//!
//! What could mean something else in a path is written as `%` and two hexadecimal digits, and so is
//! `%` itself. So every name has one spelling, and every spelling one name.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The longest name of a file, in bytes.
const MAX: usize = 255;

const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'+')
    .remove(b'=')
    .remove(b',')
    .remove(b'@');

/// Returns the file name of a channel or a subscription, or what is wrong with the name.
pub(crate) fn file_name(name: &str) -> Result<String, String> {
    if name.is_empty() {
        return Err("it is empty".to_owned());
    }
    if name.chars().any(char::is_control) {
        return Err("it has control characters; any other character is allowed".to_owned());
    }
    let mut escaped = utf8_percent_encode(name, ESCAPED).to_string();
    // Names that begin with a dot are those of other files.
    if escaped.starts_with('.') {
        escaped.replace_range(..1, "%2E");
    }
    if escaped.len() > MAX {
        return Err(format!(
            "as the name of a file it has {} bytes, and {MAX} are allowed; a byte that isn't a letter from A to Z, a digit or one of - _ . ~ + = , @ counts three times",
            escaped.len()
        ));
    }
    Ok(escaped)
}

/// Returns the name that a file name stands for; `None` if it stands for none.
pub(crate) fn name_of(file: &str) -> Option<String> {
    let name = percent_decode_str(file).decode_utf8().ok()?;
    // Other spellings would lead to another file.
    file_name(&name).is_ok_and(|own| own == file).then(|| name.into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_names_stay_and_others_are_escaped() {
        assert_eq!(file_name("orders-0_a.b~c+d=e,f@g").unwrap(), "orders-0_a.b~c+d=e,f@g");
        assert_eq!(file_name(".a/../ü%").unwrap(), "%2Ea%2F..%2F%C3%BC%25");
        assert_eq!(name_of("%2E."), Some("..".to_owned()));
    }

    #[test]
    fn what_stands_for_no_name_is_none() {
        for file in ["", ".new-1", "%61", "%2e", "a%2", "%FF", "%0A", "a/b"] {
            assert_eq!(name_of(file), None, "{file}");
        }
    }

    #[test]
    fn names_that_cant_be_used_are_refused() {
        for name in ["", "a\nb", "a\0b", &"x".repeat(256), &"/".repeat(86)] {
            assert!(file_name(name).is_err(), "{name:?}");
        }
        assert!(file_name(&"/".repeat(85)).is_ok());
    }

    proptest! {
        #[test]
        fn a_name_comes_back_from_its_file(name in "\\PC{1,20}") {
            let file = file_name(&name).unwrap();
            prop_assert!(!file.contains(['/', '\\', '\0']) && !file.starts_with('.'));
            prop_assert_eq!(name_of(&file), Some(name));
        }

        #[test]
        fn a_file_is_one_name_or_none(file in "[a-f0-9%.A-F]{0,12}") {
            if let Some(name) = name_of(&file) {
                prop_assert_eq!(file_name(&name).unwrap(), file);
            }
        }
    }
}
