//! Headers on transports that take only text.

use super::TransportErrorKind;
use crate::record::Header;

impl Header {
    /// Returns the value as text: UTF-8 without control characters. For transports that take no
    /// other headers.
    ///
    /// ```
    /// use msgstream_core::record::Header;
    /// assert_eq!(Header::new("owner", "Jürgen").text(), Ok("Jürgen"));
    /// assert!(Header::new("owner", b"\xff".as_slice()).text().is_err());
    /// assert!(Header::new("owner", "two\nlines").text().is_err());
    /// ```
    ///
    /// # Errors
    /// Fails with [`InvalidHeader`](TransportErrorKind::InvalidHeader) for any other value.
    pub fn text(&self) -> Result<&str, TransportErrorKind> {
        let invalid = |reason: &str| TransportErrorKind::InvalidHeader {
            name: self.name.to_string(),
            reason: format!("its value {reason}, and this transport takes only text"),
        };
        match str::from_utf8(&self.value) {
            Err(_) => Err(invalid("isn't UTF-8")),
            Ok(text) if text.contains(char::is_control) => Err(invalid("has control characters")),
            Ok(text) => Ok(text),
        }
    }
}
