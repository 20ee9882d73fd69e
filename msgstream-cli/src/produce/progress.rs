//! How far a run is, on stderr.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

use super::args::ProduceArgs;
use super::rows::is_stdin;
use crate::words::is_quiet;

/// Returns a bar over the bytes of the files, or a spinner if there are others than plain files. It
/// is hidden if stderr is no terminal, or if the rows are typed in at the same one, and with `--quiet`.
pub(super) fn progress(args: &ProduceArgs) -> ProgressBar {
    let typed = args.inputs.iter().any(|path| is_stdin(path)) && std::io::stdin().is_terminal();
    if typed || is_quiet() {
        return ProgressBar::hidden();
    }
    let size = |path| std::fs::metadata(path).ok().filter(|m| m.is_file()).map(|m| m.len());
    let (bar, template) = match args.inputs.iter().map(size).sum() {
        Some(bytes) => {
            (ProgressBar::new(bytes), "{wide_bar} {bytes}/{total_bytes} {elapsed} {msg}")
        }
        None => (ProgressBar::new_spinner(), "{spinner} {bytes} {elapsed} {msg}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
