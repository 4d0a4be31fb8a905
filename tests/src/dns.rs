//! A name server for one namespace: takes names and addresses from a file that may change, gives answers over UDP, or
//! fails, or says nothing. And the file by which a namespace's programs find it.

use std::{
    fs,
    net::{IpAddr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    child::{Child, poll},
    lab::{Family, Lab},
};

/// A name server's options.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Where to listen.
    #[arg(long)]
    pub listen: SocketAddr,
    /// The names: lines of a name and an address, read again for every question.
    #[arg(long)]
    pub names: PathBuf,
    /// What questions get.
    #[arg(long, value_enum, default_value_t)]
    pub answers: Answers,
}

/// What questions get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Answers {
    /// Addresses, or that there is no such name.
    #[default]
    Right,
    /// That the server has failed.
    Failure,
    /// Nothing.
    Silence,
}

const HEADER: usize = 12;
const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
const FAILURE: u16 = 2;
const NO_SUCH_NAME: u16 = 3;

/// Answers until the process ends.
///
/// # Errors
/// The address can't be listened on.
pub fn serve(options: &Options) -> Result<()> {
    let socket = UdpSocket::bind(options.listen).with_context(|| format!("listen on {}", options.listen))?;
    let mut buffer = [0; 512];
    loop {
        let (size, from) = socket.recv_from(&mut buffer)?;
        if let Some(answer) = answer(options, &buffer[..size]) {
            // Whoever asked may be gone.
            let _ = socket.send_to(&answer, from);
        }
    }
}

fn answer(options: &Options, question: &[u8]) -> Option<Vec<u8>> {
    match options.answers {
        Answers::Silence => None,
        Answers::Failure => respond(question, FAILURE, &[]),
        Answers::Right => {
            let names = fs::read_to_string(&options.names).ok()?;
            let asked = name(question)?;
            let lines = names.lines().filter_map(|line| line.split_once(' '));
            let known = lines.filter(|(name, _)| name.eq_ignore_ascii_case(&asked));
            let addresses: Vec<IpAddr> =
                known.filter_map(|(_, address)| address.trim().parse().ok()).collect();
            respond(question, if addresses.is_empty() { NO_SUCH_NAME } else { 0 }, &addresses)
        }
    }
}

/// The name in the question, its labels joined by dots.
fn name(message: &[u8]) -> Option<String> {
    let mut labels = Vec::new();
    let mut rest = message.get(HEADER..)?;
    while let Some((&length, after)) = rest.split_first().filter(|(length, _)| **length > 0) {
        let label = after.get(..usize::from(length))?;
        labels.push(String::from_utf8_lossy(label).into_owned());
        rest = &after[usize::from(length)..];
    }
    Some(labels.join("."))
}

/// An answer of those addresses that have the type asked for (RFC 1035, 4.1).
fn respond(message: &[u8], code: u16, addresses: &[IpAddr]) -> Option<Vec<u8>> {
    let end = HEADER + message.get(HEADER..)?.iter().position(|&byte| byte == 0)? + 5;
    let question = message.get(HEADER..end)?;
    let asked = u16::from_be_bytes(question.get(question.len() - 4..question.len() - 2)?.try_into().ok()?);
    let records: Vec<Vec<u8>> =
        addresses.iter().filter(|address| kind(address) == asked).map(record).collect();
    let mut answer = message.get(..2)?.to_vec();
    // A response, recursion desired and available.
    for field in [0x8180 | code, 1, u16::try_from(records.len()).ok()?, 0, 0] {
        answer.extend(field.to_be_bytes());
    }
    answer.extend(question);
    answer.extend(records.concat());
    Some(answer)
}

fn kind(address: &IpAddr) -> u16 {
    if address.is_ipv4() { TYPE_A } else { TYPE_AAAA }
}

/// A record under the question's name that may be kept for no time.
fn record(address: &IpAddr) -> Vec<u8> {
    let bytes = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let mut record = vec![0xc0, 12];
    for field in [kind(address), 1, 0, 0, if address.is_ipv4() { 4 } else { 16 }] {
        record.extend(field.to_be_bytes());
    }
    record.extend(bytes);
    record
}

/// A name server in v2's namespace that the gateway's programs ask, those that start from now on.
#[derive(Debug)]
pub struct NameServer {
    names: PathBuf,
    _process: Child,
}

impl NameServer {
    /// Starts it.
    ///
    /// # Errors
    /// It doesn't listen.
    pub fn start(lab: &Lab, shadow_lab: &Path, answers: Answers, names: &[(&str, IpAddr)]) -> Result<Self> {
        let path = lab.directory().join("names");
        let server = SocketAddr::new(lab.v2_address(Family::V4).ip(), 53);
        let answers = clap::ValueEnum::to_possible_value(&answers).context("a shown value")?;
        let mut command = lab.v2.command(shadow_lab);
        command.args(["dns", "--listen", &server.to_string(), "--answers", answers.get_name(), "--names"]);
        write(&path, names)?;
        let process = Child::spawn("the name server", command.arg(&path))?;
        lab.gateway.etc("resolv.conf", &format!("nameserver {}\n", server.ip()))?;
        if answers.get_name() != "silence" {
            wait_for(lab, server)?;
        }
        Ok(Self { names: path, _process: process })
    }

    /// From now on it knows these.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn set(&self, names: &[(&str, IpAddr)]) -> Result<()> {
        write(&self.names, names)
    }
}

/// Put there in one step: a question between sees either.
fn write(path: &Path, names: &[(&str, IpAddr)]) -> Result<()> {
    let lines: String = names.iter().map(|(name, address)| format!("{name} {address}\n")).collect();
    let new = path.with_extension("new");
    fs::write(&new, lines)?;
    fs::rename(&new, path).with_context(|| format!("write {}", path.display()))
}

fn wait_for(lab: &Lab, server: SocketAddr) -> Result<()> {
    lab.gateway.run(|| {
        let socket = UdpSocket::bind(("0.0.0.0", 0))?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        poll(Duration::from_secs(10), "an answer of the name server", || {
            // Refused as long as nothing listens.
            let asked = socket.send(b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01");
            let mut answer = [0; 512];
            Ok(asked.and_then(|_| socket.recv(&mut answer)).ok())
        })
        .and_then(|size| {
            ensure!(size >= HEADER, "{size} bytes are no answer");
            Ok(())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `v2.test`, type A, class IN.
    const QUESTION: &[u8] =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02v2\x04test\x00\x00\x01\x00\x01";

    #[test]
    fn an_answer_repeats_the_question_and_gives_addresses_of_its_type() {
        assert_eq!(name(QUESTION).unwrap(), "v2.test");
        let addresses = ["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        let answer = respond(QUESTION, 0, &addresses).unwrap();
        assert_eq!(answer[..HEADER], *b"\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00");
        assert_eq!(answer[HEADER..QUESTION.len()], QUESTION[HEADER..]);
        assert_eq!(
            answer[QUESTION.len()..],
            *b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\x0a\x00\x00\x01"
        );
        let failed = respond(QUESTION, FAILURE, &[]).unwrap();
        assert_eq!(failed[2..8], [0x81, 0x82, 0, 1, 0, 0]);
    }

    #[test]
    fn what_is_no_question_gets_no_answer() {
        for length in 0..QUESTION.len() {
            assert_eq!(respond(&QUESTION[..length], 0, &[]), None, "{length} bytes");
        }
    }
}
