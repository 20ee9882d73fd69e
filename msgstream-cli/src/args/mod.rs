//! What the command line takes. Each command's own arguments are in its module.

pub(crate) mod duration;
pub(crate) mod number;
mod point;

use std::path::PathBuf;

use clap::{ArgAction, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use msgstream::consume::LatePolicy;

pub(crate) use self::point::Point;
use crate::channels::ChannelsArgs;
use crate::conformance::ConformanceArgs;
use crate::copy::CopyArgs;
use crate::doctor::DoctorArgs;
use crate::produce::ProduceArgs;
use crate::repair_ticks::RepairTicksArgs;
use crate::replay::ReplayArgs;
use crate::shell::{CompletionsArgs, ManArgs};
use crate::tail::TailArgs;
use crate::top::TopArgs;

/// Writes, shows, copies and checks channels and streams at any log broker.
///
/// A URL says where channels are: file:///FOLDER for logs in files, mem:// for this process, and what
/// else is compiled in. Exit codes: 0 done, 1 failed or found something, 2 wrong usage, 3 the broker
/// can't be reached.
#[derive(Debug, Parser)]
#[command(name = "msgstream", version, arg_required_else_help = true)]
pub(crate) struct Args {
    /// The file with settings: brokers by name, and options of their URLs
    #[arg(long, global = true, env = "MSGSTREAM_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Whether to write in colour; NO_COLOR is heeded, too
    #[arg(long, global = true, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    pub(crate) color: ColorChoice,

    /// Write nothing but data and errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Tell more of what the library does; twice for even more
    #[arg(long, short, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Args {
    /// Reads the command line of the process, which ends where there is nothing to run: with wrong usage, or
    /// help.
    pub(crate) fn read() -> Self {
        let given = wanted_color(std::env::args_os().filter_map(|arg| arg.into_string().ok()));
        let command = Self::command().color(given.unwrap_or_default());
        Self::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
    }
}

/// Returns what `--color` is set to, before the command line is read: what is wrong with it is in colour, too.
fn wanted_color(args: impl Iterator<Item = String>) -> Option<ColorChoice> {
    let mut args = args.take_while(|arg| arg != "--");
    while let Some(arg) = args.next() {
        let value = match arg.strip_prefix("--color") {
            Some("") => args.next(),
            Some(rest) => rest.strip_prefix('=').map(str::to_owned),
            None => None,
        };
        if value.is_some() {
            return value.and_then(|value| value.parse().ok());
        }
    }
    None
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Replay(ReplayArgs),
    Channels(ChannelsArgs),
    Completions(CompletionsArgs),
    Conformance(ConformanceArgs),
    Copy(CopyArgs),
    Doctor(DoctorArgs),
    Man(ManArgs),
    Produce(ProduceArgs),
    RepairTicks(RepairTicksArgs),
    Tail(TailArgs),
    Top(TopArgs),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Late {
    Error,
    Deliver,
    Drop,
}

impl From<Late> for LatePolicy {
    fn from(late: Late) -> Self {
        match late {
            Late::Error => Self::Error,
            Late::Deliver => Self::Deliver,
            Late::Drop => Self::Drop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_colour_is_known_before_the_rest() {
        let wanted = |line: &str| wanted_color(line.split(' ').map(str::to_owned));
        assert_eq!(wanted("msgstream tail --color always"), Some(ColorChoice::Always));
        assert_eq!(wanted("msgstream --color=never tail"), Some(ColorChoice::Never));
        assert_eq!(wanted("msgstream --colour never --color pink"), None);
        assert_eq!(wanted("msgstream tail -- --color never"), None);
    }
}
