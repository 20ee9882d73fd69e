//! Who we are to the server.

use std::fmt;
use std::fs;
use std::sync::Arc;

use async_nats::{Auth, AuthError};
use nkeys::KeyPair;

/// What proves to the server who we are. Never shown, not in `Debug` either.
#[derive(Clone, Default)]
pub(crate) enum Credentials {
    #[default]
    None,
    User {
        name: String,
        password: String,
    },
    Token(String),
    Nkey(Arc<KeyPair>),
    Jwt {
        jwt: String,
        key: Arc<KeyPair>,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::User { .. } => "User(..)",
            Self::Token(_) => "Token(..)",
            Self::Nkey(_) => "Nkey(..)",
            Self::Jwt { .. } => "Jwt(..)",
        })
    }
}

impl Credentials {
    /// The seed in a file that `nk -gen user` wrote.
    pub(crate) fn nkey_file(path: &str) -> Result<Self, String> {
        let text = read(path)?;
        let seed = text.lines().map(str::trim).find(|line| line.starts_with('S'));
        let seed = seed.ok_or("the file has no line with a seed, which begins with `S`")?;
        Ok(Self::Nkey(key_pair(seed)?))
    }

    /// The user's JWT and the seed in a file that `nsc` wrote.
    pub(crate) fn credentials_file(path: &str) -> Result<Self, String> {
        Self::parse(&read(path)?)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let part = |name: &str| {
            let (_, rest) = text.split_once(&format!("BEGIN {name}"))?;
            let mut lines = rest.lines().skip(1).map(str::trim).filter(|line| !line.is_empty());
            lines.next().filter(|line| !line.starts_with('-'))
        };
        let jwt = part("NATS USER JWT").ok_or("the file has no part NATS USER JWT")?;
        let seed = part("USER NKEY SEED").ok_or("the file has no part USER NKEY SEED")?;
        Ok(Self::Jwt { jwt: jwt.to_owned(), key: key_pair(seed)? })
    }

    /// The answer to the server's challenge.
    pub(crate) fn answer(&self, nonce: &[u8]) -> Result<Auth, AuthError> {
        let sign = |key: &KeyPair| key.sign(nonce).map(Some).map_err(AuthError::new);
        let mut auth = Auth::new();
        match self {
            Self::None => {}
            Self::User { name, password } => {
                (auth.username, auth.password) = (Some(name.clone()), Some(password.clone()));
            }
            Self::Token(token) => auth.token = Some(token.clone()),
            Self::Nkey(key) => {
                (auth.nkey, auth.signature) = (Some(key.public_key()), sign(key)?);
            }
            Self::Jwt { jwt, key } => {
                (auth.jwt, auth.signature) = (Some(jwt.clone()), sign(key)?);
            }
        }
        Ok(auth)
    }
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| format!("the file can't be read: {e}"))
}

fn key_pair(seed: &str) -> Result<Arc<KeyPair>, String> {
    // The library's own text could hold a part of the seed.
    KeyPair::from_seed(seed).map(Arc::new).map_err(|_| "the seed can't be used".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn a_credentials_file_is_read_and_signs() {
        let key = KeyPair::new_user();
        let seed = key.seed().unwrap();
        let text = format!(
            "-----BEGIN NATS USER JWT-----\neyJ0.eyJq.c2ln\n------END NATS USER JWT------\n\n\
             **** IMPORTANT ****\n-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        let credentials = Credentials::parse(&text).unwrap();
        let answer = credentials.answer(b"nonce").unwrap();
        assert_eq!(answer.jwt.as_deref(), Some("eyJ0.eyJq.c2ln"));
        key.verify(b"nonce", &answer.signature.unwrap()).unwrap();
        assert_eq!(format!("{credentials:?}"), "Jwt(..)");
    }

    #[test]
    fn what_is_no_credentials_file_is_refused_without_being_shown() {
        for text in ["", "secret", "-----BEGIN NATS USER JWT-----\nsecret\n------END\n"] {
            let error = Credentials::parse(text).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(!key_pair("SUsecret").map(|_| ()).unwrap_err().contains("secret"));
    }

    #[test]
    fn secrets_are_not_shown() {
        let user = Credentials::User { name: "alice".into(), password: "secret".into() };
        let token = Credentials::Token("secret".into());
        let shown =
            format!("{user:?} {token:?} {:?}", Credentials::Nkey(Arc::new(KeyPair::new_user())));
        assert_eq!(shown, "User(..) Token(..) Nkey(..)");
    }
}
