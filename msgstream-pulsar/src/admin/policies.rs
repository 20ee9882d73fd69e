//! Policies by which a broker takes records from a channel, or its readers and cursors past them.

use msgstream_core::adapter::{Failure, Retry};
use msgstream_core::transport::{Risk, RiskKind, TransportErrorKind as Kind};
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Rest;
use crate::error::unreachable;
use crate::name::Topic;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Retention {
    retention_time_in_minutes: i64,
    #[serde(rename = "retentionSizeInMB")]
    retention_size_in_mb: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Quota {
    #[serde(default)]
    limit_size: i64,
    #[serde(default)]
    limit_time: i64,
    policy: Option<String>,
}

/// The name of the policy for topics that nobody uses.
const INACTIVE: &str = "inactiveTopicPolicies";
const DELETES: &str = "deleteWhileInactive";

impl Rest {
    /// Returns the policy of a topic: its own, its namespace's, or the broker's. `None` if there is none,
    /// or if the role may not see it.
    async fn policy<T: DeserializeOwned>(
        &self,
        topic: &Topic,
        name: &str,
    ) -> Result<Option<T>, Failure> {
        let applied = [("applied", "true")];
        let mut answer = self.on_and(Method::GET, topic, &[name], &applied, None).await?;
        // Topics have no policies of their own here.
        if matches!(answer.status, 405 | 412) {
            answer = self.of_namespace(topic, name).await?;
        }
        match answer.status {
            200 if !answer.body.is_empty() => answer.json(),
            // The right to read the policy is missing, or there is none.
            200 | 204 | 401 | 403 | 405 | 412 => Ok(None),
            _ => Err(answer.refusal()),
        }
    }

    async fn of_namespace(&self, topic: &Topic, name: &str) -> Result<super::Answer, Failure> {
        let path = ["namespaces", &topic.tenant, &topic.namespace, name];
        self.call(Method::GET, None, &path, &[], None).await
    }

    /// Returns the topic's own limit to a message, in bytes.
    pub(crate) async fn max_message_size(&self, topic: &Topic) -> Result<Option<usize>, Failure> {
        let applied = [("applied", "true")];
        let answer = self.on_and(Method::GET, topic, &["maxMessageSize"], &applied, None).await?;
        match answer.status {
            200 if !answer.body.is_empty() => answer.json::<Option<usize>>(),
            200 | 204 | 401 | 403 | 405 | 412 => Ok(None),
            _ => Err(answer.refusal()),
        }
    }

    /// Fails if a topic's records are deleted once they are acknowledged, or at once if nobody
    /// subscribes.
    pub(crate) async fn check_retention(&self, topic: &Topic) -> Result<(), Failure> {
        self.retention_risk(topic).await?.map_or(Ok(()), |risk| Err(refused(&risk)))
    }

    /// Fails if the broker moves a topic's cursors by itself, past records that nobody has
    /// acknowledged.
    pub(crate) async fn check_cursors(&self, topic: &Topic) -> Result<(), Failure> {
        self.cursor_risk(topic).await?.map_or(Ok(()), |risk| Err(refused(&risk)))
    }

    /// Returns what the policies of a topic may take from it.
    pub(crate) async fn risks(&self, topic: &Topic) -> Result<Vec<Risk>, Failure> {
        let retention = self.retention_risk(topic).await?;
        let cursors = self.cursor_risk(topic).await?;
        let inactive: Option<Value> = self.policy(topic, INACTIVE).await?;
        let deletes = inactive.is_some_and(|policy| policy[DELETES] == Value::Bool(true));
        let deletion = deletes.then(|| deletion_risk(topic));
        Ok([retention, cursors, deletion].into_iter().flatten().collect())
    }

    async fn retention_risk(&self, topic: &Topic) -> Result<Option<Risk>, Failure> {
        let kept: Option<Retention> = self.policy(topic, "retention").await?;
        let none = kept.is_some_and(|kept| {
            kept.retention_time_in_minutes == 0 || kept.retention_size_in_mb == 0
        });
        Ok(none.then(|| {
            let Topic { tenant, namespace, .. } = topic;
            let what = "the namespace keeps no record without a subscription";
            let remedy = format!(
                "set a retention, as with `pulsar-admin namespaces set-retention {tenant}/{namespace} --time 7d --size -1`"
            );
            Risk::new(RiskKind::Retention, what, remedy)
        }))
    }

    async fn cursor_risk(&self, topic: &Topic) -> Result<Option<Risk>, Failure> {
        let Topic { tenant, namespace, .. } = topic;
        let ttl: Option<i64> = self.policy(topic, "messageTTL").await?;
        if let Some(seconds @ 1..) = ttl {
            let what = format!(
                "messages of the namespace expire after {seconds} seconds, acknowledged or not"
            );
            let remedy = format!(
                "turn that off, as with `pulsar-admin namespaces remove-message-ttl {tenant}/{namespace}`, and use a retention"
            );
            return Ok(Some(Risk::new(RiskKind::Retention, what, remedy)));
        }
        let quotas: Option<std::collections::BTreeMap<String, Quota>> =
            self.policy(topic, "backlogQuotaMap").await?;
        let evicts = |quota: &Quota| {
            let limited = quota.limit_size > 0 || quota.limit_time > 0;
            limited && quota.policy.as_deref() == Some("consumer_backlog_eviction")
        };
        let dropped = quotas.iter().flatten().find(|(_, quota)| evicts(quota));
        Ok(dropped.map(|(kind, _)| {
            let what =
                format!("the backlog quota `{kind}` drops records that aren't acknowledged yet");
            let remedy = format!(
                "set another policy, as with `pulsar-admin namespaces set-backlog-quota {tenant}/{namespace} --type {kind} --limit 10G --policy producer_exception`"
            );
            Risk::new(RiskKind::Retention, what, remedy)
        }))
    }

    /// Keeps a topic that nobody uses for a while from being deleted, records, properties and all.
    pub(crate) async fn keep_inactive(&self, topic: &Topic) -> Result<(), Failure> {
        let applied = [("applied", "true")];
        let (mut retry, mut told) = (Retry::new(self.timeout), false);
        loop {
            let answer = self.on_and(Method::GET, topic, &[INACTIVE], &applied, None).await?;
            if matches!(answer.status, 405 | 412) {
                break;
            }
            let mut policy: Value = answer.json()?;
            if policy[DELETES] == Value::Bool(false) {
                return Ok(());
            }
            if !std::mem::replace(&mut told, true) {
                policy[DELETES] = json!(false);
                self.on(Method::POST, topic, &[INACTIVE], Some(&policy)).await?.done()?;
            }
            // The broker takes a moment to go by it.
            let waiting = unreachable("the broker doesn't apply the topic's policies yet");
            retry.after(waiting).await?;
        }
        // This broker has no policies for single topics, and doesn't show its defaults.
        let answer = self.of_namespace(topic, INACTIVE).await?;
        let policy: Value = if answer.body.is_empty() { Value::Null } else { answer.json()? };
        if policy[DELETES] == Value::Bool(false) {
            return Ok(());
        }
        Err(refused(&deletion_risk(topic)))
    }
}

fn deletion_risk(topic: &Topic) -> Risk {
    let Topic { tenant, namespace, .. } = topic;
    let what = "the broker may delete a topic that nobody uses for a while";
    let remedy = format!(
        "enable its `topicLevelPoliciesEnabled`, or turn the deletion off, as with `pulsar-admin namespaces set-inactive-topic-policies {tenant}/{namespace} --disable-delete-while-inactive --max-inactive-duration 1h --delete-mode delete_when_no_subscriptions`"
    );
    Risk::new(RiskKind::Deletion, what, remedy)
}

/// Returns the failure of a channel that can't be used with such a policy.
fn refused(risk: &Risk) -> Failure {
    Kind::Config { reason: format!("{}: {}", risk.what, risk.remedy) }.into()
}
