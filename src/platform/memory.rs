//! Giving memory back after bulk work, so that an idle daemon is as small as it looks.

/// Returns freed heap pages to the system. Does nothing where the allocator has no such call.
pub fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc_trim();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "glibc offers malloc_trim(3) in C only: it is thread-safe and touches only free pages")]
fn glibc_trim() {
    unsafe extern "C" {
        safe fn malloc_trim(pad: usize) -> i32;
    }
    let _released = malloc_trim(0);
}
