//! Compact index over the bytes of a JSON response.
//!
//! Each value and each field name has one entry of eight bytes. The entries of a container's children
//! are adjacent, so that a child is found by its index in constant time. The index is built when first
//! needed, in two passes over the bytes: the first counts the children of each container, the second
//! fills in the entries. Neither is recursive, so nesting uses no stack.
//!
//! C identifies a value by the address of its entry. Entries are kept in blocks that are aligned to
//! their size and begin with the address of the [`Root`], which is how a reader finds the bytes.

use std::collections::HashMap;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, Ordering};

use once_cell::sync::OnceCell;

use crate::fork::{Mutex, MutexGuard, Section};
use crate::secret::{Zeroizing, wipe};

/// Size and alignment of a block. `repr(align)` of [`Root`] and [`Block`] must have the same value.
const BLOCK: usize = 512;
/// Entries of a block, beside the address of the root.
const ENTRIES: usize = 63;
/// Maximum size of a response: positions and counts must leave bits for flags.
pub(super) const MAX_BYTES: usize = (1 << 31) - 1;

/// One value, or the name of a field.
///
/// | | `head` | `link` |
/// |---|---|---|
/// | container with children | `CONTAINER`, for an object `OBJECT`, number of children | index of the first |
/// | string, name | position of its opening quote | bytes between the quotes, `ESCAPED` if it has escapes |
/// | any other | position | 0 |
///
/// A child of an object has two entries: its name, then its value.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entry {
    head: u32,
    link: u32,
}

const CONTAINER: u32 = 1 << 31;
const OBJECT: u32 = 1 << 30;
const COUNT: u32 = OBJECT - 1;
const ESCAPED: u32 = 1 << 31;

const _: () = assert!(size_of::<Block>() == BLOCK && align_of::<Block>() == BLOCK);
const _: () = assert!(align_of::<Root>() == BLOCK);
const _: () = assert!(std::mem::offset_of!(Root, itself) == 0);
const _: () = assert!(std::mem::offset_of!(Block, root) == 0);

#[repr(C, align(512))]
struct Block {
    root: *const Root,
    entries: [Entry; ENTRIES],
}

/// A whole response with its index and the decoded strings.
#[repr(C, align(512))]
pub(super) struct Root {
    /// The address of this root, as in a [`Block`]: the entry of the whole value is in this struct.
    itself: *const Root,
    whole: Entry,
    /// The bytes, NUL-terminated.
    bytes: Zeroizing<Vec<u8>>,
    /// Start of the JSON, after a byte-order mark.
    start: usize,
    /// Empty if the bytes are not JSON.
    blocks: OnceCell<Box<[Block]>>,
    texts: OnceCell<Texts>,
    made: Mutex<Made>,
}

/// A NUL-terminated string, zeroized on drop.
type Terminated = Zeroizing<Box<[u8]>>;

/// Data created for readers.
#[derive(Default)]
struct Made {
    /// Which pieces of [`Texts`], each of `PIECE` bytes, contain decoded strings.
    written: Vec<bool>,
    /// The JSON of parts, by the address of their entry.
    jsons: HashMap<usize, Terminated>,
}

/// Granularity of the record of what must be zeroized, in bytes.
const PIECE: usize = 512;

/// Buffer for the decoded strings, each NUL-terminated and at its position in the JSON. Pages without
/// a decoded string are never touched.
///
/// The byte at the position of a string's opening quote is its state. It is written after the string.
struct Texts(Box<[AtomicU8]>);

const UNREAD: u8 = 0;
const READ: u8 = 1;
/// The escapes are not valid UTF-16, such as an unpaired surrogate.
const INVALID: u8 = 2;

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
    /// Takes ownership of NUL-terminated bytes, whose JSON begins at `start`. Free the result with
    /// `Box::from_raw`.
    pub(super) fn new(bytes: Zeroizing<Vec<u8>>, start: usize) -> NonNull<Root> {
        assert!(bytes.len() <= MAX_BYTES + 1 && bytes.last() == Some(&0));
        let root = Box::into_raw(Box::new(Root {
            itself: ptr::null(),
            whole: Entry::default(),
            bytes,
            start,
            blocks: OnceCell::new(),
            texts: OnceCell::new(),
            made: Mutex::default(),
        }));
        // Readers pass the address of the whole value's entry.
        root.expose_provenance();
        // SAFETY: `root` was created above, and no other reference exists.
        unsafe {
            (*root).itself = root;
            NonNull::new_unchecked(root)
        }
    }

    /// Returns the address by which C identifies the whole value.
    pub(super) fn whole(&self) -> *const Entry {
        &raw const self.whole
    }

    /// Returns the whole JSON, NUL-terminated.
    pub(super) fn json(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Returns all bytes without the NUL. Positions are offsets into them.
    fn text(&self) -> &[u8] {
        &self.bytes[..self.bytes.len() - 1]
    }

    fn blocks(&self) -> &[Block] {
        read_once::<Box<[Block]>>(&self.blocks, || {
            let blocks = build(self.text(), self.start, self.itself).unwrap_or_default();
            // Readers pass the address of an entry, from which the start of its block is computed.
            blocks.as_ptr().expose_provenance();
            blocks
        })
    }

    fn entry(&self, index: usize) -> Option<&Entry> {
        let block = self.blocks().get(index / ENTRIES)?;
        Some(&block.entries[index % ENTRIES])
    }

    fn node_at(&self, index: usize) -> Option<Node<'_>> {
        let entry = self.entry(index)?;
        Some(Node {
            root: self,
            entry: *entry,
            address: ptr::from_ref(entry).addr(),
        })
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock()
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
        let made = self.made.get_mut();
        if let Some(texts) = self.texts.get_mut() {
            let pieces = texts.0.chunks_mut(PIECE).zip(&made.written);
            for (piece, _) in pieces.filter(|(_, written)| **written) {
                let piece = ptr::from_mut::<[AtomicU8]>(piece);
                // SAFETY: `AtomicU8` has the layout of `u8`, and no other reference exists.
                wipe(unsafe { &mut *(piece as *mut [u8]) });
            }
        }
    }
}

impl<'a> Node<'a> {
    /// Returns the node of an entry.
    ///
    /// # Safety
    /// `entry` is the address of an entry whose root is valid for `'a`. The provenance of the root has
    /// been exposed.
    pub(super) unsafe fn of(entry: *const Entry) -> Node<'a> {
        let block = entry.addr() & !(BLOCK - 1);
        let root = ptr::with_exposed_provenance::<*const Root>(block);
        // SAFETY: roots and blocks are aligned to `BLOCK` and begin with the address of the root. They are
        // valid as long as the root.
        let root = unsafe { &**root };
        if entry.addr() == root.whole().addr() {
            return Node {
                root,
                entry: root.entry(0).copied().unwrap_or(Entry {
                    // Bytes that are not JSON: `kind` returns `Null` for the position of the NUL.
                    head: root.text().len() as u32,
                    link: 0,
                }),
                address: entry.addr(),
            };
        }
        Node {
            root,
            // SAFETY: guaranteed by the caller.
            entry: unsafe { *ptr::with_exposed_provenance::<Entry>(entry.addr()) },
            address: entry.addr(),
        }
    }

    /// Returns the address by which C identifies the value.
    pub(super) fn address(&self) -> *const Entry {
        ptr::with_exposed_provenance(self.address)
    }

    pub(super) fn root(&self) -> NonNull<Root> {
        // SAFETY: `itself` is the address of the root, set by `Root::new`.
        unsafe { NonNull::new_unchecked(self.root.itself.cast_mut()) }
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
        match self.kind() {
            Kind::Object => self.root.node_at(first + 2 * index + 1),
            _ => self.root.node_at(first + index),
        }
    }

    /// Returns the name of the field at an index.
    pub(super) fn name_at(&self, index: usize) -> Option<Node<'a>> {
        if index >= self.len() || self.kind() != Kind::Object {
            return None;
        }
        self.root.node_at(self.entry.link as usize + 2 * index)
    }

    /// Returns the value of the last field named `key`.
    pub(super) fn get(&self, key: &str) -> Option<Node<'a>> {
        if self.kind() != Kind::Object {
            return None;
        }
        let first = self.entry.link as usize;
        (0..self.len()).rev().find_map(|index| {
            let name = self.root.entry(first + 2 * index)?;
            if name.link & ESCAPED == 0 && name.link as usize != key.len() {
                return None;
            }
            let is_match = self.root.node_at(first + 2 * index)?.is_named(key);
            is_match.then(|| self.root.node_at(first + 2 * index + 1))?
        })
    }

    fn is_named(&self, key: &str) -> bool {
        if self.entry.link & ESCAPED == 0 {
            return self.written() == key.as_bytes();
        }
        let mut name = Zeroizing::new(Vec::with_capacity(self.written().len()));
        unescape(self.written(), &mut name);
        *name == key.as_bytes()
    }

    /// Returns the bytes between the quotes, escapes included.
    fn written(&self) -> &'a [u8] {
        let from = self.entry.head as usize + 1;
        &self.root.text()[from..from + (self.entry.link & !ESCAPED) as usize]
    }

    /// Returns a decoded string or name, NUL-terminated. If its escapes are not valid UTF-16, returns
    /// `None` for a string; for a name, U+FFFD replaces them.
    pub(super) fn terminated(&self, is_name: bool) -> Option<&'a [u8]> {
        let texts = read_once(&self.root.texts, || Texts::new(self.root.bytes.len()));
        let at = self.entry.head as usize;
        let state = &texts.0[at];
        if state.load(Ordering::Acquire) == UNREAD {
            let mut made = self.root.made();
            if state.load(Ordering::Relaxed) == UNREAD {
                let mut decoded = Zeroizing::new(Vec::new());
                let (text, is_valid) = if self.entry.link & ESCAPED == 0 {
                    (self.written(), true)
                } else {
                    decoded.reserve_exact(self.written().len());
                    let is_valid = unescape(self.written(), &mut decoded);
                    (&decoded[..], is_valid)
                };
                let (from, to) = (at / PIECE, (at + text.len()) / PIECE);
                if made.written.len() <= to {
                    made.written.resize(texts.0.len() / PIECE + 1, false);
                }
                made.written[from..=to].fill(true);
                let room = &texts.0[at + 1..at + 1 + text.len()];
                // SAFETY: `room` is as long as `text`. No thread reads it before it has loaded the state
                // that is stored below, and the lock excludes other writers.
                unsafe {
                    let to = room.as_ptr().cast::<u8>().cast_mut();
                    ptr::copy_nonoverlapping(text.as_ptr(), to, text.len());
                }
                state.store(if is_valid { READ } else { INVALID }, Ordering::Release);
            }
        }
        if state.load(Ordering::Acquire) == INVALID && !is_name {
            return None;
        }
        let length = if self.entry.link & ESCAPED == 0 {
            self.written().len()
        } else {
            unescaped_length(self.written())
        };
        let text = &texts.0[at + 1..at + 1 + length + 1];
        // SAFETY: the string was written before the state that this thread has loaded, and is not written
        // again before the root is dropped.
        Some(unsafe { &*(ptr::from_ref(text) as *const [u8]) })
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
        let mut made = self.root.made();
        let json = made.jsons.entry(self.address).or_insert_with(|| {
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
            entry = self
                .root
                .entry(entry.link as usize)
                .copied()
                .unwrap_or_default();
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
        let zeroed = Box::into_raw(vec![0u8; length].into_boxed_slice());
        // SAFETY: `AtomicU8` has the layout of `u8`.
        Texts(unsafe { Box::from_raw(zeroed as *mut [AtomicU8]) })
    }
}

/// A JSON token.
enum Token {
    Open {
        is_object: bool,
        at: usize,
    },
    Close {
        is_object: bool,
    },
    String {
        at: usize,
        length: usize,
        is_escaped: bool,
    },
    Other {
        at: usize,
    },
}

/// Iterator over JSON tokens. Skips white space, commas and colons. Ends early at bytes that are not a
/// token.
struct Tokens<'a> {
    json: &'a [u8],
    at: usize,
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            let at = self.at;
            let byte = *self.json.get(at)?;
            self.at = at + 1;
            return Some(match byte {
                b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' => continue,
                b'{' | b'[' => Token::Open {
                    is_object: byte == b'{',
                    at,
                },
                b'}' | b']' => Token::Close {
                    is_object: byte == b'}',
                },
                b'"' => {
                    let (length, is_escaped) = string_length(&self.json[at + 1..])?;
                    self.at = at + 1 + length + 1;
                    Token::String {
                        at,
                        length,
                        is_escaped,
                    }
                }
                _ => {
                    self.at = end_of(self.json, at);
                    Token::Other { at }
                }
            });
        }
    }
}

/// Returns the number of bytes before the closing quote of a string, and whether it has escapes.
fn string_length(json: &[u8]) -> Option<(usize, bool)> {
    let special = |byte: &u8| matches!(byte, b'"' | b'\\');
    let mut length = 0;
    let mut is_escaped = false;
    loop {
        length += json[length..].iter().position(special)?;
        if json[length] == b'"' {
            return Some((length, is_escaped));
        }
        is_escaped = true;
        length += 2;
        if length > json.len() {
            return None;
        }
    }
}

/// Returns the end of the value that begins at `from`.
fn end_of(json: &[u8], from: usize) -> usize {
    match json.get(from) {
        Some(b'"') => match string_length(&json[from + 1..]) {
            Some((length, _)) => from + 1 + length + 1,
            None => json.len(),
        },
        Some(b'{' | b'[') => {
            let mut tokens = Tokens { json, at: from };
            let mut depth = 0;
            for token in tokens.by_ref() {
                match token {
                    Token::Open { .. } => depth += 1,
                    Token::Close { .. } => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
            tokens.at
        }
        _ => {
            let delimiter = |byte: &u8| {
                matches!(
                    byte,
                    b',' | b':' | b']' | b'}' | b'[' | b'{' | b'"' | b' ' | b'\t' | b'\n' | b'\r'
                )
            };
            let rest = json.get(from + 1..).unwrap_or_default();
            let length = rest.iter().position(delimiter).unwrap_or(rest.len());
            from + 1 + length
        }
    }
}

/// Counts the entries of the children of each container, in the order of the opening brackets. Returns
/// `None` if the brackets do not match, or if the bytes are not exactly one value.
fn count(json: &[u8], start: usize) -> Option<Vec<u32>> {
    let mut counts: Vec<u32> = Vec::new();
    // The open containers: index into `counts`, and whether it is an object.
    let mut open: Vec<u32> = Vec::new();
    let mut values = 0;
    let mut tokens = Tokens { json, at: start };
    for token in &mut tokens {
        if let Token::Close { is_object } = token {
            let index = open.pop()?;
            let (index, opened_object) = ((index & !OBJECT) as usize, index & OBJECT != 0);
            if is_object != opened_object || is_object && !counts[index].is_multiple_of(2) {
                return None;
            }
            continue;
        }
        match open.last() {
            Some(index) => counts[(index & !OBJECT) as usize] += 1,
            None => values += 1,
        }
        if let Token::Open { is_object, .. } = token {
            let index = u32::try_from(counts.len())
                .ok()
                .filter(|index| *index < OBJECT)?;
            open.push(index | if is_object { OBJECT } else { 0 });
            counts.push(0);
        }
    }
    (values == 1 && open.is_empty() && tokens.at >= json.len()).then_some(counts)
}

/// Builds the entries of all values and names, beginning with the whole value.
fn build(json: &[u8], start: usize, root: *const Root) -> Option<Box<[Block]>> {
    let counts = count(json, start)?;
    let entries = 1 + counts.iter().map(|count| *count as usize).sum::<usize>();
    let block = || Block {
        root,
        entries: [Entry::default(); ENTRIES],
    };
    let mut blocks: Box<[Block]> = std::iter::repeat_with(block)
        .take(entries.div_ceil(ENTRIES))
        .collect();
    let position_of = |index: u32| (index as usize / ENTRIES, index as usize % ENTRIES);

    // `next..end` are the free entries of the container that is being filled. `outer` is the end of the
    // nearest outer container that is not full, or `NONE`. The last entry of that container is filled
    // last; until then it stores `next` (`head`) and `outer` (`link`) of that container. So nesting uses
    // no additional memory.
    const NONE: u32 = u32::MAX;
    let (mut next, mut end, mut outer) = (0, 1, NONE);
    let mut free = 1;
    let mut counts = counts.into_iter();
    for token in (Tokens { json, at: start }) {
        // The counts already say which container a value belongs to.
        if let Token::Close { .. } = token {
            continue;
        }
        while next == end {
            if outer == NONE {
                return None;
            }
            let (block, index) = position_of(outer - 1);
            let saved = blocks[block].entries[index];
            (next, end, outer) = (saved.head, outer, saved.link);
        }
        let (block, index) = position_of(next);
        next += 1;
        blocks[block].entries[index] = match token {
            Token::Open { is_object, at } => match counts.next()? {
                0 => Entry {
                    head: at as u32,
                    link: 0,
                },
                count => {
                    let first = free;
                    free += count;
                    if next < end {
                        let (block, index) = position_of(end - 1);
                        blocks[block].entries[index] = Entry {
                            head: next,
                            link: outer,
                        };
                        outer = end;
                    }
                    (next, end) = (first, free);
                    Entry {
                        head: if is_object {
                            CONTAINER | OBJECT | (count / 2)
                        } else {
                            CONTAINER | count
                        },
                        link: first,
                    }
                }
            },
            Token::String {
                at,
                length,
                is_escaped,
            } => Entry {
                head: at as u32,
                link: length as u32 | if is_escaped { ESCAPED } else { 0 },
            },
            Token::Other { at } => Entry {
                head: at as u32,
                link: 0,
            },
            Token::Close { .. } => continue,
        };
    }
    Some(blocks)
}

/// Decodes the bytes between the quotes of a string. Returns whether all escapes are valid UTF-16. U+FFFD
/// replaces those that are not, so the result is never longer than `written`.
fn unescape(written: &[u8], text: &mut Vec<u8>) -> bool {
    let mut is_valid = true;
    for piece in pieces(written) {
        match piece {
            Piece::Bytes(bytes) => text.extend_from_slice(bytes),
            Piece::Char(c) => {
                let mut buffer = [0; 4];
                text.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            }
            Piece::Unpaired => {
                is_valid = false;
                text.extend_from_slice(REPLACEMENT);
            }
        }
    }
    is_valid
}

fn unescaped_length(written: &[u8]) -> usize {
    pieces(written)
        .map(|piece| match piece {
            Piece::Bytes(bytes) => bytes.len(),
            Piece::Char(c) => c.len_utf8(),
            Piece::Unpaired => REPLACEMENT.len(),
        })
        .sum()
}

/// A part of a string: literal bytes, or the character of an escape.
enum Piece<'a> {
    Bytes(&'a [u8]),
    Char(char),
    /// An unpaired surrogate.
    Unpaired,
}

/// U+FFFD.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

fn pieces(mut rest: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    std::iter::from_fn(move || {
        let plain = rest
            .iter()
            .position(|byte| *byte == b'\\')
            .unwrap_or(rest.len());
        if plain > 0 {
            let (bytes, after) = rest.split_at(plain);
            rest = after;
            return Some(Piece::Bytes(bytes));
        }
        let escape = *rest.get(1)?;
        let (piece, length) = match escape {
            b'u' => match code_unit(rest) {
                Some(high @ 0xd800..=0xdbff) => match code_unit(&rest[6..]) {
                    Some(low @ 0xdc00..=0xdfff) => {
                        let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                        (char::from_u32(code), 12)
                    }
                    _ => (None, 6),
                },
                Some(code) => (char::from_u32(code), 6),
                // Unreachable for valid JSON.
                None => return None,
            },
            b'b' => (Some('\u{8}'), 2),
            b'f' => (Some('\u{c}'), 2),
            b'n' => (Some('\n'), 2),
            b'r' => (Some('\r'), 2),
            b't' => (Some('\t'), 2),
            b'"' | b'\\' | b'/' => (Some(char::from(escape)), 2),
            _ => return None,
        };
        rest = &rest[length..];
        Some(piece.map_or(Piece::Unpaired, Piece::Char))
    })
}

/// Decodes an escape such as `\u00e9` at the start of `json` to its code unit.
fn code_unit(json: &[u8]) -> Option<u32> {
    let digits = json.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |code, digit| {
        Some(code << 4 | char::from(*digit).to_digit(16)?)
    })
}
