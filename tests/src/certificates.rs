//! Certificates made on the spot: an authority of the test's own, and what it certifies, as PEM files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// An authority that nobody trusts who isn't told to.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    directory: PathBuf,
    /// Its certificate.
    pub certificate: PathBuf,
}

/// A server's certificate and its key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

impl Authority {
    /// Makes one whose files are in this directory and begin with its name.
    ///
    /// # Errors
    /// A file can't be written.
    pub fn create(directory: &Path, name: &str) -> Result<Self> {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        let certificate = write(directory, &format!("{name}.pem"), &parameters.self_signed(&key)?.pem())?;
        Ok(Self { issuer: Issuer::new(parameters, key), directory: directory.to_path_buf(), certificate })
    }

    /// Certifies a server under these names and addresses.
    ///
    /// # Errors
    /// A name is none, or a file can't be written.
    pub fn certify(&self, server: &str, names: &[&str]) -> Result<Identity> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(names)?.signed_by(&key, &self.issuer)?;
        Ok(Identity {
            certificate: write(&self.directory, &format!("{server}.pem"), &certificate.pem())?,
            key: write(&self.directory, &format!("{server}.key"), &key.serialize_pem())?,
        })
    }
}

fn write(directory: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = directory.join(name);
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}
