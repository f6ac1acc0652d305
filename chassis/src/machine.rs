//! What the machine is called.

/// The machine's name as the kernel knows it, which needs no `/proc`; none where nobody gave it one.
#[must_use]
pub fn host_name() -> Option<String> {
    let system = rustix::system::uname();
    let name = system.nodename().to_string_lossy().trim().to_owned();
    // What Linux calls a machine without a name.
    (!name.is_empty() && name != "(none)").then_some(name)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_machine_is_called_what_the_kernel_says() {
        if let Ok(name) = std::fs::read_to_string("/proc/sys/kernel/hostname") {
            let named = Some(name.trim().to_owned()).filter(|name| !name.is_empty() && name != "(none)");
            assert_eq!(super::host_name(), named);
        }
    }
}
