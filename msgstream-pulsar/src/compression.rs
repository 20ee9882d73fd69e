//! Decompression of what other clients wrote. This transport doesn't compress.

use std::borrow::Cow;
use std::io::{self, Read};

use pulsar::proto::CompressionType;

use crate::entry::Metadata;

/// No entry is longer, whatever it says of itself, in bytes.
const MAX_UNCOMPRESSED: usize = 128 << 20;

/// Returns the messages of an entry, `None` if they can't be decompressed.
pub(crate) fn decompress<'a>(metadata: &Metadata, data: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    let kind = CompressionType::try_from(metadata.compression.unwrap_or_default()).ok()?;
    let size = usize::try_from(metadata.uncompressed_size.unwrap_or_default()).ok()?;
    if kind == CompressionType::None {
        return Some(Cow::Borrowed(data));
    }
    if size > MAX_UNCOMPRESSED {
        return None;
    }
    let whole = match kind {
        CompressionType::None => return Some(Cow::Borrowed(data)),
        CompressionType::Lz4 => lz4_flex::block::decompress(data, size).ok()?,
        CompressionType::Zlib => read(flate2::read::ZlibDecoder::new(data), size).ok()?,
        CompressionType::Zstd => {
            read(ruzstd::decoding::StreamingDecoder::new(data).ok()?, size).ok()?
        }
        CompressionType::Snappy => {
            let mut decoder = snap::raw::Decoder::new();
            let fits = snap::raw::decompress_len(data).is_ok_and(|length| length == size);
            fits.then(|| decoder.decompress_vec(data).ok())??
        }
    };
    (whole.len() == size).then_some(Cow::Owned(whole))
}

/// Reads what there is, and not much more than there should be.
fn read(decoder: impl Read, size: usize) -> io::Result<Vec<u8>> {
    let mut whole = Vec::new();
    decoder.take(size as u64 + 1).read_to_end(&mut whole)?;
    Ok(whole)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write as _;

    use super::*;

    const TEXT: &[u8] = b"to be, or not to be: that is the question; to be, or not to be";

    fn metadata(kind: CompressionType, size: usize) -> Metadata {
        Metadata {
            compression: Some(kind as i32),
            uncompressed_size: Some(size as u32),
            ..Metadata::default()
        }
    }

    fn compressed() -> Vec<(CompressionType, Vec<u8>)> {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(TEXT).unwrap();
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        vec![
            (CompressionType::None, TEXT.to_vec()),
            (CompressionType::Lz4, lz4_flex::block::compress(TEXT)),
            (CompressionType::Zlib, zlib.finish().unwrap()),
            (CompressionType::Zstd, ruzstd::encoding::compress_to_vec(TEXT, level)),
            (CompressionType::Snappy, snap::raw::Encoder::new().compress_vec(TEXT).unwrap()),
        ]
    }

    #[test]
    fn every_kind_is_read() {
        for (kind, data) in compressed() {
            let whole = decompress(&metadata(kind, TEXT.len()), &data);
            assert_eq!(whole.as_deref(), Some(TEXT), "{kind:?}");
        }
    }

    #[test]
    fn a_wrong_length_or_a_broken_entry_is_none() {
        for (kind, data) in compressed().into_iter().skip(1) {
            for size in [0, TEXT.len() - 1, TEXT.len() + 1, u32::MAX as usize] {
                assert_eq!(decompress(&metadata(kind, size), &data), None, "{kind:?} {size}");
            }
            let half = &data[..data.len() / 2];
            assert_eq!(decompress(&metadata(kind, TEXT.len()), half), None, "{kind:?}");
        }
    }
}
