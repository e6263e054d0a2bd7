//! `wgmf completions` and `wgmf man`: the command line, told to shells and to `man`.

use super::output::{stdout, to_stdout};
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use std::io::{self, Write};
use std::path::PathBuf;
use wgmf::files::Output;
use wgmf::{Error, Result};

/// Print what makes a shell complete commands and flags
///
/// bash: wgmf completions bash > ~/.local/share/bash-completion/completions/wgmf; zsh: wgmf completions
/// zsh > a folder of $fpath, as _wgmf; fish: wgmf completions fish >
/// ~/.config/fish/completions/wgmf.fish; PowerShell: wgmf completions powershell >> $PROFILE
#[derive(clap::Args)]
pub(super) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Print the manual page, or write those of all commands
#[derive(clap::Args)]
pub(super) struct ManArgs {
    /// The command whose page is printed; without one that of wgmf itself
    #[arg(conflicts_with = "output")]
    command: Option<String>,
    /// Write the pages of all commands to a directory, which is made: wgmf.1, wgmf-train.1, ...
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Runs `wgmf completions`.
pub(super) fn run(args: &Args, mut command: Command) -> Result<()> {
    // In memory first: the generator panics where a reader went away.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "wgmf", &mut script);
    let mut out = stdout();
    to_stdout(out.write_all(&script).and_then(|()| out.flush()))
}

/// Runs `wgmf man`.
pub(super) fn man(args: &ManArgs, mut command: Command) -> Result<()> {
    command.build();
    let Some(output) = &args.output else {
        let page = match &args.command {
            None => page(&command),
            Some(name) => match command.get_subcommands().find(|sub| sub.get_name() == name) {
                Some(sub) => page(sub),
                None => {
                    let names = command.get_subcommands().map(Command::get_name);
                    let names = names.collect::<Vec<_>>().join(", ");
                    let message = format!("man {name}: is no command of wgmf; those are {names}");
                    return Err(Error::settings(message));
                }
            },
        };
        let mut out = stdout();
        return to_stdout(page.and_then(|page| out.write_all(&page)).and_then(|()| out.flush()));
    };
    // Each page whole or as it was: the directory may hold those of other programs.
    for of in std::iter::once(&command).chain(command.get_subcommands()) {
        let name = of.get_display_name().unwrap_or(of.get_name());
        let path = output.join(format!("{name}.1"));
        let page = page(of).map_err(|e| Error::io(&path, e))?;
        let mut file = Output::create(&path, true)?;
        file.write(|sink| sink.write_all(&page))?;
        file.commit()?;
    }
    Ok(())
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    Ok(page)
}
