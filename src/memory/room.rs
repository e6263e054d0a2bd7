//! What the system says of memory: what there is, what a container or a shell leaves of it, and what this
//! process has taken. Linux says so in files; elsewhere nothing is known, and nothing refused.

use super::{Limit, limit};
use std::fs;
use std::path::{Path, PathBuf};

/// The memory of this process, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// What it has now.
    pub used: u64,
    /// The most that it has had.
    pub peak: u64,
    /// What it may take beside that; `None` where nobody says.
    pub left: Option<u64>,
    /// What says so.
    pub bound: Bound,
    /// [`Limit::Bytes`], which may be less than what it has.
    asked: Option<u64>,
}

/// What bounds the memory of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bound {
    /// What the machine has.
    #[default]
    Machine,
    /// A control group, as containers and services have them.
    Group,
    /// The limit of its addresses (`ulimit -v`).
    Addresses,
    /// The limit of its data (`ulimit -d`).
    Data,
    /// [`Limit::Bytes`].
    Asked,
}

impl Bound {
    /// In words.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Bound::Machine => "that is what the machine has left",
            Bound::Group => "that is what its control group, or container, has left",
            Bound::Addresses => "that is what ulimit -v leaves",
            Bound::Data => "that is what ulimit -d leaves",
            Bound::Asked => "that is the limit that was asked for",
        }
    }
}

impl Room {
    /// As it is now, by whatever [`limit`] says.
    pub fn now() -> Self {
        Self::by(limit(), Path::new("/"))
    }

    /// All that this process could have: what it has, and what it may take.
    pub fn whole(&self) -> Option<u64> {
        self.asked.or(self.left.map(|left| left.saturating_add(self.used)))
    }

    fn by(limit: Limit, root: &Path) -> Self {
        let status = text(&root.join("proc/self/status"));
        let own = |name: &str| field(&status, name).map_or(0, |kb| kb * 1024);
        let (used, peak) = (own("VmRSS:"), own("VmHWM:"));
        let room = Room { used, peak: peak.max(used), ..Room::default() };
        let (left, bound) = match limit {
            Limit::Nothing => return room,
            Limit::Bytes(bytes) => {
                return Room {
                    left: Some(bytes.saturating_sub(used)),
                    bound: Bound::Asked,
                    asked: Some(bytes),
                    ..room
                };
            }
            Limit::System => {
                let limits = text(&root.join("proc/self/limits"));
                let within =
                    |name: &str, has: u64| soft(&limits, name).map(|most| most.saturating_sub(has));
                let all = [
                    (available(root), Bound::Machine),
                    (group(root), Bound::Group),
                    (within("Max address space", own("VmSize:")), Bound::Addresses),
                    (within("Max data size", own("VmData:")), Bound::Data),
                ];
                let known = all.into_iter().filter_map(|(left, bound)| Some((left?, bound)));
                match known.min_by_key(|&(left, _)| left) {
                    Some((left, bound)) => (Some(left), bound),
                    None => (None, Bound::Machine),
                }
            }
        };
        Room { left, bound, ..room }
    }
}

/// What the machine has that is free, or would be if it were wanted.
fn available(root: &Path) -> Option<u64> {
    field(&text(&root.join("proc/meminfo")), "MemAvailable:").map(|kb| kb * 1024)
}

/// What the control groups of this process leave, of either version, with all groups that they lie in.
fn group(root: &Path) -> Option<u64> {
    let groups = text(&root.join("proc/self/cgroup"));
    let left = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let (base, names) = match controllers {
            "" => ("sys/fs/cgroup", ["memory.max", "memory.current"]),
            of if of.split(',').any(|name| name == "memory") => {
                ("sys/fs/cgroup/memory", ["memory.limit_in_bytes", "memory.usage_in_bytes"])
            }
            _ => return None,
        };
        let base = root.join(base);
        // Within a container the path may be that of the world outside: then the group is the base.
        let own = base.join(path.trim_start_matches('/'));
        let lies_in: Vec<PathBuf> = own
            .ancestors()
            .take_while(|folder| folder.starts_with(&base))
            .map(Path::to_owned)
            .collect();
        lies_in.iter().filter_map(|folder| left_in(folder, names)).min()
    });
    left.min()
}

/// Bytes of a group that has no limit: version 1 has the largest number of pages there.
const UNLIMITED: u64 = 1 << 60;

/// What a group leaves: its limit less what it has, but for files that would give way.
fn left_in(folder: &Path, [limit, usage]: [&str; 2]) -> Option<u64> {
    let number = |name: &str| text(&folder.join(name)).trim().parse::<u64>().ok();
    let limit = number(limit).filter(|&limit| limit < UNLIMITED)?;
    let stat = text(&folder.join("memory.stat"));
    let files = ["inactive_file", "active_file"].map(|name| {
        // Version 1 counts those of groups within under `total_`.
        field(&stat, &format!("total_{name}")).or(field(&stat, name)).unwrap_or(0)
    });
    let has = number(usage)?.saturating_sub(files.iter().sum());
    Some(limit.saturating_sub(has))
}

/// The number behind a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(name)).then(|| words.next()?.parse().ok())?
    })
}

/// The soft limit of a line of `/proc/self/limits`; nothing where it is unlimited.
fn soft(limits: &str, name: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\twgmf\nVmSize:\t 2000000 kB\nVmHWM:\t 300000 kB\nVmRSS:\t 200000 kB\n\
                          VmData:\t 1000000 kB\n";
    const NO_LIMITS: &str = "Limit  Soft Limit  Hard Limit  Units\n\
                             Max data size  unlimited  unlimited  bytes\n\
                             Max address space  unlimited  unlimited  bytes\n";
    const MEMORY: &str = "MemTotal: 24000000 kB\nMemFree: 1 kB\nMemAvailable: 20000000 kB\n";
    const KB: u64 = 1024;

    /// What is said where these files say it.
    fn room(limit: Limit, files: &[(&str, &str)]) -> Room {
        let root = tempfile::tempdir().unwrap();
        let always = [("proc/self/status", STATUS), ("proc/meminfo", MEMORY)];
        for (name, text) in always.iter().chain(files) {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Room::by(limit, root.path())
    }

    #[test]
    fn the_tightest_bound_counts() {
        let v2 = |max: &'static str, outer: &'static str| {
            vec![
                ("proc/self/cgroup", "0::/work/job\n"),
                ("sys/fs/cgroup/work/memory.max", outer),
                ("sys/fs/cgroup/work/memory.current", "900000000"),
                ("sys/fs/cgroup/work/job/memory.max", max),
                ("sys/fs/cgroup/work/job/memory.current", "700000000"),
                ("sys/fs/cgroup/work/job/memory.stat", "inactive_file 100000000\nanon 1\n"),
            ]
        };
        let v1 = vec![
            ("proc/self/cgroup", "5:cpu:/a\n4:hugetlb,memory:/docker/x\n0::/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "1000000000"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "600000000"),
            (
                "sys/fs/cgroup/memory/memory.stat",
                "inactive_file 5\ntotal_inactive_file 1000000\ntotal_active_file 2000000\n",
            ),
        ];
        let unlimited = vec![
            ("proc/self/cgroup", "4:memory:/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "600000000"),
        ];
        let limits = |data: &str, addresses: &str| {
            NO_LIMITS
                .replace("data size  unlimited", &format!("data size  {data}"))
                .replace("address space  unlimited", &format!("address space  {addresses}"))
        };
        let addresses = limits("unlimited", "3000000000");
        let data = limits("1500000000", "9000000000");
        let spent = limits("unlimited", "1000000000");
        for (files, left, bound) in [
            (vec![], 20_000_000 * KB, Bound::Machine),
            (vec![("proc/self/limits", NO_LIMITS)], 20_000_000 * KB, Bound::Machine),
            (v2("max", "max\n"), 20_000_000 * KB, Bound::Machine),
            (v2("2000000000", "max"), 1_400_000_000, Bound::Group),
            (v2("2000000000\n", "1000000000"), 100_000_000, Bound::Group),
            (v1, 403_000_000, Bound::Group),
            (unlimited, 20_000_000 * KB, Bound::Machine),
            (
                vec![("proc/self/limits", &*addresses)],
                3_000_000_000 - 2_000_000 * KB,
                Bound::Addresses,
            ),
            (vec![("proc/self/limits", &*data)], 1_500_000_000 - 1_000_000 * KB, Bound::Data),
            (vec![("proc/self/limits", &*spent)], 0, Bound::Addresses),
        ] {
            let room = room(Limit::System, &files);
            assert_eq!((room.left, room.bound), (Some(left), bound), "{files:?}");
            assert_eq!((room.used, room.peak), (200_000 * KB, 300_000 * KB));
        }
    }

    #[test]
    fn who_asks_is_answered_and_who_knows_nothing_refuses_nothing() {
        let asked = room(Limit::Bytes(1_000_000_000), &[]);
        assert_eq!(asked.left, Some(1_000_000_000 - 200_000 * KB));
        assert_eq!((asked.whole(), asked.bound), (Some(1_000_000_000), Bound::Asked));
        assert_eq!(room(Limit::Nothing, &[]).left, None);
        let nowhere = tempfile::tempdir().unwrap();
        let room = Room::by(Limit::System, nowhere.path());
        assert_eq!((room, room.whole()), (Room::default(), None));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_some_and_may_have_more() {
        let before = Room::now();
        assert!(before.used > 1 << 20 && before.peak >= before.used, "{before:?}");
        let taken = vec![1_u8; 64 << 20];
        let after = Room::now();
        assert!(after.peak >= before.used + (60 << 20), "{before:?} {after:?}");
        drop(taken);
    }
}
