//! The record of one key over all stores: read and merged, sealed and written under lock.

use std::time::Duration;

use super::{Locked, StoreLock, Stores, Tier};
use crate::auth::TokenRequest;
use crate::auth::key::SlotKey;
use crate::auth::record::{Record, Seal, StoredRefusal};
use crate::auth::time::Moment;

/// How long a record is of use after what is in it: so long its generation and its count of
/// refusals are remembered.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// The way to one key's record.
pub(crate) struct Vault<'a> {
    stores: &'a Stores,
    seal: Seal,
    name: String,
}

impl<'a> Vault<'a> {
    /// `None` where there are no stores.
    pub(crate) fn new(stores: &'a Stores, request: &TokenRequest, key: SlotKey) -> Option<Self> {
        let seal = || Seal::new(request, key);
        (!stores.all().is_empty()).then(|| Vault {
            stores,
            seal: seal(),
            name: format!("token-{key}"),
        })
    }

    /// Takes those locks that are still missing, nearest store first. Whether it has all that can
    /// be had.
    pub(crate) fn try_lock(&self, locks: &mut Locks<'a>, lease: Duration) -> bool {
        locks.take(self.stores, &self.name, lease)
    }

    /// What the stores know between them; those behind one that is enough are not asked.
    pub(crate) fn read(&self, is_enough: impl Fn(&Record) -> bool) -> Record {
        let mut known = Record::default();
        for tier in self.stores.usable() {
            if let Some(record) = self.record(tier) {
                merge(&mut known, record);
            }
            if is_enough(&known) {
                break;
            }
        }
        known
    }

    /// Writes to every store whose lock is held, unless it knows better by now: a lock that ends
    /// with its lease may have been somebody else's since.
    pub(crate) fn write(&self, locks: &Locks<'a>, record: &Record, now: Moment) {
        let Some(sealed) = self.seal.seal(record) else {
            return;
        };
        let token = record.token.as_ref().map_or(0, |token| token.expires);
        let refusal = record.refusal.as_ref().map_or(0, |refusal| refusal.until);
        let useful = token.max(refusal).saturating_sub(now.wall_millis());
        for (tier, _) in &locks.held {
            let stored = self.record(tier).map_or(0, |stored| stored.generation);
            if stored <= record.generation {
                tier.put(
                    &self.name,
                    &sealed,
                    REMEMBERED + Duration::from_millis(useful),
                );
            }
        }
    }

    /// Changes the record in every store whose lock is free; who holds the lock is about to write
    /// something newer.
    pub(crate) fn edit(&self, now: Moment, change: impl Fn(&mut Record) -> bool) {
        for tier in self.stores.usable() {
            if let Locked::Taken(lock) = tier.try_lock(&self.name, Duration::from_secs(2))
                && let Some(mut record) = self.record(tier)
                && change(&mut record)
            {
                self.write(
                    &Locks {
                        held: vec![(tier, lock)],
                    },
                    &record,
                    now,
                );
            }
        }
    }

    fn record(&self, tier: &Tier) -> Option<Record> {
        self.seal.open(&tier.get(&self.name)?)
    }
}

fn merge(known: &mut Record, other: Record) {
    let refused_at = |refusal: &Option<StoredRefusal>| refusal.as_ref().map_or(0, |it| it.at);
    if refused_at(&other.refusal) > refused_at(&known.refusal) {
        known.refusal = other.refusal;
    }
    if other.generation > known.generation {
        known.generation = other.generation;
        known.token = other.token;
    }
}

/// Locks of the same name in several stores.
#[derive(Debug, Default)]
pub(crate) struct Locks<'a> {
    held: Vec<(&'a Tier, StoreLock)>,
}

impl<'a> Locks<'a> {
    pub(crate) fn take(&mut self, stores: &'a Stores, name: &str, lease: Duration) -> bool {
        for tier in stores.usable() {
            if self.held.iter().any(|(held, _)| std::ptr::eq(*held, tier)) {
                continue;
            }
            match tier.try_lock(name, lease) {
                Locked::Taken(lock) => self.held.push((tier, lock)),
                Locked::Busy => return false,
                Locked::Unusable => {}
            }
        }
        true
    }

    /// The stores whose locks are held.
    pub(crate) fn tiers(&self) -> impl Iterator<Item = &'a Tier> {
        self.held.iter().map(|(tier, _)| *tier)
    }
}
