//! What the allocator (mimalloc, where a program uses it) does with memory, told by its environment.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Tells mimalloc to give memory back as soon as it is free. By itself it keeps it for a second, and then until somebody asks
/// for memory again: what a password or a photo took for a moment stays with a program that has nothing to do.
const AT_ONCE: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "0");

/// Tells mimalloc to take no more than it uses. The GiB that it takes ahead by itself counts where the system bounds a program's
/// memory, and how much of the bound is left is then a matter of luck.
pub const ONLY_WHAT_IS_USED: (&str, &str) = ("MIMALLOC_ARENA_EAGER_COMMIT", "0");

/// Begins the program anew, in the same process and with the same arguments, so that its allocator gives back what is free.
/// It reads its settings from the environment before `main`, which is why they cannot be set later. Nothing happens where the
/// environment has the setting; where the program cannot be begun anew, it goes on and takes more memory.
///
/// To be called before anything is opened: what is open then is closed by the system.
pub fn give_back_at_once() {
    let (name, value) = AT_ONCE;
    if env::var_os(name).is_some() {
        return;
    }
    // By its path and not by `/proc/self/exe`: that would be the name of the process.
    if let Ok(program) = env::current_exe() {
        let mut words = env::args_os();
        let mut anew = Command::new(program);
        if let Some(called) = words.next() {
            anew.arg0(called);
        }
        // Answers only when it failed.
        let _ = anew.args(words).env(name, value).exec();
    }
}
