//! Metadata of the API.

use super::{Call, Operation};
use crate::response::Response;

#[rustfmt::skip]
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new("GET", "/meta/ip-ranges", "list egress IP ranges", None, "", "IpRanges", "", ip_ranges),
];

fn ip_ranges(call: &mut Call<'_>) -> Result<Response, Response> {
    Ok(Response::ok(&call.state.ip_ranges))
}
