//! Opens the store, starts links, IPC and notifications in order; stops them in reverse.
