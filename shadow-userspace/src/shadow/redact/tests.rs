//! Secrets are found, and nothing else is changed.
