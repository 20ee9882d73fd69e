//! Why files can't be used.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use msgstream_core::adapter::Failure;
use msgstream_core::transport::TransportErrorKind as Kind;

use crate::format::Wrong;

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// What the system refused, and on which file. It is the cause of a
/// [`TransportError`](msgstream_core::transport::TransportError).
///
/// ```
/// use std::error::Error;
/// use msgstream_file::FileError;
/// # use msgstream_core::transport::TransportError;
/// fn file_of(error: &TransportError) -> Option<&FileError> {
///     error.source()?.downcast_ref()
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[error("could not {action} {}", path.display())]
#[non_exhaustive]
pub struct FileError {
    /// What was tried.
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Returns the failure of an action on a file, for use with `map_err`.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Failure {
    let path = path.to_owned();
    move |source| {
        let kind = kind(action, &path, &source);
        Failure::new(kind, FileError { action, path, source })
    }
}

fn kind(action: &'static str, path: &Path, error: &io::Error) -> Kind {
    let file = || format!("could not {action} {}", path.display());
    match error.kind() {
        ErrorKind::NotFound => Kind::NotFound,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::WriteZero => {
            Kind::Full { reason: format!("{}: make room on the disk", file()) }
        }
        ErrorKind::ReadOnlyFilesystem => {
            Kind::Denied { reason: format!("{}: the file system is read-only", file()) }
        }
        ErrorKind::PermissionDenied => {
            Kind::Denied { reason: format!("{}: it belongs to somebody else", file()) }
        }
        ErrorKind::NotADirectory => {
            Kind::Config { reason: format!("{}: a part of the path is a file", file()) }
        }
        ErrorKind::UnexpectedEof => {
            Kind::Damaged { reason: format!("{} is shorter than it was", path.display()) }
        }
        _ if too_many_files(error) => Kind::Unavailable {
            reason: format!(
                "{}: too many files are open; raise the limit (`ulimit -n`) or lower `max_open_files`",
                file()
            ),
        },
        _ => Kind::Unavailable { reason: file() },
    }
}

/// Returns whether the process or the system has no more file descriptors.
fn too_many_files(error: &io::Error) -> bool {
    // ENFILE and EMFILE: the standard library has no kind for them.
    const TOO_MANY: [i32; 2] = [23, 24];
    cfg!(unix) && error.raw_os_error().is_some_and(|number| TOO_MANY.contains(&number))
}

/// Returns the failure of a file that doesn't hold what it should.
pub(crate) fn wrong(path: &Path, wrong: Wrong) -> Failure {
    let path = path.display();
    match wrong {
        Wrong::Damaged(what) => Kind::Damaged { reason: format!("{path}: {what}") }.into(),
        Wrong::Json(error) => {
            let reason = format!("{path} doesn't hold the JSON that it should");
            Failure::new(Kind::Damaged { reason }, error)
        }
        Wrong::Version(found) => {
            let own = crate::format::VERSION;
            let reason =
                format!("{path} has format version {found}, and this program reads version {own}");
            Kind::Protocol { reason }.into()
        }
    }
}

/// Returns the failure of a segment that is damaged at a byte.
pub(crate) fn damaged(path: &Path, byte: u64, what: &str) -> Failure {
    let path = path.display();
    Kind::Damaged { reason: format!("{path} at byte {byte}: {what}") }.into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::array::TryFromSliceError;

    use msgstream_core::adapter::cause;
    use msgstream_core::transport::Transport as _;

    use super::*;

    #[test]
    fn what_the_system_says_becomes_a_kind_and_stays_the_cause() {
        let of = |error: io::Error| failed("write", Path::new("/log/x"))(error).during("submit");
        let numbers = [
            (28, "Full"),
            (122, "Full"),
            (30, "Denied"),
            (13, "Denied"),
            (24, "Unavailable"),
            (20, "Config"),
        ];
        for (number, wanted) in numbers {
            let error = of(io::Error::from_raw_os_error(number));
            assert!(format!("{:?}", error.kind()).starts_with(wanted), "{number}: {error:?}");
            assert!(error.to_string().contains("/log/x"), "{error}");
            let source = std::error::Error::source(&error).unwrap();
            let file: &FileError = source.downcast_ref().unwrap();
            assert_eq!(file.source.raw_os_error(), Some(number));
        }
        assert_eq!(*of(ErrorKind::NotFound.into()).kind(), Kind::NotFound);
    }

    #[test]
    fn every_error_of_the_system_stays_the_cause() {
        for number in 1..=133 {
            let own = io::Error::from_raw_os_error(number).to_string();
            let failure =
                failed("write", Path::new("/log/x"))(io::Error::from_raw_os_error(number));
            let error = failure.during("submit");
            let kept = cause::<io::Error>(&error).unwrap();
            assert_eq!(kept.raw_os_error(), Some(number));
            assert!(!error.to_string().contains(&own), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_stays_the_cause() {
        let no_json = serde_json::from_slice::<u64>(b"{").unwrap_err();
        for what in [Wrong::Damaged("its checksum"), Wrong::Json(no_json), Wrong::Version(2)] {
            let has_cause = match &what {
                Wrong::Json(_) => true,
                // Nothing caused these.
                Wrong::Damaged(_) | Wrong::Version(_) => false,
            };
            let error = wrong(Path::new("/log/x"), what).during("read");
            assert_eq!(cause::<serde_json::Error>(&error).is_some(), has_cause, "{error}");
            assert!(!error.to_string().contains("EOF"), "{error}");
        }
    }

    #[tokio::test]
    async fn what_the_system_says_of_the_folder_stays_the_cause() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let open = crate::FileTransport::open(crate::FileConfig::new(file.join("log"))).await;
        let error = open.err().unwrap();
        assert!(cause::<io::Error>(&error).is_some(), "{error}");
        let open = crate::FileTransport::open(crate::FileConfig::new(folder.path())).await;
        let position = open.unwrap().decode_position(b"short").unwrap_err();
        assert!(cause::<TryFromSliceError>(&position).is_some(), "{position}");
    }
}
