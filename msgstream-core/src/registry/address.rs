//! The part of a URL before its path: the user and the hosts.

use std::fmt;
use std::net::Ipv6Addr;

use percent_encoding::percent_decode_str;
use url::Url;

use super::ConnectError;

/// A host and a port to connect to.
///
/// As text it is `NAME:PORT`, as clients of brokers write it, with brackets around an IPv6 address.
///
/// ```
/// use msgstream_core::registry::{Url, hosts};
/// let hosts = hosts(&Url::parse("tape://[::1]").unwrap(), "", 7)?;
/// assert_eq!((&*hosts[0].name, hosts[0].port), ("::1", 7));
/// assert_eq!(hosts[0].to_string(), "[::1]:7");
/// # Ok::<(), msgstream_core::registry::ConnectError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Host {
    /// The name or the address, without brackets.
    pub name: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.contains(':') {
            true => write!(f, "[{}]:{}", self.name, self.port),
            false => write!(f, "{}:{}", self.name, self.port),
        }
    }
}

/// Returns the hosts of a URL, in their order and at least one: its own, and those of its option
/// `servers`. A host without a port gets the given one.
///
/// A `Url` has one host. If there are more, [`Registry::connect`](super::Registry::connect) puts
/// those after the first into the option.
///
/// ```
/// use msgstream_core::registry::{Url, hosts};
/// let url = Url::parse("tape://a:1/REEL?servers=b,[::1]:3").unwrap();
/// let hosts = hosts(&url, "b,[::1]:3", 7)?;
/// let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
/// assert_eq!(hosts, ["a:1", "b:7", "[::1]:3"]);
/// # Ok::<(), msgstream_core::registry::ConnectError>(())
/// ```
///
/// # Errors
/// Fails with [`ConnectError::InvalidAddress`] if the URL has no host, and with
/// [`ConnectError::InvalidOption`] if the option has anything but hosts.
pub fn hosts(url: &Url, servers: &str, port: u16) -> Result<Vec<Host>, ConnectError> {
    let first = url.host_str().and_then(name).ok_or_else(|| {
        ConnectError::address(url, format!("it has no host: write {}://HOST:PORT", url.scheme()))
    })?;
    let first = Host { name: first, port: url.port().unwrap_or(port) };
    let more = servers.split(',').filter(|server| !server.is_empty()).map(|server| {
        host(server, port).ok_or_else(|| {
            let reason = "it must be a list of HOST or HOST:PORT with commas between them";
            ConnectError::option(url, "servers", reason)
        })
    });
    std::iter::once(Ok(first)).chain(more).collect()
}

fn host(text: &str, usual: u16) -> Option<Host> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (text, usual),
    };
    Some(Host { name: name(host)?, port })
}

/// Returns a host without the brackets that an IPv6 address has in a URL.
fn name(host: &str) -> Option<String> {
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']')?;
        return address.parse::<Ipv6Addr>().is_ok().then(|| address.to_owned());
    }
    let letter = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    (!host.is_empty() && host.chars().all(letter)).then(|| host.to_owned())
}

/// Returns the user of a URL, and the password if there is one, without the URL's escapes.
///
/// Don't show either of them, nor the URL, in an error or a log.
///
/// ```
/// use msgstream_core::registry::{Url, user};
/// let url = Url::parse("tape://a%40b:p%3Aq@host").unwrap();
/// assert_eq!(user(&url)?, Some(("a@b".to_owned(), Some("p:q".to_owned()))));
/// assert_eq!(user(&Url::parse("tape://host").unwrap())?, None);
/// # Ok::<(), msgstream_core::registry::ConnectError>(())
/// ```
///
/// # Errors
/// Fails with [`ConnectError::InvalidAddress`] if one isn't UTF-8, or there is a password without a
/// user.
pub fn user(url: &Url) -> Result<Option<(String, Option<String>)>, ConnectError> {
    let decode = |text| {
        let decoded = percent_decode_str(text).decode_utf8();
        decoded.map(String::from).map_err(|error| {
            ConnectError::address(url, "its user and password must be UTF-8").because(error)
        })
    };
    if url.username().is_empty() {
        return match url.password() {
            Some(_) => Err(ConnectError::address(
                url,
                "it has a password and no user: write USER:PASSWORD@HOST",
            )),
            None => Ok(None),
        };
    }
    Ok(Some((decode(url.username())?, url.password().map(decode).transpose()?)))
}

#[cfg(test)]
mod tests;
