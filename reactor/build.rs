//! Says in one line that another system than Linux will not do. `compile_error!` cannot: the compiler
//! goes on after it, and prints an error for each constant of `libc` that such a system lacks.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let system = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if !matches!(system.as_str(), "linux" | "android") {
        println!("cargo::error=netpoll needs Linux or Android: it waits in epoll");
    }
}
