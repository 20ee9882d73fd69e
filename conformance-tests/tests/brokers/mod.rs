//! The brokers that `brokers/up` starts, for tests.

use std::path::Path;

use tokio::process::Command;

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// Runs `brokers/SCRIPT NAME` and gives what it prints. With a folder for the state, the broker is
/// one of its own.
pub(crate) async fn run(script: &str, name: &str, state: Option<&Path>) -> Result<String, Error> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../brokers").join(script);
    let mut command = Command::new(path);
    command.arg(name);
    if let Some(state) = state {
        // A container would be one for each test.
        command.env("MSGSTREAM_BROKERS_STATE", state).env("MSGSTREAM_BROKERS", "process");
    }
    let output = command.output().await?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("brokers/{script} {name}: {}: {said}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
