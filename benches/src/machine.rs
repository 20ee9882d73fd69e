//! Where and when something was measured.

use std::error::Error;
use std::process::Command;
use std::{fs, thread};

/// A list of the machine, the date, the commit, the compiler and the command that measured.
///
/// # Errors
/// `git` or `rustc` can't be run, or the number of processors isn't known.
pub fn describe(command: &str) -> Result<String, Box<dyn Error>> {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    Ok(format!(
        "- Machine: {}, {} cores, {}\n- Date: {}\n- Commit: {}\n- Compiler: {}\n- Command: `{command}`\n",
        model.unwrap_or("an unknown CPU"),
        thread::available_parallelism()?,
        std::env::consts::OS,
        jiff::Timestamp::now().strftime("%Y-%m-%d"),
        commit()?,
        output("rustc", &["--version"])?,
    ))
}

fn commit() -> Result<String, Box<dyn Error>> {
    let commit = output("git", &["rev-parse", "--short", "HEAD"])?;
    let changed = !output("git", &["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Ok(if changed { format!("{commit}, with changes") } else { commit })
}

fn output(program: &str, args: &[&str]) -> Result<String, Box<dyn Error>> {
    let output = Command::new(program).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.map_err(|e| format!("{program} can't be run: {e}"))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{program} {} failed: {reason}", args.join(" ")).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
