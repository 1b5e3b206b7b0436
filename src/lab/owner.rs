//! To whom a container, a network or a state file belongs, so that what a killed run left behind
//! is told from what a run beside this one is using.

use std::fmt;

/// A process, told from every other one that had or will have its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The boot of the machine.
    boot: String,
    /// The namespace that the number is from: a run inside a container sees other numbers.
    namespace: String,
    pid: u32,
    /// When it started, in clock ticks since the boot.
    start: u64,
}

impl Owner {
    /// This process.
    pub(crate) fn me() -> Self {
        let pid = std::process::id();
        Self { boot: system::boot(), namespace: system::namespace(), pid, start: system::start(pid).unwrap_or_default() }
    }

    /// Reads a label back; nothing if somebody else wrote it.
    pub(crate) fn parse(label: &str) -> Option<Self> {
        let mut parts = label.split('/');
        let (boot, namespace, pid, start) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || boot.is_empty() {
            return None;
        }
        Some(Self { boot: boot.to_owned(), namespace: namespace.to_owned(), pid: pid.parse().ok()?, start: start.parse().ok()? })
    }

    /// Whether the process is gone for sure, as `me` can tell. Where it cannot, the owner lives.
    pub(crate) fn is_dead(&self, me: &Self) -> bool {
        if !cfg!(target_os = "linux") || me.boot.is_empty() {
            return false;
        }
        if self.boot != me.boot {
            return true;
        }
        self.namespace == me.namespace && system::start(self.pid) != Some(self.start)
    }

    /// Asks the process to end, unless it is gone and its number may be somebody else's.
    pub(crate) fn terminate(&self) {
        let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid.filter(|_| !self.is_dead(&Self::me())) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.boot, self.namespace, self.pid, self.start)
    }
}

#[cfg(target_os = "linux")]
mod system {
    use procfs::process::Process;

    /// Empty if the kernel does not tell.
    pub(crate) fn boot() -> String {
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().replace('/', "")
    }

    pub(crate) fn namespace() -> String {
        let link = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        link.to_string_lossy().replace('/', "")
    }

    /// When the process started; nothing if it is gone or waits to be reaped.
    pub(crate) fn start(pid: u32) -> Option<u64> {
        let stat = Process::new(i32::try_from(pid).ok()?).ok()?.stat().ok()?;
        (!matches!(stat.state, 'Z' | 'X' | 'x')).then_some(stat.starttime)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(crate) fn boot() -> String {
        "unknown".to_owned()
    }

    pub(crate) fn namespace() -> String {
        "unknown".to_owned()
    }

    pub(crate) fn start(_: u32) -> Option<u64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn this_process_lives_and_reads_back() {
        let me = Owner::me();
        assert_eq!(Owner::parse(&me.to_string()), Some(me.clone()));
        assert!(!me.is_dead(&me));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_ended_is_dead_and_so_is_another_with_its_number() {
        let me = Owner::me();
        let mut child = std::process::Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let owner = Owner { pid: child.id(), start: system::start(child.id()).unwrap(), ..me.clone() };
        assert!(!owner.is_dead(&me));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(owner.is_dead(&me));
        assert!(Owner { start: me.start + 1, ..me.clone() }.is_dead(&me));
        assert!(Owner { boot: "another".to_owned(), ..me.clone() }.is_dead(&me));
    }

    #[test]
    fn numbers_of_another_namespace_say_nothing() {
        let me = Owner::me();
        assert!(!Owner { namespace: "pid:[1]".to_owned(), start: me.start + 1, ..me.clone() }.is_dead(&me));
    }

    #[rstest]
    #[case("")]
    #[case("a/b/c/d")]
    #[case("a/b/1/2/3")]
    #[case("/b/1/2")]
    fn a_foreign_label_is_no_owner(#[case] label: &str) {
        assert_eq!(Owner::parse(label), None);
    }
}
