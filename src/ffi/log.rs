//! Log callbacks: passes log records to the client whose call runs on the current thread.

use std::cell::Cell;
use std::ffi::{c_char, c_void};

use log::{Level, Log, Metadata, Record};

use crate::error::{Error, Result};
use crate::ffi::callback::Callback;
use crate::ffi::error::c_string;
use crate::ffi::shutdown::call_back;

/// Level error.
pub const CAMUNDA_LOG_ERROR: i32 = 1;
/// Level warning: problems that need an operator, such as a token store that fails.
pub const CAMUNDA_LOG_WARN: i32 = 2;
/// Level info: events of interest to operators, such as retries.
pub const CAMUNDA_LOG_INFO: i32 = 3;
/// Level debug: each request.
pub const CAMUNDA_LOG_DEBUG: i32 = 4;
/// Level trace: all events.
pub const CAMUNDA_LOG_TRACE: i32 = 5;

/// Log callback: receives the level (CAMUNDA_LOG_…), the module that logs, and a message without
/// secrets. Runs on the calling thread, during calls only. The strings are borrowed during the
/// callback. The callback may make calls; one that needs the access token that the thread is requesting
/// fails immediately with CAMUNDA_STATUS_INVALID_ARGUMENT.
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
    callback: Callback<unsafe extern "C-unwind" fn(*mut c_void, i32, *const c_char, *const c_char)>,
}

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
                    "level is {level}; expected CAMUNDA_LOG_ERROR to CAMUNDA_LOG_TRACE"
                )));
            }
        };
        static DISPATCHER: Dispatcher = Dispatcher;
        // Fails if the host program has set its own logger, which then receives the records.
        let _ = log::set_logger(&DISPATCHER);
        if log::max_level() < level.to_level_filter() {
            log::set_max_level(level.to_level_filter());
        }
        Ok(Some(LogSink {
            level,
            callback: Callback { function, user },
        }))
    }

    /// Sets the sink of the current thread while `body` runs.
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
        // Only records of this library: those of its dependencies may contain secrets.
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
            // SAFETY: the caller guarantees that `user` is valid for this function.
            call_back(|| unsafe {
                (sink.callback.function)(
                    sink.callback.user,
                    level,
                    target.as_ptr(),
                    message.as_ptr(),
                );
            });
        }
    }

    fn flush(&self) {}
}
