//! Names of channels and subscriptions.

/// The longest name of a channel or a subscription, in bytes.
const MAX_NAME: usize = 255;

/// Returns what is wrong with the name of a channel or a subscription.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(format!("it has {} bytes; use 1 to {MAX_NAME}", name.len()));
    }
    if name.chars().any(char::is_control) {
        return Err("it has control characters; use any others".to_owned());
    }
    Ok(())
}
