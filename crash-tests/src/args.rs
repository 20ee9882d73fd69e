//! What the command line takes.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand};

use crate::round::Kind;

/// The variable with the broker's URL.
pub(crate) const URL: &str = "MSGSTREAM_CRASH_URL";

/// Kills producers, consumers and brokers while they work, and checks that every message counts
/// once.
///
/// Producers write numbers with sessions and ticks, each on channels of its own, and note in a
/// journal what is acknowledged. A consumer commits pack by pack. After each round, what was
/// acknowledged must be in the log as it is read back, each number must have been delivered once,
/// and the packs must be those of a small model over that log.
///
/// Exit codes: 0 every message counted once, 1 one didn't or the run failed, 2 wrong usage.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// Where the broker is
    #[arg(long, global = true, env = URL, hide_env_values = true, default_value = "mem://")]
    pub(crate) url: String,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Rounds(Rounds),
    Restart(Restart),
    /// A producer of a round
    #[command(hide = true)]
    Producer {
        #[arg(long)]
        folder: PathBuf,
        #[arg(long)]
        index: u32,
    },
    /// The consumer of a round
    #[command(hide = true)]
    Consumer {
        #[arg(long)]
        folder: PathBuf,
    },
}

/// Rounds in which one is killed at a random moment and started again.
///
/// A round counts only if at the kill something was on its way: a message sent and not
/// acknowledged, or, if the consumer is killed, a pack emitted and not committed. A message that
/// was handed over just before its producer was killed may not have left it: it counts if it is in
/// the log. Rounds that don't count are repeated. What is drawn follows from the seed; when things happen doesn't.
#[derive(Debug, Args)]
pub(crate) struct Rounds {
    /// Who is killed; several with commas between them
    #[arg(long, required = true, value_delimiter = ',')]
    pub(crate) kind: Vec<Kind>,

    /// How many rounds must count, of each kind
    #[arg(long, value_name = "N")]
    pub(crate) rounds: u32,

    /// What the moments are drawn from; a new one each time if it isn't given
    #[arg(long)]
    pub(crate) seed: Option<u64>,

    /// How many messages a round has at the least
    #[arg(long, default_value_t = 16_000, value_parser = messages())]
    pub(crate) messages: u64,

    /// By how many producers
    #[arg(long, default_value_t = 2, value_parser = some())]
    pub(crate) producers: u32,

    /// How long nodes of a cluster are away
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) away: u64,

    #[command(flatten)]
    pub(crate) load: Load,
}

/// The broker is killed and restarted at a third and at a half of the messages.
#[derive(Debug, Args)]
pub(crate) struct Restart {
    /// How many messages there are at the least
    #[arg(long, default_value_t = 100_000, value_parser = messages())]
    pub(crate) messages: u64,

    /// By how many producers
    #[arg(long, default_value_t = 10, value_parser = some())]
    pub(crate) producers: u32,

    #[command(flatten)]
    pub(crate) load: Load,
}

/// What else there is to say of a round.
#[derive(Debug, Args)]
pub(crate) struct Load {
    /// How many channels each producer has
    #[arg(long, default_value_t = 2, value_parser = some())]
    pub(crate) channels: u32,

    /// The longest that any part of a round may take
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub(crate) deadline: u64,

    /// The broker as `brokers/kill` names it; the scheme of the URL if it isn't given
    #[arg(long, value_name = "NAME")]
    pub(crate) broker: Option<String>,
}

fn messages() -> RangedU64ValueParser<u64> {
    RangedU64ValueParser::new().range(1..1_000_000_000)
}

fn some() -> RangedU64ValueParser<u32> {
    RangedU64ValueParser::new().range(1..100)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
        let Command::Restart(restart) = Arguments::parse_from(["crash", "restart"]).command else {
            panic!("it was to be `restart`")
        };
        assert_eq!((restart.messages, restart.producers), (100_000, 10));
    }
}
