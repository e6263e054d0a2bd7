//! The checkpoints of `wgmf train`: written while it runs, gone on from, removed when it is through.

use super::super::{interrupt, with_flags};
use super::Args;
use std::path::PathBuf;
use wgmf::backend::Device;
use wgmf::core::Settings;
use wgmf::data::Prepared;
use wgmf::train::{Checkpoint, Origin, checkpoint_path, fingerprint};
use wgmf::{Error, ErrorKind, Result};

/// Where checkpoints go, and how that went so far.
pub(super) struct Checkpoints<'a> {
    pub dir: PathBuf,
    settings: &'a Settings,
    device: Device,
    /// Known once it is needed: it takes a look at every rating.
    origin: Option<Origin>,
    /// Whether the run was asked to write some.
    asked: bool,
    /// Whether one of an earlier run may be replaced.
    overwrite: bool,
    /// Whether the last one could not be written.
    failed: bool,
    /// Whether one of this run is there.
    pub written: bool,
}

impl<'a> Checkpoints<'a> {
    /// Those of a run that is about to begin.
    pub(super) fn new(args: &Args, settings: &'a Settings, device: Device) -> Self {
        Checkpoints {
            dir: checkpoint_path(&args.model),
            settings,
            device,
            origin: None,
            asked: args.checkpoints(),
            overwrite: args.force || args.resume,
            failed: false,
            written: args.resume,
        }
    }

    fn origin(&mut self, prepared: &Prepared) -> Origin {
        let Prepared { users, items, train, test, .. } = prepared;
        let device = &self.device;
        let origin = self.origin.get_or_insert_with(|| {
            let ratings = fingerprint(users.len(), items.len(), train, test.as_ref());
            Origin::new(ratings, device).weighed(prepared.facts.weighed_by())
        });
        origin.clone()
    }

    /// The run is on another device now.
    pub(super) fn moved(&mut self, device: Device) {
        self.origin = self.origin.take().map(|origin| {
            let Origin { ratings, weighed_by, .. } = origin;
            Origin { weighed_by, ..Origin::new(ratings, &device) }
        });
        self.device = device;
    }

    /// The one to go on from.
    pub(super) fn open(&mut self, prepared: &Prepared, anyway: bool) -> Result<Checkpoint> {
        let origin = self.origin(prepared);
        let checkpoint = Checkpoint::open(&self.dir, self.settings, &origin, anyway)?;
        if let Some(difference) = Checkpoint::origin(&self.dir)?.difference(&origin) {
            say!(
                "note: {difference}: the model may differ in its bits from that of a run that was never \
                 stopped"
            );
        }
        Ok(checkpoint)
    }

    /// Writes one. A failure is said, and ends the run only where the one before failed too: a full disk
    /// may be emptied, and what was trained is worth more than a checkpoint of it.
    pub(super) fn write(&mut self, checkpoint: &Checkpoint, prepared: &Prepared) -> Result<()> {
        let origin = self.origin(prepared);
        let may = match self.asked || self.written {
            true => Ok(()),
            false => Checkpoint::check_output(&self.dir, self.overwrite),
        };
        let saved = may.and_then(|()| {
            let reading = prepared.facts.reading.as_ref();
            checkpoint.save(&self.dir, self.settings, &origin, reading)
        });
        match saved {
            Ok(()) => {
                self.failed = false;
                self.written = true;
            }
            Err(error) if self.failed || interrupt::ended().is_some() => return Err(error),
            Err(error) => {
                self.failed = true;
                let error = with_flags(&error.to_string());
                let before = match self.written {
                    true => ", the one before stays",
                    false => "",
                };
                say!("warning: no checkpoint after this epoch{before}: {error}");
            }
        }
        Ok(())
    }

    /// What ended the run, and what is left to go on from.
    pub(super) fn told(&self, error: Error) -> Error {
        if !(self.written && matches!(error.kind(), ErrorKind::Device(_))) {
            return error;
        }
        let dir = self.dir.display();
        Error::device(format!(
            "{error}; the last checkpoint is whole in {dir}, `resume` goes on from it"
        ))
    }

    /// Removes the last one: the run is through.
    pub(super) fn remove(&self) {
        if (self.asked || self.written)
            && let Err(error) = Checkpoint::remove(&self.dir)
        {
            say!("warning: the model is saved, but its checkpoint could not be removed: {error}");
        }
    }
}
