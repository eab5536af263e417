//! The record of one cache key in the stores: read, encrypted and written.

use std::time::Duration;

use super::{LockResult, Store, StoreChain, StoreTime};
use crate::auth::TokenRequest;
use crate::auth::key::{CacheKey, TOKEN_PREFIX};
use crate::auth::time::Clock;
use crate::auth::token_record::{
    RecordCipher, StoredAuthFailure, TokenRecord, is_of_other_version,
};
use crate::call::CallContext;

/// How long a record is kept after its content expired, for its generation and its number of
/// authentication failures.
const RECORD_GRACE: Duration = Duration::from_secs(3600);

/// Lease of a lock that is held for a moment only.
pub(crate) const SHORT_LEASE: Duration = Duration::from_secs(2);

/// Timeout of an update.
const UPDATE_TIMEOUT: Duration = Duration::from_secs(1);

/// Access to the record of one cache key. Records are read and written in the time of this machine; the
/// times in a store are those of the store's server, if it has one.
pub(crate) struct RecordStore<'a> {
    stores: &'a StoreChain,
    clock: &'a Clock,
    cipher: RecordCipher,
    name: String,
    /// Used instead if another version of the library has a record under the first name.
    second_name: String,
}

/// The stores that a caller reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadScope {
    /// The shared store; the fallback only if the shared store lacks an ability.
    Shared,
    /// The fallback too, for what was obtained while the shared store was not available: before a
    /// token request is sent.
    All,
}

/// The newest record of the stores.
#[derive(Debug, Default)]
pub(crate) struct FoundRecord<'a> {
    pub(crate) record: TokenRecord,
    /// The store that has the token.
    pub(crate) source: Option<&'a Store>,
    /// Whether a part of it is in the fallback only.
    is_unshared: bool,
}

/// One record in one store.
struct StoredRecord {
    record: Option<TokenRecord>,
    /// The name to write it under.
    name: String,
    time: StoreTime,
}

impl StoredRecord {
    fn generation(&self) -> u64 {
        self.record.as_ref().map_or(0, |record| record.generation)
    }
}

impl<'a> RecordStore<'a> {
    /// Returns `None` if there are no stores.
    pub(crate) fn new(
        stores: &'a StoreChain,
        clock: &'a Clock,
        request: &TokenRequest,
        key: CacheKey,
    ) -> Option<Self> {
        let record_store = || RecordStore {
            stores,
            clock,
            cipher: RecordCipher::new(request, key),
            name: format!("{TOKEN_PREFIX}{}", key.digest()),
            second_name: format!("{TOKEN_PREFIX}{}", key.second_digest()),
        };
        (!stores.is_empty()).then(record_store)
    }

    /// Tries to take the lock of the record.
    pub(crate) fn try_lock(&self, call: &CallContext, lease: Duration) -> LockResult {
        self.stores.try_lock(call, &self.name, lease)
    }

    /// See [`StoreChain::try_second_lock`].
    pub(crate) fn try_second_lock(&self, call: &CallContext, lease: Duration) -> LockResult {
        self.stores.try_second_lock(call, &self.name, lease)
    }

    /// Reads the record.
    pub(crate) fn read(&self, call: &CallContext, scope: ReadScope) -> FoundRecord<'a> {
        let mut found = FoundRecord::default();
        let shared = self.stores.shared();
        let stored = shared.and_then(|shared| self.read_from(call, shared));
        let needs_fallback =
            scope == ReadScope::All || stored.is_none() || self.stores.is_unavailable();
        let original = stored.and_then(|stored| stored.record);
        let has_shared_record = original.is_some();
        if let Some(record) = original {
            found.record = record;
            found.source = shared;
        }
        if let Some(fallback) = self.stores.fallback()
            && needs_fallback
            && let Some(stored) = self.read_from(call, fallback)
            && let Some(record) = stored.record
            // A copy counts only without the original, which another host may have changed; and if
            // the server has lost that, and has an older one from a snapshot or a replica.
            && (record.unshared
                || !has_shared_record
                || record.generation > found.record.generation)
            && merge(&mut found.record, record)
        {
            found.source = Some(fallback);
            found.is_unshared = true;
        }
        found
    }

    /// Shares a record that was found: writes it to the shared store if only the fallback has it,
    /// and a copy to the fallback otherwise.
    pub(crate) fn propagate(&self, call: &CallContext, found: &FoundRecord<'a>) {
        let Some(fallback) = self.stores.fallback() else {
            return;
        };
        if !found.is_unshared {
            let known = self.read_from(call, fallback);
            if known.is_none_or(|known| known.generation() < found.record.generation) {
                self.put(call, fallback, &found.record, false);
            }
        } else if self.stores.may_write_back(call) {
            self.write(call, &found.record);
        }
    }

    /// Writes a record to the shared store, and to its fallback. Returns whether the shared store
    /// has it, or a newer one.
    pub(crate) fn write(&self, call: &CallContext, record: &TokenRecord) -> bool {
        let put = |store, unshared| self.put(call, store, record, unshared);
        let is_shared = self.stores.shared().is_some_and(|store| put(store, false));
        if let Some(fallback) = self.stores.fallback() {
            put(fallback, !is_shared);
        }
        is_shared
    }

    /// Changes the record in each store whose lock is free, or that cannot lock; an owner of the lock
    /// is about to write a newer one.
    pub(crate) fn update(&self, call: &CallContext, change: impl Fn(&mut TokenRecord) -> bool) {
        let call = &call.with_max_timeout(UPDATE_TIMEOUT);
        for store in self.stores.all() {
            let lock = store.try_lock(call, &self.name, SHORT_LEASE);
            if !matches!(lock, LockResult::Contended)
                && let Some(stored) = self.read_from(call, store)
                && let Some(mut record) = stored.record
                && change(&mut record)
            {
                let unshared = record.unshared;
                self.put(call, store, &record, unshared);
            }
        }
    }

    /// Writes a record unless the store has a newer one: after its lease, the lock may have had
    /// another owner, and the fallback is written without its lock. Returns whether the store has
    /// it, or a newer one.
    fn put(&self, call: &CallContext, store: &Store, record: &TokenRecord, unshared: bool) -> bool {
        let now = self.clock.now();
        let (name, time) = match self.read_from(call, store) {
            Some(stored) => {
                if stored.generation() > record.generation {
                    return true;
                }
                (stored.name, stored.time)
            }
            None => (self.name.clone(), StoreTime::local(now)),
        };
        let record = TokenRecord {
            unshared,
            ..record.clone()
        };
        let until_expiry = record.last_expiry().saturating_sub(now.wall_millis());
        let ttl = RECORD_GRACE.saturating_add(Duration::from_millis(until_expiry));
        let sealed = self.cipher.seal(&record.shifted(time.ahead_of(now)));
        sealed.is_some_and(|sealed| store.put(call, &name, &sealed, ttl))
    }

    /// Returns `None` if the store failed or was skipped.
    fn read_from(&self, call: &CallContext, store: &Store) -> Option<StoredRecord> {
        let mut stored = store.read(call, &self.name)?;
        let mut name = &self.name;
        if stored.value.as_deref().is_some_and(is_of_other_version) {
            name = &self.second_name;
            stored = store.read(call, name)?;
        }
        let record = stored.value.and_then(|value| self.cipher.open(&value));
        let now = self.clock.now();
        // Not the time of a file system: a token is expired if this machine's clock says so.
        let time = stored.time.unwrap_or(StoreTime::local(now));
        Some(StoredRecord {
            record: record.map(|record| record.shifted(-time.ahead_of(now))),
            name: name.clone(),
            time,
        })
    }
}

/// Merges a record of the fallback. Returns whether it has anything newer.
fn merge(known: &mut TokenRecord, other: TokenRecord) -> bool {
    let mut merged = false;
    let rejected_at =
        |auth_failure: &Option<StoredAuthFailure>| auth_failure.as_ref().map_or(0, |it| it.at);
    if rejected_at(&other.auth_failure) > rejected_at(&known.auth_failure) {
        known.auth_failure = other.auth_failure;
        merged = true;
    }
    if other.refresh_pause.map(|it| it.at) > known.refresh_pause.map(|it| it.at) {
        known.refresh_pause = other.refresh_pause;
        merged = true;
    }
    if other.generation > known.generation {
        known.generation = other.generation;
        known.token = other.token;
        merged = true;
    }
    merged
}
