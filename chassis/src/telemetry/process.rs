//! What the process takes of its machine, by the names that Prometheus' own clients have for it.

use std::path::Path;

/// Measures now. Three small reads of `/proc`; what cannot be read is left as it was.
pub(super) fn measure() {
    let own = Path::new("/proc/self");
    let read = |name: &str| std::fs::read_to_string(own.join(name)).unwrap_or_default();
    if let Some(bytes) = resident_bytes(&read("status")) {
        metrics::gauge!("process_resident_memory_bytes").set(bytes);
    }
    if let Some(most) = most_files(&read("limits")) {
        metrics::gauge!("process_max_fds").set(most);
    }
    if let Ok(open) = std::fs::read_dir(own.join("fd")) {
        // The one that lists them is among them.
        #[allow(clippy::cast_precision_loss, reason = "no process has so many")]
        metrics::gauge!("process_open_fds").set(open.count().saturating_sub(1) as f64);
    }
}

/// Memory that the process has in the machine's, in bytes, as its `status` says.
fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

/// How many files the process may have open, as its `limits` say; none where there is no limit.
fn most_files(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_files_are_read_as_the_system_writes_them() {
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t   12 kB\nRssAnon:\t 1 kB\n"), Some(12_288.0));
        assert_eq!(resident_bytes("Name:\tx\n"), None);
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max open files            20000                30000                files     \n";
        assert_eq!(most_files(limits), Some(20_000.0));
        assert_eq!(most_files("Max open files            unlimited            unlimited            files"), None);
    }

    #[test]
    fn whoever_asks_for_figures_gets_those_of_the_process_as_it_is_then() {
        let metrics = crate::telemetry::install_metrics().unwrap();
        let shown = |name: &str| -> f64 {
            let text = metrics.render();
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap_or("none");
            value.parse().unwrap_or_else(|_| panic!("{name} is {value}: {text}"))
        };
        assert!(shown("process_resident_memory_bytes") > 1e5);
        assert!(shown("process_max_fds") >= shown("process_open_fds") && shown("process_open_fds") >= 3.0);
    }
}
