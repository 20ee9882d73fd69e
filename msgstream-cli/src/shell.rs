//! `msgstream completions` and `msgstream man`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser};
use clap_complete::Shell;

use crate::args::Args;
use crate::error::{Error, Result};

/// Writes completions of the command line for a shell to stdout.
#[derive(Debug, Parser)]
#[command(
    after_help = "Example: msgstream completions bash > ~/.local/share/bash-completion/completions/msgstream"
)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Writes the man pages, one for each command, into a folder.
#[derive(Debug, Parser)]
#[command(after_help = "Example: msgstream man ~/.local/share/man/man1")]
pub(crate) struct ManArgs {
    /// The folder, which is made if it isn't there
    folder: PathBuf,
}

pub(crate) fn completions(args: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "msgstream", &mut script);
    let written = std::io::stdout().write_all(&script);
    written.map_err(|source| Error::written(Path::new("stdout"), source))
}

pub(crate) fn man(args: &ManArgs) -> Result<()> {
    let error = |source| Error::written(&args.folder, source);
    std::fs::create_dir_all(&args.folder).map_err(error)?;
    clap_mangen::generate_to(Args::command(), &args.folder).map_err(error)
}
