//! What a hub and a node have in common: a data folder, a binary, commands, and a process that comes and goes.

use crate::http::Client;
use crate::process::{self, Daemon, Ran, START_DEADLINE};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A hub or a node, running or not.
#[derive(Debug)]
pub struct Site {
    name: String,
    program: &'static str,
    folder: PathBuf,
    logs: PathBuf,
    envs: Vec<(String, String)>,
    listen: String,
    own_group: bool,
    patience: Duration,
    daemon: Option<Daemon>,
}

impl Site {
    /// A site that keeps its data in `folder` and its logs in `logs`. Nothing is started.
    #[must_use]
    pub fn new(name: &str, program: &'static str, folder: PathBuf, logs: PathBuf) -> Self {
        let listen = "127.0.0.1:0".to_owned();
        Self {
            name: name.to_owned(),
            program,
            folder,
            logs,
            envs: Vec::new(),
            listen,
            own_group: false,
            patience: START_DEADLINE,
            daemon: None,
        }
    }

    /// What the site is called in logs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its data folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Sets a variable for every process of the site.
    pub fn env(&mut self, name: &str, value: &str) {
        self.envs.push((name.to_owned(), value.to_owned()));
    }

    /// How long its starts may take; else [`START_DEADLINE`].
    pub fn start_within(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Keeps Ctrl-C at the terminal away from the site's process.
    pub fn shield(&mut self) {
        self.own_group = true;
    }

    /// Where it is to listen from its next start on, instead of on a free port.
    pub fn listen_on(&mut self, address: &str) {
        address.clone_into(&mut self.listen);
    }

    /// `program WORDS… --data-dir FOLDER`, ready to be run.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = process::command(process::binary(self.program));
        command.args(words).arg("--data-dir").arg(&self.folder);
        command.envs(self.envs.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command of the site to its end.
    pub async fn run(&self, words: &[&str]) -> Ran {
        process::run(self.command(words), "").await
    }

    /// The same with something on stdin.
    pub async fn run_with(&self, words: &[&str], stdin: &str) -> Ran {
        process::run(self.command(words), stdin).await
    }

    /// Starts `serve` and waits until it listens.
    ///
    /// # Panics
    /// When it runs already, or ends instead.
    pub async fn start(&mut self) {
        if let Err(ran) = self.try_start().await {
            panic!("{} does not start (exit code {:?})\n{}\n{}", self.name, ran.code, ran.stdout, ran.stderr);
        }
    }

    /// Starts `serve`.
    ///
    /// # Errors
    /// When it ends instead of listening: what it said.
    ///
    /// # Panics
    /// When it runs already.
    pub async fn try_start(&mut self) -> Result<(), Ran> {
        let command = self.command(&["serve", "--listen", &self.listen]);
        self.start_as(command).await
    }

    /// Starts `command`, which ends up as the site's `serve`.
    ///
    /// # Errors
    /// When it ends instead of listening: what it said.
    ///
    /// # Panics
    /// When the site runs already.
    pub async fn start_as(&mut self, command: Command) -> Result<(), Ran> {
        assert!(self.daemon.is_none(), "{} runs already", self.name);
        self.daemon = Some(Daemon::start(&self.name, command, &self.logs, self.own_group, self.patience).await?);
        Ok(())
    }

    /// Ends it with SIGTERM and waits; nothing where it does not run.
    pub async fn stop(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.stop().await;
        }
    }

    /// Ends it with SIGKILL; nothing where it does not run.
    pub fn kill(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.kill();
        }
    }

    /// The running process.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap_or_else(|| panic!("{} does not run", self.name))
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> &str {
        self.daemon().url()
    }

    /// A client that has not logged in.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.url())
    }

    /// A client that has.
    pub async fn login(&self, username: &str, password: &str) -> Client {
        self.client().login(username, password).await
    }
}
