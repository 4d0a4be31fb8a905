//! Whatever the packet, the programs let it pass (invariant 1), and the counters add up (invariant 2).

use proptest::test_runner::{RngAlgorithm, TestRng};
use shadow_common::tcp_flags::{ACK, SYN};

use crate::{frame::Frame, harness::Kernel, shapes::shapes};

#[test]
fn programs_return_only_pass_and_next() {
    let Some(mut kernel) = Kernel::with("50%", |options| options.export_responses = true) else { return };
    let mut runs = 0;
    let mut run = |bytes: &[u8]| {
        match kernel.run(bytes) {
            Ok(()) => runs += 1,
            // The kernel makes no test packet of a frame that is shorter than its Ethernet and IP headers.
            Err(error) => assert!(bytes.len() < 14 + 40, "{} bytes: {error}", bytes.len()),
        }
    };
    for (_, frame) in shapes() {
        for host in 0..4 {
            let frame = Frame { host, ..frame.clone() };
            for flags in [SYN, SYN | ACK, ACK, 0x18, 0x11, 0x04, 0x20, 0, 0xff] {
                run(&Frame { flags, ..frame.clone() }.bytes());
                run(&Frame { flags, is_answer: true, ..frame.clone() }.bytes());
            }
            run(&Frame { ports: (8080, 9090), ..frame.clone() }.bytes());
        }
        let whole = frame.bytes();
        for cut in 0..whole.len().min(160) {
            run(&whole[..cut]);
        }
    }
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, b"shadow: every packet must pass!!");
    for _ in 0..10_000 {
        run(&random_frame(&mut random));
    }
    assert!(runs > 8_000, "{runs} runs");
    assert!(kernel.counters().is_balanced(), "{:?}", kernel.counters());
}

/// Noise, or a good frame with noise in its headers.
fn random_frame(random: &mut TestRng) -> Vec<u8> {
    use proptest::prelude::Rng as _;
    let mut below = |limit: usize| random.next_u32() as usize % limit;
    if below(4) == 0 {
        return (0..14 + below(200)).map(|_| below(256) as u8).collect();
    }
    let all = shapes();
    let mut frame = all[below(all.len())].1.bytes();
    for _ in 0..=below(6) {
        let at = 12 + below(frame.len().min(110) - 12);
        frame[at] = below(256) as u8;
    }
    frame.truncate(14 + below(frame.len() - 13));
    frame
}
