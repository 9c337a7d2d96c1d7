//! Things with a number each: found by index, and not found any more once removed, because the number
//! says which use of the place it meant.

/// Values in numbered places that are used again.
#[derive(Debug)]
pub(super) struct Slab<T> {
    places: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// How many values there are.
    pub(super) const fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Puts a value in; the number is its own until it is removed.
    pub(super) fn insert(&mut self, value: T) -> u64 {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.places.push((0, None));
                self.places.len() as u32 - 1
            }
        };
        let place = &mut self.places[index as usize];
        place.0 = place.0.wrapping_add(1);
        place.1 = Some(value);
        u64::from(place.0) << 32 | u64::from(index)
    }

    /// Every value, in the order of their places.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.places.iter().enumerate().filter_map(|(index, (times, value))| {
            Some((u64::from(*times) << 32 | index as u64, value.as_ref()?))
        })
    }

    pub(super) fn at(&self, number: u64) -> Option<&T> {
        let place = self.places.get(number as u32 as usize)?;
        place.1.as_ref().filter(|_| place.0 == (number >> 32) as u32)
    }

    pub(super) fn at_mut(&mut self, number: u64) -> Option<&mut T> {
        let place = self.places.get_mut(number as u32 as usize)?;
        place.1.as_mut().filter(|_| place.0 == (number >> 32) as u32)
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<T> {
        let place = self.places.get_mut(number as u32 as usize)?;
        if place.0 != (number >> 32) as u32 {
            return None;
        }
        let value = place.1.take()?;
        self.free.push(number as u32);
        Some(value)
    }

    /// Every value, in the order of places.
    pub(super) fn each_mut(&mut self, mut each: impl FnMut(&mut T)) {
        self.places.iter_mut().filter_map(|place| place.1.as_mut()).for_each(&mut each);
    }
}
