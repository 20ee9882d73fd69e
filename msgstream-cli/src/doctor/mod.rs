//! `msgstream doctor`: why a stream has stopped, or is about to.

mod args;
mod checks;
mod facts;
mod finding;
mod report;
mod text;

use msgstream::transport::Transport;

pub(crate) use self::args::DoctorArgs;
use self::facts::Facts;
use self::finding::{Finding, Severity};
use crate::error::{Error, Result};
use crate::output::Lines;
use crate::settings::connect_existing;

/// Runs the command.
pub(crate) async fn run(args: &DoctorArgs) -> Result<()> {
    let broker = connect_existing(&args.url).await?;
    let diagnosed = diagnose(&*broker, args).await;
    let (facts, findings) = broker.close().await.map_err(Error::from).and(diagnosed)?;

    let mut lines = Lines::styled_stdout();
    match args.json {
        true => findings.iter().try_for_each(|finding| lines.json(finding))?,
        false => report::write(&mut lines, &facts, &findings)?,
    }
    lines.flush()?;
    verdict(&findings)
}

/// Returns what is known of the channels, and what follows from it, errors first.
async fn diagnose(broker: &dyn Transport, args: &DoctorArgs) -> Result<(Facts, Vec<Finding>)> {
    let facts = Facts::gather(broker, args).await?;
    let mut findings: Vec<Finding> = checks::ALL.iter().flat_map(|check| check(&facts)).collect();
    findings
        .sort_by(|a, b| (a.severity, a.code, &a.channel).cmp(&(b.severity, b.code, &b.channel)));
    Ok((facts, findings))
}

/// Fails if one of the findings is an error.
fn verdict(findings: &[Finding]) -> Result<()> {
    match findings.iter().filter(|finding| finding.severity == Severity::Error).count() {
        0 => Ok(()),
        errors => Err(Error::Ill { errors }),
    }
}

#[cfg(test)]
mod tests;
