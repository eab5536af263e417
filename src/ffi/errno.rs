//! `errno` values that functions of a C program return.

use std::io;

/// Returns the error of an `errno` value.
#[cfg(not(windows))]
pub(super) fn error_of(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

/// Returns the error of an `errno` value: one of the C runtime, or of Winsock. `from_raw_os_error` takes
/// codes of the Windows API, where 28, `ENOSPC` of the C runtime, is a printer without paper.
#[cfg(windows)]
pub(super) fn error_of(errno: i32) -> io::Error {
    use std::ffi::{CStr, c_char};

    unsafe extern "C" {
        fn strerror(errno: i32) -> *const c_char;
    }

    const WINSOCK_BASE: i32 = 10000;
    if errno >= WINSOCK_BASE {
        return io::Error::from_raw_os_error(errno);
    }
    let kind = match errno {
        2 => io::ErrorKind::NotFound,
        13 => io::ErrorKind::PermissionDenied,
        28 => io::ErrorKind::StorageFull,
        32 => io::ErrorKind::BrokenPipe,
        101 => io::ErrorKind::AddrNotAvailable,
        106 => io::ErrorKind::ConnectionAborted,
        107 => io::ErrorKind::ConnectionRefused,
        108 => io::ErrorKind::ConnectionReset,
        110 => io::ErrorKind::HostUnreachable,
        116 => io::ErrorKind::NetworkDown,
        118 => io::ErrorKind::NetworkUnreachable,
        126 => io::ErrorKind::NotConnected,
        138 => io::ErrorKind::TimedOut,
        _ => io::ErrorKind::Other,
    };
    // SAFETY: it accepts every number.
    let text = unsafe { strerror(errno) };
    let text = match text.is_null() {
        true => format!("errno {errno}"),
        // SAFETY: it is NUL-terminated until the next call on this thread.
        false => unsafe { CStr::from_ptr(text) }
            .to_string_lossy()
            .into_owned(),
    };
    io::Error::new(kind, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errno_values_have_their_kind_and_text() {
        #[cfg(unix)]
        let (full, refused, timed_out) = (libc::ENOSPC, libc::ECONNREFUSED, libc::ETIMEDOUT);
        #[cfg(windows)]
        let (full, refused, timed_out) = (28, 107, 138);
        let error = error_of(full);
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().starts_with("No space left"), "{error}");
        assert_eq!(error_of(refused).kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(error_of(timed_out).kind(), io::ErrorKind::TimedOut);
        #[cfg(windows)]
        assert_eq!(error_of(10060).kind(), io::ErrorKind::TimedOut);
    }
}
