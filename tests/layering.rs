//! The house's rules as tests: who may import whom, what is pure, how long a file may be, what is named how, and which
//! libraries may come in. Each rule also refuses a bad example, so that it cannot pass by looking at nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unreachable_pub, reason = "nobody imports a test")]

#[path = "layering/dependencies.rs"]
mod dependencies;
#[path = "layering/files.rs"]
mod files;
#[path = "layering/imports.rs"]
mod imports;
#[path = "layering/pages.rs"]
mod pages;
#[path = "layering/purity.rs"]
mod purity;
#[path = "layering/source.rs"]
mod source;
