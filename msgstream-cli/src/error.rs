//! What can go wrong, and the exit code of each.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use msgstream::checkpoint::StoreError;
use msgstream::record::Position;
use msgstream::registry::{ConnectError, nearest};
use msgstream::service::ServiceError;
use msgstream::transport::{TransportError, TransportErrorKind};

use crate::asked::{Asked, Reason};
use crate::copy::CopyError;
use crate::settings::{SettingsError, UnknownScheme};
use crate::time::Time;

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("`{}` is named as {role} and as {other}: each needs a file of its own", path.display())]
    SameFile { path: PathBuf, role: &'static str, other: &'static str },
    #[error("`{}` is not a plain file, which --verify needs: it reads the files a second time", path.display())]
    NotPlain { path: PathBuf },
    #[error("the property `{property}` has no value: write --property NAME=VALUE")]
    NoProperty { property: String },
    #[error("there is no broker `{name}` in the settings{}: write a URL, or one of {}", did_you_mean(name, known), known.join(", "))]
    UnknownBroker { name: String, known: Vec<String> },
    #[error(
        "`{name}` is neither a URL, such as file:///FOLDER, nor a broker that the settings file names: write a URL, or add the broker to the file's table [brokers]"
    )]
    NoUrl { name: String },
    #[error(
        "the transport of `{scheme}` URLs isn't compiled in: build msgstream-cli with the cargo feature `{feature}`, or with `full`"
    )]
    NotCompiledIn { scheme: String, feature: &'static str },
    #[error(transparent)]
    UnknownScheme(#[from] UnknownScheme),
    #[error("the variable `{name}` of the environment has options of no scheme{}: rename or remove it", meant.as_ref().map_or_else(String::new, |meant| format!(" (did you mean `{meant}`?)")))]
    UnknownVariable { name: String, meant: Option<String> },
    #[error("the variable `{name}` of the environment can't be used")]
    Variable { name: String, source: ConnectError },
    #[error("the settings in `{}` can't be used, so mend the file, or name another one", path.display())]
    Settings { path: PathBuf, source: SettingsError },
    #[error("no scenario has `{filter}` in its name: `--list` names them all")]
    NoScenario { filter: String },
    #[error("the suite can't run: {reason}")]
    Suite { reason: String },
    #[error("{count} {what}{} failed", if *count == 1 { "" } else { "s" })]
    Found { count: u64, what: &'static str },
    #[error("`{}` has no checkpoint; name the file of the consumer's `FileStore`", path.display())]
    NoCheckpoint { path: PathBuf },
    #[error(
        "the checkpoint in `{}` has none of these channels, but {}: name those, or the file of a consumer of these",
        path.display(),
        quoted(has)
    )]
    OtherCheckpoint { path: PathBuf, has: Vec<String> },
    #[error("no channel has the subscription `{name}`{}", others(name, known))]
    NoSubscription { name: String, known: Vec<String> },
    #[error("the stream has {errors} {}", if *errors == 1 { "error" } else { "errors" })]
    Ill { errors: usize },
    #[error(
        "channel `{channel}` has no tick at {position}; `msgstream doctor` names the ticks that are wrong"
    )]
    NoTick { channel: String, position: Position },
    #[error(
        "channel `{channel}` is the home channel of producer `{producer}`, whose epochs are positions in it, so it can't be copied; fence the producer and go on with another producer id and another channel"
    )]
    IsHome { channel: String, producer: String },
    #[error("nothing was written: add --yes to go on without a terminal")]
    Unasked,
    #[error("nothing was written")]
    Declined,
    #[error(
        "channel `{into}` exists already, and isn't known to be a whole copy of `{from}`: destroy it if an earlier repair was interrupted, or name another channel with --into"
    )]
    IntoExists { from: String, into: String },
    #[error("channel `{channel}` has only a part of the copy: destroy it, and run this again")]
    HalfCopied { channel: String, source: TransportError },
    #[error(
        "the checkpoint in `{}` is of {}, and this run names {}: name the channels of the checkpoint, or another file",
        path.display(), listed(kept), listed(named)
    )]
    OtherChannels { path: PathBuf, kept: Vec<String>, named: Vec<String> },
    #[error("`{}` isn't a checkpoint: name another file, which is made if it isn't there", path.display())]
    NotACheckpoint { path: PathBuf },
    /// Options that don't go together, in words.
    #[error("{0}")]
    Usage(String),
    #[error(
        "there is no log at `{url}`: look at the path, or make one with `msgstream channels create`"
    )]
    NoLog { url: String },
    #[error("channel `{channel}` can't be {}", asked.participle())]
    Channel { channel: String, asked: Asked, source: Reason },
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Copy(#[from] CopyError),
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Stream(#[from] msgstream::Error),
    #[error(transparent)]
    Encode(#[from] serde_json::Error),
    #[error(
        "there are no channels{}, so there is nothing to show: create some, or look at another URL",
        if *homes > 0 { " but home channels" } else { "" }
    )]
    NoChannels { homes: usize },
    #[error(
        "`top` draws on a terminal, and stdin or stdout isn't one: `msgstream doctor` reports the same as text"
    )]
    NoTerminal,
    #[error(
        "the terminal can't be used: run `top` in another one, or `msgstream doctor`, which reports the same as text"
    )]
    Terminal { source: std::io::Error },
    #[error(
        "the program can't start its threads, or one of them panicked: raise the limit of processes (`ulimit -u`), or end others"
    )]
    Runtime { source: io::Error },
    #[error("`{}` can't be opened: check the path and its permissions", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("`{}` can't be read to its end, it may be truncated or damaged: use a copy that is whole", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("`{}` can't be written: check the path and its permissions, and that the disk has room", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("`{}` is empty: its first line must name the columns", path.display())]
    NoHeader { path: PathBuf },
    #[error("`{}` has a header that isn't UTF-8: convert the file", path.display())]
    HeaderNotUtf8 { path: PathBuf },
    #[error("`{}` has no column `{column}`; its columns are: {}", path.display(), columns.join(", "))]
    NoColumn { path: PathBuf, column: String, columns: Vec<String> },
    #[error("`{}` has the column `{column}` twice: rename one of them", path.display())]
    ColumnTwice { path: PathBuf, column: String },
    #[error("`{}` has more lines than can be counted: split it", path.display())]
    TooLong { path: PathBuf },
    #[error("`{}` line {line}: {reason}; mend the row, or set such rows aside with --bad-rows", path.display())]
    BadRow { path: PathBuf, line: u64, reason: String },
    #[error("`{}` line {line}: {reason}; mend the row, or leave it out", path.display())]
    BadInput { path: PathBuf, line: u64, reason: String },
    #[error("`{}` line {line} is late: its time {ts} is not after the tick {tick}, which was written before it; raise --max-delay, or set --late deliver or --late drop", path.display())]
    LateRow { path: PathBuf, line: u64, ts: Time, tick: Time },
    #[error("`{}` line {line} is late: its time {ts} is not after the tick {tick}, which was on the channels before this run; set --late deliver to write it all the same", path.display())]
    LateRowBefore { path: PathBuf, line: u64, ts: Time, tick: Time },
    #[error(
        "the session `{session}` has written {rows} more rows to channel `{channel}` than the input has for it: give it the input and the options that it had before, or use another session"
    )]
    OtherInput { session: String, channel: String, rows: u64 },
    #[error(
        "an earlier run of the session `{session}` has ended the channels, and the input has more rows than it wrote: write them to other channels"
    )]
    EndedBefore { session: String },
    #[error(
        "the message at {position} of channel `{channel}` is late: its time {ts} is not after the tick {watermark} before it; set --late deliver or --late drop"
    )]
    LateMessage { channel: String, position: Position, ts: Time, watermark: Time },
    #[error(
        "the messages up to the next tick after {begin} need more than the {budget} bytes that may be buffered: have the producers tick more often (`produce --tick`), or read each channel by itself with --raw"
    )]
    FewTicks { begin: String, budget: usize },
    #[error("`{}` line {line} is late: its time {ts} is not after the tick {watermark}, which came before it on channel `{channel}` (position {position}); raise --max-delay, or set --late deliver or --late drop", path.display())]
    Late {
        path: PathBuf,
        line: u64,
        ts: Time,
        watermark: Time,
        channel: String,
        position: Position,
    },
    #[error(
        "the rows up to the tick after {begin} need more than the {budget} bytes that may be buffered; choose a smaller --tick or --max-delay"
    )]
    Window { begin: String, budget: usize },
    #[error("interrupted")]
    Interrupted,
    #[error("the reader of the output went away before the end, so there is nothing to verify")]
    Unverifiable,
    #[error(
        "{read} rows were read, but {delivered} delivered, {dropped} dropped and {bad} set aside, with {duplicates} duplicates"
    )]
    Unbalanced { read: u64, delivered: u64, dropped: u64, bad: u64, duplicates: u64 },
    #[error("the files and what was consumed differ in {count} places, first:\n  {}", first.join("\n  "))]
    Differs { count: u64, first: Vec<String> },
    /// The reader of stdout went away, which is no failure.
    #[error("the reader of the output went away")]
    OutputClosed,
    /// Another part of the run stopped first, and knows why.
    #[error("the run stopped")]
    Stopped,
}

impl Error {
    /// Returns the error of a write. If the reader of stdout went away, there is none.
    pub(crate) fn written(path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::BrokenPipe {
            return Self::OutputClosed;
        }
        Self::Write { path: path.to_owned(), source }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::OutputClosed => ExitCode::SUCCESS,
            _ if self.is_unreachable() => ExitCode::from(3),
            Self::Connect(ConnectError::Transport(_)) => ExitCode::from(1),
            Self::Connect(_)
            | Self::Copy(CopyError::OntoItself)
            | Self::SameFile { .. }
            | Self::NotPlain { .. }
            | Self::NoProperty { .. }
            | Self::NoTerminal
            | Self::NoScenario { .. }
            | Self::NotACheckpoint { .. }
            | Self::NotCompiledIn { .. }
            | Self::NoUrl { .. }
            | Self::OtherChannels { .. }
            | Self::Settings { .. }
            | Self::Unasked
            | Self::Stream(msgstream::Error::Config { .. })
            | Self::UnknownBroker { .. }
            | Self::UnknownScheme(_)
            | Self::UnknownVariable { .. }
            | Self::Variable { .. }
            | Self::Usage(_) => ExitCode::from(2),
            _ => ExitCode::from(1),
        }
    }

    fn is_unreachable(&self) -> bool {
        let transport = match self {
            Self::Connect(ConnectError::Transport(error))
            | Self::Channel { source: Reason { error, .. }, .. }
            | Self::Transport(error)
            | Self::Service(ServiceError::Transport(error))
            | Self::Stream(msgstream::Error::Transport(error)) => error,
            Self::NoLog { .. } => return true,
            _ => return false,
        };
        use TransportErrorKind::{TimedOut, Unavailable};
        matches!(transport.kind(), Unavailable { .. } | TimedOut { .. })
    }
}

/// An error with what caused it, on one line; a cause that the text has already is left out.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let cause = source.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        next = source.source();
    }
    text
}

/// Names channels.
fn listed(channels: &[String]) -> String {
    let names: Vec<_> = channels.iter().map(|channel| format!("`{channel}`")).collect();
    names.join(", ")
}

/// Returns the known name that is nearest to a wrong one, as an addition to an error; nothing if none is
/// near.
pub(crate) fn did_you_mean(wrong: &str, known: &[impl AsRef<str>]) -> String {
    nearest(wrong, known).map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

/// Returns names as they are written in an error.
fn quoted(names: &[impl AsRef<str>]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    quoted.join(", ")
}

/// Returns the subscription that was meant, or else all that there are.
fn others(name: &str, known: &[String]) -> String {
    match (did_you_mean(name, known), known) {
        (_, []) => ": there are none".to_owned(),
        (near, _) if near.is_empty() => format!(": there are {}", quoted(known)),
        (near, _) => near,
    }
}
