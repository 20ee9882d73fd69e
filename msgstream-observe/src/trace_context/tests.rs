#![allow(clippy::unwrap_used)]

use msgstream_core::record::{Header, Headers};
use proptest::prelude::*;

use super::*;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn headers(all: &[(&str, &str)]) -> Headers {
    all.iter().map(|(name, value)| Header::new(*name, value.to_string())).collect()
}

#[test]
fn what_is_no_traceparent_is_refused() {
    for text in [
        "",
        "00",
        &PARENT[..54],
        &PARENT.to_uppercase(),
        &PARENT.replace("00-", "ff-"),
        &PARENT.replace("00-", "0-0"),
        &PARENT.replace('b', "g"),
        &PARENT.replace('b', "+"),
        &PARENT.replace('-', "_"),
        &format!("{PARENT}-"),
        &format!("{PARENT}-what-the-future-will-be-like"),
        &format!("cc-{}.what", &PARENT[3..]),
        &"ä".repeat(40),
    ] {
        let refused = text.parse::<TraceContext>();
        assert_eq!(refused, Err(InvalidTraceContext::Parent { text: text.to_owned() }));
    }
    for zero in ["0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"] {
        let text = PARENT.replace(zero, &"0".repeat(zero.len()));
        assert_eq!(text.parse::<TraceContext>(), Err(InvalidTraceContext::ZeroId));
    }
}

#[test]
fn later_versions_and_flags_are_taken_as_far_as_they_are_known() {
    let expected: TraceContext = PARENT.parse().unwrap();
    for text in [
        format!("cc-{}", &PARENT[3..]),
        format!("cc-{}-what-the-future-will-be-like", &PARENT[3..]),
        PARENT.replace("-01", "-ff"),
    ] {
        assert_eq!(text.parse(), Ok(expected.clone()), "{text}");
    }
    let unsampled: TraceContext = PARENT.replace("-01", "-fe").parse().unwrap();
    assert!(!unsampled.is_sampled());
    assert_eq!(unsampled.to_string(), PARENT.replace("-01", "-00"));
}

#[test]
fn a_tracestate_is_kept_if_it_is_valid() {
    let context: TraceContext = PARENT.parse().unwrap();
    let many = |n: usize| (0..n).map(|n| format!("key{n}=1")).collect::<Vec<_>>().join(",");
    let long = |n: usize| "k".repeat(n);
    for state in [
        "a=1",
        "a=1,b=2",
        "a=1 , ,\tb=2,",
        "a= 1",
        "0tenant@system=1",
        "a_-*/0=~!",
        &many(32),
        &format!("{}=1", long(256)),
        &format!("{}@{}=1", long(241), long(14)),
        &format!("a={}", long(256)),
    ] {
        let kept = context.clone().with_state(state).unwrap();
        assert_eq!(kept.state(), Some(state.trim()));
    }
    for state in [
        "a",
        "=1",
        "a=",
        "a=1=2",
        "a=1;b=2,c",
        "A=1",
        "0=1",
        "a=1,a=2",
        "a =1",
        "a=ä",
        "@system=1",
        "tenant@=1",
        "tenant@0=1",
        "a@b@c=1",
        &many(33),
        &format!("{}=1", long(257)),
        &format!("{}@s=1", long(242)),
        &format!("t@{}=1", long(15)),
        &format!("a={}", long(257)),
    ] {
        let text = state.to_owned();
        let refused = context.clone().with_state(state);
        assert_eq!(refused, Err(InvalidTraceContext::State { text }));
    }
    assert_eq!(context.with_state(" , ,").unwrap().state(), Some(", ,"));
}

#[test]
fn headers_may_be_written_differently() {
    let context: TraceContext = PARENT.parse().unwrap();
    let extract = |all| TraceContext::extract(&headers(all));
    assert_eq!(extract(&[("TraceParent", PARENT)]), Some(context.clone()));
    let with = context.clone().with_state("a=1,b=2").unwrap();
    let split = [("tracestate", "a=1"), ("traceparent", PARENT), ("Tracestate", "b=2")];
    assert_eq!(extract(&split), Some(with));
    assert_eq!(extract(&[("traceparent", PARENT), ("tracestate", "a")]), Some(context));
    assert_eq!(extract(&[("tracestate", "a=1")]), None);
    assert_eq!(extract(&[("traceparent", PARENT), ("traceparent", PARENT)]), None);
    assert_eq!(extract(&[("traceparent", "17")]), None);
    let binary = [Header::new("traceparent", b"\xff".as_slice())].into();
    assert_eq!(TraceContext::extract(&binary), None);
}

#[test]
fn a_context_replaces_none_but_a_tracestate_that_is_alone() {
    let context: TraceContext = PARENT.parse().unwrap();
    let mut alone = headers(&[("owner", "ann"), ("tracestate", "a=1")]);
    context.inject(&mut alone);
    assert_eq!(alone, headers(&[("owner", "ann"), ("traceparent", PARENT)]));

    let mut other = headers(&[("Traceparent", "17"), ("tracestate", "a=1")]);
    let before = other.clone();
    context.inject(&mut other);
    assert_eq!(other, before);
}

proptest! {
    #[test]
    fn contexts_come_back_as_they_were(
        trace_id in 1..=u128::MAX,
        span_id in 1..=u64::MAX,
        sampled: bool,
        state in prop::option::of("[a-z]{1,9}=[!-+]{1,9}"),
    ) {
        let mut context = TraceContext::new(trace_id, span_id, sampled).unwrap();
        if let Some(state) = state {
            context = context.with_state(&state).unwrap();
        }
        let mut headers = Headers::new();
        context.inject(&mut headers);
        for header in &headers {
            prop_assert!(header.text().is_ok());
        }
        prop_assert_eq!(TraceContext::extract(&headers), Some(context));
    }

    #[test]
    fn no_text_makes_it_panic(parent in "\\PC{0,60}", near in "[0-9a-f-]{50,60}", state in "\\PC{0,60}") {
        for parent in [&*parent, &*near, PARENT] {
            let headers = headers(&[("traceparent", parent), ("tracestate", &state)]);
            let extracted = TraceContext::extract(&headers);
            prop_assert_eq!(extracted.is_some(), parent.trim().parse::<TraceContext>().is_ok());
        }
    }
}
