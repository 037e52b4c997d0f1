//! Doing what a layout says, step by step, told as it is done; what fails is undone.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::plan::{Layout, Manager};
use super::wanted::MARK;
use crate::cli::{Exit, place, placed, say};
use crate::ports::permission::quoted;

/// What lies where a file of ours belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Ours(String),
    Foreign,
}

pub(super) fn found(file: &Path) -> Found {
    match fs::read_to_string(file) {
        Ok(text) if text.lines().take(2).any(|line| line.contains(MARK)) => Found::Ours(text),
        Err(error) if error.kind() == ErrorKind::NotFound => Found::Nothing,
        Ok(_) | Err(_) => Found::Foreign,
    }
}

/// Writes the files and has the manager take them up, or leaves everything as it was.
pub(super) fn install(manager: Manager, layout: &Layout, texts: &[String]) -> Result<(), Exit> {
    refuse_foreign(layout)?;
    refuse_absence(manager)?;
    let before: Vec<Found> = layout.files.iter().map(|file| found(file)).collect();
    let done = write_all(layout, texts).and_then(|()| run_all(&layout.begin));
    let Err(exit) = done else {
        if before.iter().any(|found| *found != Found::Nothing) {
            let again = &layout.again;
            say::out(&format!(
                "it was installed before: `{again}` takes up what changed\n"
            ));
        }
        return Ok(());
    };
    undo(layout, &before);
    Err(exit)
}

/// Has the manager let go, and removes the files.
pub(super) fn uninstall(manager: Manager, layout: &Layout) -> Result<(), Exit> {
    refuse_foreign(layout)?;
    let ours: Vec<&PathBuf> = layout
        .files
        .iter()
        .filter(|file| found(file) != Found::Nothing)
        .collect();
    if ours.is_empty() {
        say::out("nothing is installed\n");
        return Ok(());
    }
    refuse_absence(manager)?;
    // What does not run cannot be stopped, and its files go all the same.
    let _told = run_all(&layout.end);
    for file in ours {
        fs::remove_file(file).map_err(|error| refused(file, &error))?;
        say::out(&format!("removed {}\n", file.display()));
    }
    run_all(&layout.forget)
}

/// Whether the service runs, as the manager says; none: there is no manager.
pub(super) fn is_running(layout: &Layout) -> Option<bool> {
    let (program, arguments) = layout.running.split_first()?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().ok().map(|status| status.success())
}

fn refuse_foreign(layout: &Layout) -> Result<(), Exit> {
    let foreign = layout
        .files
        .iter()
        .find(|file| found(file) == Found::Foreign);
    let Some(file) = foreign else {
        return Ok(());
    };
    say::err(&format!(
        "error[service]: {} is there, and onedoor did not write it\n  try:  mv {1} {1}.old   keeps it aside\n",
        file.display(),
        quoted(file)
    ));
    Err(Exit::Failed)
}

fn refuse_absence(manager: Manager) -> Result<(), Exit> {
    let program = manager.program();
    if place::program(program).is_some() {
        return Ok(());
    }
    say::err(&format!(
        "error[service]: there is no `{program}` here, so nothing could keep the service\n  try:  onedoor service install --print   shows the files, for a manager elsewhere\n"
    ));
    Err(Exit::Failed)
}

fn write_all(layout: &Layout, texts: &[String]) -> Result<(), Exit> {
    for (file, text) in layout.files.iter().zip(texts) {
        let made = file.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| placed::put(file, text.as_bytes()))
            .map_err(|error| refused(file, &error))?;
        say::out(&format!("wrote {}\n", file.display()));
    }
    Ok(())
}

fn run_all(commands: &[Vec<String>]) -> Result<(), Exit> {
    for command in commands {
        run(command)?;
    }
    Ok(())
}

fn run(command: &[String]) -> Result<(), Exit> {
    let words = command.join(" ");
    let Some((program, arguments)) = command.split_first() else {
        return Ok(());
    };
    let mut started = Command::new(program);
    match started.args(arguments).stdin(Stdio::null()).status() {
        Ok(status) if status.success() => {
            say::out(&format!("ran {words}\n"));
            Ok(())
        }
        Ok(status) => {
            say::err(&format!("error[service]: `{words}` failed: {status}\n"));
            Err(Exit::Failed)
        }
        Err(error) => {
            say::err(&format!("error[service]: cannot run `{words}`: {error}\n"));
            Err(Exit::Failed)
        }
    }
}

fn undo(layout: &Layout, before: &[Found]) {
    // Some of it may have begun.
    if before.iter().all(|found| *found == Found::Nothing)
        && layout.files.iter().any(|file| file.exists())
    {
        let _told = quietly(&layout.end);
    }
    for (file, before) in layout.files.iter().zip(before) {
        let undone = match before {
            Found::Ours(text) => placed::put(file, text.as_bytes()).map(|_put| ()),
            Found::Nothing => fs::remove_file(file),
            Found::Foreign => Ok(()),
        };
        match undone {
            Ok(()) => say::err(&format!("  undone:  {}\n", file.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => say::err(&format!("  left:  {}: {error}\n", file.display())),
        }
    }
    let _told = quietly(&layout.forget);
}

fn quietly(commands: &[Vec<String>]) -> io::Result<()> {
    for command in commands {
        if let Some((program, arguments)) = command.split_first() {
            let mut command = Command::new(program);
            command.args(arguments).stdin(Stdio::null());
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command.status()?;
        }
    }
    Ok(())
}

fn refused(file: &Path, error: &io::Error) -> Exit {
    say::err(&format!(
        "error[service]: cannot change {}: {error}\n",
        file.display()
    ));
    if error.kind() != ErrorKind::PermissionDenied {
        return Exit::Failed;
    }
    let words: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|word| quoted(Path::new(&word)))
        .collect();
    let program = std::env::current_exe().unwrap_or_else(|_unknown| PathBuf::from("onedoor"));
    say::err(&format!(
        "  try:  sudo {} {}\n",
        quoted(&program),
        words.join(" ")
    ));
    Exit::Permission
}
