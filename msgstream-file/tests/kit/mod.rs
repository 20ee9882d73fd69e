//! What the tests share.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use msgstream_core::record::{Meta, Record};
use msgstream_core::transport::{
    ChannelReader, Fate, Limit, Start, Transport, TransportError, TransportErrorKind, TransportExt,
    Unstored,
};
use msgstream_core::{MsgType, Timestamp};
use msgstream_file::{FileConfig, FileTransport};

/// Longer than a test takes: a wait that must be ended by an event.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(3600);

/// Names the folder that a process of its own works in.
pub(crate) const FOLDER: &str = "MSGSTREAM_TEST_FOLDER";

/// A record that is told from others by its number.
pub(crate) fn record(number: u64) -> Record {
    let mut meta = Meta::new(MsgType::INSERT, Timestamp(number));
    meta.msg_id = number.cast_signed();
    Record::new(meta, format!("{number:0>500}"))
}

pub(crate) fn number(record: &Record) -> u64 {
    str::from_utf8(&record.payload).unwrap().parse().unwrap()
}

/// Small segments, so that there are several.
pub(crate) fn config(folder: &Path) -> FileConfig {
    FileConfig::new(folder).with_segment_bytes(4096)
}

pub(crate) async fn open(folder: &Path) -> FileTransport {
    FileTransport::open(config(folder)).await.unwrap()
}

/// Writes records, each in a batch of its own, up to the first that isn't stored. Returns how many
/// are.
pub(crate) async fn write_some(
    files: &FileTransport,
    channel: &str,
    numbers: impl IntoIterator<Item = u64>,
) -> (u64, Result<(), TransportError>) {
    let mut writer = match files.writer(channel).await {
        Ok(writer) => writer,
        Err(error) => return (0, Err(error)),
    };
    let mut stored = 0;
    for number in numbers {
        if let Some(Unstored { fate, error, .. }) = writer.submit(vec![record(number)]).await.rest {
            assert_eq!(fate, Fate::NotStored, "{error}");
            let ready = writer.ready().await.unwrap_err();
            assert_eq!(*ready.kind(), TransportErrorKind::Poisoned, "a writer after {error}");
            return (stored, Err(error));
        }
        stored += 1;
    }
    writer.close().await.unwrap();
    (stored, Ok(()))
}

pub(crate) async fn write(
    files: &FileTransport,
    channel: &str,
    numbers: impl IntoIterator<Item = u64>,
) {
    write_some(files, channel, numbers).await.1.unwrap();
}

/// Returns why a record isn't stored.
pub(crate) async fn refused(files: &FileTransport, channel: &str) -> TransportError {
    write_some(files, channel, [u64::MAX]).await.1.unwrap_err()
}

pub(crate) async fn reader(files: &FileTransport, channel: &str) -> Box<dyn ChannelReader> {
    files.reader(channel, Start::Earliest).await.unwrap()
}

/// Reads to the end, a record at a time, and returns the numbers, and what ended it if that isn't the
/// end.
pub(crate) async fn read_some(
    reader: &mut dyn ChannelReader,
) -> (Vec<u64>, Option<TransportError>) {
    let mut numbers = Vec::new();
    loop {
        let limit = Limit::default().with_records(1).with_wait(Duration::ZERO);
        match reader.read(limit).await {
            Ok(batch) => {
                numbers.extend(batch.records.iter().map(number));
                if batch.caught_up {
                    return (numbers, None);
                }
            }
            Err(error) => return (numbers, Some(error)),
        }
    }
}

/// Returns all that is in a channel.
pub(crate) async fn read(files: &FileTransport, channel: &str) -> Vec<u64> {
    let (numbers, error) = read_some(&mut *reader(files, channel).await).await;
    assert!(error.is_none(), "{error:?}");
    numbers
}

/// Returns the folder that this process is to work in; `None` if it isn't one that a test started.
pub(crate) fn given_folder() -> Option<PathBuf> {
    env::var_os(FOLDER).map(PathBuf::from)
}

/// Returns what runs an ignored test of this program, which works in a folder, in a process of its
/// own. It comes behind the words of another command, which may be none.
pub(crate) fn process(before: &[&str], program: &Path, test: &str, folder: &Path) -> Command {
    let program = program.to_str().unwrap();
    let own = ["--ignored", "--exact", test, "--nocapture", "--test-threads=1"];
    let words: Vec<_> = before.iter().copied().chain([program]).chain(own).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env(FOLDER, folder);
    command
}

pub(crate) fn this_program() -> PathBuf {
    env::current_exe().unwrap()
}

#[track_caller]
pub(crate) fn assert_passed(output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    assert!(out.contains("1 passed"), "it ran no test:\n{out}");
}
