//! Files that are read, plain or packed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use indicatif::ProgressBar;

use crate::error::{Error, Result};

/// Opens a file, and unpacks it where it begins as gzip does.
pub(crate) fn open(path: &Path, progress: &ProgressBar) -> Result<Box<dyn BufRead + Send>> {
    let file = File::open(path).map_err(|e| Error::Open { path: path.to_owned(), source: e })?;
    unpack(file, path, progress)
}

/// Opens stdin, and unpacks it where it begins as gzip does.
pub(crate) fn stdin(progress: &ProgressBar) -> Result<Box<dyn BufRead + Send>> {
    unpack(io::stdin(), Path::new("stdin"), progress)
}

fn unpack(
    source: impl Read + Send + 'static,
    path: &Path,
    progress: &ProgressBar,
) -> Result<Box<dyn BufRead + Send>> {
    let mut plain = BufReader::with_capacity(64 << 10, progress.wrap_read(source));
    let start = plain.fill_buf().map_err(|e| Error::Read { path: path.to_owned(), source: e })?;
    if start.starts_with(&[0x1f, 0x8b]) {
        let unpacked: Box<dyn Read + Send> = Box::new(MultiGzDecoder::new(plain));
        return Ok(Box::new(BufReader::with_capacity(64 << 10, unpacked)));
    }
    Ok(Box::new(plain))
}
