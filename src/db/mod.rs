//! Opening SQLite: pragmas, migrations, the group-commit writer thread, checkpoints on a thread of their own.
//! Used by `store` and `hub`.
