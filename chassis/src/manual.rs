//! What goes along with a program when it is installed, made from its command line: man pages and shell completions.

use std::io;
use std::path::Path;

use clap::Command;
use clap_complete::Shell;

/// Writes the man pages of `command` and all its subcommands into the folder `man` in `to`, and completions for bash, zsh and
/// fish into `completions`.
///
/// # Errors
///
/// When a folder or a file cannot be written.
pub fn write(command: &Command, to: &Path) -> io::Result<()> {
    let (man, completions) = (to.join("man"), to.join("completions"));
    std::fs::create_dir_all(&man)?;
    std::fs::create_dir_all(&completions)?;
    clap_mangen::generate_to(command.clone(), &man)?;
    let name = command.get_name().to_owned();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command.clone(), &name, &completions)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_people_see_has_a_page_and_every_shell_its_completions() {
        let scratch = crate::folder::tests::scratch("manual");
        let keep = Command::new("keep").about("Keep it").subcommand(Command::new("safe").about("Keep it safe"));
        let command = Command::new("thing").version("1").about("A thing").subcommand(keep);
        let command = command.subcommand(Command::new("secret").hide(true));
        write(&command, &scratch).unwrap();
        let mut found: Vec<String> = ["man", "completions"]
            .iter()
            .flat_map(|folder| std::fs::read_dir(scratch.join(folder)).unwrap())
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        assert_eq!(found, ["_thing", "thing-keep-safe.1", "thing-keep.1", "thing.1", "thing.bash", "thing.fish"]);
        let page = std::fs::read_to_string(scratch.join("man/thing-keep.1")).unwrap();
        assert!(page.contains("Keep it") && page.contains("safe"), "{page}");
    }
}
