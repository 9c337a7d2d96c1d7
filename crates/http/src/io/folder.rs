//! A folder that is served, with the rules of its site.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use doorway_net::World;

use super::files::Root;
use super::uploads::Uploads;
use crate::coding::Coding;
use crate::config::SiteConfig;
use crate::error::Error;
use crate::pattern::Pattern;
use crate::upload::Rules;

/// A folder and its rules.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: PathBuf,
    pub(super) root: Arc<Root>,
    /// What is cut off the path of a request before it is looked up.
    pub(super) base: String,
    pub(super) index: Vec<String>,
    pub(super) listing: bool,
    /// The file that stands for those that are not there.
    pub(super) fallback: Option<String>,
    /// Codings whose files may lie beside the plain ones, best first.
    pub(super) precompressed: Vec<Coding>,
    /// Codings that are made on the way, best first.
    pub(super) compress: Vec<Coding>,
    cache: Vec<(Pattern, Arc<str>)>,
    errors: Vec<(Vec<u16>, String)>,
    /// By what rules files are stored, where they may be.
    pub(super) write: Option<Rules>,
    /// Who stores them, once the server is there.
    pub(super) uploads: OnceLock<Arc<Uploads>>,
}

impl Folder {
    /// Opens the folder at `path`, by the rules of a site.
    ///
    /// # Errors
    /// As [`Root::open`].
    pub(super) fn open(path: &Path, site: &SiteConfig) -> Result<Self, Error> {
        let pattern = |(path, control): &(String, String)| {
            let pattern = Pattern::parse(path).ok_or_else(|| Error::Pattern { path: path.clone() })?;
            Ok((pattern, control.as_str().into()))
        };
        Ok(Self {
            path: path.to_owned(),
            root: Arc::new(Root::open(path, site.symlinks)?),
            base: String::new(),
            index: site.index.clone(),
            listing: site.listing,
            fallback: site.fallback.as_ref().map(|name| name.trim_start_matches('/').to_owned()),
            precompressed: site.precompressed.clone(),
            compress: site.compress.clone(),
            cache: site.cache.iter().map(pattern).collect::<Result<_, _>>()?,
            errors: site.errors.clone(),
            write: site
                .write
                .then_some(Rules { quota: site.quota, needs_condition: site.write_needs_condition }),
            uploads: OnceLock::new(),
        })
    }

    /// The same for paths from which `base` is cut off.
    pub(super) fn below(self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self }
    }

    /// Gets ready to store files in `world`, where that is wanted.
    pub(super) fn open_uploads(&self, world: &World) {
        if let Some(rules) = self.write {
            self.uploads.get_or_init(|| Uploads::new(world, &self.root, &self.base, rules));
        }
    }

    /// The folder that is at its path now, when that is another.
    pub(super) fn reopen(&self) -> Result<Option<Self>, Error> {
        let now = Root::open(&self.path, self.root.symlinks())?;
        if now.is_the_folder_of(&self.root).unwrap_or(false) {
            return Ok(None);
        }
        Ok(Some(Self { root: Arc::new(now), uploads: OnceLock::new(), ..self.clone() }))
    }

    /// What Cache-Control says of a path in canonical form: the first rule that fits.
    pub(super) fn cache_control(&self, path: &str) -> Option<Arc<str>> {
        let (_, control) = self.cache.iter().find(|(pattern, _)| pattern.fits(path))?;
        Some(Arc::clone(control))
    }

    /// The name of the page for a status.
    pub(super) fn error_page(&self, status: u16) -> Option<&str> {
        let (_, file) = self.errors.iter().find(|(statuses, _)| statuses.contains(&status))?;
        Some(file.trim_start_matches('/'))
    }
}
