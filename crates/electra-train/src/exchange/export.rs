//! Networks side by side in a folder, `discriminator/` and `generator/`: all of them of one making, or none.
//!
//! A generator of one run beside the discriminator of another looks like a pair and is none. So the networks of an export
//! get to their places together ([`OutFolder`]), and the folder's earlier ones go with them, those that have no successor
//! too. Networks that somebody else made are not replaced unasked.

use std::path::{Path, PathBuf};

use electra_data::OutFolder;
use electra_model::{Objective, Parameters};

use crate::error::{Error, Result};
use crate::exchange::hugging_face::{self, Architecture, Network};
use crate::exchange::model_card::ModelCard;
use crate::exchange::networks;
use crate::host::wait_for;

/// Folders of the networks, the one to keep first.
pub const NETWORKS: [&str; 2] = ["discriminator", "generator"];

/// Whose networks an export may replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace<'a> {
    /// Whatever is there: the folder is the run's own, or the user said so.
    Any,
    /// Those of the run with this [`networks::run_id`].
    OfRun(&'a str),
    /// Those of nobody.
    Nothing,
}

/// A folder that gets networks.
pub struct NetworkFolders {
    out: OutFolder,
    written: Vec<&'static str>,
}

impl NetworkFolders {
    /// Finds out that `folder` can be written to, before any work is done.
    ///
    /// # Errors
    /// It cannot, or another process writes there.
    pub fn begin(folder: &Path) -> Result<Self> {
        Ok(Self { out: OutFolder::begin(folder)?, written: Vec::new() })
    }

    /// Refuses to go on where networks are that `replace` does not cover.
    ///
    /// # Errors
    /// The first of them is named.
    pub fn check(&self, replace: Replace<'_>) -> Result<()> {
        let is_covered = |folder: &Path| match replace {
            Replace::Any => true,
            Replace::OfRun(run) => hugging_face::run_of(folder).as_deref() == Some(run),
            Replace::Nothing => false,
        };
        let present = NETWORKS.map(|name| self.out.path().join(name)).into_iter();
        match present.filter(|folder| folder.join(hugging_face::CONFIG).exists()).find(|folder| !is_covered(folder)) {
            None => Ok(()),
            Some(folder) => Err(Error::invalid(
                &folder,
                "there is a network already, and not one of this run",
                "choose another --out, or replace what is there with --overwrite",
            )),
        }
    }

    /// Writes a network, to be put in its place by [`NetworkFolders::publish`]. `name` is one of [`NETWORKS`].
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn add(
        &mut self,
        name: &'static str,
        network: &Network,
        tokenizer: Option<&Path>,
        card: &ModelCard,
    ) -> Result<()> {
        hugging_face::export(&self.out.building().join(name), network, tokenizer, card)?;
        self.written.push(name);
        Ok(())
    }

    /// Puts all in their places; returns their folders.
    ///
    /// # Errors
    /// Something is in the way, or the system refuses.
    pub fn publish(self) -> Result<Vec<PathBuf>> {
        let folders = self.written.iter().map(|name| self.out.path().join(name)).collect();
        let of_all = |file: &'static str| NETWORKS.map(|name| Path::new(name).join(file));
        let stale: Vec<PathBuf> = hugging_face::files().flat_map(of_all).collect();
        self.out.publish(&of_all(hugging_face::CONFIG), &stale)?;
        Ok(folders)
    }
}

/// Writes the objective's networks into `folders`, the one to keep first; that one as `asked`, if it can be. Returns where they are.
///
/// # Errors
/// A file cannot be read or written; or the network to keep cannot be of the class `asked`.
pub fn export_networks(
    mut folders: NetworkFolders,
    objective: &dyn Objective,
    parameters: &Parameters,
    tokenizer: &Path,
    card: &ModelCard,
    asked: Option<Architecture>,
) -> Result<Vec<PathBuf>> {
    for (role, network) in wait_for(networks::networks_of(objective, parameters, asked, folders.out.path()))? {
        folders.add(role, &network, Some(tokenizer), card)?;
    }
    folders.publish()
}
