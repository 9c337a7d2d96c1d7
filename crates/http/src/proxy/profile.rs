//! What is known of the files of package archives, so that a second download of the same package need not leave
//! the network: a package never changes under its name, while an index does.

/// An archive whose files are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Debian and its kin.
    Apt,
    /// The Python Package Index and mirrors of it.
    Pypi,
    /// The npm registry and mirrors of it.
    Npm,
}

/// What is known of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// It never changes.
    Immutable,
    /// It may be kept, and is asked about before each use.
    Revalidate,
}

impl Lifetime {
    /// What Cache-Control says of it (RFC 9111 §5.2.2, RFC 8246).
    #[must_use]
    pub const fn cache_control(self) -> &'static str {
        match self {
            Self::Immutable => "public, max-age=31536000, immutable",
            Self::Revalidate => "public, no-cache",
        }
    }
}

/// Endings of packages.
const APT: [&str; 8] = [".deb", ".udeb", ".ddeb", ".dsc", ".tar.xz", ".tar.gz", ".tar.bz2", ".tar.zst"];
const PYPI: [&str; 6] = [".whl", ".tar.gz", ".zip", ".tar.bz2", ".egg", ".metadata"];

impl Profile {
    /// The words of the config.
    pub const WORDS: [&'static str; 3] = ["apt", "pypi", "npm"];

    /// The one that a word stands for.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "apt" => Some(Self::Apt),
            "pypi" => Some(Self::Pypi),
            "npm" => Some(Self::Npm),
            _ => None,
        }
    }

    /// What is known of a file at `path`; `None` when it is none of this archive's.
    #[must_use]
    pub fn lifetime(self, path: &str) -> Option<Lifetime> {
        let ends = |endings: &[&str]| endings.iter().any(|ending| path.ends_with(ending));
        match self {
            // Content under its own hash, and packages with their version in the name.
            Self::Apt if path.contains("/by-hash/") => Some(Lifetime::Immutable),
            Self::Apt if path.contains("/pool/") && ends(&APT) => Some(Lifetime::Immutable),
            Self::Apt if ends(&[".deb", ".udeb", ".ddeb"]) => Some(Lifetime::Immutable),
            Self::Apt if path.contains("/dists/") => Some(Lifetime::Revalidate),
            Self::Apt => {
                let name = path.rsplit('/').next().unwrap_or_default();
                let index = ["InRelease", "Release", "Packages", "Sources", "Contents-", "Translation-"];
                index.iter().any(|start| name.starts_with(start)).then_some(Lifetime::Revalidate)
            }
            Self::Pypi if path.contains("/simple/") => {
                // A mirror may keep its packages beside their index.
                Some(if ends(&PYPI) { Lifetime::Immutable } else { Lifetime::Revalidate })
            }
            Self::Pypi => ends(&PYPI).then_some(Lifetime::Immutable),
            Self::Npm if path.contains("/-/") && ends(&[".tgz"]) => Some(Lifetime::Immutable),
            Self::Npm if path.contains("/-/") => None,
            // An index is named like its package: `/name` or `/@scope/name`.
            Self::Npm => {
                let steps = path.split('/').filter(|step| !step.is_empty()).count();
                let scoped = path.starts_with("/@");
                (steps == 1 || (scoped && steps == 2)).then_some(Lifetime::Revalidate)
            }
        }
    }
}

/// What is known of a file at `path` by the first profile that knows it.
#[must_use]
pub fn lifetime(profiles: &[Profile], path: &str) -> Option<Lifetime> {
    profiles.iter().find_map(|profile| profile.lifetime(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_stay_and_indexes_change() {
        use Lifetime::{Immutable, Revalidate};
        for (profile, path, expected) in [
            (Profile::Apt, "/debian/pool/main/h/hello/hello_2.10-3_amd64.deb", Some(Immutable)),
            (Profile::Apt, "/debian/pool/main/h/hello/hello_2.10.orig.tar.gz", Some(Immutable)),
            (Profile::Apt, "/debian/dists/bookworm/by-hash/SHA256/ab12", Some(Immutable)),
            (Profile::Apt, "/debian/dists/bookworm/InRelease", Some(Revalidate)),
            (Profile::Apt, "/flat/Packages.gz", Some(Revalidate)),
            (Profile::Apt, "/index.html", None),
            (Profile::Pypi, "/packages/ab/cd/six-1.16.0-py2.py3-none-any.whl", Some(Immutable)),
            (Profile::Pypi, "/simple/six/", Some(Revalidate)),
            (Profile::Pypi, "/simple/six/six-1.16.0.tar.gz", Some(Immutable)),
            (Profile::Pypi, "/about", None),
            (Profile::Npm, "/left-pad/-/left-pad-1.3.0.tgz", Some(Immutable)),
            (Profile::Npm, "/@types/node", Some(Revalidate)),
            (Profile::Npm, "/left-pad", Some(Revalidate)),
            (Profile::Npm, "/-/npm/v1/security/audits", None),
            (Profile::Npm, "/a/b/c", None),
        ] {
            assert_eq!(profile.lifetime(path), expected, "{profile:?} {path}");
        }
    }
}
