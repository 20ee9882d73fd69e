//! Words to the person in front of the terminal, on stderr.

use std::io::{Write, sink};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anstream::stderr;
use anstyle::{AnsiColor, Style};
use clap::ColorChoice;
use tracing::level_filters::LevelFilter;

static QUIET: AtomicBool = AtomicBool::new(false);

static DRAWN_ON: AtomicBool = AtomicBool::new(false);

const ERROR: Style = AnsiColor::Red.on_default().bold();

/// Sets how much is written to stderr, and whether in colour. Of the library's own events, warnings and
/// errors are written; with `verbose` once information too, twice debugging.
pub(crate) fn set(color: ColorChoice, quiet: bool, verbose: u8) {
    let color = match color {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    };
    color.write_global();
    QUIET.store(quiet, Relaxed);
    let level = match (quiet, verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, 2) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(|| match DRAWN_ON.load(Relaxed) {
            true => Box::new(sink()) as Box<dyn Write>,
            false => Box::new(stderr()),
        })
        .init();
}

/// Sets whether the terminal that stderr goes to is drawn on: the library's events would spoil it, and
/// are dropped.
pub(crate) fn set_drawn_on(drawn_on: bool) {
    DRAWN_ON.store(drawn_on, Relaxed);
}

/// Returns whether nothing but errors is to be reported.
pub(crate) fn is_quiet() -> bool {
    QUIET.load(Relaxed)
}

/// Tells what was done, unless quiet. Where stderr is closed there is nobody to tell.
pub(crate) fn say(line: &str) {
    if !is_quiet() {
        drop(writeln!(stderr(), "{line}"));
    }
}

/// Returns a count with what is counted, whose plural has an `s`.
pub(crate) fn plural(count: u64, word: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {word}{s}")
}

/// Tells what went wrong.
pub(crate) fn say_error(text: &str) {
    drop(writeln!(stderr(), "{ERROR}error:{ERROR:#} {text}"));
}
