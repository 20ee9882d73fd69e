//! What the command line takes. Each command's own arguments are in its room.

pub(crate) mod duration;
mod point;

use clap::{Parser, Subcommand, ValueEnum};
use msgstream::consume::LatePolicy;

pub(crate) use self::point::Point;
use crate::channels::ChannelsArgs;
use crate::replay::ReplayArgs;

/// Typed messages in, time-aligned packs out, over any log broker.
///
/// A URL says where channels are: file:///FOLDER for logs in files, mem:// for this process, and what
/// else is compiled in. Exit codes: 0 done, 1 failed or found something, 2 wrong usage, 3 the broker
/// can't be reached.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Replay(ReplayArgs),
    Channels(ChannelsArgs),
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
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
