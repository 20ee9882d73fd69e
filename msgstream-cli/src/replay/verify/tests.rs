//! A run worked out by hand, and the ways in which its output can be wrong.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use msgstream::{Timestamp, produce::TimeTicker};
use proptest::prelude::*;

use super::compare::{Differences, rows};
use super::expected::{Expected, Rule, Ticks};
use super::*;

/// The result of `tests/data/by-hand.csv` with a tick of 10 s and no delay: the rows of time 12 and
/// 25 move the tick to 10 and 20, so the third row is late.
const LINES: [&str; 7] = [
    r#"{"begin":null,"end":"1970-01-01T00:00:10Z","channel":"c-1","ts":"1970-01-01T00:00:00Z","late":false,"row":{"time":"0","key":"a","value":"one"}}"#,
    r#"{"begin":"1970-01-01T00:00:10Z","end":"1970-01-01T00:00:20Z","channel":"c-1","ts":"1970-01-01T00:00:05Z","late":true,"row":{"time":"5","key":"a","value":"three"}}"#,
    r#"{"begin":"1970-01-01T00:00:10Z","end":"1970-01-01T00:00:20Z","channel":"c-0","ts":"1970-01-01T00:00:12Z","late":false,"row":{"time":"12","key":"d","value":"four"}}"#,
    r#"{"begin":"1970-01-01T00:00:10Z","end":"1970-01-01T00:00:20Z","channel":"c-0","ts":"1970-01-01T00:00:12Z","late":false,"row":{"time":"12","key":"d","value":"five"}}"#,
    r#"{"begin":"1970-01-01T00:00:10Z","end":"1970-01-01T00:00:20Z","channel":"c-0","ts":"1970-01-01T00:00:12Z","late":false,"row":{"time":"12","key":"d","value":"four"}}"#,
    r#"{"begin":"1970-01-01T00:00:10Z","end":"1970-01-01T00:00:20Z","channel":"c-1","ts":"1970-01-01T00:00:12Z","late":false,"row":{"time":"12","key":"a","value":"two"}}"#,
    r#"{"begin":"1970-01-01T00:00:20Z","end":"1970-01-01T00:00:25Z","channel":"c-1","ts":"1970-01-01T00:00:25Z","late":false,"row":{"time":"25","key":"a","value":"\"six\""}}"#,
];

fn input() -> Input {
    Input {
        files: vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/by-hand.csv")],
        time_column: "time".to_owned(),
        time_format: "unix".parse().unwrap(),
        key_column: "key".to_owned(),
    }
}

fn rule() -> Rule {
    Rule {
        tick: Duration::from_secs(10),
        max_delay: Duration::ZERO,
        drop_late: false,
        channels: vec!["c-0".to_owned(), "c-1".to_owned()],
    }
}

fn seen(lines: &[String]) -> Seen {
    Seen::read_lines(lines.join("\n").as_bytes()).unwrap()
}

fn differences(lines: &[String], rule: &Rule) -> Differences {
    let expected = Expected::read(input(), rule).unwrap();
    let mut found = Differences::default();
    rows(&expected, &seen(lines), rule, &input(), &mut found);
    found
}

fn lines() -> Vec<String> {
    LINES.map(str::to_owned).to_vec()
}

#[test]
fn the_output_worked_out_by_hand_is_right() {
    assert_eq!(differences(&lines(), &rule()), Differences::default());
    let dropping = Rule { drop_late: true, ..rule() };
    let mut without = lines();
    assert_ne!(differences(&without, &dropping).count, 0);
    without.remove(1);
    assert_eq!(differences(&without, &dropping), Differences::default());
}

#[test]
fn a_missing_line_and_one_too_many_are_named() {
    for (index, line) in LINES.into_iter().enumerate() {
        let mut missing = lines();
        missing.remove(index);
        let found = differences(&missing, &rule());
        assert_eq!(found.count, 1, "{found:?}");
        assert!(found.first[0].contains("by-hand.csv` line"), "{found:?}");

        let mut twice = lines();
        twice.insert(index, line.to_owned());
        let found = differences(&twice, &rule());
        assert_eq!(found.count, 1, "{found:?}");
        assert!(found.first[0].contains("not so often"), "{found:?}");
    }
}

#[test]
fn lines_in_another_order_are_found() {
    for (a, first) in LINES.into_iter().enumerate() {
        for (b, second) in LINES.into_iter().enumerate().skip(a + 1) {
            let mut swapped = lines();
            swapped.swap(a, b);
            let found = differences(&swapped, &rule());
            assert_eq!(found.count > 0, first != second, "lines {a} and {b}: {found:?}");
        }
    }
}

#[test]
fn whatever_is_changed_in_a_line_is_found() {
    for (index, from, to) in [
        (0, r#""value":"one""#, r#""value":"ONE""#),
        (0, r#""time":"0","key":"a""#, r#""key":"a","time":"0""#),
        (0, r#""value":"one""#, r#""value":"one","more":"""#),
        (0, r#""value":"one""#, r#""Value":"one""#),
        (0, "c-1", "c-0"),
        (0, "c-1", "c-2"),
        (0, r#""ts":"1970-01-01T00:00:00Z""#, r#""ts":"1970-01-01T00:00:01Z""#),
        (0, "null", r#""1970-01-01T00:00:00Z""#),
        (1, r#""late":true"#, r#""late":false"#),
        (1, "00:05Z", "00:06Z"),
        (2, r#""late":false"#, r#""late":true"#),
        (5, r#""end":"1970-01-01T00:00:20Z""#, r#""end":"1970-01-01T00:00:25Z""#),
        (6, r#""end":"1970-01-01T00:00:25Z""#, r#""end":"1970-01-01T00:00:30Z""#),
        (6, r#""begin":"1970-01-01T00:00:20Z""#, r#""begin":"1970-01-01T00:00:10Z""#),
    ] {
        let mut changed = lines();
        assert!(changed[index].contains(from), "{from}");
        changed[index] = changed[index].replace(from, to);
        assert_ne!(differences(&changed, &rule()).count, 0, "{from} -> {to}");
    }
}

#[test]
fn a_cut_or_foreign_line_cannot_be_read() {
    let cut = &LINES[0][..LINES[0].len() - 3];
    for wrong in [cut, " ", "{}", &LINES[0].replace(r#""0""#, "0")] {
        assert!(
            Seen::read_lines(format!("{}\n{wrong}\n", LINES[1]).as_bytes()).is_err(),
            "{wrong}"
        );
    }
}

/// What was consumed, with the packs and the summary that belong to it.
fn verified(change: impl FnOnce(&mut Seen, &mut Summary)) -> Result<()> {
    let mut consumed = seen(&lines());
    let mut summary = Summary { read: 7, delivered: 7, late: 1, ..Summary::default() };
    change(&mut consumed, &mut summary);
    verify(&input(), &rule(), &summary, &consumed, None)
}

#[test]
fn packs_and_counts_are_checked_too() {
    assert!(verified(|_, _| {}).is_ok());
    let second = |s: u64| Timestamp((s * 1000) << Timestamp::LOGICAL_BITS);
    let wrong: [fn(&mut Seen, &mut Summary); 5] = [
        |_, summary| summary.late = 0,
        |_, summary| summary.delivered = 6,
        |_, summary| summary.bad = 1,
        |_, summary| summary.dropped = 1,
        |_, summary| summary.read = 8,
    ];
    for change in wrong {
        assert!(matches!(verified(change), Err(Error::Differs { .. })));
    }
    assert!(verified(|seen, _| seen.intervals.push((Some(second(25)), second(30)))).is_err());
    assert!(verified(|seen, _| seen.intervals[1].0 = Some(second(9))).is_err());
}

proptest! {
    // Two programs for one rule: the one that produces, and the one that verifies.
    #[test]
    fn both_rules_of_the_ticks_are_the_same(
        times in prop::collection::vec(0_u64..5_000, 0..50),
        tick in 1_u64..700,
        delay in 0_u64..1_500,
    ) {
        let (tick, max_delay) = (Duration::from_millis(tick), Duration::from_millis(delay));
        let mut ticks = Ticks::new(&Rule { tick, max_delay, ..rule() });
        let mut ticker = TimeTicker::new(tick).with_delay(max_delay);
        for ms in times {
            let due = ticker.observe(Timestamp(ms << Timestamp::LOGICAL_BITS));
            prop_assert_eq!(ticks.after(ms), due.map(Timestamp::physical_ms));
        }
    }
}
