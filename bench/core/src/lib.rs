//! What the protocol costs without sockets. Each [`Case`] is one piece of work that is done for a call, to be measured by
//! time (`cargo bench -p mdp-bench-core`), by instructions (`.ci/instructions`) and by allocations (this crate's tests).

mod broker;
mod classic;
mod packets;
mod payload;

pub use broker::Calls;
pub use payload::Item;

/// A piece of work that can be done again and again. All it needs is made before it is measured.
pub struct Case {
    /// Its name, which the baseline knows.
    pub name: &'static str,
    work: Box<dyn FnMut()>,
}

impl Case {
    fn new(name: &'static str, work: impl FnMut() + 'static) -> Self {
        Case { name, work: Box::new(work) }
    }

    /// Does it once.
    #[inline(never)]
    pub fn run(&mut self) {
        (self.work)();
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// All cases.
pub fn cases() -> Vec<Case> {
    let mut cases = broker::cases();
    cases.extend(packets::cases());
    cases.extend(classic::cases());
    cases
}
