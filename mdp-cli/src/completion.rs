//! `mdp completion`: prints a shell's completion script.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::Failure;
use crate::args::Args;

/// Prints a script for a shell's completion of the program's commands and options.
///
/// For bash: `mdp completion bash > ~/.local/share/bash-completion/completions/mdp`.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &CompletionArgs) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "mdp", &mut script);
    let script = String::from_utf8(script).map_err(Failure::failed)?;
    crate::print(&script).map_err(Failure::failed)?;
    Ok(0)
}
