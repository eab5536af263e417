//! Fork detection and the quiescence of critical sections, by `pthread_atfork` handlers.
//!
//! On Linux a page that the kernel clears in every child detects children for which no handler ran:
//! those of `clone` and `_Fork`.
//!
//! The handlers are registered by the library's own copy of `pthread_atfork` where the C library
//! links that function statically (glibc), so that `dlclose` removes them; musl never unloads a
//! library. Registering them twice, which can happen when two threads are the first, is harmless.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::descriptor;

/// Number of threads inside critical sections, and in units of [`FORK`] the number of forks that
/// wait for them or are in progress.
static STATE: AtomicU64 = AtomicU64::new(UNWATCHED);
const FORK: u64 = 1 << 32;
/// Set while the handlers are not registered. In the same atomic, so that entering a section costs
/// one operation.
const UNWATCHED: u64 = 1 << 63;

static FORK_COUNT: AtomicU32 = AtomicU32::new(0);
/// The fork count of the last process that was forked inside another thread's critical section.
static INCONSISTENT: AtomicU32 = AtomicU32::new(0);
/// The fork count of the last process that was forked while another part of the program was [`InUse`].
static INTERRUPTED: AtomicU32 = AtomicU32::new(0);
static USES: AtomicU64 = AtomicU64::new(0);
/// Number of [`ForkSensitive`] values.
static SENSITIVE: AtomicU64 = AtomicU64::new(0);
/// Number of forks that wait for sensitive work or are in progress: none begins meanwhile.
static PREPARING: AtomicU32 = AtomicU32::new(0);
static WATCHED: AtomicBool = AtomicBool::new(false);

/// Maximum time that a fork waits for critical sections. They last microseconds; the limit is for a
/// thread that a debugger stopped, or that left a section by `longjmp`.
const QUIESCENCE_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum time that a fork waits for [`ForkSensitive`] work. The locks in question are held for
/// microseconds; a thread that runs longer is waiting for a DNS server and holds none.
const SENSITIVE_TIMEOUT: Duration = Duration::from_millis(100);

thread_local! {
    /// Number of sections that this thread is in.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Whether the fork that this thread makes is outside of all other threads' sections.
    static QUIET: Cell<bool> = const { Cell::new(false) };
    /// Number of calls of [`prepare`] for a fork of this thread that has not ended.
    static PREPARED: Cell<u32> = const { Cell::new(0) };
}

/// Returns the number of forks between the process that loaded the library and this one: it is
/// different in a parent and its child.
#[inline]
pub(crate) fn fork_count() -> u32 {
    watch();
    #[cfg(any(target_os = "linux", target_os = "android"))]
    marker::check();
    FORK_COUNT.load(Ordering::Acquire)
}

/// The fork count since which inherited data cannot be trusted to be consistent.
pub(super) fn inconsistent_since() -> u32 {
    INCONSISTENT.load(Ordering::Acquire)
}

/// A critical section: no fork happens while a thread is in one, unless that thread itself forks.
///
/// Sections nest. Code inside must not block on anything but threads that are in sections too.
#[derive(Debug)]
pub(crate) struct Section {
    /// Belongs to the thread that entered.
    _thread: std::marker::PhantomData<*const ()>,
}

impl Section {
    /// Enters a section; waits for the end of a fork in progress.
    #[inline]
    pub(crate) fn enter() -> Self {
        let depth = DEPTH.get();
        DEPTH.set(depth + 1);
        if STATE.fetch_add(1, Ordering::Acquire) >= FORK && depth == 0 {
            enter_after_fork(None);
        }
        Section {
            _thread: std::marker::PhantomData,
        }
    }

    /// As [`enter`](Self::enter), but returns `None` if a fork is still in progress at the
    /// deadline.
    pub(crate) fn enter_until(deadline: Option<Instant>) -> Option<Self> {
        let depth = DEPTH.get();
        DEPTH.set(depth + 1);
        if STATE.fetch_add(1, Ordering::Acquire) >= FORK
            && depth == 0
            && !enter_after_fork(deadline)
        {
            return None;
        }
        Some(Section {
            _thread: std::marker::PhantomData,
        })
    }
}

impl Drop for Section {
    #[inline]
    fn drop(&mut self) {
        STATE.fetch_sub(1, Ordering::Release);
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// The use of data outside of critical sections, such as a request on a pool of connections. A fork
/// does not wait for its end, but a child knows that the data may be inconsistent.
#[derive(Debug)]
pub(crate) struct InUse {
    fork_count: u32,
}

impl InUse {
    pub(crate) fn begin() -> Self {
        USES.fetch_add(1, Ordering::Acquire);
        InUse {
            fork_count: fork_count(),
        }
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        // A child starts at zero.
        if self.fork_count == fork_count() {
            USES.fetch_sub(1, Ordering::Release);
        }
    }
}

/// Work on another thread that takes locks which the library cannot free in a child: name resolution
/// takes one of glibc (`resolv_conf.c`), and in a Rust program the start and the end of a thread take
/// one of std (its table of stack guards). A child that inherits such a lock hangs in its own first
/// lookup, so a fork waits up to [`SENSITIVE_TIMEOUT`] for the end of the work.
#[derive(Debug)]
pub(crate) struct ForkSensitive {
    fork_count: u32,
}

impl ForkSensitive {
    /// Waits for the end of a fork in progress, so it must not be called inside a [`Section`].
    pub(crate) fn begin() -> Self {
        watch();
        loop {
            SENSITIVE.fetch_add(1, Ordering::SeqCst);
            if PREPARING.load(Ordering::SeqCst) == 0 {
                break;
            }
            SENSITIVE.fetch_sub(1, Ordering::SeqCst);
            wait_until(None, || PREPARING.load(Ordering::Relaxed) == 0);
        }
        ForkSensitive {
            fork_count: fork_count(),
        }
    }

    /// Returns whether the work belongs to the parent of this process.
    pub(crate) fn is_inherited(&self) -> bool {
        self.fork_count != fork_count()
    }
}

impl Drop for ForkSensitive {
    fn drop(&mut self) {
        // A child starts at zero.
        if !self.is_inherited() {
            SENSITIVE.fetch_sub(1, Ordering::Release);
        }
    }
}

/// The fork count since which data that is used outside of critical sections cannot be trusted to be
/// consistent.
pub(super) fn interrupted_since() -> u32 {
    INTERRUPTED.load(Ordering::Acquire)
}

/// Leaves the section that was just entered, and enters it again when no fork is in progress.
#[cold]
fn enter_after_fork(deadline: Option<Instant>) -> bool {
    loop {
        STATE.fetch_sub(1, Ordering::Release);
        DEPTH.set(0);
        watch();
        if !wait_until(deadline, || STATE.load(Ordering::Relaxed) < FORK) {
            return false;
        }
        DEPTH.set(1);
        if STATE.fetch_add(1, Ordering::Acquire) < FORK {
            return true;
        }
    }
}

/// Polls a condition that is about to become true. No primitive that could wake the thread works in
/// a child, where the thread that would have to wake it may be missing.
fn wait_until(deadline: Option<Instant>, condition: impl Fn() -> bool) -> bool {
    for _ in 0..20 {
        if condition() {
            return true;
        }
        thread::yield_now();
    }
    loop {
        if condition() {
            return true;
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return false;
        }
        thread::sleep(Duration::from_micros(50));
    }
}

/// Registers the handlers, once in each program.
#[inline]
pub(super) fn watch() {
    if !WATCHED.load(Ordering::Acquire) {
        register();
    }
}

#[cold]
fn register() {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    marker::place();
    // SAFETY: the handlers are functions of this library, which use nothing that a child lacks. It
    // fails only without memory; then only the marker detects forks.
    unsafe { libc::pthread_atfork(Some(prepare), Some(in_parent), Some(in_child)) };
    WATCHED.store(true, Ordering::Release);
    STATE.fetch_and(!UNWATCHED, Ordering::AcqRel);
}

/// Waits until no other thread is in a section, and keeps them out.
extern "C" fn prepare() {
    let begun = Instant::now();
    // First, with sections open, because sensitive work may enter one before it ends.
    PREPARING.fetch_add(1, Ordering::SeqCst);
    wait_until(Some(begun + SENSITIVE_TIMEOUT), || {
        SENSITIVE.load(Ordering::SeqCst) == 0
    });
    STATE.fetch_add(FORK, Ordering::AcqRel);
    // A signal handler or a callback can fork on a thread that is in a section itself.
    let own = u64::from(DEPTH.get());
    let deadline = Some(begun + QUIESCENCE_TIMEOUT);
    QUIET.set(wait_until(deadline, || sections() <= own));
    PREPARED.set(PREPARED.get() + 1);
}

/// Returns whether [`prepare`] was called for the fork that ends. musl does not call it if another thread
/// registers the first handlers of the program during the fork.
fn end_prepared_fork() -> bool {
    let prepared = PREPARED.get();
    PREPARED.set(prepared.saturating_sub(1));
    prepared > 0
}

extern "C" fn in_parent() {
    if end_prepared_fork() {
        STATE.fetch_sub(FORK, Ordering::Release);
        PREPARING.fetch_sub(1, Ordering::Release);
    }
}

extern "C" fn in_child() {
    begin_child(end_prepared_fork() && QUIET.get());
    #[cfg(any(target_os = "linux", target_os = "android"))]
    marker::set();
}

/// Increments the fork count of a child, on its only thread.
fn begin_child(quiet: bool) {
    let own = u64::from(DEPTH.get());
    STATE.store(sections().min(own), Ordering::Release);
    SENSITIVE.store(0, Ordering::Release);
    PREPARING.store(0, Ordering::Release);
    let fork_count = FORK_COUNT.load(Ordering::Relaxed).wrapping_add(1);
    if USES.swap(0, Ordering::AcqRel) > 0 || !quiet {
        INTERRUPTED.store(fork_count, Ordering::Release);
    }
    if quiet {
        // Before anything can take the numbers of these descriptors.
        descriptor::close_inherited();
    } else {
        INCONSISTENT.store(fork_count, Ordering::Release);
    }
    FORK_COUNT.store(fork_count, Ordering::Release);
}

fn sections() -> u64 {
    STATE.load(Ordering::Acquire) & (FORK - 1)
}

/// A page that the kernel clears in every child.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod marker {
    use std::ptr;
    use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

    /// NULL until it is placed, and on kernels before 4.14.
    static MARKER: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());

    const CLEARED: u32 = 0;
    const SET: u32 = 1;
    const BEING_SET: u32 = 2;

    fn get() -> Option<&'static AtomicU32> {
        // SAFETY: NULL, or a page that is never unmapped.
        unsafe { MARKER.load(Ordering::Acquire).as_ref() }
    }

    /// Increments the fork count of a child for which no handler ran.
    #[inline]
    pub(super) fn check() {
        if let Some(marker) = get()
            && marker.load(Ordering::Acquire) != SET
        {
            replace(marker);
        }
    }

    #[cold]
    fn replace(marker: &AtomicU32) {
        let order = Ordering::AcqRel;
        if marker
            .compare_exchange(CLEARED, BEING_SET, order, Ordering::Acquire)
            .is_ok()
        {
            // The parent's threads may have been in their sections.
            super::begin_child(false);
            marker.store(SET, Ordering::Release);
        }
        super::wait_until(None, || marker.load(Ordering::Acquire) == SET);
    }

    pub(super) fn set() {
        if let Some(marker) = get() {
            marker.store(SET, Ordering::Release);
        }
    }

    pub(super) fn place() {
        // SAFETY: sysconf reads a constant.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let Ok(size) = usize::try_from(size) else {
            return;
        };
        let (access, kind) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        );
        // SAFETY: a new mapping, which overlaps nothing.
        let page = unsafe { libc::mmap(ptr::null_mut(), size, access, kind, -1, 0) };
        if page == libc::MAP_FAILED {
            return;
        }
        let marker = page.cast::<AtomicU32>();
        // SAFETY: the page was just mapped, is readable, writable and aligned, and no other code has
        // its address.
        let wiped = unsafe {
            (*marker).store(SET, Ordering::Relaxed);
            libc::madvise(page, size, libc::MADV_WIPEONFORK) == 0
        };
        let first = wiped
            && MARKER
                .compare_exchange(ptr::null_mut(), marker, Ordering::AcqRel, Ordering::Acquire)
                .is_ok();
        if !first {
            // SAFETY: mapped above, and published nowhere.
            unsafe { libc::munmap(page, size) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::fork::tests::forked_child::{Child, fork};

    #[test]
    fn fork_count_changes_in_child_and_not_in_parent() {
        let parents = fork_count();
        let child = fork(|| {
            let own = fork_count();
            own != parents && fork(move || fork_count() != own).wait() == Child::Passed
        });
        assert_eq!(child.wait(), Child::Passed);
        assert_eq!(fork_count(), parents);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn fork_count_changes_in_child_without_handlers() {
        let parents = fork_count();
        let child = crate::fork::tests::forked_child::fork_without_handlers(|| {
            let own = fork_count();
            own != parents && inconsistent_since() == own && fork_count() == own
        });
        assert_eq!(child.wait(), Child::Passed);
        assert_eq!(fork_count(), parents);
    }

    #[test]
    fn fork_waits_for_critical_sections_of_other_threads() {
        static INSIDE: AtomicUsize = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let outer = Section::enter();
                        INSIDE.fetch_add(1, Ordering::SeqCst);
                        drop(Section::enter());
                        thread::yield_now();
                        INSIDE.fetch_sub(1, Ordering::SeqCst);
                        drop(outer);
                    }
                });
            }
            for _ in 0..100 {
                let child = fork(|| INSIDE.load(Ordering::SeqCst) == 0 && sections() == 0);
                assert_eq!(child.wait(), Child::Passed);
            }
            stop.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn fork_waits_for_sensitive_work_for_a_limited_time() {
        let work = ForkSensitive::begin();
        let begun = Instant::now();
        let child = fork(|| SENSITIVE.load(Ordering::SeqCst) == 0);
        assert_eq!(child.wait(), Child::Passed);
        assert!(begun.elapsed() >= SENSITIVE_TIMEOUT);
        drop(work);
    }

    #[test]
    fn fork_inside_own_critical_section_does_not_wait_for_it() {
        let fork_inside_takes = || {
            let section = Section::enter();
            let nested = Section::enter();
            let begun = Instant::now();
            let child = fork(|| {
                drop(Section::enter());
                sections() == 2
            });
            assert_eq!(child.wait(), Child::Passed);
            drop(nested);
            drop(section);
            begun.elapsed()
        };
        // A loaded machine may delay some.
        assert!((0..10).any(|_| fork_inside_takes() < QUIESCENCE_TIMEOUT));
    }

    #[test]
    fn enter_until_fails_at_its_deadline_while_a_fork_is_under_way() {
        drop(Section::enter());
        prepare();
        let deadline = Instant::now() + Duration::from_millis(5);
        let entered = thread::spawn(move || Section::enter_until(Some(deadline)).is_some());
        assert!(!entered.join().unwrap());
        in_parent();
        assert!(Section::enter_until(Some(Instant::now())).is_some());
    }

    #[test]
    fn end_of_a_fork_that_was_not_prepared_changes_nothing() {
        // On a thread of its own, which makes no other fork.
        let ended = thread::spawn(|| {
            in_parent();
            PREPARED.get()
        });
        assert_eq!(ended.join().unwrap(), 0);
        let deadline = Some(Instant::now() + Duration::from_secs(20));
        assert!(Section::enter_until(deadline).is_some());
        assert!(wait_until(deadline, || PREPARING.load(Ordering::SeqCst) == 0));
    }
}
