//! Metadata of the API.

use super::Call;
use crate::response::Response;

pub(super) fn ip_ranges(call: &mut Call<'_>) -> Result<Response, Response> {
    Ok(Response::ok(&call.state.ip_ranges))
}
