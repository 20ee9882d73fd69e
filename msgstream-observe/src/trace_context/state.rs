//! What a `tracestate` may be.

/// The most members that it may have.
const MEMBERS: usize = 32;

/// Returns whether a text is a `tracestate`: members `key=value` with different keys, with commas
/// between them. Members may be empty, and spaces and tabs may surround them.
pub(super) fn is_state(text: &str) -> bool {
    let members = text.split(',').map(|member| member.trim_matches([' ', '\t']));
    let mut keys = Vec::new();
    for member in members.filter(|member| !member.is_empty()) {
        let Some((key, value)) = member.split_once('=') else { return false };
        if !is_key(key) || !is_value(value) || keys.contains(&key) || keys.len() == MEMBERS {
            return false;
        }
        keys.push(key);
    }
    true
}

/// A name, or a tenant and the name of a system with an `@` between them.
fn is_key(key: &str) -> bool {
    match key.split_once('@') {
        None => begins(key, |first| first.is_ascii_lowercase()) && is_name(key, 256),
        Some((tenant, system)) => {
            begins(tenant, |first| first.is_ascii_lowercase() || first.is_ascii_digit())
                && is_name(tenant, 241)
                && begins(system, |first| first.is_ascii_lowercase())
                && is_name(system, 14)
        }
    }
}

fn begins(name: &str, with: impl Fn(char) -> bool) -> bool {
    name.chars().next().is_some_and(with)
}

fn is_name(name: &str, longest: usize) -> bool {
    let may_be = |c: char| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '*' | '/')
    };
    name.len() <= longest && name.chars().all(may_be)
}

/// Up to 256 printable characters, spaces within included.
fn is_value(value: &str) -> bool {
    let may_be = |c: char| (' '..='~').contains(&c) && c != ',' && c != '=';
    (1..=256).contains(&value.len()) && value.chars().all(may_be)
}
