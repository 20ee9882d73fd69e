//! What caused an error.

use std::error::Error as StdError;
use std::io;

/// Returns the first error of a type among an error and its causes; `None` if there is none.
///
/// It also finds what an [`io::Error`] holds, which isn't among that error's sources.
///
/// ```
/// use std::io;
/// use msgstream_core::adapter::{Failure, cause};
/// use msgstream_core::transport::TransportErrorKind;
///
/// let kind = TransportErrorKind::Unavailable { reason: "connecting to tape0 failed".to_owned() };
/// let error = Failure::new(kind, io::Error::from(io::ErrorKind::ConnectionRefused)).during("list");
/// let refused = cause::<io::Error>(&error).is_some_and(|e| e.kind() == io::ErrorKind::ConnectionRefused);
/// assert!(refused);
/// ```
pub fn cause<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let held = error.downcast_ref().and_then(io::Error::get_ref);
        next = held.map(|held| held as &(dyn StdError + 'static)).or_else(|| error.source());
    }
    None
}

/// Returns a text with its causes after it, in one line.
pub(crate) fn with_causes(text: String, mut cause: Option<&(dyn StdError + 'static)>) -> String {
    let (mut line, mut last) = (text.clone(), text);
    while let Some(error) = cause {
        let own = error.to_string();
        // Many errors repeat the text of their source, and some kinds hold it as their reason.
        if !last.contains(&own) {
            line.push_str(": ");
            line.push_str(&own);
            last = own;
        }
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use std::num::ParseIntError;

    use super::*;

    #[test]
    fn a_cause_is_found_in_an_io_error_too() {
        let number = "seven".parse::<u8>().map_err(io::Error::other).map_err(io::Error::other);
        let error = number.map_err(|error| Box::new(error) as Box<dyn StdError>);
        let error = error.err().unwrap_or_else(|| "there is no error".into());
        assert!(cause::<ParseIntError>(&*error).is_some());
        assert!(cause::<io::Error>(&*error).is_some());
        assert!(cause::<std::fmt::Error>(&*error).is_none());
    }
}
