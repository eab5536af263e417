//! Tokens in C, for other services of the cluster.

use std::ffi::c_char;
use std::ptr;
use std::time::UNIX_EPOCH;

use crate::auth::Token;
use crate::ffi::admin::camunda_admin;
use crate::ffi::boundary::{catch_panic, free, handle, required, return_owned, set_null, text};
use crate::ffi::call::camunda_call_options;
use crate::ffi::error::{camunda_error, camunda_status};
use crate::secret::Zeroizing;

/// A bearer token. Immutable: may be read from several threads at once.
#[derive(Debug)]
pub struct camunda_token {
    token: Token,
    /// With a NUL behind it.
    text: Zeroizing<Vec<u8>>,
}

/// A token of the client's credentials for an audience, or for its own audience where `audience` is
/// NULL. Comes from the same cache as the tokens of the calls, so it costs a token request only where
/// no process of the machine has one.
///
/// `call` may be NULL. `token` gets the token, owned by the caller: camunda_token_free. Safe from
/// several threads at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_admin_token(
    admin: *const camunda_admin,
    call: *const camunda_call_options,
    audience: *const c_char,
    token: *mut *mut camunda_token,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        set_null(token);
        catch_panic(error, || {
            let admin = handle("admin", admin)?;
            let out = required("token", token)?;
            let client = admin.with(call.as_ref().map(camunda_call_options::options));
            let audience = match audience.is_null() {
                true => None,
                false => Some(text("audience", audience)?),
            };
            let token = admin.logging(|| client.token_for(audience))?;
            let mut text = Zeroizing::new(Vec::with_capacity(token.expose().len() + 1));
            text.extend_from_slice(token.expose().as_bytes());
            text.push(0);
            return_owned(out, camunda_token { token, text });
            Ok(())
        })
    }
}

/// Says that the token was not accepted: drops it, here and in the shared store, unless a newer one
/// is there already. The next camunda_admin_token asks for another. `audience` as it was there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_admin_invalidate_token(
    admin: *const camunda_admin,
    audience: *const c_char,
    token: *const camunda_token,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        catch_panic(error, || {
            let admin = handle("admin", admin)?;
            let token = handle("token", token)?;
            let audience = match audience.is_null() {
                true => None,
                false => Some(text("audience", audience)?),
            };
            admin.logging(|| admin.client.invalidate_token(audience, &token.token))
        })
    }
}

/// The token itself, NUL-terminated; `len` (or NULL) gets its length. Keep it out of logs. NULL for
/// NULL. Borrowed from `token`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_token_str(
    token: *const camunda_token,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        let text = token.as_ref().map(|token| token.text.as_slice());
        if !len.is_null() {
            *len = text.map_or(0, |text| text.len() - 1);
        }
        text.map_or(ptr::null(), |text| text.as_ptr().cast())
    }
}

/// When the token expires, in milliseconds since 1970 (UTC) by this machine's clock. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_token_expires_at(token: *const camunda_token) -> i64 {
    // SAFETY: the pointer is as this function documents it.
    let Some(token) = (unsafe { token.as_ref() }) else {
        return 0;
    };
    let since = token
        .token
        .expires_at()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Frees a token, overwriting its bytes. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_token_free(token: *mut camunda_token) {
    // SAFETY: the pointer is as this function documents it.
    unsafe { free(token) }
}
