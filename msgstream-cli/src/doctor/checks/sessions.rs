//! Producers with sessions.

use msgstream::consume::ProducerLimits;

use crate::doctor::facts::{Channel, Facts, between};
use crate::doctor::finding::{Code, Finding};
use crate::doctor::text::{count, span};
use crate::judge::Session;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let checks = [missing, fenced, forgotten];
    let sessions = facts.channels.iter().flat_map(|channel| {
        channel.log.sessions.iter().map(move |(producer, session)| (channel, &**producer, session))
    });
    sessions
        .flat_map(|(channel, producer, session)| {
            checks.into_iter().filter_map(move |check| check(channel, producer, session))
        })
        .collect()
}

fn missing(channel: &Channel, producer: &str, session: &Session) -> Option<Finding> {
    let first = session.missing.first?;
    let what = format!(
        "`{producer}` knows that {} stored, which the channel doesn't have",
        count(session.missing.count, "message was", "messages were"),
    );
    let advice = "the broker lost them, or removed them early: write them again under another producer id, \
                  and look at the broker's replication and retention";
    let finding = Finding::new(Code::MissingMessages, &*channel.name, what, advice);
    Some(finding.at(first.position).since(first.watermark))
}

fn fenced(channel: &Channel, producer: &str, session: &Session) -> Option<Finding> {
    let first = session.void.first?;
    let what = format!(
        "{} by a session of `{producer}` after a newer one had begun, so that they are void",
        count(session.void.count, "record was written", "records were written"),
    );
    let advice = "stop the older program; if two programs are meant to write, give each a producer id of \
                  its own";
    let finding = Finding::new(Code::SessionFenced, &*channel.name, what, advice);
    Some(finding.at(first.position).since(first.watermark))
}

fn forgotten(channel: &Channel, producer: &str, session: &Session) -> Option<Finding> {
    let (heard, watermark) = (session.heard?, channel.watermark()?);
    let (silence, limit) = (between(heard, watermark), ProducerLimits::default().silent);
    if session.closed || silence <= limit {
        return None;
    }
    let what = format!(
        "`{producer}` has written nothing for {} and wasn't closed, so consumers have forgotten its numbers",
        span(silence),
    );
    let advice = "if the program is gone for good, do nothing; otherwise start it anew, for what a session \
                  sends again after that is delivered twice";
    let finding = Finding::new(Code::SessionForgotten, &*channel.name, what, advice);
    Some(finding.at(session.last).since(heard))
}
