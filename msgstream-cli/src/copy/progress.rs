//! The progress bar of a copy, on stderr; hidden if that is no terminal, and with `--quiet`.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use msgstream::record::Position;

use crate::words::is_quiet;

pub(super) struct Progress {
    bar: ProgressBar,
    /// Positions are counted; otherwise records are.
    positions: bool,
}

impl Progress {
    /// Returns the bar of channels that are read from one position to another, or for ever.
    pub(super) fn new(spans: &[(Position, Option<Position>)]) -> Self {
        // Only positions of one number count records.
        let length = |(from, to): &(Position, Option<Position>)| {
            let to = (*to)?;
            (to.words()[1..] == [0, 0]).then(|| to.offset().saturating_sub(from.offset()))
        };
        let length: Option<u64> = spans.iter().map(length).sum();
        let (bar, template) = match length {
            Some(length) => {
                (ProgressBar::new(length), "{wide_bar} {human_pos}/{human_len} records {elapsed}")
            }
            None => (ProgressBar::new_spinner(), "{spinner} {human_pos} records {elapsed}"),
        };
        let style = ProgressStyle::with_template(template);
        if is_quiet() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, positions: length.is_some() }
    }

    pub(super) fn read(&self, from: Position, to: Position, records: usize) {
        self.bar.inc(match self.positions {
            true => to.offset().saturating_sub(from.offset()),
            false => records as u64,
        });
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
