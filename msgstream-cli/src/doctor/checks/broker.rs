//! What the transport knows of the broker's settings.

use msgstream::transport::RiskKind;

use crate::doctor::facts::Facts;
use crate::doctor::finding::{Code, Finding};

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let risks = facts.channels.iter().flat_map(|channel| {
        channel.risks.iter().map(|risk| {
            let code = match risk.kind {
                RiskKind::Replication => Code::BrokerReplication,
                RiskKind::Sync => Code::BrokerSync,
                RiskKind::Retention => Code::BrokerRetention,
                RiskKind::Deletion => Code::BrokerDeletion,
                RiskKind::Transaction => Code::OpenTransaction,
            };
            Finding::new(code, &*channel.name, &*risk.what, &*risk.remedy)
        })
    });
    risks.collect()
}
