//! Small files: JSON, and its checksum on a line of its own.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{VERSION, Wrong};

/// What every small file holds beside its own.
#[derive(Serialize, Deserialize)]
struct Sealed<T> {
    version: u32,
    #[serde(flatten)]
    value: T,
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

pub(crate) fn seal<T: Serialize>(value: &T) -> serde_json::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(&Sealed { version: VERSION, value })?;
    bytes.push(b'\n');
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend(format!("{checksum:08x}\n").bytes());
    Ok(bytes)
}

pub(crate) fn unseal<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Wrong> {
    let body = bytes
        .split_last_chunk::<9>()
        .filter(|(body, line)| format!("{:08x}\n", crc32c::crc32c(body)).as_bytes() == *line)
        .map(|(body, _)| body)
        .ok_or(Wrong::Damaged("its checksum doesn't fit"))?;
    // The version first: another one may have other fields.
    match serde_json::from_slice::<Versioned>(body).map_err(Wrong::Json)?.version {
        VERSION => serde_json::from_slice(body).map_err(Wrong::Json),
        version => Err(Wrong::Version(version)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Bounds {
        first: u64,
    }

    #[test]
    fn what_is_sealed_is_read_again_unless_a_bit_is_flipped() {
        let sealed = seal(&Bounds { first: 7 }).unwrap();
        assert!(sealed.starts_with(b"{\"version\":1,\"first\":7}\n"));
        assert_eq!(unseal::<Bounds>(&sealed).unwrap(), Bounds { first: 7 });
        for byte in 0..sealed.len() {
            for bit in 0..8 {
                let mut bytes = sealed.clone();
                bytes[byte] ^= 1 << bit;
                assert!(unseal::<Bounds>(&bytes).is_err(), "bit {bit} of byte {byte}");
            }
        }
        assert!(unseal::<Bounds>(&sealed[..5]).is_err());
    }

    #[test]
    fn another_version_is_named() {
        let mut bytes = b"{\"version\":2}\n".to_vec();
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend(format!("{checksum:08x}\n").bytes());
        assert!(matches!(unseal::<Bounds>(&bytes), Err(Wrong::Version(2))));
    }
}
