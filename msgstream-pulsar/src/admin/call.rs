//! One request to the admin interface: to which host, for how long, and what the answer means.

use std::ops::ControlFlow;

use bytes::{Bytes, BytesMut};
use msgstream_core::adapter::{Failure, Retry};
use msgstream_core::registry::Url;
use msgstream_core::transport::TransportErrorKind as Kind;
use reqwest::{Method, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::Rest;
use crate::error::{status, unreachable, unreachable_by};
use crate::name::Topic;
use crate::tls;

/// Any broker may send us on to the one that has the topic.
const MAX_REDIRECTS: usize = 8;
/// The longest answer that is read, in bytes: a list of many thousand topics.
const MAX_ANSWER: usize = 64 << 20;

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

/// Why a request has no answer.
struct Unanswered {
    failure: Failure,
    /// Nobody got the request.
    unsent: bool,
}

impl<F: Into<Failure>> From<F> for Unanswered {
    fn from(failure: F) -> Self {
        Self { failure: failure.into(), unsent: false }
    }
}

#[derive(Deserialize)]
struct Reason {
    reason: String,
}

impl Answer {
    pub(super) fn refusal(&self) -> Failure {
        let reason = serde_json::from_slice(&self.body).map(|Reason { reason }| reason);
        let reason = reason.unwrap_or_else(|_| "no reason is given".to_owned());
        // An unexpected error of the broker comes with a whole page; one line says what it is.
        let line = reason.lines().find_map(|line| line.strip_prefix("Message: "));
        status(self.status, line.unwrap_or(reason.trim()))
    }

    fn says_later(&self) -> bool {
        self.status != 200 && self.refusal().is_temporary()
    }

    /// What was asked for.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        if self.status != 200 {
            return Err(self.refusal());
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            let reason = "the admin interface's JSON has another form than expected".to_owned();
            Failure::new(Kind::Protocol { reason }, error)
        })
    }

    pub(super) fn done(&self) -> Result<(), Failure> {
        if matches!(self.status, 200..=299) { Ok(()) } else { Err(self.refusal()) }
    }

    pub(super) fn says(&self, what: &str) -> bool {
        self.body.windows(what.len()).any(|part| part == what.as_bytes())
    }
}

impl Rest {
    /// Sends a request to the first host that can be reached. If no answer comes, a request that
    /// changes nothing goes to the next host, and one that does something doesn't: it may have been done.
    pub(super) async fn call(
        &self,
        method: Method,
        topic: Option<&Topic>,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        let asks = method == Method::GET;
        let (begin, mut left) = (Instant::now(), self.timeout);
        let (mut retry, mut last) = (Retry::new(self.timeout), None);
        loop {
            let answered = self.bases.ask(left, |base, share| {
                let (until, after) = match asks {
                    true => (Instant::now() + share, share),
                    false => (begin + self.timeout, self.timeout),
                };
                let answer =
                    timeout_at(until, self.follow(base, &method, topic, path, query, body));
                async move {
                    let late = Unanswered::from(Kind::TimedOut { after });
                    match answer.await.unwrap_or(Err(late)) {
                        Ok(answer) => ControlFlow::Break(Ok(answer)),
                        Err(Unanswered { failure, unsent })
                            if failure.is_temporary() && (asks || unsent) =>
                        {
                            ControlFlow::Continue(failure)
                        }
                        Err(Unanswered { failure, .. }) => ControlFlow::Break(Err(failure)),
                    }
                }
            });
            let answer = match (answered.await, last) {
                // There was no time for this one.
                (Err(_), Some(last)) if begin.elapsed() >= self.timeout => return Ok(last),
                (answered, _) => answered?,
            };
            // A topic that moves has no broker for a moment. Requests that change nothing may be repeated.
            let ends = !asks || !answer.says_later();
            if ends || retry.after(answer.refusal()).await.is_err() {
                return Ok(answer);
            }
            left = retry.left();
            last = Some(answer);
        }
    }

    /// Sends a request to one of the hosts, and follows its redirects.
    async fn follow(
        &self,
        base: Url,
        method: &Method,
        topic: Option<&Topic>,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, Unanswered> {
        let mut url = base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(["admin", "v2"]).extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        for _ in 0..MAX_REDIRECTS {
            let mut request = self.client.request(method.clone(), url.clone());
            if let Some(token) = &self.token {
                request = request.bearer_auth(token.read()?);
            }
            if let Some(body) = body {
                request = request.json(body);
            }
            // The URL is left out: it may be long, and the error names the channel.
            let response = request.send().await.map_err(|error| {
                let sent_on = match url.origin() == base.origin() {
                    true => String::new(),
                    false => format!(", redirected to {},", url.origin().ascii_serialization()),
                };
                let place = format_args!("the admin interface at {base} (option `admin`){sent_on}");
                let unsent = error.is_connect();
                let failure = tls::distrust(place, &error).unwrap_or_else(|| {
                    let what = format_args!("a request to {place} failed");
                    unreachable_by(what, error.without_url())
                });
                Unanswered { failure, unsent }
            })?;
            if !response.status().is_redirection() {
                return Ok(read(response).await?);
            }
            let location = response.headers().get(reqwest::header::LOCATION);
            let location = location.and_then(|value| url.join(value.to_str().ok()?).ok());
            let next = location.ok_or_else(|| Kind::Protocol {
                reason: "the admin interface redirects without a location".to_owned(),
            })?;
            if self.token.is_some() {
                self.check_redirect(&url, &next, topic).await?;
            }
            url = next;
        }
        Err(unreachable("the admin interface redirects too often").into())
    }
}

async fn read(mut response: Response) -> Result<Answer, Failure> {
    let status = response.status().as_u16();
    let mut body = BytesMut::new();
    let broken = |error: reqwest::Error| {
        unreachable_by("the admin interface's answer broke off", error.without_url())
    };
    while let Some(part) = response.chunk().await.map_err(broken)? {
        if body.len() + part.len() > MAX_ANSWER {
            let reason = format!("the admin interface's answer has more than {MAX_ANSWER} bytes");
            return Err(Kind::Protocol { reason }.into());
        }
        body.extend_from_slice(&part);
    }
    Ok(Answer { status, body: body.freeze() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::tests::keeps;

    #[test]
    fn what_is_wrong_with_an_answer_stays_the_cause() {
        let failure = Answer { status: 200, body: "<html>".into() }.json::<u64>().err();
        assert!(failure.is_some_and(keeps::<serde_json::Error>));
    }
}
