//! The record of one key over all stores: read and merged, sealed and written under lock.

use std::time::Duration;

use super::{Ability, Locked, StoreLock, Stores, Tier};
use crate::auth::TokenRequest;
use crate::auth::key::SlotKey;
use crate::auth::record::{Record, Seal, StoredRefusal};
use crate::auth::time::Moment;
use crate::call::Call;

/// How long a record is of use after what is in it: so long its generation and its count of
/// refusals are remembered.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// The lease of a lock that is held for an instant only.
pub(crate) const MOMENT: Duration = Duration::from_secs(2);

/// How long an edit may take.
const EDITING: Duration = Duration::from_secs(1);

/// The way to one key's record.
pub(crate) struct Vault<'a> {
    stores: &'a Stores,
    seal: Seal,
    name: String,
}

/// What the stores know between them.
pub(crate) struct Known<'a> {
    pub(crate) record: Record,
    /// The nearest store that has this record.
    pub(crate) source: Option<&'a Tier>,
    /// Those that know less than that.
    behind: Vec<&'a Tier>,
}

impl<'a> Vault<'a> {
    /// `None` where there are no stores.
    pub(crate) fn new(stores: &'a Stores, request: &TokenRequest, key: SlotKey) -> Option<Self> {
        let vault = || Vault {
            stores,
            seal: Seal::new(request, key),
            name: format!("token-{}", key.digest()),
        };
        (!stores.is_empty()).then(vault)
    }

    /// Takes those locks that are still missing, nearest store first. Whether it has all that can be
    /// had.
    pub(crate) fn try_lock(&self, call: &Call, locks: &mut Locks<'a>, lease: Duration) -> bool {
        locks.take(self.stores, call, &self.name, lease)
    }

    /// Takes the locks that are still missing under a second name, for callers who no longer wait
    /// for the owner of the first: one of them at a time goes on in its place.
    pub(crate) fn try_lock_in_place_of_owner(
        &self,
        call: &Call,
        locks: &mut Locks<'a>,
        lease: Duration,
    ) -> bool {
        locks.take_second(self.stores, call, &self.name, lease)
    }

    /// Goes on without the locks that another process holds; see [`Locks::override_busy`].
    pub(crate) fn override_busy(&self, call: &Call, locks: &mut Locks<'a>) {
        locks.override_busy(self.stores, call);
    }

    /// Reads the stores; those behind one that is enough are not asked.
    pub(crate) fn read(&self, call: &Call, is_enough: impl Fn(&Record) -> bool) -> Known<'a> {
        let mut record = Record::default();
        let mut read = Vec::new();
        for tier in self.stores.usable(call) {
            let stored = self.record(call, tier).unwrap_or_default();
            read.push((tier, stored.generation));
            merge(&mut record, stored);
            if is_enough(&record) {
                break;
            }
        }
        let source = read
            .iter()
            .find(|(_, generation)| *generation == record.generation)
            .map(|(tier, _)| *tier);
        read.retain(|(_, generation)| *generation < record.generation);
        Known {
            record,
            source,
            behind: read.into_iter().map(|(tier, _)| tier).collect(),
        }
    }

    /// Brings up to date those stores that know less than others: what came from afar is kept near.
    pub(crate) fn level(&self, call: &Call, locks: &Locks<'a>, known: &Known<'a>, now: Moment) {
        let Some((sealed, keep)) = self.sealed(&known.record, now) else {
            return;
        };
        for tier in &known.behind {
            let _lock = match locks.has(tier) {
                true => None,
                false => match tier.try_lock(call, &self.name, MOMENT) {
                    Locked::Taken(lock) => Some(lock),
                    Locked::Busy | Locked::Unusable => continue,
                },
            };
            self.put(call, tier, &sealed, keep, known.record.generation);
        }
    }

    /// Writes to every store whose lock is held or overridden.
    pub(crate) fn write(&self, call: &Call, locks: &Locks<'a>, record: &Record, now: Moment) {
        let Some((sealed, keep)) = self.sealed(record, now) else {
            return;
        };
        for tier in self.stores.usable(call).filter(|tier| locks.has(tier)) {
            self.put(call, tier, &sealed, keep, record.generation);
        }
    }

    /// Changes the record in every store whose lock is free; who holds the lock is about to write
    /// something newer.
    pub(crate) fn edit(&self, call: &Call, now: Moment, change: impl Fn(&mut Record) -> bool) {
        let call = &call.at_most(EDITING);
        for tier in self.stores.usable(call) {
            if let Locked::Taken(_lock) = tier.try_lock(call, &self.name, MOMENT)
                && let Some(mut record) = self.record(call, tier)
                && change(&mut record)
                && let Some((sealed, keep)) = self.sealed(&record, now)
            {
                self.put(call, tier, &sealed, keep, record.generation);
            }
        }
    }

    /// The sealed record, and how long it is of use.
    fn sealed(&self, record: &Record, now: Moment) -> Option<(Vec<u8>, Duration)> {
        let token = record.token.as_ref().map_or(0, |token| token.expires);
        let refusal = record.refusal.as_ref().map_or(0, |refusal| refusal.until);
        let pause = record.refresh_pause.map_or(0, |pause| pause.until);
        let useful = token
            .max(refusal)
            .max(pause)
            .saturating_sub(now.wall_millis());
        Some((
            self.seal.seal(record)?,
            REMEMBERED + Duration::from_millis(useful),
        ))
    }

    /// Puts a record unless the store knows better: a lock that ends with its lease may have been
    /// somebody else's since.
    fn put(&self, call: &Call, tier: &Tier, sealed: &[u8], keep: Duration, generation: u64) {
        if self
            .record(call, tier)
            .is_none_or(|stored| stored.generation <= generation)
        {
            tier.put(call, &self.name, sealed, keep);
        }
    }

    fn record(&self, call: &Call, tier: &Tier) -> Option<Record> {
        self.seal.open(&tier.get(call, &self.name)?)
    }
}

fn merge(known: &mut Record, other: Record) {
    let refused_at = |refusal: &Option<StoredRefusal>| refusal.as_ref().map_or(0, |it| it.at);
    if refused_at(&other.refusal) > refused_at(&known.refusal) {
        known.refusal = other.refusal;
    }
    if other.refresh_pause.map(|it| it.at) > known.refresh_pause.map(|it| it.at) {
        known.refresh_pause = other.refresh_pause;
    }
    if other.generation > known.generation {
        known.generation = other.generation;
        known.token = other.token;
    }
}

/// Locks of the same name in several stores.
#[derive(Debug, Default)]
pub(crate) struct Locks<'a> {
    /// `None` for a lock that is overridden.
    held: Vec<(&'a Tier, Option<StoreLock>)>,
}

impl<'a> Locks<'a> {
    /// Takes those locks that are still missing, nearest store first. Whether it has all that can be
    /// had.
    pub(crate) fn take(
        &mut self,
        stores: &'a Stores,
        call: &Call,
        name: &str,
        lease: Duration,
    ) -> bool {
        for tier in stores.usable(call) {
            if self.has(tier) {
                continue;
            }
            match tier.try_lock(call, name, lease) {
                Locked::Taken(lock) => self.held.push((tier, Some(lock))),
                Locked::Busy => return false,
                Locked::Unusable => {}
            }
        }
        true
    }

    /// The same under a second name, which excludes those who no longer wait for the owner of the
    /// first.
    pub(crate) fn take_second(
        &mut self,
        stores: &'a Stores,
        call: &Call,
        name: &str,
        lease: Duration,
    ) -> bool {
        self.take(stores, call, &format!("{name}-second"), lease)
    }

    /// Counts the locks that are still missing as held, so that their stores are written to: the
    /// generation of a token keeps an older one from replacing a newer one.
    pub(crate) fn override_busy(&mut self, stores: &'a Stores, call: &Call) {
        for tier in stores.usable(call) {
            if !self.has(tier) && tier.can(Ability::Lock) {
                self.held.push((tier, None));
            }
        }
    }

    pub(crate) fn has(&self, tier: &Tier) -> bool {
        self.held.iter().any(|(held, _)| std::ptr::eq(*held, tier))
    }
}
