//! What `msgstream channels` takes.

use clap::{Parser, Subcommand};

use crate::args::Point;

/// Lists, creates, describes, destroys and trims channels.
#[derive(Debug, Parser)]
pub(crate) struct ChannelsArgs {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Lists the names of channels, a line each
    #[command(after_help = "Example: msgstream channels list file:///var/lib/shop orders-")]
    List {
        /// Where the channels are
        url: String,
        /// Only channels whose names begin with one of these
        #[arg(value_name = "PREFIX")]
        prefixes: Vec<String>,
        /// Write a JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Creates channels
    #[command(
        after_help = "Example: msgstream channels create file:///var/lib/shop orders-0 orders-1 --owner billing"
    )]
    Create {
        /// Where the channels will be
        url: String,
        /// Their names
        #[arg(required = true, value_name = "CHANNEL")]
        channels: Vec<String>,
        /// Who owns them, kept with them
        #[arg(long, value_name = "ROLE")]
        owner: Option<String>,
        /// A property that is kept with them; may be given several times
        #[arg(long = "property", value_name = "NAME=VALUE")]
        properties: Vec<String>,
        /// Write a JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Describes channels: owner, first position, end, number of records, incarnation, properties and
    /// subscriptions, as far as the broker knows them
    #[command(
        after_help = "Example: msgstream channels describe file:///var/lib/shop orders-0 --json"
    )]
    Describe {
        /// Where the channels are
        url: String,
        /// Their names; all channels unless given
        #[arg(value_name = "CHANNEL")]
        channels: Vec<String>,
        /// Write a JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Destroys channels, with all that is in them
    #[command(after_help = "Example: msgstream channels destroy file:///var/lib/shop orders-0")]
    Destroy {
        /// Where the channels are
        url: String,
        /// Their names
        #[arg(required = true, value_name = "CHANNEL")]
        channels: Vec<String>,
        /// Write a JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Removes old records from channels; nothing at or after the given point goes, and what a broker
    /// removes only in larger pieces may stay
    #[command(
        after_help = "Example: msgstream channels trim file:///var/lib/shop orders-0 --before 2026-11-01T00:00:00Z"
    )]
    Trim {
        /// Where the channels are
        url: String,
        /// Their names
        #[arg(required = true, value_name = "CHANNEL")]
        channels: Vec<String>,
        /// The first record that stays: a position, a time in RFC 3339 by which it was stored, earliest
        /// or latest
        #[arg(long, value_name = "POSITION|TIME")]
        before: Point,
        /// Write a JSON object a line
        #[arg(long)]
        json: bool,
    },
}
