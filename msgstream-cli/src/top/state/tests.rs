#![allow(clippy::unwrap_used)]

use super::super::planted::{channel, sample, view};
use super::*;

fn names(view: &View) -> Vec<String> {
    view.rows().into_iter().map(|row| row.channel).collect()
}

fn press(view: &mut View, keys: &str) {
    for key in keys.chars() {
        assert_eq!(view.press(Key::Char(key)), Then::Show);
    }
}

#[test]
fn what_blocks_is_on_top_and_named() {
    let view = view();
    assert_eq!(names(&view)[..2], ["orders-3", "orders-2"]);
    let (blocker, count) = view.blocker().unwrap();
    assert_eq!((&*blocker.channel, count), ("orders-3", 1));
    assert_eq!(blocker.lag, Some(Duration::from_secs(42)));
}

#[test]
fn a_channel_without_a_tick_is_further_behind_than_any() {
    let mut view = View::new("mem://");
    let channels = vec![
        channel("a", State::Blocking, Some(50_000), 0),
        channel("b", State::Blocking, None, 0),
        channel("c", State::Failing, Some(0), 0),
        channel("d", State::Blocking, Some(60_000), 0),
    ];
    view.update(sample(0, channels));
    assert_eq!(names(&view), ["c", "b", "d", "a"]);
    assert_eq!(view.blocker().map(|(row, count)| (row.channel, count)), Some(("c".to_owned(), 4)));
}

#[test]
fn nothing_is_named_if_nothing_blocks() {
    let mut view = View::new("mem://");
    view.update(sample(0, vec![channel("a", State::Ahead, Some(0), 0)]));
    assert_eq!(view.blocker(), None);
}

#[test]
fn a_rate_is_what_was_read_between_two_samples() {
    let mut view = View::new("mem://");
    let mut rates = Vec::new();
    // The third one comes late, and before the last one some were evicted.
    for (second, read) in [(0, 100), (1, 150), (3, 250), (4, 240)] {
        view.update(sample(second, vec![channel("a", State::Ahead, Some(0), read)]));
        rates.push(view.rows()[0].rate);
    }
    assert_eq!(rates, [0.0, 50.0, 50.0, 0.0]);
    assert_eq!(view.rows()[0].history, [50, 50, 0]);
    assert!(view.rate().abs() < f64::EPSILON);
}

#[test]
fn a_history_is_a_minute_long() {
    let mut view = View::new("mem://");
    for second in 0..100 {
        let read = second * second;
        view.update(sample(second, vec![channel("a", State::Ahead, Some(0), read)]));
    }
    let history = &view.rows()[0].history;
    assert_eq!((history.len(), history[59]), (HISTORY, 99 * 99 - 98 * 98));
}

#[test]
fn each_press_of_s_sorts_otherwise() {
    let mut view = view();
    let mut first = Vec::new();
    for _ in Sort::ALL {
        first.push((view.sort.name(), names(&view)[0].clone()));
        press(&mut view, "s");
    }
    let wanted = [
        ("urgency", "orders-3"),
        ("channel", "orders-0"),
        ("lag", "orders-2025"),
        ("rate", "prices-eu"),
        ("buffered", "orders-2"),
    ];
    assert_eq!(first, wanted.map(|(sort, channel)| (sort, channel.to_owned())));
    assert_eq!(view.sort, Sort::Urgency);
}

#[test]
fn a_filter_is_typed_kept_and_cleared() {
    let mut view = view();
    press(&mut view, "/pricesq");
    view.press(Key::Backspace);
    assert_eq!(names(&view), ["prices-us", "prices-eu"]);
    view.press(Key::Enter);
    press(&mut view, "s");
    assert_eq!(names(&view), ["prices-eu", "prices-us"], "keys are keys again");
    assert!(view.blocker().is_some(), "what blocks is told in any case");
    view.press(Key::Escape);
    assert_eq!(names(&view).len(), 8);
}

#[test]
fn a_pause_keeps_the_picture() {
    let mut view = view();
    let before = view.rows();
    press(&mut view, "p");
    view.update(sample(99, Vec::new()));
    assert_eq!(view.rows(), before);
    press(&mut view, "p");
    view.update(sample(99, Vec::new()));
    assert_eq!(view.rows(), []);
}

#[test]
fn scrolling_stays_within_the_rows() {
    let mut view = view();
    assert_eq!(view.window(8, 3), 0..3);
    for (key, window) in [
        (Key::Up, 0..3),
        (Key::Down, 1..4),
        (Key::PageDown, 4..7),
        (Key::PageDown, 5..8),
        (Key::PageUp, 2..5),
        (Key::End, 5..8),
        (Key::Home, 0..3),
    ] {
        view.press(key);
        assert_eq!(view.window(8, 3), window, "{key:?}");
    }
    view.press(Key::End);
    assert_eq!(view.window(8, 20), 0..8, "all fit on a larger terminal");
    assert_eq!(view.window(0, 0), 0..0);
}

#[test]
fn it_ends_with_q_or_an_interrupt() {
    let mut view = view();
    assert_eq!(view.press(Key::Char('q')), Then::Quit);
    press(&mut view, "/q");
    assert_eq!(view.filter, "q");
    assert_eq!(view.press(Key::Interrupt), Then::Quit);
}
