//! The running agent: one capture thread, one tokio runtime, started and stopped together.
