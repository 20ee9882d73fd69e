//! Names of channels as names of streams and parts of subjects.
//!
//! A character that the server forbids there is written as `%` and two hexadecimal digits, and so is
//! `%` itself. So every name has one spelling, and every spelling one name.

use std::fmt::Write as _;

/// The longest name of a stream that the server takes, in bytes.
const MAX: usize = 255;

/// Returns the stream of a channel.
pub(crate) fn stream_of(prefix: &str, channel: &str) -> Result<String, String> {
    if channel.is_empty() {
        return Err("it is empty".to_owned());
    }
    if channel.chars().any(char::is_control) {
        return Err("it has control characters; any other character is allowed".to_owned());
    }
    let stream = format!("{prefix}{}", token(channel));
    if stream.len() > MAX {
        return Err(format!(
            "as a stream's name it has {} bytes, and {MAX} are allowed; the prefix counts, and spaces and the characters . * > / \\ % count three times",
            stream.len()
        ));
    }
    Ok(stream)
}

/// Returns the channel of a stream, `None` if the stream isn't one.
pub(crate) fn channel_of(prefix: &str, stream: &str) -> Option<String> {
    let channel = unescape(stream.strip_prefix(prefix)?)?;
    // Other spellings would lead to another stream.
    stream_of(prefix, &channel).is_ok_and(|own| own == stream).then_some(channel)
}

/// Returns a text as one part of a subject.
pub(crate) fn token(text: &str) -> String {
    let mut token = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_whitespace() || letter.is_control() || ".*>/\\%".contains(letter) {
            escape(letter.encode_utf8(&mut [0; 4]).as_bytes(), &mut token);
        } else {
            token.push(letter);
        }
    }
    token
}

/// Writes bytes as `%XX`.
pub(crate) fn escape(bytes: &[u8], into: &mut String) {
    for byte in bytes {
        // Writing to a string can't fail.
        let _ = write!(into, "%{byte:02X}");
    }
}

/// Returns the text that was escaped, `None` if it isn't UTF-8 or isn't spelled right.
pub(crate) fn unescape(spelled: &str) -> Option<String> {
    String::from_utf8(unescape_bytes(spelled)?).ok()
}

/// Returns the bytes that were escaped, `None` if a `%` isn't followed by two hexadecimal digits.
pub(crate) fn unescape_bytes(spelled: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(spelled.len());
    let mut rest = spelled.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digit = |at: usize| char::from(digits[at]).to_digit(16);
        bytes.push(u8::try_from(digit(0)? * 16 + digit(1)?).ok()?);
        rest = after;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_names_stay_as_they_are() {
        for name in ["orders", "by-dev_0", "頻道", "a:b=c,d"] {
            assert_eq!(stream_of("", name).unwrap(), name);
            assert_eq!(channel_of("", name).unwrap(), name);
        }
    }

    #[test]
    fn forbidden_characters_are_escaped() {
        assert_eq!(stream_of("eu-", "a.b c%").unwrap(), "eu-a%2Eb%20c%25");
        assert_eq!(channel_of("eu-", "eu-a%2Eb%20c%25").unwrap(), "a.b c%");
        // The client splits what it reads at any white space.
        assert_eq!(stream_of("", "a\u{3000}b").unwrap(), "a%E3%80%80b");
    }

    #[test]
    fn what_no_channel_is_called_is_none() {
        for stream in ["100%", "%61", "a%2e", "a%20%", "%FF", "%0A", "%cursors", ""] {
            assert_eq!(channel_of("", stream), None, "{stream}");
        }
        assert_eq!(channel_of("eu-", "us-orders"), None);
        assert_eq!(channel_of("eu-", "eu-"), None);
    }

    #[test]
    fn names_that_can_t_be_used_are_refused() {
        for name in ["", "a\nb", "a\0b", &"x".repeat(256), &".".repeat(86)] {
            assert!(stream_of("", name).is_err(), "{name:?}");
        }
        assert!(stream_of("", &".".repeat(85)).is_ok());
    }

    proptest! {
        #[test]
        fn a_name_comes_back_from_its_stream(name in "\\PC{1,40}") {
            let stream = stream_of("p-", &name).unwrap();
            prop_assert!(!stream.contains(|c: char| c.is_whitespace() || ".*>/\\".contains(c)));
            prop_assert_eq!(channel_of("p-", &stream), Some(name));
        }

        #[test]
        fn a_stream_is_one_channel_or_none(stream in "[a-f0-9%.A-F]{0,12}") {
            if let Some(channel) = channel_of("", &stream) {
                prop_assert_eq!(stream_of("", &channel).unwrap(), stream);
            }
        }
    }
}
