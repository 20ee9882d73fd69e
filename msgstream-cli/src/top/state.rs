//! What is shown: rows from samples, and what the keys change. Pure: no terminal, no clock.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use msgstream::Timestamp;

use super::sample::{Channel, Sample, State};

/// How many rates a sparkline is drawn of.
pub(crate) const HISTORY: usize = 60;

/// A row of the table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) channel: String,
    pub(crate) state: State,
    pub(crate) watermark: Option<Timestamp>,
    pub(crate) lag: Option<Duration>,
    pub(crate) bytes: usize,
    /// Messages that are read, a second.
    pub(crate) rate: f64,
    /// The rates of before, the oldest first, and this one.
    pub(crate) history: Vec<u64>,
}

/// By what the rows are sorted. Equal ones are sorted by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sort {
    /// What needs attention first: what packs wait for, and the furthest behind.
    #[default]
    Urgency,
    Name,
    /// The greatest first, as with those that follow.
    Lag,
    Rate,
    Buffered,
}

impl Sort {
    pub(crate) const ALL: [Self; 5] =
        [Self::Urgency, Self::Name, Self::Lag, Self::Rate, Self::Buffered];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Urgency => "urgency",
            Self::Name => "channel",
            Self::Lag => "lag",
            Self::Rate => "rate",
            Self::Buffered => "buffered",
        }
    }

    fn next(self) -> Self {
        let at = Self::ALL.iter().position(|sort| *sort == self).unwrap_or_default();
        Self::ALL[(at + 1) % Self::ALL.len()]
    }

    fn order(self, a: &Row, b: &Row) -> Ordering {
        // No tick at all is further behind than any.
        let lag = |row: &Row| Reverse(row.lag.unwrap_or(Duration::MAX));
        let order = match self {
            Self::Urgency => a.state.cmp(&b.state).then_with(|| lag(a).cmp(&lag(b))),
            Self::Name => Ordering::Equal,
            Self::Lag => lag(a).cmp(&lag(b)),
            Self::Rate => b.rate.total_cmp(&a.rate),
            Self::Buffered => b.bytes.cmp(&a.bytes),
        };
        order.then_with(|| a.channel.cmp(&b.channel))
    }
}

/// A key, as far as it means something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Escape,
    Backspace,
    Interrupt,
}

/// What follows from a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Show,
    Quit,
}

/// All that is shown.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) url: String,
    pub(crate) sample: Sample,
    rates: BTreeMap<String, VecDeque<f64>>,
    pub(crate) sort: Sort,
    /// Only channels whose names have this in them are shown.
    pub(crate) filter: String,
    /// Whether keys go into the filter.
    pub(crate) typing: bool,
    pub(crate) help: bool,
    pub(crate) paused: bool,
    /// The first row that is shown.
    top: usize,
    /// How many rows fit, as they were drawn last.
    fit: usize,
}

impl View {
    pub(crate) fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            sample: Sample::default(),
            rates: BTreeMap::new(),
            sort: Sort::default(),
            filter: String::new(),
            typing: false,
            help: false,
            paused: false,
            top: 0,
            fit: 1,
        }
    }

    /// Takes a new sample, from which on rates are counted anew.
    pub(crate) fn update(&mut self, sample: Sample) {
        if self.paused {
            return;
        }
        let passed = sample.at.saturating_sub(self.sample.at).as_secs_f64();
        let before: BTreeMap<_, _> =
            self.sample.channels.iter().map(|channel| (&*channel.name, channel.read)).collect();
        for Channel { name, read, .. } in &sample.channels {
            // Without a sample before there is no rate. What was evicted is read again, and counts once.
            let Some(before) = before.get(&**name).filter(|_| passed > 0.0) else { continue };
            let rates = self.rates.entry(name.clone()).or_default();
            rates.push_back(read.saturating_sub(*before) as f64 / passed);
            if rates.len() > HISTORY {
                rates.pop_front();
            }
        }
        self.sample = sample;
    }

    /// Returns the rows that pass the filter, sorted.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let passes = |channel: &&Channel| channel.name.contains(&self.filter);
        let mut rows: Vec<_> =
            self.sample.channels.iter().filter(passes).map(|channel| self.row(channel)).collect();
        rows.sort_by(|a, b| self.sort.order(a, b));
        rows
    }

    fn row(&self, channel: &Channel) -> Row {
        let rates = self.rates.get(&channel.name);
        Row {
            channel: channel.name.clone(),
            state: channel.state,
            watermark: channel.watermark,
            lag: channel.lag,
            bytes: channel.bytes,
            rate: rates.and_then(|rates| rates.back().copied()).unwrap_or_default(),
            history: rates.into_iter().flatten().map(|rate| rate.round() as u64).collect(),
        }
    }

    /// Returns the row of the channel that the next pack waits for, the furthest behind if there are
    /// several, and how many there are. The filter doesn't hide it.
    pub(crate) fn blocker(&self) -> Option<(Row, usize)> {
        let urgent = |channel: &&Channel| channel.state <= State::Blocking;
        let rows: Vec<_> =
            self.sample.channels.iter().filter(urgent).map(|channel| self.row(channel)).collect();
        let count = rows.len();
        let first = rows.into_iter().min_by(|a, b| Sort::Urgency.order(a, b))?;
        Some((first, count))
    }

    /// Returns how far the rates go up, all channels together.
    pub(crate) fn rate(&self) -> f64 {
        self.rates.values().filter_map(|rates| rates.back()).sum()
    }

    /// Returns which of so many rows are shown if so many fit.
    pub(crate) fn window(&mut self, rows: usize, fit: usize) -> std::ops::Range<usize> {
        self.fit = fit.max(1);
        self.top = self.top.min(rows.saturating_sub(fit));
        self.top..rows.min(self.top + fit)
    }

    /// Does what a key says.
    pub(crate) fn press(&mut self, key: Key) -> Then {
        match key {
            Key::Interrupt => return Then::Quit,
            _ if self.typing => self.type_filter(key),
            Key::Char('q') => return Then::Quit,
            Key::Char('?' | 'h') => self.help = !self.help,
            Key::Escape if self.help => self.help = false,
            Key::Escape => self.filter.clear(),
            Key::Char('/') => (self.typing, self.help) = (true, false),
            Key::Char('s') => self.sort = self.sort.next(),
            Key::Char('p' | ' ') => self.paused = !self.paused,
            Key::Up | Key::Char('k') => self.top = self.top.saturating_sub(1),
            Key::Down | Key::Char('j') => self.top = self.top.saturating_add(1),
            Key::PageUp => self.top = self.top.saturating_sub(self.fit),
            Key::PageDown => self.top = self.top.saturating_add(self.fit),
            Key::Home | Key::Char('g') => self.top = 0,
            Key::End | Key::Char('G') => self.top = usize::MAX,
            _ => {}
        }
        Then::Show
    }

    fn type_filter(&mut self, key: Key) {
        match key {
            Key::Char(letter) => self.filter.push(letter),
            Key::Backspace => drop(self.filter.pop()),
            Key::Enter => self.typing = false,
            Key::Escape => {
                self.filter.clear();
                self.typing = false;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
