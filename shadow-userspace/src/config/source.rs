//! Where the configuration comes from: the same source is read at the start and at every reload.

use std::{fs, io::Read as _, path::PathBuf};

use crate::{
    agent::SummaryFormat,
    config::{
        Config, ConfigError, check,
        file::{Document, Fault, MAX_BYTES, Node},
        foreign,
        overrides::Overrides,
    },
};

/// A file, and what the command line says beside it.
#[derive(Clone, Debug, Default)]
pub struct ConfigSource {
    /// The file; none: the command line says it all.
    pub path: Option<PathBuf>,
    /// What overrides the file.
    pub overrides: Overrides,
    /// Requests are captured: then it must say where.
    pub is_live: bool,
}

/// What a source says.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the agent runs with.
    pub config: Config,
    /// How the summary is printed.
    pub summary: SummaryFormat,
    /// Log level; none: `RUST_LOG` says it.
    pub log: Option<String>,
    /// What a person should know: what of a foreign document was not carried over.
    pub notes: Vec<String>,
}

impl ConfigSource {
    /// Reads the file, lets the command line override it, and checks the whole.
    ///
    /// # Errors
    /// If the file can't be read, or anything in it is wrong; then all that was found.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        let Some(path) = &self.path else { return self.check(Document::default(), None, None) };
        let name = path.display().to_string();
        let text = read(path).map_err(|error| ConfigError::unreadable(&name, &error))?;
        self.parse(&name, &text)
    }

    /// As [`Self::load`], with the file's name and text.
    pub(crate) fn parse(&self, name: &str, text: &str) -> Result<Loaded, ConfigError> {
        if let Some(converted) = foreign::convert(text) {
            let converted = converted.map_err(|lines| ConfigError::all(name, lines))?;
            // Its places are not those of the file that people know.
            let (_, document) =
                parse(&converted.yaml).map_err(|fault| ConfigError::new(name, &[fault], None))?;
            let mut loaded = self.check(document, Some(name), None)?;
            loaded.notes = converted.notes.into_iter().map(|note| format!("{name}: {note}")).collect();
            return Ok(loaded);
        }
        let (root, document) = parse(text).map_err(|fault| ConfigError::new(name, &[fault], None))?;
        self.check(document, Some(name), root.as_ref())
    }

    fn check(
        &self,
        mut document: Document,
        name: Option<&str>,
        root: Option<&Node>,
    ) -> Result<Loaded, ConfigError> {
        let name = name.unwrap_or_default();
        self.overrides.apply(&mut document).map_err(|fault| ConfigError::new(name, &[fault], root))?;
        check::document(&document, self.is_live).map_err(|faults| ConfigError::new(name, &faults, root))
    }
}

/// A file is read so far as it can be a configuration.
fn read(path: &std::path::Path) -> std::io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(MAX_BYTES as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// The one document of a text; an empty text is one that says nothing.
fn parse(text: &str) -> Result<(Option<Node>, Document), Fault> {
    let mut documents = Node::parse(text)?.into_iter().filter(|document| !document.is_empty());
    let Some(root) = documents.next() else { return Ok((None, Document::default())) };
    if let Some(second) = documents.next() {
        return Err(second.fault("a second document: give one"));
    }
    let document = root.read()?;
    Ok((Some(root), document))
}
