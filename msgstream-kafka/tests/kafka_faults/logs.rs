//! What the adapter and its client write to the log, for tests that look at it.

use std::fmt::Write as _;
use std::sync::{Mutex, Once};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// All lines of this process: tests run side by side, so each looks for what is its own.
static LINES: Mutex<Vec<(Level, String)>> = Mutex::new(Vec::new());

/// Begins to take down lines.
pub(crate) fn capture() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing::subscriber::set_global_default(Lines).unwrap();
        // librdkafka logs as much as the client library thinks somebody reads.
        log::set_logger(&Lines).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
}

/// The lines that have all of these texts.
pub(crate) fn with(texts: &[&str]) -> Vec<(Level, String)> {
    let lines = LINES.lock().unwrap();
    let has_all = |line: &str| texts.iter().all(|text| line.contains(text));
    lines.iter().filter(|(_, line)| has_all(line)).cloned().collect()
}

struct Lines;

impl Lines {
    fn add(level: Level, line: String) {
        LINES.lock().unwrap().push((level, line));
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line::default();
        span.record(&mut line);
        Self::add(*span.metadata().level(), line.0);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        Self::add(*event.metadata().level(), line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        Self::add(Level::TRACE, record.args().to_string());
    }

    fn flush(&self) {}
}

#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}
