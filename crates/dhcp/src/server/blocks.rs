//! Options made ready: one block of octets for all clients of a subnet, with the same classes and reservation,
//! that ask for the same options. RFC 2131 §4.3.1.

use core::net::Ipv4Addr;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};

use crate::plan::{Boot, Class, OptionSet, Plan, Reservation};
use crate::wire::option::code;

/// Most blocks that are kept; then all are made anew.
const BLOCKS_MAX: usize = 4096;
/// Most octets of an option that a ready block holds; a longer one is written in pieces.
const VALUE_OCTETS_MAX: usize = 255;

/// Which clients a block is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct BlockKey<'a> {
    pub(super) subnet: usize,
    pub(super) classes: u64,
    /// The reservation, if it says more than an address.
    pub(super) known: Option<u32>,
    /// The options that the client asks for, in its order; `None` when it has no such list.
    pub(super) parameters: Option<&'a [u8]>,
}

/// What all clients of one key are told.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// Number, length and value of each option, one behind the other.
    pub(super) ready: Box<[u8]>,
    /// Options of more than 255 octets.
    pub(super) long: Vec<(u8, Box<[u8]>)>,
    /// Where they boot from.
    pub(super) boot: Boot,
    /// One bit for each option that is told.
    told: [u64; 4],
}

#[derive(Debug)]
struct Kept {
    subnet: usize,
    classes: u64,
    known: Option<u32>,
    parameters: Option<Box<[u8]>>,
    block: Block,
}

impl Kept {
    fn is_for(&self, key: &BlockKey<'_>) -> bool {
        (self.subnet, self.classes, self.known, self.parameters.as_deref())
            == (key.subnet, key.classes, key.known, key.parameters)
    }
}

/// The blocks that were made, by a hash of their key.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    kept: HashMap<u64, Kept>,
    hasher: RandomState,
}

impl Blocks {
    /// Forgets all: options changed.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
    }

    /// The block for these clients.
    pub(super) fn block(&mut self, plan: &Plan, known: Option<&Reservation>, key: &BlockKey<'_>) -> &Block {
        if self.kept.len() >= BLOCKS_MAX {
            self.kept.clear();
        }
        let make = || Kept {
            subnet: key.subnet,
            classes: key.classes,
            known: key.known,
            parameters: key.parameters.map(Into::into),
            block: Block::new(plan, known, key),
        };
        match self.kept.entry(self.hasher.hash_one(key)) {
            Entry::Occupied(mut kept) => {
                if !kept.get().is_for(key) {
                    kept.insert(make());
                }
                &kept.into_mut().block
            }
            Entry::Vacant(vacant) => &vacant.insert(make()).block,
        }
    }
}

/// What is known about the options of one client, the nearest first.
struct Sources<'p> {
    plan: &'p Plan,
    known: Option<&'p Reservation>,
    subnet: usize,
    classes: u64,
    boot: &'p Boot,
}

impl Block {
    fn new(plan: &Plan, known: Option<&Reservation>, key: &BlockKey<'_>) -> Self {
        let mut boot = plan.draft.boot.overlaid(&plan.subnets()[key.subnet].boot);
        for class in members(plan, key.classes) {
            boot = boot.overlaid(&class.boot);
        }
        if let Some(known) = known {
            boot = boot.overlaid(&known.boot);
        }
        let sources = Sources { plan, known, subnet: key.subnet, classes: key.classes, boot: &boot };
        let (mut ready, mut long, mut told) = (Vec::new(), Vec::new(), [0; 4]);
        let mut tell = |code: u8, value: &[u8]| {
            let (word, bit) = (&mut told[usize::from(code >> 6)], 1 << (code & 63));
            if *word & bit != 0 {
                return;
            }
            *word |= bit;
            if value.len() > VALUE_OCTETS_MAX {
                long.push((code, value.into()));
            } else {
                ready.extend_from_slice(&[code, value.len() as u8]);
                ready.extend_from_slice(value);
            }
        };
        // RFC 2132 §3.3: the mask stands before the routers.
        let mask = plan.subnets()[key.subnet].network.mask().octets();
        tell(code::SUBNET_MASK, sources.value(code::SUBNET_MASK).unwrap_or(&mask));
        for &code in key.parameters.unwrap_or_default() {
            if let Some(value) = sources.asked_for(code) {
                tell(code, &value);
            }
        }
        for code in 1..code::END {
            let unasked = key.parameters.is_none() || sources.is_always(code);
            if let Some(value) = sources.value(code).filter(|_| unasked) {
                tell(code, value);
            }
        }
        Self { ready: ready.into(), long, told, boot }
    }

    /// Whether an option is among those that are told.
    pub(super) fn tells(&self, code: u8) -> bool {
        self.told[usize::from(code >> 6)] & 1 << (code & 63) != 0
    }
}

impl<'p> Sources<'p> {
    /// All options, the nearest to the client first.
    fn all(&self) -> impl Iterator<Item = &'p OptionSet> {
        let plan = self.plan;
        let known = self.known.map(|known| &known.options);
        let classes = members(plan, self.classes).rev().map(|class| &class.options);
        let far = [&plan.subnets()[self.subnet].options, &plan.draft.options];
        known.into_iter().chain(classes).chain(far)
    }

    /// The value of an option that was configured.
    fn value(&self, code: u8) -> Option<&'p [u8]> {
        self.all().find_map(|options| options.value(code))
    }

    fn is_always(&self, code: u8) -> bool {
        let mut values = self.all().filter_map(|options| options.iter().find(|value| value.code == code));
        values.next().is_some_and(|value| value.always)
    }

    /// The value of an option that a client asks for: what was configured, or what follows from the rest.
    fn asked_for(&self, code: u8) -> Option<Box<[u8]>> {
        if let Some(value) = self.value(code) {
            return Some(value.into());
        }
        let text = |text: Option<&str>| text.map(|text| text.as_bytes().into());
        match code {
            code::BROADCAST_ADDRESS => {
                let last = self.plan.subnets()[self.subnet].network.last();
                Some(Ipv4Addr::from_bits(last).octets().into())
            }
            code::HOST_NAME => text(self.known?.host_name.as_deref()),
            code::BOOT_SERVER_NAME => text(self.boot.server_name.as_deref()),
            code::BOOT_FILE_NAME => text(self.boot.file.as_deref()),
            _ => None,
        }
    }
}

/// The classes of a set, in the order of the plan.
fn members(plan: &Plan, classes: u64) -> impl DoubleEndedIterator<Item = &Class> {
    let all = plan.classes().iter().enumerate();
    all.filter(move |(index, _)| classes & 1 << index != 0).map(|(_, class)| class)
}
