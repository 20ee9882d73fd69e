//! What puts a topic at risk, as an operator asks for it.

use msgstream_core::transport::{RiskKind, Transport};

use crate::support::{admin, create, open, shared, topic};

async fn kinds(transport: &dyn Transport, channel: &str) -> Vec<RiskKind> {
    let risks = transport.risks(channel).await.unwrap();
    risks.into_iter().map(|risk| risk.kind).collect()
}

#[tokio::test]
async fn policies_that_take_records_or_the_topic_are_some() {
    let url = shared();
    let transport = open(&url).await;
    let unwise = [
        ("retention", r#"{"retentionTimeInMinutes":0,"retentionSizeInMB":0}"#, RiskKind::Retention),
        ("messageTTL?messageTTL=60", "", RiskKind::Retention),
        (
            "backlogQuota",
            r#"{"limitSize":1000000,"policy":"consumer_backlog_eviction"}"#,
            RiskKind::Retention,
        ),
        (
            "inactiveTopicPolicies",
            r#"{"inactiveTopicDeleteMode":"delete_when_no_subscriptions","maxInactiveDurationSeconds":3600,"deleteWhileInactive":true}"#,
            RiskKind::Deletion,
        ),
    ];
    for (policy, body, wanted) in unwise {
        let channel = create(&*transport).await;
        assert_eq!(kinds(&*transport, &channel).await, [], "before {policy}");
        admin(&url, "POST", &topic(&channel, policy), body).await;
        // The broker takes a moment to go by it.
        while kinds(&*transport, &channel).await.is_empty() {}
        assert_eq!(kinds(&*transport, &channel).await, [wanted], "{policy}");
        transport.delete(&channel).await.unwrap();
    }
}
