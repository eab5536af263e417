//! Index of a JSON text: the kind, position and children of each value, without a copy of its bytes.
//!
//! Each value and each field name has one entry of eight bytes. The children of a container are
//! adjacent, so that a child is found by its index in constant time. Must not depend on schemas.

/// Size in bytes, and alignment, of a block of entries. Its first slot has no entry: the C ABI
/// stores an address there, which it finds from the address of any entry of the block.
pub(crate) const BLOCK: usize = 512;
/// Slots of a block.
const SLOTS: usize = BLOCK / size_of::<u64>();
/// Entries of a block.
const ENTRIES: usize = SLOTS - 1;
/// Maximum size of a JSON text in bytes: positions and counts leave bits for flags.
pub(crate) const MAX_BYTES: usize = (1 << 31) - 1;

/// One value, or the name of a field.
///
/// | | `head` | `link` |
/// |---|---|---|
/// | container with children | `CONTAINER`, for an object `OBJECT`, number of children | index of the first |
/// | string, name | position of its opening quote | bytes between the quotes, `ESCAPED` if it has escapes |
/// | any other | position | 0 |
///
/// A child of an object has two entries: its name, then its value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) head: u32,
    pub(crate) link: u32,
}

pub(crate) const CONTAINER: u32 = 1 << 31;
pub(crate) const OBJECT: u32 = 1 << 30;
pub(crate) const COUNT: u32 = OBJECT - 1;
pub(crate) const ESCAPED: u32 = 1 << 31;

impl Entry {
    pub(crate) fn from_slot(slot: u64) -> Entry {
        Entry {
            head: slot as u32,
            link: (slot >> 32) as u32,
        }
    }

    pub(crate) fn to_slot(self) -> u64 {
        u64::from(self.head) | u64::from(self.link) << 32
    }
}

/// The entries of a JSON text.
///
/// While the text is parsed, the entries of finished containers are at the start of the slots, and
/// those of open containers at the end, last entry first. Closing a container moves its children
/// from the end to the start. A text of n bytes has at most (n + 1) / 2 entries. Responses have far
/// fewer, so there is room for a fifth of them at first.
#[derive(Debug)]
pub(crate) struct Index {
    slots: Vec<u64>,
    /// Position of the first block: the first slot with the alignment of a block.
    base: usize,
    /// Number of entries at the start.
    done: usize,
    /// Position of the last entry that was added; the entries at the end begin there.
    last: usize,
    /// Number of entries that can be added before the slots have to grow.
    room: usize,
    /// Number of entries for which there are slots.
    capacity: usize,
    /// Maximum number of entries of the text.
    max: usize,
}

/// An open container: the number of entries at the end of the slots before it was opened, and
/// `OBJECT` if it is an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Open(u32);

impl Open {
    /// No container.
    pub(crate) const NONE: Open = Open(u32::MAX);

    pub(crate) fn is_object(self) -> bool {
        self.0 & OBJECT != 0
    }
}

impl Index {
    /// Creates an index without entries for a text of `length` bytes.
    pub(crate) fn with_capacity(length: usize) -> Index {
        let max = length / 2 + 1;
        // Compact objects of the API have an entry for 16 to 18 bytes.
        let capacity = max.min(length / 15 + 16);
        let (slots, base) = Index::allocate(capacity);
        Index {
            last: slots.len(),
            slots,
            base,
            done: 0,
            room: capacity,
            capacity,
            max,
        }
    }

    /// Returns slots for so many entries, and the position of the first block.
    fn allocate(entries: usize) -> (Vec<u64>, usize) {
        let blocks = entries / ENTRIES + 1;
        // Zeroed by the allocator, which leaves large areas untouched.
        let slots = vec![0u64; blocks * SLOTS + SLOTS];
        let address = slots.as_ptr().addr();
        let base = (address.next_multiple_of(BLOCK) - address) / size_of::<u64>();
        (slots, base)
    }

    /// Doubles the number of entries, up to what the text can have. Returns `None` if there already is
    /// room for that many.
    #[cold]
    fn grow(&mut self) -> Option<()> {
        if self.capacity == self.max {
            return None;
        }
        let capacity = self.max.min(2 * self.capacity);
        let (mut slots, base) = Index::allocate(capacity);
        let done = self.slot_of(self.done) - self.base;
        slots[base..base + done].copy_from_slice(&self.slots[self.base..self.base + done]);
        let last = slots.len() - self.pending();
        slots[last..].copy_from_slice(&self.slots[self.last..]);
        self.last = last;
        self.slots = slots;
        self.base = base;
        self.room += capacity - self.capacity;
        self.capacity = capacity;
        Some(())
    }

    /// Returns the number of entries at the end.
    fn pending(&self) -> usize {
        self.slots.len() - self.last
    }

    /// Returns the position of the slot of an entry.
    fn slot_of(&self, index: usize) -> usize {
        self.base + 1 + index + index / ENTRIES
    }

    /// Adds a value or name to the innermost open container. Returns `None` if there are more entries
    /// than a complete text of that length can have.
    #[inline]
    pub(crate) fn push(&mut self, entry: Entry) -> Option<()> {
        if self.room == 0 {
            self.grow()?;
        }
        self.room -= 1;
        self.last -= 1;
        self.slots[self.last] = entry.to_slot();
        Some(())
    }

    /// Opens a container with at least one child. `outer` is returned when it is closed.
    #[inline]
    pub(crate) fn open(&mut self, is_object: bool, outer: Open) -> Option<Open> {
        let open = u32::try_from(self.pending())
            .ok()
            .filter(|it| *it < OBJECT)?;
        // Replaced by the entry of the container when it is closed, so nesting needs no other memory.
        self.push(Entry {
            head: 0,
            link: outer.0,
        })?;
        Some(Open(open | if is_object { OBJECT } else { 0 }))
    }

    /// Closes the innermost open container. Returns the container around it.
    #[inline]
    pub(crate) fn close(&mut self, container: Open) -> Open {
        let opened = (container.0 & COUNT) as usize;
        let first = self.done;
        let end = self.slots.len() - opened - 1;
        let start = self.last;
        let children = end - start;
        if self.slot_of(first + children) > start {
            // The areas overlap: the children are brought into their order first, then moved ahead.
            self.slots[start..end].reverse();
            for child in 0..children {
                let slot = self.slot_of(first + child);
                self.slots[slot] = self.slots[start + child];
            }
        } else {
            let (done, pending) = self.slots.split_at_mut(start);
            let mut slot = self.base + 1 + first + first / ENTRIES;
            let mut room = ENTRIES - first % ENTRIES;
            let mut rest = &pending[..children];
            while !rest.is_empty() {
                let (later, now) = rest.split_at(rest.len() - room.min(rest.len()));
                let slots = &mut done[slot..slot + now.len()];
                for (slot, child) in slots.iter_mut().zip(now.iter().rev()) {
                    *slot = *child;
                }
                slot += room + 1;
                room = ENTRIES;
                rest = later;
            }
        }
        self.done += children;
        self.last = end;
        let flags = container.0 & OBJECT | CONTAINER;
        let count = match container.is_object() {
            true => children / 2,
            false => children,
        };
        let outer = Entry::from_slot(self.slots[end]).link;
        let entry = Entry {
            head: flags | count as u32,
            link: first as u32,
        };
        self.slots[end] = entry.to_slot();
        Open(outer)
    }

    /// Returns the entry of the whole text, which is the only one that is in no container.
    #[cfg(feature = "capi")]
    pub(crate) fn whole(&self) -> Entry {
        self.slots
            .last()
            .copied()
            .map(Entry::from_slot)
            .unwrap_or_default()
    }
}

#[cfg(feature = "capi")]
impl Index {
    /// Returns the slot of an entry that is in a container.
    #[inline]
    pub(crate) fn slot(&self, index: usize) -> &u64 {
        &self.slots[self.slot_of(index)]
    }

    /// Returns the index and the entry of each name of an object, the last one first. `first`: index of
    /// the first name; `count`: number of names.
    #[inline]
    pub(crate) fn names(&self, first: usize, count: usize) -> impl Iterator<Item = (usize, Entry)> {
        let end = first + 2 * count;
        let (mut slot, mut in_block) = (self.slot_of(end), end % ENTRIES);
        (0..count).rev().map(move |number| {
            // Two entries back, and one slot more if a block begins between them.
            if in_block >= 2 {
                in_block -= 2;
                slot -= 2;
            } else {
                in_block += ENTRIES - 2;
                slot -= 3;
            }
            (first + 2 * number, Entry::from_slot(self.slots[slot]))
        })
    }

    /// Moves the entry of the whole text to the blocks. Returns its index.
    pub(crate) fn finish(&mut self) -> usize {
        let (index, whole) = (self.done, self.whole().to_slot());
        let slot = self.slot_of(index);
        self.slots[slot] = whole;
        self.done += 1;
        index
    }

    /// Stores an address in the first slot of each block that has entries.
    pub(crate) fn set_owner(&mut self, address: usize) {
        let blocks = self.done.div_ceil(ENTRIES);
        for block in 0..blocks {
            self.slots[self.base + block * SLOTS] = address as u64;
        }
    }

    /// Returns the address of the slots.
    pub(crate) fn as_ptr(&self) -> *const u64 {
        self.slots.as_ptr()
    }
}
