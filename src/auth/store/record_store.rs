//! The record of one key over all stores: read and merged, sealed and written under lock.

use std::time::Duration;

use super::{Ability, LockResult, StoreChain, StoreLock, StoreTier};
use crate::auth::TokenRequest;
use crate::auth::key::CacheKey;
use crate::auth::record::{RecordCipher, StoredAuthFailure, TokenRecord};
use crate::auth::time::Timestamp;
use crate::call::CallContext;

/// How long a record is of use after what is in it: so long its generation and its count of
/// auth_failures are remembered.
const RECORD_GRACE: Duration = Duration::from_secs(3600);

/// The lease of a lock that is held for an instant only.
pub(crate) const SHORT_LEASE: Duration = Duration::from_secs(2);

/// How long an edit may take.
const UPDATE_TIMEOUT: Duration = Duration::from_secs(1);

/// The way to one key's record.
pub(crate) struct RecordStore<'a> {
    stores: &'a StoreChain,
    seal: RecordCipher,
    name: String,
}

/// What the stores know between them.
pub(crate) struct MergedRecord<'a> {
    pub(crate) record: TokenRecord,
    /// The nearest store that has this record.
    pub(crate) source: Option<&'a StoreTier>,
    /// Those that know less than that.
    behind: Vec<&'a StoreTier>,
}

impl<'a> RecordStore<'a> {
    /// `None` where there are no stores.
    pub(crate) fn new(
        stores: &'a StoreChain,
        request: &TokenRequest,
        key: CacheKey,
    ) -> Option<Self> {
        let record_store = || RecordStore {
            stores,
            seal: RecordCipher::new(request, key),
            name: format!("token-{}", key.digest()),
        };
        (!stores.is_empty()).then(record_store)
    }

    /// Takes those locks that are still missing, nearest store first. Whether it has all that can be
    /// had.
    pub(crate) fn try_lock(
        &self,
        call: &CallContext,
        locks: &mut HeldLocks<'a>,
        lease: Duration,
    ) -> bool {
        locks.take(self.stores, call, &self.name, lease)
    }

    /// Takes the locks that are still missing under a second name, for callers who no longer wait
    /// for the owner of the first: one of them at a time goes on in its place.
    pub(crate) fn try_lock_in_place_of_owner(
        &self,
        call: &CallContext,
        locks: &mut HeldLocks<'a>,
        lease: Duration,
    ) -> bool {
        locks.take_second(self.stores, call, &self.name, lease)
    }

    /// Goes on without the locks that another process holds; see [`HeldLocks::override_busy`].
    pub(crate) fn override_busy(&self, call: &CallContext, locks: &mut HeldLocks<'a>) {
        locks.override_busy(self.stores, call);
    }

    /// Reads the stores; those behind one that is enough are not asked.
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
            behind: read.into_iter().map(|(tier, _)| tier).collect(),
        }
    }

    /// Brings up to date those stores that know less than others: what came from afar is kept near.
    pub(crate) fn level(
        &self,
        call: &CallContext,
        locks: &HeldLocks<'a>,
        known: &MergedRecord<'a>,
        now: Timestamp,
    ) {
        let Some((sealed, ttl)) = self.sealed(&known.record, now) else {
            return;
        };
        for tier in &known.behind {
            let _lock = match locks.has(tier) {
                true => None,
                false => match tier.try_lock(call, &self.name, SHORT_LEASE) {
                    LockResult::Acquired(lock) => Some(lock),
                    LockResult::Contended | LockResult::Failed => continue,
                },
            };
            self.put(call, tier, &sealed, ttl, known.record.generation);
        }
    }

    /// Writes to every store whose lock is held or overridden.
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
        for tier in self.stores.usable(call).filter(|tier| locks.has(tier)) {
            self.put(call, tier, &sealed, ttl, record.generation);
        }
    }

    /// Changes the record in every store whose lock is free; who holds the lock is about to write
    /// something newer.
    pub(crate) fn edit(
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

    /// The sealed record, and how long it is of use.
    fn sealed(&self, record: &TokenRecord, now: Timestamp) -> Option<(Vec<u8>, Duration)> {
        let token = record.token.as_ref().map_or(0, |token| token.expires);
        let auth_failure = record
            .auth_failure
            .as_ref()
            .map_or(0, |auth_failure| auth_failure.until);
        let pause = record.refresh_pause.map_or(0, |pause| pause.until);
        let useful = token
            .max(auth_failure)
            .max(pause)
            .saturating_sub(now.wall_millis());
        Some((
            self.seal.seal(record)?,
            RECORD_GRACE + Duration::from_millis(useful),
        ))
    }

    /// Puts a record unless the store knows better: a lock that ends with its lease may have been
    /// somebody else's since.
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
        self.seal.open(&tier.get(call, &self.name)?)
    }
}

fn merge(known: &mut TokenRecord, other: TokenRecord) {
    let refused_at =
        |auth_failure: &Option<StoredAuthFailure>| auth_failure.as_ref().map_or(0, |it| it.at);
    if refused_at(&other.auth_failure) > refused_at(&known.auth_failure) {
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

/// HeldLocks of the same name in several stores.
#[derive(Debug, Default)]
pub(crate) struct HeldLocks<'a> {
    /// `None` for a lock that is overridden.
    cached: Vec<(&'a StoreTier, Option<StoreLock>)>,
}

impl<'a> HeldLocks<'a> {
    /// Takes those locks that are still missing, nearest store first. Whether it has all that can be
    /// had.
    pub(crate) fn take(
        &mut self,
        stores: &'a StoreChain,
        call: &CallContext,
        name: &str,
        lease: Duration,
    ) -> bool {
        for tier in stores.usable(call) {
            if self.has(tier) {
                continue;
            }
            match tier.try_lock(call, name, lease) {
                LockResult::Acquired(lock) => self.cached.push((tier, Some(lock))),
                LockResult::Contended => return false,
                LockResult::Failed => {}
            }
        }
        true
    }

    /// The same under a second name, which excludes those who no longer wait for the owner of the
    /// first.
    pub(crate) fn take_second(
        &mut self,
        stores: &'a StoreChain,
        call: &CallContext,
        name: &str,
        lease: Duration,
    ) -> bool {
        self.take(stores, call, &format!("{name}-second"), lease)
    }

    /// Counts the locks that are still missing as cached, so that their stores are written to: the
    /// generation of a token keeps an older one from replacing a newer one.
    pub(crate) fn override_busy(&mut self, stores: &'a StoreChain, call: &CallContext) {
        for tier in stores.usable(call) {
            if !self.has(tier) && tier.can(Ability::Lock) {
                self.cached.push((tier, None));
            }
        }
    }

    pub(crate) fn has(&self, tier: &StoreTier) -> bool {
        self.cached
            .iter()
            .any(|(cached, _)| std::ptr::eq(*cached, tier))
    }
}
