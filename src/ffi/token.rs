//! `camunda_token`: access tokens for other APIs of a cluster.

use std::ffi::c_char;
use std::ptr;
use std::time::UNIX_EPOCH;

use crate::auth::Token;
use crate::ffi::admin::camunda_admin;
use crate::ffi::boundary::{free, handle, required, return_owned, set_null, text};
use crate::ffi::call::camunda_call_options;
use crate::ffi::error::{camunda_error, camunda_status};
use crate::ffi::guard::catch_panic;

/// OAuth 2.0 access token. Immutable; several threads may read it concurrently.
#[derive(Debug)]
pub struct camunda_token(Token);

/// Returns an access token of the client's credentials. Uses the same cache as the client's calls,
/// so it sends a token request only if neither this process nor the token store has a valid token.
///
/// @param admin Client. Thread-safe.
/// @param call Options of the call; NULL for the defaults.
/// @param audience Audience of the token; NULL for that of the client.
/// @param[out] token On success a new token; else NULL. Free it with camunda_token_free().
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_admin_token(
    admin: *const camunda_admin,
    call: *const camunda_call_options,
    audience: *const c_char,
    token: *mut *mut camunda_token,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        set_null(token);
        catch_panic(error, || {
            let admin = handle("admin", admin)?;
            let out = required("token", token)?;
            let audience = match audience.is_null() {
                true => None,
                false => Some(text("audience", audience)?),
            };
            let cached = match audience {
                None => admin.cached_token(),
                Some(_) => None,
            };
            let token = match cached {
                Some(token) => token,
                None => admin.logging(|| {
                    admin
                        .with(call.as_ref().map(camunda_call_options::options))
                        .token_for(audience)
                })?,
            };
            return_owned(out, camunda_token(token));
            Ok(())
        })
    }
}

/// Invalidates a token that an API rejected: removes it from memory and from the token store,
/// unless a newer one has replaced it. The next camunda_admin_token() requests a new one.
///
/// @param admin Client. Thread-safe.
/// @param audience Audience of the call that returned the token; NULL for that of the client.
/// @param token The rejected token. It is not freed.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_admin_invalidate_token(
    admin: *const camunda_admin,
    audience: *const c_char,
    token: *const camunda_token,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        catch_panic(error, || {
            let admin = handle("admin", admin)?;
            let token = handle("token", token)?;
            let audience = match audience.is_null() {
                true => None,
                false => Some(text("audience", audience)?),
            };
            admin.logging(|| admin.client.invalidate_token(audience, &token.0))
        })
    }
}

/// Returns the access token. Do not log it.
///
/// @param token Token; NULL is accepted.
/// @param[out] len Length without the NUL; may be NULL.
/// @return The token, NUL-terminated and borrowed from `token`; NULL if `token` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_token_str(
    token: *const camunda_token,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        let text = token.as_ref().map(|token| token.0.bytes_with_nul());
        if !len.is_null() {
            *len = text.map_or(0, |text| text.len() - 1);
        }
        text.map_or(ptr::null(), |text| text.as_ptr().cast())
    }
}

/// Returns the expiry of the token, by the local clock.
///
/// @param token Token; NULL is accepted.
/// @return Milliseconds since 1970-01-01 UTC; 0 if `token` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_token_expires_at(token: *const camunda_token) -> i64 {
    // SAFETY: the caller passes a pointer as documented above.
    let Some(token) = (unsafe { token.as_ref() }) else {
        return 0;
    };
    let since = token
        .0
        .expires_at()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Frees a token. Its bytes are zeroized when neither the token cache nor a request uses them.
///
/// @param token Token to free. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_token_free(token: *mut camunda_token) {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe { free(token) }
}
