//! Programs that are paused at each call of the disk, all on one thread.

use std::cell::Cell;
use std::ptr;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, Yielder};

/// Enough for the log in a debug build, in bytes.
const STACK: usize = 256 << 10;

thread_local! {
    /// What pauses the program that runs on this thread; null if none does.
    static RUNNING: Cell<*const Yielder<(), ()>> = const { Cell::new(ptr::null()) };
    /// Stacks of programs that ended.
    static STACKS: Cell<Vec<DefaultStack>> = const { Cell::new(Vec::new()) };
}

/// A program that runs until it pauses. Dropping it ends it where it is: what it holds is dropped.
pub(super) struct Task(Option<Coroutine<(), (), ()>>);

impl Task {
    /// # Errors
    /// Fails if there is no memory for its stack.
    pub(super) fn new(program: impl FnOnce() + 'static) -> std::io::Result<Self> {
        let mut stacks = STACKS.take();
        let stack = stacks.pop();
        STACKS.set(stacks);
        let stack = stack.map_or_else(|| DefaultStack::new(STACK), Ok)?;
        Ok(Self(Some(Coroutine::with_stack(stack, move |yielder, ()| {
            RUNNING.set(ptr::from_ref(yielder));
            program();
        }))))
    }

    /// Lets it run up to its next pause. Returns whether it has ended.
    pub(super) fn run(&mut self) -> bool {
        let Some(coroutine) = &mut self.0 else { return true };
        let ended = coroutine.resume(()).as_return().is_some();
        RUNNING.set(ptr::null());
        ended
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let Some(mut coroutine) = self.0.take() else { return };
        if !coroutine.done() {
            // It unwinds: files are closed and locks given up on the way.
            coroutine.force_unwind();
        }
        RUNNING.set(ptr::null());
        let mut stacks = STACKS.take();
        stacks.push(coroutine.into_stack());
        STACKS.set(stacks);
    }
}

/// Pauses the program that calls this; does nothing outside of one.
#[allow(unsafe_code)]
pub(super) fn pause() {
    let yielder = RUNNING.get();
    if yielder.is_null() {
        return;
    }
    // SAFETY: it lives on the stack of the program that runs now, below this call: `Task::new` sets
    // it when the program begins, this function when it goes on, and whoever ran it takes it away.
    unsafe { &*yielder }.suspend(());
    RUNNING.set(yielder);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    struct Noted(Rc<RefCell<Vec<u32>>>, u32);

    impl Drop for Noted {
        fn drop(&mut self) {
            self.0.borrow_mut().push(self.1);
        }
    }

    #[test]
    fn programs_take_turns_and_drop_what_they_hold_when_they_are_ended() {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let task = |number: u32| {
            let seen = Rc::clone(&seen);
            Task::new(move || {
                let _held = Noted(Rc::clone(&seen), number + 100);
                for step in 0..3 {
                    seen.borrow_mut().push(number + step);
                    pause();
                }
            })
            .unwrap()
        };
        let (mut one, mut other) = (task(10), task(20));
        assert!(!one.run() && !other.run() && !one.run());
        drop(other);
        assert!(!one.run() && one.run());
        drop(one);
        pause();
        assert_eq!(*seen.borrow(), [10, 20, 11, 120, 12, 110]);
    }
}
