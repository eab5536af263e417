//! The tree of a JSON response: a compact index over its bytes.
//!
//! Every value and every name of a field takes one entry of eight bytes, and the entries of a
//! container's children are adjacent, so that a child is found by its index in constant time. The
//! index is built when first needed, in two passes over the bytes: the first counts the children of
//! each container, the second fills the entries in. Neither recurses, so depth costs no stack.
//!
//! C identifies a value by the address of its entry. Entries are kept in blocks that are aligned to
//! their size and begin with the address of the [`Root`], which is how a reader finds the bytes.

use std::collections::HashMap;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, Ordering};

use once_cell::sync::OnceCell;

use crate::fork::{Mutex, MutexGuard, Section};
use crate::secret::{Zeroizing, wipe};

/// Size and alignment of a block; [`Root`] and [`Block`] spell the number out again.
const BLOCK: usize = 512;
/// Entries of a block: all of it but the address of the root.
const ENTRIES: usize = 63;
/// Maximum size of a response, so that positions and counts leave bits for flags.
pub(super) const MAX_BYTES: usize = (1 << 31) - 1;

/// One value, or the name of a field.
///
/// | | `head` | `link` |
/// |---|---|---|
/// | container with children | `CONTAINER`, perhaps `OBJECT`, number of children | index of the first |
/// | string, name | position of its first quote | bytes between the quotes, perhaps `ESCAPED` |
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

/// A whole response and what was made of it.
#[repr(C, align(512))]
pub(super) struct Root {
    /// As in a [`Block`], since the entry of the whole value is in here.
    itself: *const Root,
    whole: Entry,
    /// The bytes with a NUL behind them.
    bytes: Zeroizing<Vec<u8>>,
    /// Where the JSON begins, after a byte-order mark.
    start: usize,
    /// Empty if the bytes are not JSON.
    blocks: OnceCell<Box<[Block]>>,
    texts: OnceCell<Texts>,
    made: Mutex<Made>,
}

/// A NUL-terminated string, overwritten when dropped.
type Terminated = Zeroizing<Box<[u8]>>;

/// What has been made for readers.
#[derive(Default)]
struct Made {
    /// Which pieces of [`Texts`], each of `PIECE` bytes, have something written to them.
    written: Vec<bool>,
    /// The JSON of parts, by the address of the entry.
    jsons: HashMap<usize, Terminated>,
}

/// How finely it is recorded what has to be overwritten.
const PIECE: usize = 512;

/// Room for each string with a NUL behind it, at the position that it has in the JSON. Memory that no
/// string is written to is never touched.
///
/// The byte at the position of a string's first quote is its state; it is written after the string.
struct Texts(Box<[AtomicU8]>);

const UNREAD: u8 = 0;
const READ: u8 = 1;
/// Its escapes are not text, such as half a surrogate pair.
const NOT_TEXT: u8 = 2;

/// A value as a reader sees it.
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
    /// Takes ownership of bytes with a NUL behind them, whose JSON begins at `start`. Free with
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
        // Readers come back with the address of the whole value's entry.
        root.expose_provenance();
        // SAFETY: it has just been made.
        unsafe {
            (*root).itself = root;
            NonNull::new_unchecked(root)
        }
    }

    /// The address by which C identifies the whole value.
    pub(super) fn whole(&self) -> *const Entry {
        &raw const self.whole
    }

    /// The whole JSON with the NUL behind it.
    pub(super) fn json(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// All bytes but the NUL; positions count from here.
    fn text(&self) -> &[u8] {
        &self.bytes[..self.bytes.len() - 1]
    }

    fn blocks(&self) -> &[Block] {
        read_once::<Box<[Block]>>(&self.blocks, || {
            let blocks = build(self.text(), self.start, self.itself).unwrap_or_default();
            // Readers come back with the address of an entry, and find the block's beginning.
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

/// Returns the value of a cell, made by the first thread that needs it. A fork waits for that, so that a
/// child never waits for a thread that it does not have.
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
                // SAFETY: an `AtomicU8` is laid out as a `u8` is, and nothing else refers to these.
                wipe(unsafe { &mut *(piece as *mut [u8]) });
            }
        }
    }
}

impl<'a> Node<'a> {
    /// The node of an entry.
    ///
    /// # Safety
    /// `entry` is the address of an entry whose root lives for `'a`, and the address of the root has
    /// been exposed.
    pub(super) unsafe fn of(entry: *const Entry) -> Node<'a> {
        let block = entry.addr() & !(BLOCK - 1);
        let root = ptr::with_exposed_provenance::<*const Root>(block);
        // SAFETY: roots and blocks alike are aligned to their size and begin with the address of the
        // root, and they live as long as the root.
        let root = unsafe { &**root };
        if entry.addr() == root.whole().addr() {
            return Node {
                root,
                entry: root.entry(0).copied().unwrap_or(Entry {
                    // Bytes that are not JSON: the NUL behind them is the beginning of no value.
                    head: root.text().len() as u32,
                    link: 0,
                }),
                address: entry.addr(),
            };
        }
        Node {
            root,
            // SAFETY: as the caller promises.
            entry: unsafe { *ptr::with_exposed_provenance::<Entry>(entry.addr()) },
            address: entry.addr(),
        }
    }

    /// The address by which C identifies the value.
    pub(super) fn address(&self) -> *const Entry {
        ptr::with_exposed_provenance(self.address)
    }

    pub(super) fn root(&self) -> NonNull<Root> {
        // SAFETY: it points to itself.
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

    /// The number of elements or fields.
    pub(super) fn len(&self) -> usize {
        if self.entry.head & CONTAINER != 0 {
            (self.entry.head & COUNT) as usize
        } else {
            0
        }
    }

    /// The element, or the value of the field, at an index.
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

    /// The name of the field at an index.
    pub(super) fn name_at(&self, index: usize) -> Option<Node<'a>> {
        if index >= self.len() || self.kind() != Kind::Object {
            return None;
        }
        self.root.node_at(self.entry.link as usize + 2 * index)
    }

    /// The value of the last field of that name.
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
            let is_it = self.root.node_at(first + 2 * index)?.is_named(key);
            is_it.then(|| self.root.node_at(first + 2 * index + 1))?
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

    /// What is between the quotes.
    fn written(&self) -> &'a [u8] {
        let from = self.entry.head as usize + 1;
        &self.root.text()[from..from + (self.entry.link & !ESCAPED) as usize]
    }

    /// A string or name with a NUL behind it; `None` if its escapes are not text, unless it is a
    /// `name`, which has U+FFFD in their place.
    pub(super) fn terminated(&self, is_name: bool) -> Option<&'a [u8]> {
        let texts = read_once(&self.root.texts, || Texts::new(self.root.bytes.len()));
        let at = self.entry.head as usize;
        let state = &texts.0[at];
        if state.load(Ordering::Acquire) == UNREAD {
            let mut made = self.root.made();
            if state.load(Ordering::Relaxed) == UNREAD {
                let mut decoded = Zeroizing::new(Vec::new());
                let (text, is_text) = if self.entry.link & ESCAPED == 0 {
                    (self.written(), true)
                } else {
                    decoded.reserve_exact(self.written().len());
                    let is_text = unescape(self.written(), &mut decoded);
                    (&decoded[..], is_text)
                };
                let (from, to) = (at / PIECE, (at + text.len()) / PIECE);
                if made.written.len() <= to {
                    made.written.resize(texts.0.len() / PIECE + 1, false);
                }
                made.written[from..=to].fill(true);
                let room = &texts.0[at + 1..at + 1 + text.len()];
                // SAFETY: the room is as long as the text, and no thread reads or writes it before it
                // sees the state that is stored below; the lock is held.
                unsafe {
                    let to = room.as_ptr().cast::<u8>().cast_mut();
                    ptr::copy_nonoverlapping(text.as_ptr(), to, text.len());
                }
                state.store(if is_text { READ } else { NOT_TEXT }, Ordering::Release);
            }
        }
        if state.load(Ordering::Acquire) == NOT_TEXT && !is_name {
            return None;
        }
        let length = if self.entry.link & ESCAPED == 0 {
            self.written().len()
        } else {
            unescaped_length(self.written())
        };
        let text = &texts.0[at + 1..at + 1 + length + 1];
        // SAFETY: the string has been written, which this thread has seen by its state, and nothing
        // writes there again before the root is dropped.
        Some(unsafe { &*(ptr::from_ref(text) as *const [u8]) })
    }

    /// The JSON of the value.
    pub(super) fn json(&self) -> &'a str {
        let json = if self.is_whole() {
            &self.root.text()[self.root.start..]
        } else {
            let from = self.position();
            &self.root.text()[from..end_of(self.root.text(), from)]
        };
        std::str::from_utf8(json).unwrap_or_default()
    }

    /// The same with a NUL behind it.
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
        // SAFETY: the text neither moves nor changes until the root is dropped.
        unsafe { &*json }
    }

    /// Where the JSON of the value begins.
    fn position(&self) -> usize {
        // The bracket of a container is before its first child, with nothing between but white space
        // and, where the child is a container as well, its bracket.
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
        // SAFETY: an `AtomicU8` is laid out as a `u8` is.
        Texts(unsafe { Box::from_raw(zeroed as *mut [AtomicU8]) })
    }
}

/// A piece of JSON.
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

/// The pieces of JSON, white space, commas and colons left out. Ends early where the bytes are no
/// pieces of JSON at all.
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

/// The number of bytes before the quote that ends a string, and whether there are escapes.
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

/// Where the value that begins at `from` ends.
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

/// Counts, for each container in the order of their opening brackets, its children's entries.
/// `None` if the brackets do not match, or anything but one value is there.
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

/// The entries of all values and names, beginning with the whole value.
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
    let slot = |index: u32| (index as usize / ENTRIES, index as usize % ENTRIES);

    // The entries of the container that is being filled, and the end of those of the nearest one
    // around it that is not full. Of that one, the last entry, which is filled last, says where to
    // go on and which is the next around it. So nesting needs no memory.
    const NONE: u32 = u32::MAX;
    let (mut next, mut end, mut around) = (0, 1, NONE);
    let mut free = 1;
    let mut counts = counts.into_iter();
    for token in (Tokens { json, at: start }) {
        // Which container a value belongs to is known by the counts.
        if let Token::Close { .. } = token {
            continue;
        }
        while next == end {
            if around == NONE {
                return None;
            }
            let (block, index) = slot(around - 1);
            let saved = blocks[block].entries[index];
            (next, end, around) = (saved.head, around, saved.link);
        }
        let (block, index) = slot(next);
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
                        let (block, index) = slot(end - 1);
                        blocks[block].entries[index] = Entry {
                            head: next,
                            link: around,
                        };
                        around = end;
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

/// Decodes what is between the quotes of a string; whether all escapes are text. Those that are not
/// become U+FFFD, so that the result is never longer than `written`.
fn unescape(written: &[u8], text: &mut Vec<u8>) -> bool {
    let mut is_text = true;
    for piece in pieces(written) {
        match piece {
            Piece::Bytes(bytes) => text.extend_from_slice(bytes),
            Piece::Char(c) => {
                let mut buffer = [0; 4];
                text.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            }
            Piece::Half => {
                is_text = false;
                text.extend_from_slice(REPLACEMENT);
            }
        }
    }
    is_text
}

fn unescaped_length(written: &[u8]) -> usize {
    pieces(written)
        .map(|piece| match piece {
            Piece::Bytes(bytes) => bytes.len(),
            Piece::Char(c) => c.len_utf8(),
            Piece::Half => REPLACEMENT.len(),
        })
        .sum()
}

/// A piece of a string: as it is written, or what an escape stands for.
enum Piece<'a> {
    Bytes(&'a [u8]),
    Char(char),
    /// Half of a surrogate pair.
    Half,
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
                // Not an escape of JSON, which these bytes are known to be.
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
        Some(piece.map_or(Piece::Half, Piece::Char))
    })
}

/// The code unit of an escape such as `\u00e9` at the beginning.
fn code_unit(json: &[u8]) -> Option<u32> {
    let digits = json.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |code, digit| {
        Some(code << 4 | char::from(*digit).to_digit(16)?)
    })
}
