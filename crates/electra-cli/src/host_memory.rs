//! How much memory this machine has, and how much of it is free.
//!
//! Linux says so in files: of the machine, of the control group that a container or a batch job lives in, and of the
//! process's own limit. Elsewhere nothing is said here.

use std::fs::read_to_string;
use std::path::Path;

/// Bytes that this process may come to use at most, swap included; `None` where the system does not say.
pub(crate) fn total() -> Option<f64> {
    let memory = of_machine("MemTotal:")? + of_machine("SwapTotal:").unwrap_or(0.0);
    Some(limits().fold(memory, f64::min))
}

/// Bytes that are free now; `None` where the system does not say.
pub(crate) fn available() -> Option<f64> {
    Some(limits().fold(of_machine("MemAvailable:")?, f64::min))
}

fn of_machine(name: &str) -> Option<f64> {
    let meminfo = read_to_string("/proc/meminfo").ok()?;
    let kilobytes = meminfo.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"))?;
    Some(1024.0 * kilobytes.parse::<f64>().ok()?)
}

fn limits() -> impl Iterator<Item = f64> {
    let address_space = read_to_string("/proc/self/limits").ok().and_then(|limits| {
        // "Max address space   SOFT   HARD   bytes", where either may be "unlimited".
        let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
        line.split_whitespace().next()?.parse().ok()
    });
    of_control_group().into_iter().chain(address_space)
}

/// The least of the limits of this process's control group and those above it (version 2, where "max" is none).
fn of_control_group() -> Option<f64> {
    let groups = read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let limit = |group: &Path| {
        let text = read_to_string(Path::new("/sys/fs/cgroup").join(group).join("memory.max")).ok()?;
        text.trim().parse::<f64>().ok()
    };
    Path::new(path).ancestors().filter_map(limit).reduce(f64::min)
}
