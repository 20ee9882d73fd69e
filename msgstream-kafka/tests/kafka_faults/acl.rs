//! Rights, by requests of Kafka's protocol: the client library for Rust has no calls for them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

const CREATE: i16 = 30;
const DELETE: i16 = 31;

/// What a right is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Topic = 2,
    Group = 3,
}

/// What it allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    Read = 3,
    Write = 4,
    Create = 5,
    Delete = 6,
    Describe = 8,
}

pub(crate) type Right = (To, On, &'static str);

/// The rights of one user, changed by somebody who may.
pub(crate) struct Rights {
    stream: TcpStream,
    user: &'static str,
}

impl Rights {
    pub(crate) fn new(address: &str, user: &'static str) -> Self {
        Self { stream: TcpStream::connect(address).unwrap(), user }
    }

    /// The broker heeds it a little later.
    pub(crate) fn give(&mut self, right: Right) {
        self.ask(CREATE, right);
    }

    /// The broker heeds it a little later.
    pub(crate) fn take(&mut self, right: Right) {
        self.ask(DELETE, right);
    }

    /// One request of version 1 about one right. What is a right in one is a filter in the other, in
    /// the same form.
    fn ask(&mut self, call: i16, (to, on, name): Right) {
        const ALLOW: u8 = 3;
        const LITERAL: u8 = 3;
        let text = |text: &str| {
            [&i16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
        };
        let body = [
            &call.to_be_bytes()[..],
            &1_i16.to_be_bytes(),
            &0_i32.to_be_bytes(),
            &text("rights"),
            &1_i32.to_be_bytes(),
            &[on as u8],
            &text(name),
            &[LITERAL],
            &text(&format!("User:{}", self.user)),
            &text("*"),
            &[to as u8, ALLOW],
        ]
        .concat();
        self.stream.write_all(&i32::try_from(body.len()).unwrap().to_be_bytes()).unwrap();
        self.stream.write_all(&body).unwrap();
        let mut size = [0; 4];
        self.stream.read_exact(&mut size).unwrap();
        let mut answer = vec![0; u32::from_be_bytes(size) as usize];
        self.stream.read_exact(&mut answer).unwrap();
        // The request's number, a delay, how many results there are; then the result's code.
        assert_eq!(
            (&answer[8..12], &answer[12..14]),
            (&[0, 0, 0, 1][..], &[0, 0][..]),
            "{answer:?}"
        );
    }
}
