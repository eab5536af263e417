//! Everything about tokens: the state of one key, the pacing gate, the process-wide cache, the
//! stores. Knows the time and what happened only by being told; sends no bytes itself.
