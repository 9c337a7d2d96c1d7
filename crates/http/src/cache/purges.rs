//! Orders to forget, as the cache carries them out: each has a number, each response remembers how many there
//! had been when the origin was asked for it, and an order is about those that are older than it. So an order
//! is in force at once, however many responses it is about; they find out when they are next looked at.

use std::collections::{BTreeMap, VecDeque};

use doorway_base::{Malformed, Reader};

/// What an order is about, by [short names](super::Names).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// One URL.
    Url(u64),
    /// One response: URL, and what selects it.
    Variant(u64, u64),
    /// A host.
    Host(u64),
    /// A tag.
    Tag(u64),
    /// URLs that begin so, on this host.
    Prefix(u64, String),
}

/// An order with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Orders that there have been with this one.
    pub number: u64,
    /// Whether the responses are kept, to be validated before they are used.
    pub soft: bool,
    /// What it is about.
    pub target: Target,
}

/// A response, as far as orders are concerned.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Orders up to this number are not about it: it is younger, or they were carried out.
    pub since: u64,
    /// Of its URL.
    pub name: u64,
    /// Of what selects it.
    pub variant: u64,
    /// Of its host.
    pub host: u64,
    /// Of its tags.
    pub tags: &'a [u64],
    /// Its URL, where that is at hand.
    pub url: Option<&'a str>,
}

/// What orders say about a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sentence {
    /// Nothing.
    Keep,
    /// It has to be validated before it is used.
    Validate,
    /// It is to be forgotten.
    Forget,
    /// It depends on the URL, which is not at hand.
    NeedsUrl,
}

/// Numbers of the last orders about one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Last {
    hard: u64,
    soft: u64,
}

/// The orders that some response may not have heard of.
#[derive(Debug)]
pub struct Purges {
    targets: BTreeMap<Target, Last>,
    /// The prefixes among the targets: host, and how many there are on it.
    prefixes: BTreeMap<u64, u32>,
    /// In the order of their numbers.
    queue: VecDeque<(u64, Target)>,
    orders_max: usize,
    /// Orders up to this number are not remembered one by one: whatever is older is forgotten.
    floor: u64,
}

impl Purges {
    /// None so far; at most `orders_max` are told apart.
    #[must_use]
    pub fn new(orders_max: usize) -> Self {
        let (targets, prefixes) = (BTreeMap::new(), BTreeMap::new());
        Self { targets, prefixes, queue: VecDeque::new(), orders_max, floor: 0 }
    }

    /// Orders that are told apart.
    #[must_use]
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Takes up an order; its number is higher than those before.
    pub fn add(&mut self, order: &Order) {
        let is_new = !self.targets.contains_key(&order.target);
        if let (true, Target::Prefix(host, _)) = (is_new, &order.target) {
            *self.prefixes.entry(*host).or_default() += 1;
        }
        let last = self.targets.entry(order.target.clone()).or_default();
        let number = if order.soft { &mut last.soft } else { &mut last.hard };
        *number = order.number.max(*number);
        self.queue.push_back((order.number, order.target.clone()));
        while self.queue.len() > self.orders_max {
            self.merge_oldest();
        }
    }

    // What the oldest order says is said in a coarser way: a prefix as its host, anything else as the floor.
    fn merge_oldest(&mut self) {
        let Some((number, target)) = self.queue.pop_front() else { return };
        let Some(last) = self.targets.get(&target).copied() else { return };
        if last.hard.max(last.soft) > number {
            // There is a younger order about the same, which stands further back.
            return;
        }
        self.targets.remove(&target);
        let Target::Prefix(host, _) = target else {
            self.floor = self.floor.max(number);
            return;
        };
        if let Some(count) = self.prefixes.get_mut(&host) {
            *count -= 1;
            if *count == 0 {
                self.prefixes.remove(&host);
            }
        }
        let whole_host = self.targets.entry(Target::Host(host)).or_default();
        if *whole_host == Last::default() {
            // It takes the place that was freed, and its turn comes after the others.
            self.queue.push_back((number, Target::Host(host)));
        }
        whole_host.hard = whole_host.hard.max(last.hard);
        whole_host.soft = whole_host.soft.max(last.soft);
    }

    /// What the orders say about a response.
    #[must_use]
    pub fn judge(&self, subject: &Subject<'_>) -> Sentence {
        if subject.since < self.floor {
            return Sentence::Forget;
        }
        let mut validate = false;
        let mut look = |target: &Target| {
            let last = self.targets.get(target).copied().unwrap_or_default();
            validate |= last.soft > subject.since;
            last.hard > subject.since
        };
        let named = [
            Target::Url(subject.name),
            Target::Variant(subject.name, subject.variant),
            Target::Host(subject.host),
        ];
        if named.iter().any(&mut look) || subject.tags.iter().any(|tag| look(&Target::Tag(*tag))) {
            return Sentence::Forget;
        }
        let mut needs_url = false;
        if self.prefixes.contains_key(&subject.host) {
            let first = Target::Prefix(subject.host, String::new());
            for (target, last) in self.targets.range(first..) {
                let Target::Prefix(host, prefix) = target else { break };
                if *host != subject.host {
                    break;
                }
                let is_meant = subject.url.map(|url| url.starts_with(prefix.as_str()));
                if last.hard > subject.since {
                    match is_meant {
                        Some(true) => return Sentence::Forget,
                        Some(false) => {}
                        None => needs_url = true,
                    }
                }
                if last.soft > subject.since {
                    validate |= is_meant == Some(true);
                    needs_url |= is_meant.is_none();
                }
            }
        }
        match (needs_url, validate) {
            (true, _) => Sentence::NeedsUrl,
            (false, true) => Sentence::Validate,
            (false, false) => Sentence::Keep,
        }
    }
}

/// Octets of an order in the log besides its text.
const ORDER_OCTETS: usize = 2 + 1 + 1 + 3 * 8 + 8;

impl Order {
    /// Writes it as the log has it.
    pub fn write(&self, out: &mut Vec<u8>) {
        let (kind, first, second, text) = match &self.target {
            Target::Url(name) => (1, *name, 0, ""),
            Target::Variant(name, variant) => (2, *name, *variant, ""),
            Target::Host(host) => (3, *host, 0, ""),
            Target::Tag(tag) => (4, *tag, 0, ""),
            Target::Prefix(host, text) => (5, *host, 0, text.as_str()),
        };
        let begin = out.len();
        // A prefix is part of a URL, and those are shorter than this by far.
        let octets = u16::try_from(ORDER_OCTETS + text.len()).unwrap_or(u16::MAX);
        out.extend(octets.to_be_bytes());
        out.extend([kind, u8::from(self.soft)]);
        [self.number, first, second].iter().for_each(|number| out.extend(number.to_be_bytes()));
        out.extend(&text.as_bytes()[..usize::from(octets) - ORDER_OCTETS]);
        let hash = super::record::block_hash(&out[begin..]);
        out.extend(hash.to_be_bytes());
    }

    /// Reads one order of a log.
    ///
    /// # Errors
    /// [`Malformed`] where none stands: at the end, or where writing was cut short.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let begin = reader.position();
        let octets = usize::from(reader.u16("length of an order")?);
        let text_octets = octets.checked_sub(ORDER_OCTETS).ok_or_else(|| reader.malformed("an order"))?;
        let (kind, soft) = (reader.u8("kind of an order")?, reader.u8("flag of an order")? != 0);
        let mut numbers = || reader.u64("number of an order");
        let (number, first, second) = (numbers()?, numbers()?, numbers()?);
        let text = reader.take(text_octets, "text of an order")?;
        let end = reader.position();
        let hash = reader.u64("hash of an order")?;
        if hash != super::record::block_hash(&reader.whole()[begin..end]) {
            return Err(Malformed::new("hash of an order", end));
        }
        let target = match kind {
            1 => Target::Url(first),
            2 => Target::Variant(first, second),
            3 => Target::Host(first),
            4 => Target::Tag(first),
            5 => Target::Prefix(first, String::from_utf8_lossy(text).into_owned()),
            _ => return Err(Malformed::new("kind of an order", begin + 2)),
        };
        Ok(Self { number, soft, target })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: Subject<'_> = Subject { since: 0, name: 1, variant: 2, host: 3, tags: &[4, 5], url: None };

    fn order(number: u64, soft: bool, target: Target) -> Order {
        Order { number, soft, target }
    }

    #[track_caller]
    fn check(orders: &[Order], subject: Subject<'_>, expected: Sentence) {
        let mut purges = Purges::new(100);
        orders.iter().for_each(|order| purges.add(order));
        assert_eq!(purges.judge(&subject), expected);
    }

    #[test]
    fn an_order_is_about_what_is_older_than_it() {
        for target in [Target::Url(1), Target::Variant(1, 2), Target::Host(3), Target::Tag(5)] {
            let orders = [order(7, false, target.clone())];
            check(&orders, Subject { since: 6, ..NOBODY }, Sentence::Forget);
            check(&orders, Subject { since: 7, ..NOBODY }, Sentence::Keep);
            let soft = [order(7, true, target.clone())];
            check(&soft, Subject { since: 6, ..NOBODY }, Sentence::Validate);
            let both = [order(7, false, target.clone()), order(8, true, target)];
            check(&both, Subject { since: 6, ..NOBODY }, Sentence::Forget);
            check(&both, Subject { since: 7, ..NOBODY }, Sentence::Validate);
        }
        for target in [Target::Url(2), Target::Variant(1, 3), Target::Host(1), Target::Tag(1)] {
            check(&[order(7, false, target)], NOBODY, Sentence::Keep);
        }
    }

    #[test]
    fn a_prefix_needs_the_url_of_what_is_on_its_host() {
        let orders = [order(7, false, Target::Prefix(3, "http://a/b".to_owned()))];
        check(&orders, NOBODY, Sentence::NeedsUrl);
        check(&orders, Subject { url: Some("http://a/bc"), ..NOBODY }, Sentence::Forget);
        check(&orders, Subject { url: Some("http://a/c"), ..NOBODY }, Sentence::Keep);
        check(&orders, Subject { host: 9, ..NOBODY }, Sentence::Keep);
        check(&orders, Subject { since: 7, ..NOBODY }, Sentence::Keep);
        let soft = [order(7, true, Target::Prefix(3, "http://a/b".to_owned()))];
        check(&soft, Subject { url: Some("http://a/bc"), ..NOBODY }, Sentence::Validate);
    }

    #[test]
    fn orders_beyond_the_bound_forget_more_but_never_less() {
        let mut purges = Purges::new(3);
        purges.add(&order(1, false, Target::Prefix(3, "http://a/b".to_owned())));
        for number in 2..5 {
            purges.add(&order(number, false, Target::Tag(number)));
        }
        // The prefix became its host, and the oldest tag the floor.
        assert_eq!((purges.len(), purges.floor), (3, 2));
        let beside = Subject { url: Some("http://a/zz"), tags: &[], ..NOBODY };
        assert_eq!(purges.judge(&beside), Sentence::Forget);
        assert_eq!(purges.judge(&Subject { since: 2, ..beside }), Sentence::Keep);
        for number in 5..20 {
            purges.add(&order(number, false, Target::Tag(number)));
        }
        assert!(purges.len() <= 3 && purges.prefixes.is_empty());
        assert_eq!(purges.judge(&Subject { host: 99, tags: &[], ..NOBODY }), Sentence::Forget);
        let young = Subject { since: 18, host: 99, tags: &[], ..NOBODY };
        assert_eq!(purges.judge(&young), Sentence::Keep);
        assert_eq!(purges.judge(&Subject { tags: &[19], ..young }), Sentence::Forget);
    }

    #[test]
    fn the_log_gives_back_what_was_written_up_to_where_it_was_cut() {
        let orders = [
            order(1, false, Target::Url(10)),
            order(2, true, Target::Variant(10, 11)),
            order(3, false, Target::Host(12)),
            order(4, true, Target::Tag(13)),
            order(5, false, Target::Prefix(12, "https://a.example/x".to_owned())),
        ];
        let mut log = Vec::new();
        let mut ends = vec![0];
        for order in &orders {
            order.write(&mut log);
            ends.push(log.len());
        }
        for length in 0..=log.len() {
            let mut reader = Reader::new(&log[..length]);
            let mut read = Vec::new();
            while let Ok(order) = Order::read(&mut reader) {
                read.push(order);
            }
            let whole = ends.iter().filter(|end| **end <= length).count() - 1;
            assert_eq!(read, orders[..whole], "{length} octets");
        }
        for at in 0..log.len() {
            let mut damaged = log.clone();
            damaged[at] ^= 1;
            let mut reader = Reader::new(&damaged);
            let count = std::iter::from_fn(|| Order::read(&mut reader).ok()).count();
            assert!(count < orders.len(), "octet {at} is not checked");
        }
    }
}
