//! Domain names in wire form: RFC 1035 §3.1 and §4.1.4, RFC 4343 (letter case), RFC 4034 §6.1 (order).
//!
//! A [`Name`] lives inline, so that reading one out of a message allocates nothing. Presentation form
//! is in [`text`](super::text); writing with compression in [`compress`](super::compress).

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use doorway_base::{Malformed, Reader};

/// Octets of a name in wire form at most, with every length octet and the root (RFC 1035 §2.3.4).
pub const NAME_OCTETS_MAX: usize = 255;
/// Octets of one label at most.
pub const LABEL_OCTETS_MAX: usize = 63;
/// Labels of a name at most, the root not counted: 127 labels of one octet make 255 octets.
pub const LABELS_MAX: usize = 127;
/// Compression pointers followed for one name at most.
pub const POINTER_HOPS_MAX: usize = 126;

/// An absolute domain name, uncompressed, in the letter case it was written in.
///
/// Comparison, order and hash ignore the case of ASCII letters; the order is DNSSEC's canonical one.
#[derive(Clone)]
pub struct Name {
    octets: [u8; NAME_OCTETS_MAX],
    length: u8,
}

impl Name {
    /// The root, `.`.
    #[must_use]
    pub const fn root() -> Self {
        Self { octets: [0; NAME_OCTETS_MAX], length: 1 }
    }

    /// Reads a name, following compression pointers.
    ///
    /// Each pointer must lead to an octet before the run of labels it ends, so a walk can only go
    /// back and comes to an end.
    ///
    /// # Errors
    /// A label type other than 00 and 11, a pointer that does not go back, more than
    /// [`POINTER_HOPS_MAX`] of them, a name over [`NAME_OCTETS_MAX`], or the end of the message.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut name = Self { octets: [0; NAME_OCTETS_MAX], length: 0 };
        let mut walk = *reader;
        let mut run_start = walk.position();
        let mut hops = 0;
        loop {
            let at = walk.position();
            let length = walk.u8("a label")?;
            match length {
                0 => {
                    name.length += 1;
                    break;
                }
                1..=63 => {
                    let label = walk.take(usize::from(length), "the octets of a label")?;
                    if !name.push(label) {
                        return Err(Malformed::new("a name of at most 255 octets", at));
                    }
                }
                0xc0..=0xff => {
                    let low = walk.u8("the second octet of a pointer")?;
                    let target = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                    if target >= run_start {
                        return Err(Malformed::new("a pointer to an earlier octet", at));
                    }
                    if hops == 0 {
                        *reader = walk;
                    }
                    hops += 1;
                    if hops > POINTER_HOPS_MAX {
                        return Err(Malformed::new("at most 126 pointers in a name", at));
                    }
                    walk = Reader::at(reader.whole(), target);
                    run_start = target;
                }
                _ => return Err(Malformed::new("a label of type 00 or 11", at)),
            }
        }
        if hops == 0 {
            *reader = walk;
        }
        Ok(name)
    }

    /// The name whose uncompressed wire form is exactly `octets`.
    ///
    /// # Errors
    /// Anything that is not one whole name without pointers.
    pub fn from_wire(octets: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(octets);
        let name = Self::read(&mut reader)?;
        reader.finish("the end of the name")?;
        Ok(name)
    }

    // Appends a label before the root that is still to come; false when it does not fit.
    pub(super) fn push(&mut self, label: &[u8]) -> bool {
        let at = usize::from(self.length);
        // One more octet stays free for the root.
        if label.is_empty() || label.len() > LABEL_OCTETS_MAX || at + label.len() + 2 > NAME_OCTETS_MAX {
            return false;
        }
        self.octets[at] = label.len() as u8;
        self.octets[at + 1..=at + label.len()].copy_from_slice(label);
        self.length += label.len() as u8 + 1;
        true
    }

    /// The name made of `labels`, first label first; `None` when one is empty or too long, or all
    /// together are.
    #[must_use]
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut name = Self { octets: [0; NAME_OCTETS_MAX], length: 0 };
        for label in labels {
            if !name.push(label) {
                return None;
            }
        }
        name.length += 1;
        Some(name)
    }

    /// This name with `suffix` in place of the root; `None` when the two are too long together.
    #[must_use]
    pub fn join(&self, suffix: &Self) -> Option<Self> {
        Self::from_labels(self.labels().chain(suffix.labels()))
    }

    /// Wire form, from the first length octet to the root.
    #[must_use]
    pub fn as_octets(&self) -> &[u8] {
        &self.octets[..usize::from(self.length)]
    }

    /// The labels, first label first, without the root.
    #[must_use]
    pub fn labels(&self) -> Labels<'_> {
        Labels { rest: self.as_octets() }
    }

    /// How many labels, the root not counted.
    #[must_use]
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// Whether this is the root.
    #[must_use]
    pub const fn is_root(&self) -> bool {
        self.length == 1
    }

    /// The name without its first label; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let first = usize::from(self.octets[0]);
        if first == 0 { None } else { Self::from_wire(&self.as_octets()[first + 1..]).ok() }
    }

    /// Whether this name is `ancestor` or lies below it.
    #[must_use]
    pub fn is_within(&self, ancestor: &Self) -> bool {
        let (mine, theirs) = (self.as_octets(), ancestor.as_octets());
        let Some(start) = mine.len().checked_sub(theirs.len()) else { return false };
        // The tail must begin at a label, not inside one.
        let mut at = 0;
        while at < start {
            at += usize::from(mine[at]) + 1;
        }
        at == start && is_same(&mine[start..], theirs)
    }

    /// The same name in lower case (RFC 4343).
    #[must_use]
    pub fn lowered(&self) -> Self {
        let mut name = self.clone();
        // Length octets are at most 63 and so never ASCII letters.
        name.octets[..usize::from(name.length)].make_ascii_lowercase();
        name
    }
}

/// The labels of a name, first label first. From [`Name::labels`].
#[derive(Debug, Clone)]
pub struct Labels<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (&length, rest) = self.rest.split_first()?;
        let (label, rest) = rest.split_at_checked(usize::from(length))?;
        self.rest = rest;
        (length != 0).then_some(label)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        is_same(self.as_octets(), other.as_octets())
    }
}

/// Whether two names in wire form are the same: RFC 4343. Most are so to the letter, which is found out faster.
pub(crate) fn is_same(one: &[u8], other: &[u8]) -> bool {
    one == other || one.eq_ignore_ascii_case(other)
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.lowered().as_octets().hash(state);
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    /// Canonical order: by the last label first, octet by octet in lower case (RFC 4034 §6.1).
    fn cmp(&self, other: &Self) -> Ordering {
        let mine: Vec<&[u8]> = self.labels().collect();
        let theirs: Vec<&[u8]> = other.labels().collect();
        let lower = |label: &[u8]| label.to_ascii_lowercase();
        mine.iter().rev().map(|l| lower(l)).cmp(theirs.iter().rev().map(|l| lower(l)))
    }
}

impl Default for Name {
    fn default() -> Self {
        Self::root()
    }
}
