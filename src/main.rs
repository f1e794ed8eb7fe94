//! The `wakeful` program: everything stands in the library.

fn main() {}
