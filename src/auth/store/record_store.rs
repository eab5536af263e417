//! The record of one cache key in all stores: read and merged, encrypted and written under lock.

use std::time::Duration;

use super::{Ability, LockResult, StoreChain, StoreTier};
use crate::auth::key::{CacheKey, TOKEN_PREFIX};
use crate::auth::record::{RecordCipher, StoredAuthFailure, TokenRecord};
use crate::auth::time::Timestamp;
use crate::auth::{StoreLock, TokenRequest};
use crate::call::CallContext;

/// How long a record is kept after its content expired, for its generation and its number of
/// authentication failures.
const RECORD_GRACE: Duration = Duration::from_secs(3600);

/// Lease of a lock that is held for a moment only.
pub(crate) const SHORT_LEASE: Duration = Duration::from_secs(2);

/// Timeout of an update.
const UPDATE_TIMEOUT: Duration = Duration::from_secs(1);

/// Access to the record of one cache key.
pub(crate) struct RecordStore<'a> {
    stores: &'a StoreChain,
    cipher: RecordCipher,
    name: String,
}

/// The records of all stores, merged.
pub(crate) struct MergedRecord<'a> {
    pub(crate) record: TokenRecord,
    /// The nearest store that has this record.
    pub(crate) source: Option<&'a StoreTier>,
    /// Stores with an older record.
    stale_tiers: Vec<&'a StoreTier>,
}

impl<'a> RecordStore<'a> {
    /// Returns `None` if there are no stores.
    pub(crate) fn new(
        stores: &'a StoreChain,
        request: &TokenRequest,
        key: CacheKey,
    ) -> Option<Self> {
        let record_store = || RecordStore {
            stores,
            cipher: RecordCipher::new(request, key),
            name: format!("{TOKEN_PREFIX}{}", key.digest()),
        };
        (!stores.is_empty()).then(record_store)
    }

    /// Tries to take the missing locks; see [`HeldLocks::acquire`].
    pub(crate) fn try_lock(
        &self,
        call: &CallContext,
        locks: &mut HeldLocks<'a>,
        lease: Duration,
    ) -> bool {
        locks.acquire(self.stores, call, &self.name, lease)
    }

    /// Tries to take the missing locks under a second name, for callers who no longer wait for the
    /// owner of the first: one of them at a time continues in its place.
    pub(crate) fn try_lock_in_place_of_owner(
        &self,
        call: &CallContext,
        locks: &mut HeldLocks<'a>,
        lease: Duration,
    ) -> bool {
        locks.acquire_second(self.stores, call, &self.name, lease)
    }

    /// Continues without the locks that another process holds; see [`HeldLocks::override_busy`].
    pub(crate) fn override_busy(&self, call: &CallContext, locks: &mut HeldLocks<'a>) {
        locks.override_busy(self.stores, call);
    }

    /// Reads the stores, nearest first, until the merged record `is_enough`.
    pub(crate) fn read(
        &self,
        call: &CallContext,
        is_enough: impl Fn(&TokenRecord) -> bool,
    ) -> MergedRecord<'a> {
        let mut record = TokenRecord::default();
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
        MergedRecord {
            record,
            source,
            stale_tiers: read.into_iter().map(|(tier, _)| tier).collect(),
        }
    }

    /// Writes the merged record to the stores with an older one, for example from a remote store to
    /// files.
    pub(crate) fn backfill(
        &self,
        call: &CallContext,
        locks: &HeldLocks<'a>,
        known: &MergedRecord<'a>,
        now: Timestamp,
    ) {
        let Some((sealed, ttl)) = self.sealed(&known.record, now) else {
            return;
        };
        for tier in &known.stale_tiers {
            let _lock = match locks.contains(tier) {
                true => None,
                false => match tier.try_lock(call, &self.name, SHORT_LEASE) {
                    LockResult::Acquired(lock) => Some(lock),
                    LockResult::Contended | LockResult::Failed => continue,
                },
            };
            self.put(call, tier, &sealed, ttl, known.record.generation);
        }
    }

    /// Writes a record to every store whose lock is held or overridden.
    pub(crate) fn write(
        &self,
        call: &CallContext,
        locks: &HeldLocks<'a>,
        record: &TokenRecord,
        now: Timestamp,
    ) {
        let Some((sealed, ttl)) = self.sealed(record, now) else {
            return;
        };
        for tier in self.stores.usable(call).filter(|tier| locks.contains(tier)) {
            self.put(call, tier, &sealed, ttl, record.generation);
        }
    }

    /// Changes the record in every store whose lock is free; an owner of the lock is about to write
    /// a newer one.
    pub(crate) fn update(
        &self,
        call: &CallContext,
        now: Timestamp,
        change: impl Fn(&mut TokenRecord) -> bool,
    ) {
        let call = &call.with_max_timeout(UPDATE_TIMEOUT);
        for tier in self.stores.usable(call) {
            if let LockResult::Acquired(_lock) = tier.try_lock(call, &self.name, SHORT_LEASE)
                && let Some(mut record) = self.record(call, tier)
                && change(&mut record)
                && let Some((sealed, ttl)) = self.sealed(&record, now)
            {
                self.put(call, tier, &sealed, ttl, record.generation);
            }
        }
    }

    /// Returns the sealed record and its time to live.
    fn sealed(&self, record: &TokenRecord, now: Timestamp) -> Option<(Vec<u8>, Duration)> {
        let token = record.token.as_ref().map_or(0, |token| token.expires_at);
        let auth_failure = record
            .auth_failure
            .as_ref()
            .map_or(0, |auth_failure| auth_failure.until);
        let pause = record.refresh_pause.map_or(0, |pause| pause.until);
        let until_expiry = token
            .max(auth_failure)
            .max(pause)
            .saturating_sub(now.wall_millis());
        Some((
            self.cipher.seal(record)?,
            RECORD_GRACE + Duration::from_millis(until_expiry),
        ))
    }

    /// Writes a record unless the store has a newer one: after its lease, the lock may have had
    /// another owner.
    fn put(
        &self,
        call: &CallContext,
        tier: &StoreTier,
        sealed: &[u8],
        ttl: Duration,
        generation: u64,
    ) {
        if self
            .record(call, tier)
            .is_none_or(|stored| stored.generation <= generation)
        {
            tier.put(call, &self.name, sealed, ttl);
        }
    }

    fn record(&self, call: &CallContext, tier: &StoreTier) -> Option<TokenRecord> {
        self.cipher.open(&tier.get(call, &self.name)?)
    }
}

fn merge(known: &mut TokenRecord, other: TokenRecord) {
    let rejected_at =
        |auth_failure: &Option<StoredAuthFailure>| auth_failure.as_ref().map_or(0, |it| it.at);
    if rejected_at(&other.auth_failure) > rejected_at(&known.auth_failure) {
        known.auth_failure = other.auth_failure;
    }
    if other.refresh_pause.map(|it| it.at) > known.refresh_pause.map(|it| it.at) {
        known.refresh_pause = other.refresh_pause;
    }
    if other.generation > known.generation {
        known.generation = other.generation;
        known.token = other.token;
    }
}

/// Locks of one name in several stores.
#[derive(Debug, Default)]
pub(crate) struct HeldLocks<'a> {
    /// `None` for a lock that is overridden.
    locks: Vec<(&'a StoreTier, Option<StoreLock>)>,
}

impl<'a> HeldLocks<'a> {
    /// Tries to take the missing locks, nearest store first. Returns false if another owner holds one;
    /// stores that fail are skipped.
    pub(crate) fn acquire(
        &mut self,
        stores: &'a StoreChain,
        call: &CallContext,
        name: &str,
        lease: Duration,
    ) -> bool {
        for tier in stores.usable(call) {
            if self.contains(tier) {
                continue;
            }
            match tier.try_lock(call, name, lease) {
                LockResult::Acquired(lock) => self.locks.push((tier, Some(lock))),
                LockResult::Contended => return false,
                LockResult::Failed => {}
            }
        }
        true
    }

    /// As [`acquire`](Self::acquire) under a second name, for callers who no longer wait for the
    /// owner of the first.
    pub(crate) fn acquire_second(
        &mut self,
        stores: &'a StoreChain,
        call: &CallContext,
        name: &str,
        lease: Duration,
    ) -> bool {
        self.acquire(stores, call, &format!("{name}-second"), lease)
    }

    /// Treats missing locks as held, so that their stores are written to: the generation of a token
    /// keeps an older one from replacing a newer one.
    pub(crate) fn override_busy(&mut self, stores: &'a StoreChain, call: &CallContext) {
        for tier in stores.usable(call) {
            if !self.contains(tier) && tier.can(Ability::Lock) {
                self.locks.push((tier, None));
            }
        }
    }

    pub(crate) fn contains(&self, tier: &StoreTier) -> bool {
        self.locks
            .iter()
            .any(|(locked, _)| std::ptr::eq(*locked, tier))
    }
}
