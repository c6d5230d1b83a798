//! What all commands that ask a running gateway share: its socket, and how to show the answer.

use super::print;
use crate::Failure;
use crate::api::{Client, DEFAULT_SOCKET};
use core::ops::ControlFlow;
use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::PathBuf;

/// Which gateway, and in what form it is to answer.
#[derive(Debug, clap::Args)]
pub(super) struct Gateway {
    /// The gateway's control socket
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    socket: PathBuf,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

impl Gateway {
    /// Whether JSON is wanted.
    pub(super) fn json(&self) -> bool {
        self.json
    }

    /// Asks.
    pub(super) fn ask<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, Failure> {
        Ok(Client::new(&self.socket).request(method, path)?)
    }

    /// Asks for an answer that does not end, and hands each line of it to `each` until that has enough.
    pub(super) fn follow<T: DeserializeOwned>(
        &self,
        path: &str,
        each: impl FnMut(T) -> ControlFlow<()>,
    ) -> Result<(), Failure> {
        Ok(Client::new(&self.socket).follow(path, each)?)
    }

    /// Asks, and prints the answer as JSON or as `table` shows it.
    pub(super) fn show<T: Serialize + DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        table: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        let answer: T = self.ask(method, path)?;
        if self.json {
            let text = serde_json::to_string_pretty(&answer).map_err(Failure::runtime)?;
            print(&format!("{text}\n"))
        } else {
            print(&table(&answer))
        }
    }
}
