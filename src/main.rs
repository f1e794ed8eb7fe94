//! The `wakeful` program: everything stands in the library.

fn main() -> std::process::ExitCode {
    wakeful::cli::main()
}
