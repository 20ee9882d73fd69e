//! Credentials.

use std::fmt;
use std::fs;
use std::io;

use async_nats::{Auth, AuthError};
use msgstream_core::adapter::Failure;
use msgstream_core::transport::TransportErrorKind;
use nkeys::KeyPair;
use tokio::task::spawn_blocking;

/// What proves to the server who we are, or the file that holds it. Never shown, not in `Debug`
/// either.
#[derive(Clone, Default)]
pub(crate) enum Credentials {
    #[default]
    None,
    User {
        name: String,
        password: String,
    },
    Token(String),
    /// A file that `nk -gen user` wrote, with a seed.
    NkeyFile(String),
    /// A file that `nsc` wrote, with the user's JWT and seed.
    File(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::User { .. } => "User(..)",
            Self::Token(_) => "Token(..)",
            Self::NkeyFile(_) => "NkeyFile(..)",
            Self::File(_) => "File(..)",
        })
    }
}

impl Credentials {
    /// Returns what proves to the server who we are. Reads files each time: they are replaced before
    /// what is in them expires.
    pub(crate) fn read(&self) -> io::Result<Proof> {
        Ok(match self {
            Self::None => Proof::None,
            Self::User { name, password } => {
                Proof::User { name: name.clone(), password: password.clone() }
            }
            Self::Token(token) => Proof::Token(token.clone()),
            Self::NkeyFile(path) => Proof::nkey(&fs::read_to_string(path)?)?,
            Self::File(path) => Proof::jwt(&fs::read_to_string(path)?)?,
        })
    }

    /// Reads them for a connection. A file that can't be used may be in the middle of a replacement, so
    /// the error is temporary.
    pub(crate) async fn load(&self) -> Result<Proof, Failure> {
        let (Self::NkeyFile(path) | Self::File(path)) = self else {
            return self.read().map_err(|error| {
                let reason = "the credentials can't be used".to_owned();
                Failure::new(TransportErrorKind::Config { reason }, error)
            });
        };
        let credentials = self.clone();
        let read = spawn_blocking(move || credentials.read()).await;
        read.unwrap_or_else(|ended| Err(io::Error::other(ended))).map_err(|error| {
            let reason = format!("the credentials in the file `{path}` can't be used");
            Failure::new(TransportErrorKind::Unavailable { reason }, error)
        })
    }
}

/// Credentials, ready for one connection.
pub(crate) enum Proof {
    None,
    User { name: String, password: String },
    Token(String),
    Nkey(KeyPair),
    Jwt { jwt: String, key: KeyPair },
}

impl Proof {
    fn nkey(text: &str) -> io::Result<Self> {
        let seed = text.lines().map(str::trim).find(|line| line.starts_with('S'));
        let seed =
            seed.ok_or_else(|| invalid("the file has no line with a seed, which begins with `S`"))?;
        Ok(Self::Nkey(key_pair(seed)?))
    }

    fn jwt(text: &str) -> io::Result<Self> {
        let part = |name: &str| {
            let (_, rest) = text.split_once(&format!("BEGIN {name}"))?;
            let mut lines = rest.lines().skip(1).map(str::trim).filter(|line| !line.is_empty());
            lines.next().filter(|line| !line.starts_with('-'))
        };
        let missing = |name| move || invalid(&format!("the file has no part `{name}`"));
        let jwt = part("NATS USER JWT").ok_or_else(missing("NATS USER JWT"))?;
        let seed = part("USER NKEY SEED").ok_or_else(missing("USER NKEY SEED"))?;
        Ok(Self::Jwt { jwt: jwt.to_owned(), key: key_pair(seed)? })
    }

    /// Returns the answer to the server's challenge.
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

fn key_pair(seed: &str) -> io::Result<KeyPair> {
    // The library's own error could hold a part of the seed.
    KeyPair::from_seed(seed).map_err(|_| invalid("the seed can't be used"))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::error::Error as _;

    use super::*;

    #[test]
    fn a_credentials_file_is_read_and_signs() {
        let key = KeyPair::new_user();
        let seed = key.seed().unwrap();
        let text = format!(
            "-----BEGIN NATS USER JWT-----\neyJ0.eyJq.c2ln\n------END NATS USER JWT------\n\n\
             **** IMPORTANT ****\n-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        let answer = Proof::jwt(&text).unwrap().answer(b"nonce").unwrap();
        assert_eq!(answer.jwt.as_deref(), Some("eyJ0.eyJq.c2ln"));
        key.verify(b"nonce", &answer.signature.unwrap()).unwrap();
    }

    #[test]
    fn what_is_no_credentials_file_is_refused_without_being_shown() {
        for text in ["", "secret", "-----BEGIN NATS USER JWT-----\nsecret\n------END\n"] {
            let error = Proof::jwt(text).map(drop).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(!key_pair("SUsecret").map(|_| ()).unwrap_err().to_string().contains("secret"));
    }

    #[test]
    fn secrets_are_not_shown() {
        let user = Credentials::User { name: "alice".into(), password: "secret".into() };
        let token = Credentials::Token("secret".into());
        assert_eq!(format!("{user:?} {token:?}"), "User(..) Token(..)");
    }

    #[tokio::test]
    async fn a_file_is_read_each_time() {
        let file = std::env::temp_dir().join(format!("msgstream-nkey-{}", std::process::id()));
        let credentials = Credentials::NkeyFile(file.to_str().unwrap().to_owned());
        let missing = credentials.load().await.map(drop).unwrap_err();
        assert!(missing.is_temporary(), "{missing}");
        assert!(missing.source().is_some_and(|cause| cause.is::<io::Error>()));
        for _ in 0..2 {
            let key = KeyPair::new_user();
            fs::write(&file, key.seed().unwrap()).unwrap();
            let answer = credentials.load().await.unwrap().answer(b"nonce").unwrap();
            assert_eq!(answer.nkey, Some(key.public_key()));
        }
        fs::remove_file(&file).unwrap();
    }
}
