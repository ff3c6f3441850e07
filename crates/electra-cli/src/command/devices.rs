//! `electra devices`: what this machine can train on, and what `auto` takes of it.

use std::fmt::Write;
use std::time::Instant;

use anyhow::Context;
use electra_kernels::device::{AdapterInfo, DeviceChoice, adapters, automatic, open};
use electra_kernels::verify::{Check, Extent};
use serde_json::json;

use crate::RunFailed;
use crate::terminal::{FAINT_STYLE, HEADING_STYLE, Terminal};
use crate::verification;

const EXAMPLES: &str = "\
Examples:
  electra devices                       a listing to read
  electra devices --json | jq '.adapters[].name'
  electra devices --verify              does every adapter compute what the CPU does? a report for bugs
  electra --device gpu:1                the default job on the second adapter

A device is named auto, cpu, gpu or gpu:N. `auto` takes the best adapter with hardware behind it, else the CPU;
`gpu` takes the best adapter, a software one included.";

/// List the devices to train on, with their limits and features
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Print one JSON object in place of the listing
    #[arg(long)]
    json: bool,
    /// Compare every kernel on every adapter with the CPU, and end with 1 where one differs; training remembers the result
    #[arg(long)]
    verify: bool,
}

pub(super) fn run(args: Args, terminal: &Terminal) -> anyhow::Result<()> {
    let adapters = adapters();
    let automatic = automatic(&adapters);
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
    if args.verify {
        return verify_all(&adapters, automatic, threads, args.json, terminal);
    }
    if args.json {
        let choice = automatic.map_or(DeviceChoice::Cpu, DeviceChoice::GpuIndex);
        let report = json!({ "auto": choice, "cpu": { "threads": threads }, "adapters": adapters });
        terminal.result(serde_json::to_string_pretty(&report)?)?;
    } else {
        terminal.result(listing(&adapters, automatic, threads))?;
    }
    Ok(())
}

/// The report to paste into a bug: the adapters, and how far each kernel's numbers are from the CPU's.
fn verify_all(
    adapters: &[AdapterInfo],
    automatic: Option<usize>,
    threads: usize,
    json: bool,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let mut reports = Vec::new();
    let mut failed = 0;
    if !json {
        terminal.result(format_args!(
            "electra {}\n{}",
            env!("CARGO_PKG_VERSION"),
            listing(adapters, automatic, threads)
        ))?;
    }
    for adapter in adapters {
        let opened = open(DeviceChoice::GpuIndex(adapter.number))?;
        if !json {
            terminal
                .result(format_args!("\n{HEADING_STYLE}gpu:{}{HEADING_STYLE:#} {}", adapter.number, adapter.name))?;
        }
        let mut failure = None;
        let started = Instant::now();
        let checks = verification::verify_watched(&opened, Extent::Full, terminal, &mut |check| {
            if !json {
                failure = failure.take().or(terminal.result(verification::line_of(check)).err());
            }
        })
        .with_context(|| format!("gpu:{} ({})", adapter.number, adapter.name))?;
        if let Some(failure) = failure {
            return Err(failure.into());
        }
        verification::remember(adapter, &checks);
        let wrong = checks.iter().filter(|check| !check.passed()).count();
        failed += wrong;
        if !json {
            terminal.result(format_args!(
                "  {} of {} cases agree with the CPU, in {:.0} s",
                checks.len() - wrong,
                checks.len(),
                started.elapsed().as_secs_f64()
            ))?;
        }
        let report_of = |check: &Check| {
            let mut report = json!(check);
            report["passed"] = check.passed().into();
            report
        };
        let checks: Vec<_> = checks.iter().map(report_of).collect();
        reports.push(json!({ "adapter": adapter, "checks": checks }));
    }
    if json {
        let report = json!({ "version": env!("CARGO_PKG_VERSION"), "adapters": reports });
        terminal.result(serde_json::to_string_pretty(&report)?)?;
    } else if adapters.is_empty() {
        terminal.result("There is nothing to compare.")?;
    }
    if failed > 0 {
        return Err(RunFailed(format!("{failed} cases differ from the CPU's results")).into());
    }
    Ok(())
}

fn listing(adapters: &[AdapterInfo], automatic: Option<usize>, threads: usize) -> String {
    let mut listing = String::new();
    let mut heading = |name: &str, what: &str, is_automatic: bool, lines: &[(&str, String)]| {
        let mark = if is_automatic { "  <- auto" } else { "" };
        writeln!(listing, "{HEADING_STYLE}{name:<7}{HEADING_STYLE:#} {what}{mark}").expect("a string takes all");
        for (label, value) in lines {
            writeln!(listing, "        {FAINT_STYLE}{label:<10}{FAINT_STYLE:#} {value}").expect("a string takes all");
        }
    };
    heading("cpu", &format!("CPU ({threads} threads)"), automatic.is_none(), &[]);
    for adapter in adapters {
        let lines = [
            ("interface", adapter.backend.clone()),
            ("kind", adapter.kind.to_string()),
            ("vendor", adapter.vendor.clone()),
            ("driver", adapter.driver.clone()),
            ("memory", adapter.free_memory_bytes.map_or("not told".to_owned(), |free| format!("{} free", bytes(free)))),
            ("limits", limits(adapter)),
            ("features", features(adapter)),
        ];
        let is_automatic = automatic == Some(adapter.number);
        heading(&format!("gpu:{}", adapter.number), &adapter.name, is_automatic, &lines);
    }
    if adapters.is_empty() {
        listing.push_str("No graphics adapter was found. On Linux a GPU needs its Vulkan driver.\n");
    }
    listing.trim_end().to_owned()
}

fn limits(adapter: &AdapterInfo) -> String {
    let limits = &adapter.limits;
    format!(
        "buffer {}, binding {}, {} buffers per kernel, workgroup of {} with {}, subgroups of {} to {}",
        bytes(limits.max_buffer_bytes),
        bytes(limits.max_storage_binding_bytes),
        limits.max_storage_buffers,
        limits.max_workgroup_invocations,
        bytes(limits.workgroup_memory_bytes.into()),
        limits.subgroup_sizes[0],
        limits.subgroup_sizes[1],
    )
}

fn features(adapter: &AdapterInfo) -> String {
    let features = &adapter.features;
    let all = [
        ("f16", features.f16),
        ("subgroups", features.subgroups),
        ("timestamps", features.timestamps),
        ("cooperative matrices", features.cooperative_matrix),
        ("float atomics", features.float_atomics),
    ];
    let present: Vec<_> = all.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect();
    let absent: Vec<_> = all.iter().filter(|(_, has)| !*has).map(|(name, _)| *name).collect();
    match (present.is_empty(), absent.is_empty()) {
        (_, true) => present.join(", "),
        (true, _) => format!("none (without {})", absent.join(", ")),
        _ => format!("{} (without {})", present.join(", "), absent.join(", ")),
    }
}

/// Bytes in binary units, as graphics interfaces state their limits.
fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    // Some drivers state the address space, which is no limit at all.
    if value >= 1e6 {
        return "unlimited".to_owned();
    }
    let decimals = usize::from(value.fract() != 0.0 && value < 100.0);
    format!("{value:.decimals$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_at_a_glance() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(32768), "32 KiB");
        assert_eq!(bytes(128 << 20), "128 MiB");
        assert_eq!(bytes((4 << 30) - 4), "4.0 GiB");
        assert_eq!(bytes(u64::MAX), "unlimited");
    }

    #[test]
    fn without_an_adapter_the_cpu_is_what_auto_takes() {
        let listing = listing(&[], None, 2);
        assert!(listing.contains("CPU (2 threads)  <- auto"), "{listing}");
        assert!(listing.contains("No graphics adapter was found"), "{listing}");
    }
}
