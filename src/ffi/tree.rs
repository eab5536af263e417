//! A JSON response for C: its bytes, its index, and what readers need beside them.
//!
//! C identifies a value by the address of its slot in the index. The first slot of each block of the
//! index has the address of the [`Root`], which is how a reader finds the bytes. Readers cost what
//! they read: strings, and the JSON of parts, are created when they are first read.

use std::collections::BTreeMap;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use once_cell::sync::OnceCell;

use crate::api::json_index::{BLOCK, CONTAINER, COUNT, ESCAPED, Entry, Index, MAX_BYTES, OBJECT};
use crate::fork::{Mutex, Section};
use crate::json_text::{self, are_equal};
use crate::secret::{Zeroizing, wipe};

/// An entry as the index stores it, by whose address C identifies a value.
pub(super) type PackedEntry = u64;

/// A whole response with its index and the decoded strings.
pub(super) struct Root {
    /// The bytes, NUL-terminated.
    bytes: Zeroizing<Vec<u8>>,
    /// Start of the JSON, after a byte-order mark.
    start: usize,
    index: Index,
    /// The index of the entry of the whole value.
    whole: usize,
    texts: OnceCell<Texts>,
    /// The JSON of parts, by the address of their slot.
    jsons: Mutex<BTreeMap<usize, Terminated>>,
}

/// A NUL-terminated string, zeroized on drop.
type Terminated = Zeroizing<Box<[u8]>>;

/// Granularity of the record of what must be zeroized, in bytes.
const PIECE: usize = 512;

/// Buffer for the decoded strings, each NUL-terminated and at its position in the JSON. Pages without
/// a decoded string are never touched.
struct Texts {
    /// The byte at the position of a string's opening quote is its state, which is written last. Behind
    /// the strings is a flag for each piece of `PIECE` bytes: whether it contains decoded strings.
    bytes: Box<[AtomicU8]>,
    /// Number of bytes for the strings.
    length: usize,
}

const UNREAD: u8 = 0;
const READ: u8 = 1;
/// The escapes are not valid UTF-16, such as an unpaired surrogate.
const INVALID: u8 = 2;
/// A thread decodes the string.
const WRITING: u8 = 3;

/// A reference to a value.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    root: &'a Root,
    entry: Entry,
    address: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

impl Root {
    /// Takes ownership of NUL-terminated bytes, whose JSON begins at `start`, and of the index of that
    /// JSON. Free the result with `Box::from_raw`.
    pub(super) fn new(bytes: Zeroizing<Vec<u8>>, start: usize, mut index: Index) -> NonNull<Root> {
        assert!(bytes.len() <= MAX_BYTES + 1 && bytes.last() == Some(&0));
        let root = Box::into_raw(Box::new(Root {
            whole: index.finish(),
            bytes,
            start,
            index,
            texts: OnceCell::new(),
            jsons: Mutex::default(),
        }));
        // Readers pass the address of a slot, from which the start of its block is computed.
        let address = root.expose_provenance();
        // SAFETY: `root` was created above, and no other reference exists.
        unsafe {
            (*root).index.set_owner(address);
            (*root).index.as_ptr().expose_provenance();
            NonNull::new_unchecked(root)
        }
    }

    /// Returns the address by which C identifies the whole value.
    pub(super) fn whole(&self) -> *const PackedEntry {
        ptr::from_ref(self.index.slot(self.whole))
    }

    /// Returns the whole JSON, NUL-terminated.
    pub(super) fn json(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Returns all bytes without the NUL. Positions are offsets into them.
    fn text(&self) -> &[u8] {
        &self.bytes[..self.bytes.len() - 1]
    }

    /// Returns the bytes between the quotes of a string or name, escapes included.
    fn written(&self, string: Entry) -> &[u8] {
        let from = string.head as usize + 1;
        &self.text()[from..from + (string.link & !ESCAPED) as usize]
    }

    fn entry(&self, index: usize) -> Entry {
        Entry::from_slot(*self.index.slot(index))
    }

    fn node_at(&self, index: usize) -> Node<'_> {
        let slot = self.index.slot(index);
        Node {
            root: self,
            entry: Entry::from_slot(*slot),
            address: ptr::from_ref(slot).addr(),
        }
    }
}

/// Returns the value of a cell, initialized by the first thread that reads it. A fork waits until the
/// initialization is done, so that a child does not wait for a thread of its parent.
fn read_once<T>(cell: &OnceCell<T>, make: impl FnOnce() -> T) -> &T {
    match cell.get() {
        Some(value) => value,
        None => {
            let _section = Section::enter();
            cell.get_or_init(make)
        }
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let Some(texts) = self.texts.get_mut() else {
            return;
        };
        let (strings, written) = texts.bytes.split_at_mut(texts.length);
        let pieces = strings.chunks_mut(PIECE).zip(written);
        for (piece, _) in pieces.filter(|(_, written)| written.load(Ordering::Relaxed) != 0) {
            let piece = ptr::from_mut::<[AtomicU8]>(piece);
            // SAFETY: `AtomicU8` has the layout of `u8`, and no other reference exists.
            wipe(unsafe { &mut *(piece as *mut [u8]) });
        }
    }
}

impl<'a> Node<'a> {
    /// Returns the node of a slot.
    ///
    /// # Safety
    /// `slot` is the address of a slot whose root is valid for `'a`. The provenance of the root and of
    /// its index has been exposed.
    pub(super) unsafe fn of(slot: *const PackedEntry) -> Node<'a> {
        let block = ptr::with_exposed_provenance::<PackedEntry>(slot.addr() & !(BLOCK - 1));
        // SAFETY: blocks are aligned to `BLOCK` and begin with the address of the root. They are valid as
        // long as the root, as the caller guarantees of the slot.
        unsafe {
            Node {
                root: &*ptr::with_exposed_provenance::<Root>(*block as usize),
                entry: Entry::from_slot(*ptr::with_exposed_provenance::<PackedEntry>(slot.addr())),
                address: slot.addr(),
            }
        }
    }

    /// Returns the address by which C identifies the value.
    pub(super) fn address(&self) -> *const PackedEntry {
        ptr::with_exposed_provenance(self.address)
    }

    pub(super) fn root(&self) -> NonNull<Root> {
        let root = ptr::with_exposed_provenance_mut(ptr::from_ref(self.root).addr());
        // SAFETY: the address of a reference is not zero.
        unsafe { NonNull::new_unchecked(root) }
    }

    fn is_whole(&self) -> bool {
        self.address == self.root.whole().addr()
    }

    pub(super) fn kind(&self) -> Kind {
        if self.entry.head & CONTAINER != 0 {
            return if self.entry.head & OBJECT != 0 {
                Kind::Object
            } else {
                Kind::Array
            };
        }
        match self.root.bytes[self.entry.head as usize] {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b'"' => Kind::String,
            b't' | b'f' => Kind::Bool,
            b'-' | b'0'..=b'9' => Kind::Number,
            _ => Kind::Null,
        }
    }

    /// Returns the number of elements or fields.
    pub(super) fn len(&self) -> usize {
        if self.entry.head & CONTAINER != 0 {
            (self.entry.head & COUNT) as usize
        } else {
            0
        }
    }

    /// Returns the element, or the value of the field, at an index.
    pub(super) fn at(&self, index: usize) -> Option<Node<'a>> {
        let first = self.entry.link as usize;
        if index >= self.len() {
            return None;
        }
        Some(match self.is_object() {
            true => self.root.node_at(first + 2 * index + 1),
            false => self.root.node_at(first + index),
        })
    }

    /// Returns the name of the field at an index.
    pub(super) fn name_at(&self, index: usize) -> Option<Node<'a>> {
        if index >= self.len() || !self.is_object() {
            return None;
        }
        Some(self.root.node_at(self.entry.link as usize + 2 * index))
    }

    /// Returns whether the value is an object with fields.
    fn is_object(&self) -> bool {
        self.entry.head & OBJECT != 0 && self.entry.head & CONTAINER != 0
    }

    /// Returns the value of the last field named `key`.
    pub(super) fn get(&self, key: &[u8]) -> Option<Node<'a>> {
        if !self.is_object() {
            return None;
        }
        let mut names = self.root.index.names(self.entry.link as usize, self.len());
        names.find_map(|(index, name)| {
            let is_match = if name.link & ESCAPED == 0 {
                name.link as usize == key.len() && are_equal(self.root.written(name), key)
            } else {
                let written = self.root.written(name);
                let mut name = Zeroizing::new(Vec::with_capacity(written.len()));
                json_text::decode_lossy(written, &mut name);
                *name == key
            };
            is_match.then(|| self.root.node_at(index + 1))
        })
    }

    /// Returns the bytes between the quotes, escapes included.
    fn written(&self) -> &'a [u8] {
        self.root.written(self.entry)
    }

    /// Returns a decoded string or name, NUL-terminated. If its escapes are not valid UTF-16, returns
    /// `None` for a string; for a name, U+FFFD replaces them.
    pub(super) fn terminated(&self, is_name: bool) -> Option<&'a [u8]> {
        let texts = read_once(&self.root.texts, || Texts::new(self.root.bytes.len()));
        let at = self.entry.head as usize;
        let state = match texts.bytes[at].load(Ordering::Acquire) {
            state @ (READ | INVALID) => state,
            _ => self.decode(texts),
        };
        if state == INVALID && !is_name {
            return None;
        }
        let length = if self.entry.link & ESCAPED == 0 {
            self.written().len()
        } else {
            json_text::decoded_length(self.written())
        };
        let text = &texts.bytes[at + 1..at + 1 + length + 1];
        // SAFETY: the string was written before the state that this thread has loaded, and is not written
        // again before the root is dropped.
        Some(unsafe { &*(ptr::from_ref(text) as *const [u8]) })
    }

    /// Decodes the string, or waits until another thread has done so. Returns its state.
    fn decode(&self, texts: &Texts) -> u8 {
        // A fork waits until the string is complete, so that a child does not wait for a thread of its
        // parent.
        let _section = Section::enter();
        let at = self.entry.head as usize;
        let state = &texts.bytes[at];
        let claimed = state.compare_exchange(UNREAD, WRITING, Ordering::Acquire, Ordering::Acquire);
        if claimed.is_err() {
            loop {
                match state.load(Ordering::Acquire) {
                    WRITING => thread::yield_now(),
                    state => return state,
                }
            }
        }
        let mut decoded = Zeroizing::new(Vec::new());
        let (text, is_valid) = if self.entry.link & ESCAPED == 0 {
            (self.written(), true)
        } else {
            decoded.reserve_exact(self.written().len());
            let is_valid = json_text::decode_lossy(self.written(), &mut decoded);
            (&decoded[..], is_valid)
        };
        for written in &texts.bytes[texts.length..][at / PIECE..=(at + text.len()) / PIECE] {
            written.store(1, Ordering::Relaxed);
        }
        let room = &texts.bytes[at + 1..at + 1 + text.len()];
        // SAFETY: `room` is as long as `text`. No thread reads it before it has loaded the state that is
        // stored below, and no other thread has claimed the string.
        unsafe {
            let to = room.as_ptr().cast::<u8>().cast_mut();
            ptr::copy_nonoverlapping(text.as_ptr(), to, text.len());
        }
        let done = if is_valid { READ } else { INVALID };
        state.store(done, Ordering::Release);
        done
    }

    /// Returns the JSON of the value.
    pub(super) fn json(&self) -> &'a str {
        let json = if self.is_whole() {
            &self.root.text()[self.root.start..]
        } else {
            let from = self.position();
            &self.root.text()[from..end_of(self.root.text(), from)]
        };
        std::str::from_utf8(json).unwrap_or_default()
    }

    /// Returns the JSON of the value, NUL-terminated.
    pub(super) fn json_terminated(&self) -> &'a [u8] {
        if self.is_whole() {
            return self.root.json();
        }
        let mut jsons = self.root.jsons.lock();
        let json = jsons.entry(self.address).or_insert_with(|| {
            let json = self.json().as_bytes();
            let mut bytes = Vec::with_capacity(json.len() + 1);
            bytes.extend_from_slice(json);
            bytes.push(0);
            Zeroizing::new(bytes.into_boxed_slice())
        });
        let json = ptr::from_ref::<[u8]>(json);
        // SAFETY: the boxed bytes neither move nor change until the root is dropped.
        unsafe { &*json }
    }

    /// Returns the position where the JSON of the value begins.
    fn position(&self) -> usize {
        // Only white space separates the bracket of a container from its first child, or from the bracket
        // of that child if it is a container.
        let (mut entry, mut brackets) = (self.entry, 0);
        while entry.head & CONTAINER != 0 {
            entry = self.root.entry(entry.link as usize);
            brackets += 1;
        }
        let mut position = entry.head as usize;
        for _ in 0..brackets {
            let mut before = self.root.text()[..position].iter();
            position = before
                .rposition(|byte| matches!(byte, b'[' | b'{'))
                .unwrap_or(0);
        }
        position
    }
}

impl Texts {
    fn new(length: usize) -> Self {
        let pieces = length / PIECE + 1;
        let zeroed = Box::into_raw(vec![0u8; length + pieces].into_boxed_slice());
        Texts {
            // SAFETY: `AtomicU8` has the layout of `u8`.
            bytes: unsafe { Box::from_raw(zeroed as *mut [AtomicU8]) },
            length,
        }
    }
}

/// Returns the end of the value that begins at `from`, in valid JSON.
fn end_of(json: &[u8], from: usize) -> usize {
    let rest = &json[from..];
    let is_end = |byte: &u8| {
        matches!(
            byte,
            b',' | b':' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r'
        )
    };
    match rest.first() {
        Some(b'"') => from + string_length(rest),
        Some(b'{' | b'[') => {
            let (mut at, mut depth) = (0, 0_usize);
            while let Some(byte) = rest.get(at) {
                match byte {
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    b'"' => at += string_length(&rest[at..]) - 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    break;
                }
            }
            from + at
        }
        _ => from + rest.iter().position(is_end).unwrap_or(rest.len()),
    }
}

/// Returns the length of the string at the start of `json`, its quotes included.
fn string_length(json: &[u8]) -> usize {
    let mut length = 1;
    loop {
        length += json_text::plain_length(&json[length..]);
        match json.get(length) {
            Some(b'\\') => length += 2,
            Some(_) => return length + 1,
            None => return length,
        }
    }
}
