//! A true answer, cut at every byte.

use std::sync::Arc;
use std::time::Duration;

use crate::at_once;
use crate::deadline_check::in_time;
use crate::fault_proxy::{Act, Front, Misbehaviour};
use crate::run::{Bench, Class, Seen};
use crate::table::Block;

/// A block for the cuts inside the head and one for those inside the body: every single cut is made,
/// and all those in a block have to look the same.
pub(crate) fn blocks(bench: &Bench) -> Vec<Block> {
    let group = "An answer that is cut, at every single byte";
    let mut head = Block::new(group, "inside the headers");
    let mut body = Block::new(group, "inside the body");
    for class in Class::ALL {
        let (head_length, length) = lengths(bench, class);
        let offsets: Vec<usize> = (0..length).collect();
        let seen = at_once(&offsets, |&offset| cut(bench, class, offset));
        for (block, range) in [
            (&mut head, 0..head_length),
            (&mut body, head_length..length),
        ] {
            for (offset, found) in range.clone().zip(&seen[range.clone()]) {
                let first = &seen[range.start];
                assert_eq!(
                    found, first,
                    "{class:?}, cut after {offset} bytes of {length}"
                );
            }
            if let Some(seen) = seen.get(range.start) {
                block.add(class, Some(1), seen.clone());
            }
        }
    }
    vec![head, body]
}

/// How long the head of a class's answer is, and the whole of it.
fn lengths(bench: &Bench, class: Class) -> (usize, usize) {
    let lengths = Arc::new(std::sync::Mutex::new((0, 0)));
    let found = Arc::clone(&lengths);
    let act = Act::WithAnswer(Arc::new(move |wire, answer| {
        *found.lock().unwrap() = (answer.head.len(), answer.bytes().len());
        wire.send(answer.bytes());
        wire.close();
    }));
    call(bench, class, &act);
    let lengths = *lengths.lock().unwrap();
    assert!(lengths.0 > 0);
    lengths
}

fn cut(bench: &Bench, class: Class, offset: usize) -> Seen {
    call(
        bench,
        class,
        &Act::WithAnswer(Arc::new(move |wire, answer| {
            wire.send(&answer.bytes()[..offset]);
            wire.close();
        })),
    )
}

fn call(bench: &Bench, class: Class, act: &Act) -> Seen {
    in_time(|| {
        let misbehaviour = Misbehaviour {
            act: act.clone(),
            times: Some(1),
        };
        let front = Front::plain(bench.upstream(), Some(misbehaviour));
        let url = format!("http://{}", front.address());
        bench.call(
            class,
            &url,
            Some(&front),
            Duration::from_secs(30),
            Duration::ZERO,
            false,
        )
    })
}
