//! Draws the state.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row as TableRow, Table, Wrap};

use super::sample::{Channel, State};
use super::state::{HISTORY, Row, Sort, View};
use super::text::{behind, bytes, clock, count, day, fitting, rate, span, sparkline};

/// Which columns there are: narrow terminals have fewer.
struct Columns {
    channel: u16,
    watermark: bool,
    rate: bool,
    buffered: bool,
    /// The width of the sparkline.
    history: u16,
}

/// What names get at least, if they need it and the terminal has it.
const NAME: u16 = 14;
const STATE: u16 = 8;
const WATERMARK: u16 = 16;
const LAG: u16 = 7;
const RATE: u16 = 8;
const BUFFERED: u16 = 9;
const SHORTEST_HISTORY: u16 = 12;

impl Columns {
    /// Chooses the columns for a width, and for names of this width.
    fn new(width: u16, longest: u16) -> Self {
        let mut left = width.saturating_sub(STATE + 1 + LAG + 1);
        let least = longest.min(NAME);
        let mut take = |column: u16| {
            let fits = left >= column + 1 + least;
            left -= if fits { column + 1 } else { 0 };
            fits
        };
        let (rate, watermark, buffered) = (take(RATE), take(WATERMARK), take(BUFFERED));
        let mut history = if take(SHORTEST_HISTORY) { SHORTEST_HISTORY } else { 0 };
        if history > 0 {
            // Names get what they need, and the history what is left.
            let more = left.saturating_sub(longest.max(NAME)).min(HISTORY as u16 - history);
            history += more;
            left -= more;
        }
        let channel = left;
        Self { channel, watermark, rate, buffered, history }
    }
}

/// Draws everything.
pub(crate) fn draw(frame: &mut Frame<'_>, view: &mut View) {
    // The reason of a trouble may take two lines.
    let head = if view.sample.trouble.is_some() { 5 } else { 4 };
    let [head, table, foot] =
        Layout::vertical([Constraint::Length(head), Constraint::Fill(1), Constraint::Length(1)])
            .areas(frame.area());
    draw_head(frame, head, view);
    draw_table(frame, table, view);
    frame.render_widget(foot_line(view), foot);
    if view.help {
        draw_help(frame);
    }
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let sample = &view.sample;
    let now = format!("{} {}Z", day(sample.now), clock(sample.now));
    let title = Line::from(vec!["msgstream top".bold(), "  ".into(), view.url.as_str().into()]);
    let [left, right] =
        Layout::horizontal([Constraint::Fill(1), Constraint::Length(now.len() as u16 + 1)])
            .areas(Rect { height: 1.min(area.height), ..area });
    frame.render_widget(title, left);
    frame.render_widget(Line::from(now).alignment(Alignment::Right), right);

    let frontier = match sample.frontier {
        Some(at) => format!(
            "frontier {} {}, {} behind the clock",
            day(at),
            clock(at),
            behind(at, sample.now)
        ),
        None => "no pack yet".to_owned(),
    };
    let packs = format!("packs {}   late {}", count(sample.packs), count(sample.late));
    let total = format!(
        "{} channels   {}   {} of {} buffered",
        sample.channels.len(),
        rate(view.rate()),
        bytes(sample.bytes),
        bytes(sample.budget)
    );
    let lines = vec![Line::from(format!("{frontier}   {packs}")), Line::from(total)];
    let [_, numbers, reason] =
        Layout::vertical([Constraint::Length(1), Constraint::Length(2), Constraint::Fill(1)])
            .areas(area);
    frame.render_widget(Paragraph::new(lines), numbers);
    frame.render_widget(Paragraph::new(blocker(view)).wrap(Wrap { trim: true }), reason);
}

/// Why there is no pack at the moment.
fn blocker(view: &View) -> Line<'_> {
    if let Some(trouble) = &view.sample.trouble {
        return Line::from(trouble.as_str()).style(style(State::Failing));
    }
    let Some((row, count)) = view.blocker() else {
        let ended = |channel: &Channel| channel.state == State::Ended;
        let all = view.sample.channels.iter().all(ended) && !view.sample.channels.is_empty();
        return Line::from(if all { "every channel has ended" } else { "" });
    };
    // By the clock: when it was read here is of no interest.
    let since = match row.watermark {
        Some(at) => format!(" (last tick {} ago)", behind(at, view.sample.now)),
        None => " (no tick so far)".to_owned(),
    };
    let more = match count {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    Line::from(vec![
        Span::raw("the next pack waits for "),
        Span::styled(row.channel, style(row.state)),
        Span::raw(since + &more),
    ])
}

fn draw_table(frame: &mut Frame<'_>, area: Rect, view: &mut View) {
    let rows = view.rows();
    let width = |row: &Row| Span::raw(row.channel.as_str()).width() as u16;
    let longest = rows.iter().map(width).max().unwrap_or_default();
    let columns = Columns::new(area.width, longest);
    let shown = view.window(rows.len(), area.height.saturating_sub(1).into());
    let marked = |sort: Sort, title: &'static str| {
        let title = Line::from(title);
        if view.sort == sort { title.style(Modifier::UNDERLINED) } else { title }
    };
    let mut head = vec![Cell::new(marked(Sort::Name, "CHANNEL"))];
    let mut widths = vec![Constraint::Length(columns.channel)];
    let mut column = |there: bool, width: u16, title: Line<'static>| {
        if there {
            head.push(Cell::new(title));
            widths.push(Constraint::Length(width));
        }
    };
    column(true, STATE, marked(Sort::Urgency, "STATE"));
    column(columns.watermark, WATERMARK, Line::from("WATERMARK"));
    column(true, LAG, marked(Sort::Lag, "LAG").right_aligned());
    column(columns.rate, RATE, marked(Sort::Rate, "RATE").right_aligned());
    column(columns.buffered, BUFFERED, marked(Sort::Buffered, "BUFFERED").right_aligned());
    column(columns.history > 0, columns.history, Line::from("LAST MINUTE"));
    let now = view.sample.now;
    let rows = rows[shown].iter().map(|row| {
        let right = |text: String| Cell::new(Line::from(text).right_aligned());
        let mut cells = vec![
            Cell::new(fitting(&row.channel, columns.channel.into())),
            Cell::new(Span::styled(row.state.name(), style(row.state))),
        ];
        if columns.watermark {
            cells.push(Cell::new(row.watermark.map_or_else(
                || "no tick".to_owned(),
                |at| {
                    if day(at) == day(now) {
                        clock(at)
                    } else {
                        format!("{} {:.5}", day(at), clock(at))
                    }
                },
            )));
        }
        cells.push(right(row.lag.map(span).unwrap_or_default()));
        if columns.rate {
            cells.push(right(rate(row.rate)));
        }
        if columns.buffered {
            cells.push(right(bytes(row.bytes)));
        }
        if columns.history > 0 {
            cells.push(Cell::new(sparkline(&row.history, columns.history.into())));
        }
        TableRow::new(cells)
    });
    let head = TableRow::new(head).style(Modifier::BOLD);
    frame.render_widget(Table::new(rows, widths).header(head), area);
}

fn style(state: State) -> Style {
    match state {
        State::Failing | State::Blocking => Style::new().fg(Color::Red).bold(),
        State::Paused => Style::new().fg(Color::Yellow),
        State::Ahead => Style::new().fg(Color::Green),
        State::Idle | State::Ended => Style::new().dim(),
    }
}

fn foot_line(view: &View) -> Line<'static> {
    let mut line = match (view.typing, view.filter.is_empty()) {
        (true, _) => format!("filter: {}_   Enter keeps it, Esc clears it", view.filter),
        (false, false) => {
            format!(
                "q quit  s sort: {}  filter: {}  Esc clears it  ? help",
                view.sort.name(),
                view.filter
            )
        }
        (false, true) => format!("q quit  s sort: {}  / filter  p pause  ? help", view.sort.name()),
    };
    if view.paused {
        line += "   PAUSED";
    }
    Line::from(line).style(Modifier::REVERSED)
}

const HELP: &[(&str, &str)] = &[
    ("q, Ctrl-C", "quit"),
    ("s", "sort by urgency, channel, lag, rate, buffered"),
    ("/", "show channels whose names have a text in them"),
    ("Esc", "show all channels again"),
    ("p, Space", "pause the picture, and go on"),
    ("Up, Down, PgUp, PgDn", "scroll"),
    ("", ""),
    ("blocking", "the next pack waits for a tick on it"),
    ("ahead", "it has more ticks than the next pack needs"),
    ("paused", "it is too far ahead, and isn't read"),
    ("idle, ended", "packs don't wait for it"),
    ("failing", "it can't be read, and is tried again"),
    ("LAG", "behind the greatest watermark of all"),
];

fn draw_help(frame: &mut Frame<'_>) {
    let lines = HELP.iter().map(|(what, means)| Line::from(format!(" {what:<21} {means}")));
    let text = Paragraph::new(lines.collect::<Vec<_>>());
    let area = frame.area().centered(
        Constraint::Length(72.min(frame.area().width)),
        Constraint::Length((HELP.len() as u16 + 2).min(frame.area().height)),
    );
    frame.render_widget(Clear, area);
    frame.render_widget(text.block(Block::bordered().title(" help ")), area);
}

#[cfg(test)]
mod tests;
