//! Every target on its corpus, and on changed copies of it: what fuzzing would find first.

use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

use super::{TARGETS, Target};

/// Changed copies per target.
const COPIES: usize = 20_000;

fn fuzz() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz"))
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = fuzz().join("corpus").join(target);
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn call(name: &str, target: Target, data: &[u8]) {
    let result = catch_unwind(AssertUnwindSafe(|| target(data)));
    assert!(result.is_ok(), "{name} fails on b\"{}\"", data.escape_ascii());
}

#[test]
fn every_target_has_its_files() {
    let expected: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let names = |directory: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(fuzz().join(directory)).unwrap().map(|entry| entry.unwrap().path());
        let visible = entries.filter(|path| path.file_stem() == path.file_name() || directory == "targets");
        visible.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(names("targets"), expected, "fuzz/targets");
    let corpora: BTreeSet<String> =
        names("corpus").into_iter().filter(|name| !name.starts_with('.')).collect();
    assert_eq!(corpora, expected, "fuzz/corpus");
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in expected {
        assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "fuzz/Cargo.toml: {name}");
    }
}

#[test]
fn targets_take_their_corpus() {
    for (name, target) in TARGETS {
        let corpus = corpus(name);
        assert!(!corpus.is_empty(), "{name}");
        corpus.iter().for_each(|data| call(name, *target, data));
    }
}

#[test]
fn targets_take_changed_copies_of_their_corpus() {
    std::thread::scope(|scope| {
        for (name, target) in TARGETS {
            scope.spawn(|| {
                let corpus = corpus(name);
                let mut random = Random(0x2545_f491_4f6c_dd1d);
                // For a file a window of a MiB is opened, twice.
                let copies = if name.starts_with("pcap") { COPIES / 10 } else { COPIES };
                for _ in 0..copies {
                    call(name, *target, &changed(&corpus, &mut random));
                }
            });
        }
    });
}

/// A copy of an entry with up to eight changes.
fn changed(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut data = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(8) {
        let at = random.below(data.len() + 1);
        let end = (at + random.below(16)).min(data.len());
        match random.below(6) {
            0 => data.truncate(at),
            1 => data.insert(at, random.byte()),
            2 => _ = data.drain(at..end),
            3 => data.extend_from_within(at..end),
            4 => {
                let other = &corpus[random.below(corpus.len())];
                let from = random.below(other.len() + 1);
                data.splice(at..end, other[from..].iter().copied().take(64));
            }
            _ => {
                if let Some(byte) = data.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
    }
    data.truncate(1024);
    data
}

/// Xorshift, so that every run is the same.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }
}
