#![allow(clippy::unwrap_used)]

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};

use super::super::picture::svg;
use super::super::planted::{channel, sample, view};
use super::super::state::Key;
use super::*;

/// The picture in the README.
const PICTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/images/top.svg");

fn drawn(view: &mut View, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, view)).unwrap();
    terminal.backend().buffer().clone()
}

/// Returns the lines, without the spaces at their ends.
fn text(buffer: &Buffer) -> String {
    let lines = buffer.content.chunks(buffer.area.width.into());
    let line = |cells: &[Cell]| cells.iter().map(Cell::symbol).collect::<String>();
    lines.map(|cells| format!("{}\n", line(cells).trim_end())).collect()
}

#[track_caller]
fn assert_drawn(view: &mut View, width: u16, height: u16, wanted: &str) {
    let text = text(&drawn(view, width, height));
    assert!(text == wanted, "{text}");
}

#[test]
fn on_80_by_24() {
    assert_drawn(
        &mut view(),
        80,
        24,
        "\
msgstream top  kafka://broker-1:9092,broker-2:9092/shop.    2026-11-29 13:04:05Z
frontier 2026-11-29 13:03:22, 42.4 s behind the clock   packs 18,204   late 3
8 channels   28k/s   32.6 MiB of 64.0 MiB buffered
the next pack waits for orders-3 (last tick 42.4 s ago)
CHANNEL        STATE    WATERMARK            LAG     RATE  BUFFERED LAST MINUTE
orders-3       blocking 13:03:22          42.0 s      0/s       0 B
orders-2       paused   13:03:56           8.3 s      0/s  21.0 MiB
prices-us      ahead    13:04:04          310 ms    10k/s 290.0 KiB ▇▅▄▅█▆▆▅▇▅▄▅
prices-eu      ahead    13:04:04          250 ms    15k/s 310.0 KiB ▅█▆▆▅▇▅▄▅█▆▆
orders-0       ahead    13:04:04          120 ms    656/s   5.0 MiB ▆▅▇▅▄▅█▆▆▅▇▅
orders-1       ahead    13:04:04            0 ms   1183/s   6.0 MiB ▅▄▅█▆▆▅▇▅▄▅█
refunds        idle     12:43:04          21.0 m      0/s       0 B
orders-2025    ended    2025-12-28 13:04   336 d      0/s       0 B










q quit  s sort: urgency  / filter  p pause  ? help
",
    );
}

#[test]
fn on_less() {
    assert_drawn(
        &mut view(),
        60,
        10,
        "\
msgstream top  kafka://broker-1:9092,br 2026-11-29 13:04:05Z
frontier 2026-11-29 13:03:22, 42.4 s behind the clock   pack
8 channels   28k/s   32.6 MiB of 64.0 MiB buffered
the next pack waits for orders-3 (last tick 42.4 s ago)
CHANNEL           STATE    WATERMARK            LAG     RATE
orders-3          blocking 13:03:22          42.0 s      0/s
orders-2          paused   13:03:56           8.3 s      0/s
prices-us         ahead    13:04:04          310 ms    10k/s
prices-eu         ahead    13:04:04          250 ms    15k/s
q quit  s sort: urgency  / filter  p pause  ? help
",
    );
    assert_drawn(
        &mut view(),
        36,
        8,
        "\
msgstream top   2026-11-29 13:04:05Z
frontier 2026-11-29 13:03:22, 42.4 s
8 channels   28k/s   32.6 MiB of 64.
the next pack waits for orders-3
CHANNEL             STATE        LAG
orders-3            blocking  42.0 s
orders-2            paused     8.3 s
q quit  s sort: urgency  / filter  p
",
    );
}

#[test]
fn on_more() {
    assert_drawn(&mut view(), 132, 13, "\
msgstream top  kafka://broker-1:9092,broker-2:9092/shop.                                                        2026-11-29 13:04:05Z
frontier 2026-11-29 13:03:22, 42.4 s behind the clock   packs 18,204   late 3
8 channels   28k/s   32.6 MiB of 64.0 MiB buffered
the next pack waits for orders-3 (last tick 42.4 s ago)
CHANNEL            STATE    WATERMARK            LAG     RATE  BUFFERED LAST MINUTE
orders-3           blocking 13:03:22          42.0 s      0/s       0 B                ███
orders-2           paused   13:03:56           8.3 s      0/s  21.0 MiB                ████████████████████████████████
prices-us          ahead    13:04:04          310 ms    10k/s 290.0 KiB                ▅▇▅▄▅█▆▆▅▇▅▄▅█▆▆▅▇▅▄▅█▆▆▅▇▅▄▅█▆▆▅▇▅▄▅█▆▆▅▇▅▄▅
prices-eu          ahead    13:04:04          250 ms    15k/s 310.0 KiB                ▄▅█▆▆▅▇▅▄▅█▆▆▅▇▅▄▅█▆▆▅▇▅▄▅█▆▆▅▇▅▄▅█▆▆▅▇▅▄▅█▆▆
orders-0           ahead    13:04:04          120 ms    656/s   5.0 MiB                ▆▆▅▇▅▄▅█▆▆▅▇▅▄▅█▆▆▅▇▅▄▅█▆▆▅▇▅▄▅█▆▆▅▇▅▄▅█▆▆▅▇▅
orders-1           ahead    13:04:04            0 ms   1183/s   6.0 MiB                ▇▅▄▅█▆▆▅▇▅▄▅█▆▆▅▇▅▄▅█▆▆▅▇▅▄▅█▆▆▅▇▅▄▅█▆▆▅▇▅▄▅█
refunds            idle     12:43:04          21.0 m      0/s       0 B
q quit  s sort: urgency  / filter  p pause  ? help
");
}

#[test]
fn the_help_is_over_the_rows() {
    let mut view = view();
    view.press(Key::Char('?'));
    assert_drawn(
        &mut view,
        80,
        24,
        "\
msgstream top  kafka://broker-1:9092,broker-2:9092/shop.    2026-11-29 13:04:05Z
frontier 2026-11-29 13:03:22, 42.4 s behind the clock   packs 18,204   late 3
8 channels   28k/s   32.6 MiB of 64.0 MiB buffered
the next pack waits for orders-3 (last tick 42.4 s ago)
CHANNEL        STATE    WATERMARK            LAG     RATE  BUFFERED LAST MINUTE
orde┌ help ────────────────────────────────────────────────────────────────┐
orde│ q, Ctrl-C             quit                                           │
pric│ s                     sort by urgency, channel, lag, rate, buffered  │▇▅▄▅
pric│ /                     show channels whose names have a text in them  │▅█▆▆
orde│ Esc                   show all channels again                        │▆▅▇▅
orde│ p, Space              pause the picture, and go on                   │▅▄▅█
refu│ Up, Down, PgUp, PgDn  scroll                                         │
orde│                                                                      │
    │ blocking              the next pack waits for a tick on it           │
    │ ahead                 it has more ticks than the next pack needs     │
    │ paused                it is too far ahead, and isn't read            │
    │ idle, ended           packs don't wait for it                        │
    │ failing               it can't be read, and is tried again           │
    │ LAG                   behind the greatest watermark of all           │
    └──────────────────────────────────────────────────────────────────────┘



q quit  s sort: urgency  / filter  p pause  ? help
",
    );
}

#[test]
fn the_most_urgent_of_several_is_named() {
    let mut view = View::new("mem://");
    let mut channels = vec![
        channel("a", State::Blocking, Some(900_000), 0),
        channel("b", State::Ahead, Some(0), 0),
    ];
    let reason =
        |view: &mut View| text(&drawn(view, 80, 8)).lines().nth(3).map(str::to_owned).unwrap();
    view.update(sample(0, channels.clone()));
    assert_eq!(reason(&mut view), "the next pack waits for a (last tick 15.0 m ago)");
    channels.push(channel("c", State::Blocking, None, 0));
    view.update(sample(1, channels));
    assert_eq!(reason(&mut view), "the next pack waits for c (no tick so far) and 1 more");
}

#[test]
fn a_trouble_takes_the_place_of_what_blocks() {
    let mut view = view();
    view.sample.trouble = Some("channel `orders-3` could not be read for 12.0 s (4 attempts): the broker can't be reached now".to_owned());
    let text = text(&drawn(&mut view, 80, 8));
    let lines: Vec<_> = text.lines().skip(3).take(3).collect();
    assert_eq!(
        lines[0],
        "channel `orders-3` could not be read for 12.0 s (4 attempts): the broker can't"
    );
    assert_eq!(lines[1], "be reached now");
    assert!(lines[2].starts_with("CHANNEL"));
}

#[test]
fn any_size_is_drawn() {
    for (width, height) in [(1, 1), (7, 3), (20, 5), (500, 200)] {
        drawn(&mut view(), width, height);
        let mut help = view();
        help.press(Key::Char('h'));
        drawn(&mut help, width, height);
    }
}

#[test]
fn the_picture_is_up_to_date() {
    let new = svg(&drawn(&mut view(), 80, 16));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PICTURE, &new).unwrap();
    }
    let old = std::fs::read_to_string(PICTURE).unwrap_or_default();
    assert!(new == old, "docs/images/top.svg is out of date: run this test with UPDATE_DOCS=1");
}
