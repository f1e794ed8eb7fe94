//! The configuration file, validated by type.
