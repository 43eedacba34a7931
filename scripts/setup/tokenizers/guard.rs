//! Calls that cannot end the process: a panic becomes an error with its message,
//! and what a call may take of memory and time is bounded. Nothing is printed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr::null_mut;
use std::sync::Once;
use std::time::{Duration, Instant};

/// What one call may take.
#[derive(Clone, Copy)]
pub struct Bounds {
    pub memory: usize,
    pub time: Duration,
    /// Bytes of stack; 0 where what it calls has bounds of its own.
    pub stack: usize,
}

thread_local! {
    /// Bytes that this thread may still take; isize::MAX where nobody counts.
    static LEFT: Cell<isize> = const { Cell::new(isize::MAX) };
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
    /// The lowest address that this thread's stack may reach.
    static FLOOR: Cell<usize> = const { Cell::new(0) };
    /// Allocations since the clock was last read.
    static COUNT: Cell<u32> = const { Cell::new(0) };
    /// Why the last call failed.
    static FAILURE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The clock is read at every so many allocations.
const CLOCK: u32 = 256;

/// The system's allocator, which gives nothing once a call is past its bounds. It
/// counts what Rust allocates, and not what C does. What goes ever deeper allocates
/// on its way, and meets the bound of the stack here.
struct Bounded;

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if may_take(layout.size()) || is_node(layout.size()) {
            System.alloc(layout)
        } else {
            null_mut()
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if may_take(layout.size()) {
            System.alloc_zeroed(layout)
        } else {
            null_mut()
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        give_back(layout.size());
        System.dealloc(block, layout)
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size <= layout.size() {
            give_back(layout.size() - size);
        } else if !may_take(size - layout.size()) {
            return null_mut();
        }
        System.realloc(block, layout, size)
    }
}

fn may_take(size: usize) -> bool {
    if !cfg!(feature = "bounded") {
        return true;
    }
    let left = LEFT.get();
    if left == isize::MAX {
        return true;
    }
    if size as isize > left || too_deep() || late() {
        return false;
    }
    LEFT.set(left - size as isize);
    true
}

/// Whether a block may be a node of a BTreeMap: std ends the process by itself where
/// it cannot have one. Past a bound these are given out still, and the next block
/// of another size is not.
fn is_node(size: usize) -> bool {
    (192..2048).contains(&size)
}

fn give_back(size: usize) {
    LEFT.set(LEFT.get().saturating_add(size as isize));
}

fn too_deep() -> bool {
    let here = 0u8;
    (&raw const here as usize) < FLOOR.get()
}

fn late() -> bool {
    COUNT.set(COUNT.get().wrapping_add(1));
    COUNT.get() % CLOCK == 0 && past_deadline()
}

fn past_deadline() -> bool {
    DEADLINE.get().is_some_and(|end| Instant::now() > end)
}

fn unbound() {
    LEFT.set(isize::MAX);
    DEADLINE.set(None);
    FLOOR.set(0);
}

/// An allocation that fails ends the process, but for what the hook does. What
/// comes after it, the panic's own message to begin with, must have memory again.
#[cfg(feature = "bounded")]
fn panic_without_memory() {
    std::alloc::set_alloc_error_hook(|layout| {
        let (late, deep) = (past_deadline(), too_deep());
        unbound();
        if late {
            panic!("it takes too long");
        }
        if deep {
            panic!("it nests too deep");
        }
        panic!("it takes too much memory: {} bytes more", layout.size());
    });
}

#[cfg(not(feature = "bounded"))]
fn panic_without_memory() {}

/// onig's own bounds, whose panics name them. Its default for one match, ten
/// million steps back, stays; a search tries a match at every place of the text.
fn bound_regexes() {
    extern "C" {
        fn onig_set_retry_limit_in_search(steps: libc::c_ulong) -> libc::c_int;
        fn onig_set_match_stack_limit_size(entries: libc::c_uint) -> libc::c_int;
        fn onig_set_parse_depth_limit(depth: libc::c_uint) -> libc::c_int;
    }
    unsafe {
        onig_set_retry_limit_in_search(200_000_000);
        onig_set_match_stack_limit_size(4 << 20);
        onig_set_parse_depth_limit(500);
    }
}

fn keep_message() {
    std::panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().map(|s| s.to_string());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        fail(text.unwrap_or_else(|| "it panicked".to_string()));
    }));
}

/// Keeps why this thread's call failed.
pub fn fail(why: String) {
    FAILURE.with(|f| f.replace(Some(why)));
}

/// Returns what fail kept, once.
pub fn failure() -> Option<String> {
    FAILURE.with(|f| f.take())
}

/// Runs a call within its bounds. Its error is the panic's message where it
/// panicked.
pub fn guarded<T>(bounds: Bounds, call: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    static SETUP: Once = Once::new();
    SETUP.call_once(|| {
        keep_message();
        panic_without_memory();
        bound_regexes();
    });
    failure();
    DEADLINE.set(Instant::now().checked_add(bounds.time));
    if bounds.stack > 0 {
        let here = 0u8;
        FLOOR.set((&raw const here as usize).saturating_sub(bounds.stack));
    }
    LEFT.set(bounds.memory as isize);
    let result = catch_unwind(AssertUnwindSafe(call));
    unbound();
    match result {
        Ok(result) => result,
        Err(_) => Err(failure().unwrap_or_else(|| "it panicked".to_string())),
    }
}
