//! How the C library keeps memory that was given back to it.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Where the GNU C library reads its settings from, when a process begins and then never again.
const VARIABLE: &str = "GLIBC_TUNABLES";

/// Memory that thousands of connections held, or large frames, goes back to the system when they are
/// gone. Without this, 1000 players leave 17 MB behind, in stacks that are kept for threads to come (we
/// keep some ourselves, see `limits::MAX_IDLE_THREADS`), and within heaps: there are 8 for each core, and
/// the end of each stays, 128 KiB, if `top_pad` is not said.
const SETTINGS: &str = "glibc.pthread.stack_cache_size=0:glibc.malloc.mmap_threshold=65536:\
                        glibc.malloc.trim_threshold=65536:glibc.malloc.mxfast=0:glibc.malloc.top_pad=4096";

/// Says that the process has begun anew. The settings themselves do not: the C library takes them out of
/// the environment of a binary that has capabilities (`setcap`), which would begin anew for ever.
const BEGUN: &str = "SRS_LITE_BEGUN_ANEW";

/// Begins the process anew with these settings, once, unless it has some. Returns if it has; or if it cannot
/// begin anew: then it needs more memory, and no more than that. Other C libraries do not look.
pub fn tune() {
    if [VARIABLE, BEGUN].map(env::var_os) != [None, None] {
        return;
    }
    let mut arguments = env::args_os();
    if let (Ok(binary), Some(name)) = (env::current_exe(), arguments.next()) {
        let mut again = Command::new(binary);
        again.env(VARIABLE, SETTINGS).env(BEGUN, "1");
        again.arg0(name).args(arguments);
        // It only returns with an error.
        let _ = again.exec();
    }
}
