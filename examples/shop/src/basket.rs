//! What the session keeps: the cart, and what was looked at. As text it is a form, so that nobody needs to learn
//! another way of writing.

use doorway_http::form::{FormLimits, Urlencoded, encode};

use crate::goods::find;

/// Most goods that are remembered as seen.
const SEEN_MAX: usize = 6;
/// Most of one good in a cart.
const COUNT_MAX: u32 = 99;

/// What one visitor has done here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Basket {
    /// Numbers of goods in the cart, and how many of each, in the order in which they were put in.
    pub(crate) cart: Vec<(u32, u32)>,
    /// Numbers of goods that were looked at, the latest last.
    pub(crate) seen: Vec<u32>,
}

impl Basket {
    /// Reads the value of a session. What means nothing here is left out.
    pub(crate) fn read(value: &[u8]) -> Self {
        let mut basket = Self::default();
        for (name, value) in Urlencoded::parse(value, FormLimits::default()).unwrap_or_default() {
            let number = |text: &str| text.parse().ok();
            match (name.as_str(), name.strip_prefix("cart.").and_then(number), number(&value)) {
                (_, Some(id), Some(count)) => basket.put(id, count),
                ("seen", None, Some(id)) => basket.saw(id),
                _ => {}
            }
        }
        basket
    }

    /// The value of a session.
    pub(crate) fn write(&self) -> String {
        let cart = self.cart.iter().map(|(id, count)| (format!("cart.{id}"), count.to_string()));
        let seen = self.seen.iter().map(|id| ("seen".to_owned(), id.to_string()));
        let fields: Vec<(String, String)> = cart.chain(seen).collect();
        encode(fields.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// Puts so many more of a good into the cart.
    pub(crate) fn put(&mut self, id: u32, count: u32) {
        if find(id).is_none() || count == 0 {
            return;
        }
        match self.cart.iter_mut().find(|(known, _)| *known == id) {
            Some((_, there)) => *there = there.saturating_add(count).min(COUNT_MAX),
            None => self.cart.push((id, count.min(COUNT_MAX))),
        }
    }

    /// Takes a good out of the cart.
    pub(crate) fn take_out(&mut self, id: u32) {
        self.cart.retain(|(known, _)| *known != id);
    }

    /// Remembers that a good was looked at.
    pub(crate) fn saw(&mut self, id: u32) {
        if find(id).is_none() {
            return;
        }
        self.seen.retain(|known| *known != id);
        self.seen.push(id);
        if self.seen.len() > SEEN_MAX {
            self.seen.remove(0);
        }
    }

    /// How many things are in the cart.
    pub(crate) fn count(&self) -> u32 {
        self.cart.iter().map(|(_, count)| count).sum()
    }

    /// What they cost together, in cents.
    pub(crate) fn cents(&self) -> u32 {
        self.cart.iter().filter_map(|(id, count)| Some(find(*id)?.cents * count)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_basket_reads_back_and_nonsense_is_left_out() {
        let mut basket = Basket::default();
        basket.put(3, 2);
        basket.put(1, 1);
        basket.put(3, 200);
        basket.put(77, 1);
        for id in [1, 2, 1, 3, 4, 5, 6, 7] {
            basket.saw(id);
        }
        assert_eq!(basket.write(), "cart.3=99&cart.1=1&seen=1&seen=3&seen=4&seen=5&seen=6&seen=7");
        assert_eq!(Basket::read(basket.write().as_bytes()), basket);
        assert_eq!((basket.count(), basket.cents()), (100, 99 * 900 + 3400));
        assert_eq!(Basket::read(b"cart.x=1&cart.1=&seen=&seen=99&%zz"), Basket::default());
    }
}
