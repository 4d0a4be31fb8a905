//! The developer's one entry point.
fn main() {}
