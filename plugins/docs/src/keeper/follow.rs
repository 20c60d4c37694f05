//! Following another process that keeps the index: it is read, never written.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use toolgate_plugin::LogLevel;

use super::{Own, Progress, lock::Lock};
use crate::{
    folders::Root,
    index::{IndexError, Shelf},
};

/// How often to look at what the other has written: until the folders have been looked through, and afterwards.
const SOON: Duration = Duration::from_millis(50);
const LATER: Duration = Duration::from_secs(1);

/// Follow until the end, or until the other has ended.
///
/// # Errors
/// None that the other would not mend.
pub(super) fn follow(own: &Own, folder: &Path) -> Result<(), IndexError> {
    own.log(LogLevel::Debug, "another process keeps the index; it is read");
    let mut shelf: Option<Followed> = None;
    while !own.inbox.is_stopped() {
        if let Ok(Some(_)) = Lock::take(own.host.state_dir()) {
            // Given back and taken again: what the other has left is looked at like at a start.
            return Ok(());
        }
        for (index, folder) in own.state.folders().iter().enumerate() {
            own.state.set_absent(index, Root::open(folder).err());
        }
        // A failed search, or a look that fails: it is being made, or made anew.
        if own.inbox.suspicion().is_some() || look(own, folder, &mut shelf).is_err() {
            shelf = None;
        }
        let wait = if own.state.has_looked() { LATER } else { SOON };
        drop(own.inbox.wait(Instant::now() + wait));
    }
    Ok(())
}

/// The index that another process keeps.
struct Followed {
    shelf: Arc<Shelf>,
    /// Its list of files when it was read last: what was read is kept until that changes.
    list: Vec<u8>,
}

fn look(own: &Own, folder: &Path, followed: &mut Option<Followed>) -> Result<(), IndexError> {
    let followed = match followed {
        Some(followed) => followed,
        None => {
            let Some(opened) = Shelf::open(folder, own.settings.language)? else { return Ok(()) };
            let shelf = Arc::new(opened);
            // It may be about more than ours.
            own.state.set_shelf(&shelf, true);
            followed.insert(Followed { shelf, list: Vec::new() })
        }
    };
    let list = followed.shelf.list()?;
    if list != followed.list {
        followed.shelf.reload()?;
        followed.list = list;
    }
    let said = followed.shelf.said()?;
    let mut folders = own.state.folders().iter();
    let complete = folders.all(|folder| said.complete.contains(folder.key()) || Root::open(folder).is_err());
    let indexing = (!complete).then_some((said.done, said.total));
    own.state.set_progress(Progress { looked: complete, indexing });
    Ok(())
}
