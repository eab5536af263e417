//! What the service says about itself.

use super::Call;
use crate::answer::Answer;

pub(super) fn ip_ranges(call: &mut Call<'_>) -> Result<Answer, Answer> {
    Ok(Answer::ok(&call.state.ip_ranges))
}
