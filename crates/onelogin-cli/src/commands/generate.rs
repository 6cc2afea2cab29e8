//! `onelogin completions` and `onelogin man`: what a package installs beside the binary.

use std::{fs, path::Path};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{
    arguments::Cli,
    exit::{Exit, Outcome},
    output::print,
};

/// Prints a shell's completion script.
pub(crate) fn completions(shell: Shell) -> Outcome<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "onelogin", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

/// Writes a page for the program and one for every command, or prints the first.
pub(crate) fn man(dir: Option<&Path>) -> Outcome<Exit> {
    if let Some(dir) = dir {
        fs::create_dir_all(dir)?;
        clap_mangen::generate_to(Cli::command(), dir)?;
    } else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        print(&String::from_utf8_lossy(&page))?;
    }
    Ok(Exit::Done)
}
