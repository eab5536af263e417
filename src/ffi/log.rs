//! Log events in C: to the callback of the client whose call is under way on the thread.

use std::cell::Cell;
use std::ffi::{c_char, c_void};

use log::{Level, Log, Metadata, Record};

use crate::error::{Error, Result};
use crate::ffi::error::c_string;
use crate::ffi::shutdown::call_back;

/// Errors.
pub const CAMUNDA_LOG_ERROR: i32 = 1;
/// Warnings: a store that cannot be used, say.
pub const CAMUNDA_LOG_WARN: i32 = 2;
/// What a person running the program may want to know: retries, for one.
pub const CAMUNDA_LOG_INFO: i32 = 3;
/// Every request.
pub const CAMUNDA_LOG_DEBUG: i32 = 4;
/// Everything.
pub const CAMUNDA_LOG_TRACE: i32 = 5;

/// Gets log events: a level (CAMUNDA_LOG_…), the part of the library, and a line without secrets.
/// Runs on the calling thread, during calls only; the texts are borrowed during the callback.
pub type camunda_log_fn = Option<
    unsafe extern "C-unwind" fn(
        user: *mut c_void,
        level: i32,
        target: *const c_char,
        message: *const c_char,
    ),
>;

#[derive(Debug, Clone, Copy)]
pub(super) struct LogSink {
    level: Level,
    function: unsafe extern "C-unwind" fn(*mut c_void, i32, *const c_char, *const c_char),
    user: *mut c_void,
}

// SAFETY: the pointer is only ever passed back to the caller's own function, and the documentation
// of camunda_config_set_log asks for one that may be called from any calling thread.
unsafe impl Send for LogSink {}
// SAFETY: as above.
unsafe impl Sync for LogSink {}

impl LogSink {
    pub(super) fn new(
        level: i32,
        function: camunda_log_fn,
        user: *mut c_void,
    ) -> Result<Option<Self>> {
        let Some(function) = function else {
            return Ok(None);
        };
        let level = match level {
            CAMUNDA_LOG_ERROR => Level::Error,
            CAMUNDA_LOG_WARN => Level::Warn,
            CAMUNDA_LOG_INFO => Level::Info,
            CAMUNDA_LOG_DEBUG => Level::Debug,
            CAMUNDA_LOG_TRACE => Level::Trace,
            _ => {
                return Err(Error::invalid_argument(format!(
                    "level is {level}, not one of CAMUNDA_LOG_ERROR to CAMUNDA_LOG_TRACE"
                )));
            }
        };
        static DISPATCHER: Dispatcher = Dispatcher;
        // A Rust program around us may have a logger of its own, which then gets the events.
        let _ = log::set_logger(&DISPATCHER);
        if log::max_level() < level.to_level_filter() {
            log::set_max_level(level.to_level_filter());
        }
        Ok(Some(LogSink {
            level,
            function,
            user,
        }))
    }

    /// Makes this the sink of the thread while `body` runs.
    pub(super) fn during<T>(sink: Option<LogSink>, body: impl FnOnce() -> T) -> T {
        struct Restore(Option<LogSink>);
        impl Drop for Restore {
            fn drop(&mut self) {
                CURRENT.set(self.0.take());
            }
        }
        let _restore = Restore(CURRENT.replace(sink));
        body()
    }
}

thread_local! {
    static CURRENT: Cell<Option<LogSink>> = const { Cell::new(None) };
}

struct Dispatcher;

impl Log for Dispatcher {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Ours only: what the libraries below log is not redacted by us.
        metadata.target().starts_with("camunda_admin")
            && CURRENT
                .get()
                .is_some_and(|sink| metadata.level() <= sink.level)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        if let Some(sink) = CURRENT.get() {
            let target = c_string(record.target());
            let message = c_string(&record.args().to_string());
            let level = match record.level() {
                Level::Error => CAMUNDA_LOG_ERROR,
                Level::Warn => CAMUNDA_LOG_WARN,
                Level::Info => CAMUNDA_LOG_INFO,
                Level::Debug => CAMUNDA_LOG_DEBUG,
                Level::Trace => CAMUNDA_LOG_TRACE,
            };
            // SAFETY: the caller promised that function and data go together.
            call_back(|| unsafe {
                (sink.function)(sink.user, level, target.as_ptr(), message.as_ptr());
            });
        }
    }

    fn flush(&self) {}
}
