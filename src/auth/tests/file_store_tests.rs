//! Tests of the token store in files that hold on all systems.

use std::collections::BTreeSet;
use std::fs::{self, File, FileTimes};
use std::time::{Duration, SystemTime};

use super::test_support::request;
use crate::auth::TokenStore;
use crate::auth::key::{CacheKey, TokenHostKey};
use crate::auth::rate_limit_record::RateLimitTimes;
use crate::auth::store::{FileStore, Timestamps, retention};

const TTL: Duration = Duration::from_secs(3600);

#[test]
fn put_removes_only_old_files_with_names_of_the_store() {
    const HOUR: u64 = 3600;
    const DAY: u64 = 24 * HOUR;
    let table = [
        // Created by the store.
        (
            "token-0123456789abcdef0123456789abcdef.value",
            61 * DAY,
            false,
        ),
        (
            "token-0123456789abcdef0123456789abcde0.value",
            59 * DAY,
            true,
        ),
        (
            "rate-limit-0123456789abcdef0123456789abcdef.value",
            61 * DAY,
            false,
        ),
        (
            "rate-limit-0123456789abcdef0123456789abcdef.lock",
            61 * DAY,
            true,
        ),
        (
            "token-0123456789abcdef0123456789abcdef-0123456789abcdef.new",
            2 * HOUR,
            false,
        ),
        (
            "rate-limit-0123456789abcdef0123456789abcdef-0123456789abcdef.new",
            HOUR / 2,
            true,
        ),
        (
            "token-0123456789abcdef0123456789abcdef-second-00000001.lease",
            2 * HOUR,
            false,
        ),
        (
            "rate-limit-0123456789abcdef0123456789abcdef-00000001.lease",
            HOUR / 2,
            true,
        ),
        // Created by other programs.
        (
            "token-0123456789abcdef0123456789abcdef-third-00000001.lease",
            61 * DAY,
            true,
        ),
        ("notes.new", 61 * DAY, true),
        ("face.value", 61 * DAY, true),
        ("token-.value", 61 * DAY, true),
        ("token-0123456789abcdef.value", 61 * DAY, true),
        (
            "token-ABCDEF0123456789ABCDEF0123456789.value",
            61 * DAY,
            true,
        ),
        (
            "token-0123456789abcdef0123456789abcdeg.value",
            61 * DAY,
            true,
        ),
        (
            "other-0123456789abcdef0123456789abcdef.value",
            61 * DAY,
            true,
        ),
        ("token-0123456789abcdef0123456789abcdef.new", 61 * DAY, true),
        (
            "token-0123456789abcdef0123456789abcdef-0.new",
            61 * DAY,
            true,
        ),
        (
            "x.token-0123456789abcdef0123456789abcdef.value",
            61 * DAY,
            true,
        ),
    ];
    let made = request();
    for name in [
        format!("token-{}", CacheKey::of(&made).digest()),
        format!("rate-limit-{}", TokenHostKey::of(&made.token_url).digest()),
    ] {
        assert!(retention(&format!("{name}.value")).is_some(), "{name}");
    }
    let place = tempfile::tempdir().unwrap();
    for (name, age, _) in table {
        let file = File::create(place.path().join(name)).unwrap();
        let modified = SystemTime::now() - Duration::from_secs(age);
        file.set_times(FileTimes::new().set_modified(modified))
            .unwrap();
    }
    let store = FileStore::new(place.path());
    store.put("token-new", b"1", TTL).unwrap();
    let left: BTreeSet<_> = fs::read_dir(place.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for (name, _, stays) in table {
        assert_eq!(left.contains(name), stays, "{name}");
    }
    assert_eq!(store.get("token-new").unwrap().as_deref(), Some(&b"1"[..]));
}

#[test]
fn put_replaces_the_value_and_get_returns_it() {
    let place = tempfile::tempdir().unwrap();
    let store = FileStore::new(&place.path().join("missing/cache"));
    assert_eq!(store.get("token-1").unwrap(), None);
    for value in [&b"first"[..], b"second, longer", b""] {
        store.put("token-1", value, TTL).unwrap();
        assert_eq!(store.get("token-1").unwrap().as_deref(), Some(value));
    }
    assert_eq!(store.get("token-2").unwrap(), None);
    let names: Vec<_> = fs::read_dir(place.path().join("missing/cache"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["token-1.value"]);
}

#[test]
fn put_and_get_of_many_threads_never_fail_and_values_are_whole() {
    let place = tempfile::tempdir().unwrap();
    let store = FileStore::new(place.path());
    let values: Vec<Vec<u8>> = (1..=4u8).map(|byte| vec![byte; 3000]).collect();
    store.put("token-1", &values[0], TTL).unwrap();
    std::thread::scope(|scope| {
        for value in &values {
            scope.spawn(|| {
                for _ in 0..50 {
                    store.put("token-1", value, TTL).unwrap();
                    let found = store.get("token-1").unwrap().expect("it is never removed");
                    assert!(values.contains(&found));
                }
            });
        }
    });
}

#[test]
fn lock_excludes_others_until_it_is_dropped() {
    let place = tempfile::tempdir().unwrap();
    let stores = [FileStore::new(place.path()), FileStore::new(place.path())];
    let lock = stores[0].try_lock("token-1", TTL).unwrap().expect("free");
    for store in &stores {
        assert!(store.try_lock("token-1", TTL).unwrap().is_none());
        assert!(store.try_lock("token-2", TTL).unwrap().is_some());
    }
    drop(lock);
    assert!(stores[1].try_lock("token-1", TTL).unwrap().is_some());
    assert!(place.path().join("token-1.lock").is_file());
}

#[test]
fn times_are_those_of_the_lock_file() {
    let place = tempfile::tempdir().unwrap();
    let store = FileStore::new(place.path());
    assert_eq!(store.times("rate-limit-1").unwrap(), None);
    let lock = store.try_lock("rate-limit-1", TTL).unwrap().expect("free");
    // The time of its creation is not that of a request.
    assert_eq!(store.times("rate-limit-1").unwrap(), None);
    let times = RateLimitTimes {
        last_request_at: 1_764_297_000_123,
        blocked_until: 1_764_297_600_456,
    };
    store.set_times("rate-limit-1", times).unwrap();
    assert_eq!(store.times("rate-limit-1").unwrap(), Some(times));
    drop(lock);
    drop(store.try_lock("rate-limit-1", TTL).unwrap().expect("free"));
    assert_eq!(store.times("rate-limit-1").unwrap(), Some(times));
}
