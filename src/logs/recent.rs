//! A map of bounded size that forgets what was not touched for long: the state of connections and messages on the way.

use std::{collections::HashMap, hash::Hash};

/// At most twice `most` entries: when the younger half is full, the older half is forgotten.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    most: usize,
    /// How many entries were forgotten before somebody took them.
    pub(super) forgotten: u64,
}

impl<K: Eq + Hash, V> Recent<K, V> {
    pub(super) fn new(most: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), most, forgotten: 0 }
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        self.old.remove(&key);
        self.young.insert(key, value);
        if self.young.len() >= self.most {
            self.forgotten += u64::try_from(self.old.len()).unwrap_or(u64::MAX);
            self.old = std::mem::take(&mut self.young);
        }
    }

    /// The entry of a key, made where there is none.
    pub(super) fn entry(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        if !self.young.contains_key(&key) {
            let value = self.old.remove(&key).unwrap_or_default();
            if self.young.len() + 1 >= self.most {
                self.forgotten += u64::try_from(self.old.len()).unwrap_or(u64::MAX);
                self.old = std::mem::take(&mut self.young);
            }
            return self.young.entry(key).or_insert(value);
        }
        self.young.entry(key).or_default()
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        match self.young.get_mut(key) {
            Some(value) => Some(value),
            None => self.old.get_mut(key),
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let mut recent = Recent::new(10);
        (0..1000).for_each(|number| recent.insert(number, number));
        assert!(recent.young.len() + recent.old.len() <= 20);
        assert_eq!(recent.get_mut(&999), Some(&mut 999));
        assert_eq!(recent.remove(&0), None);
        assert!(recent.forgotten > 0);
    }
}
