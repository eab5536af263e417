//! Truncates a valid response at every byte.

use std::sync::Arc;
use std::time::Duration;

use crate::deadline_check::in_time;
use crate::fault_proxy::{FaultProxy, InjectedFault, Injection};
use crate::map_concurrently;
use crate::run::{Class, Fixture, Observation};
use crate::table::Block;

/// The group of these faults in the table.
pub(crate) const GROUP: &str = "Responses truncated at each byte";

/// The names of the faults: for the head of the response and for its body.
pub(crate) const NAMES: [&str; 2] = ["truncated inside the headers", "truncated inside the body"];

/// Truncates the response of each class at every byte, and returns one block for the head and one for
/// the body, if one of them is selected. All observations of a block must be equal.
pub(crate) fn blocks(fixture: &Fixture, is_selected: impl Fn(&str) -> bool) -> Vec<Block> {
    if !NAMES.iter().any(|name| is_selected(name)) {
        return Vec::new();
    }
    let mut head = Block::new(GROUP, NAMES[0]);
    let mut body = Block::new(GROUP, NAMES[1]);
    for class in Class::ALL {
        let (head_length, length) = lengths(fixture, class);
        let offsets: Vec<usize> = (0..length).collect();
        let observations = map_concurrently(&offsets, |&offset| truncated(fixture, class, offset));
        for (block, range) in [
            (&mut head, 0..head_length),
            (&mut body, head_length..length),
        ] {
            for (offset, found) in range.clone().zip(&observations[range.clone()]) {
                let first = &observations[range.start];
                assert_eq!(
                    found, first,
                    "{class:?}, truncated after {offset} of {length} bytes"
                );
            }
            if let Some(observation) = observations.get(range.start) {
                block.add(class, Some(1), observation.clone());
            }
        }
    }
    vec![head, body]
}

/// Returns the length of the head of a class's response, and of the whole response.
fn lengths(fixture: &Fixture, class: Class) -> (usize, usize) {
    let lengths = Arc::new(std::sync::Mutex::new((0, 0)));
    let found = Arc::clone(&lengths);
    let injection = Injection::ReplaceResponse(Arc::new(move |wire, response| {
        *found.lock().unwrap() = (response.head.len(), response.bytes().len());
        wire.send(response.bytes());
        wire.close();
    }));
    call(fixture, class, &injection);
    let lengths = *lengths.lock().unwrap();
    assert!(lengths.0 > 0);
    lengths
}

/// Makes a call whose response ends after `offset` bytes.
fn truncated(fixture: &Fixture, class: Class, offset: usize) -> Observation {
    call(
        fixture,
        class,
        &Injection::ReplaceResponse(Arc::new(move |wire, response| {
            wire.send(&response.bytes()[..offset]);
            wire.close();
        })),
    )
}

fn call(fixture: &Fixture, class: Class, injection: &Injection) -> Observation {
    in_time(|| {
        let fault = InjectedFault {
            injection: injection.clone(),
            times: Some(1),
        };
        let proxy = FaultProxy::plain(fixture.upstream(), Some(fault));
        let url = format!("http://{}", proxy.address());
        fixture.call(
            class,
            &url,
            Some(&proxy),
            Duration::from_secs(30),
            Duration::ZERO,
            false,
        )
    })
}
