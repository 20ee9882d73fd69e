//! The format of a checkpoint's file: a line with the format's version, a checksum and the length
//! of the rest; a line of JSON; and the program's state, unchanged.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Checkpoint;
use super::store::{Generation, Stored};

const NAME: &str = "msgstream-checkpoint";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Json {
    generation: Generation,
    checkpoint: Option<Checkpoint>,
}

pub(super) fn encode(stored: &Stored) -> serde_json::Result<Vec<u8>> {
    let Stored { generation, checkpoint, state } = stored;
    let json = Json { generation: *generation, checkpoint: checkpoint.clone() };
    let mut body = serde_json::to_vec(&json)?;
    body.push(b'\n');
    body.extend_from_slice(state);
    let mut file = head(&body).into_bytes();
    file.append(&mut body);
    Ok(file)
}

/// What is wrong with a file.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) what: String,
    pub(super) source: Option<serde_json::Error>,
}

impl From<&str> for Wrong {
    fn from(what: &str) -> Self {
        Self { what: what.to_owned(), source: None }
    }
}

/// Decodes a file, or returns what is wrong with it.
pub(super) fn decode(file: &[u8]) -> Result<Stored, Wrong> {
    let (found, body) = after_line(file).ok_or("it has no first line")?;
    if found != head(body).as_bytes() {
        let version = format!(" {VERSION} ");
        let rest = found.strip_prefix(NAME.as_bytes());
        let what = if rest.is_some_and(|rest| !rest.starts_with(version.as_bytes())) {
            format!("its first line names another version of the format than {VERSION}")
        } else {
            format!("its first line is not that of the {} bytes that follow", body.len())
        };
        return Err(Wrong { what, source: None });
    }
    let (json, state) = after_line(body).ok_or("it has no second line")?;
    let json: Json = serde_json::from_slice(json).map_err(|error| Wrong {
        what: "its second line can't be parsed".to_owned(),
        source: Some(error),
    })?;
    let state = Bytes::copy_from_slice(state);
    Ok(Stored::new(json.generation, json.checkpoint, state))
}

fn head(body: &[u8]) -> String {
    format!("{NAME} {VERSION} {:08x} {}\n", crc32fast::hash(body), body.len())
}

/// Returns the first line, including its end, and the rest.
fn after_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some(bytes.split_at(end + 1))
}

#[cfg(test)]
mod tests;
