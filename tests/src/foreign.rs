//! Kernel programs of somebody else on the devices that the agent uses: a few instructions each, put together here.

use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    programs::{Program, SchedClassifier, TcAttachType, Xdp, XdpMode, links::LinkOrder, tc::TcAttachOptions},
};
use object::{
    Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
    write::{Object, Symbol, SymbolSection},
};

use crate::netns::Namespace;

/// The name of the program in its object.
const NAME: &str = "foreign";

/// One BPF instruction as the kernel takes it.
type Instruction = [u8; 8];

/// What a TC program does with every packet.
#[derive(Clone, Copy, Debug)]
pub enum Classifier {
    /// Goes on to the next program.
    Next,
    /// Passes the packet to the stack: programs behind don't see it.
    Pass,
    /// Puts it into a VLAN within a VLAN, and goes on.
    PushTags,
    /// Takes it out of two VLANs, and goes on.
    PopTags,
}

/// A program, attached until it is dropped.
#[derive(Debug)]
pub struct Foreign {
    ebpf: Ebpf,
}

impl Foreign {
    /// Attaches a TC program by TCX.
    ///
    /// # Errors
    /// The kernel refuses, or has no TCX.
    pub fn tcx(
        namespace: &Namespace,
        device: &str,
        direction: TcAttachType,
        order: LinkOrder,
        does: Classifier,
    ) -> Result<Self> {
        let mut ebpf = Ebpf::load(&elf("classifier", &does.instructions())?)?;
        let program: &mut SchedClassifier =
            ebpf.program_mut(NAME).context("the program is not in its object")?.try_into()?;
        program.load()?;
        namespace.run(|| {
            program.attach_with_options(device, direction, TcAttachOptions::TcxOrder(order))?;
            Ok(())
        })?;
        Ok(Self { ebpf })
    }

    /// Attaches an XDP program that passes every packet on.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn xdp(namespace: &Namespace, device: &str, mode: XdpMode) -> Result<Self> {
        const XDP_PASS: i32 = 2;
        let mut ebpf = Ebpf::load(&elf("xdp", &[set(0, XDP_PASS), EXIT])?)?;
        let program: &mut Xdp =
            ebpf.program_mut(NAME).context("the program is not in its object")?.try_into()?;
        program.load()?;
        namespace.run(|| {
            program.attach(device, mode)?;
            Ok(())
        })?;
        Ok(Self { ebpf })
    }

    /// Its id in the kernel.
    ///
    /// # Errors
    /// The kernel doesn't say.
    pub fn id(&self) -> Result<u32> {
        Ok(self.program()?.info()?.id())
    }

    /// How often it ran, while the kernel counts that: see [`aya::sys::enable_stats`].
    ///
    /// # Errors
    /// The kernel doesn't say.
    pub fn runs(&self) -> Result<u64> {
        Ok(self.program()?.info()?.run_count())
    }

    fn program(&self) -> Result<&Program> {
        self.ebpf.program(NAME).context("the program is not in its object")
    }
}

impl Classifier {
    fn instructions(self) -> Vec<Instruction> {
        const TCX_NEXT: i32 = -1;
        const TCX_PASS: i32 = 0;
        const VLAN_PUSH: i32 = 18;
        const VLAN_POP: i32 = 19;
        const ETHERTYPE_VLAN: i32 = 0x8100_u16.to_be() as i32;
        let end = |verdict| vec![set(0, verdict), EXIT];
        let push = |vlan| vec![KEPT_CONTEXT, set(2, ETHERTYPE_VLAN), set(3, vlan), call(VLAN_PUSH)];
        let pop = || vec![KEPT_CONTEXT, call(VLAN_POP)];
        match self {
            Self::Next => end(TCX_NEXT),
            Self::Pass => end(TCX_PASS),
            Self::PushTags => [vec![KEEP_CONTEXT], push(5), push(6), end(TCX_NEXT)].concat(),
            Self::PopTags => [vec![KEEP_CONTEXT], pop(), pop(), end(TCX_NEXT)].concat(),
        }
    }
}

const EXIT: Instruction = [0x95, 0, 0, 0, 0, 0, 0, 0];
/// r6 = r1: calls leave r6 alone.
const KEEP_CONTEXT: Instruction = [0xbf, 0x16, 0, 0, 0, 0, 0, 0];
/// r1 = r6.
const KEPT_CONTEXT: Instruction = [0xbf, 0x61, 0, 0, 0, 0, 0, 0];

/// A register is set to a number.
const fn set(register: u8, number: i32) -> Instruction {
    with_number(0xb7, register, number)
}

/// A helper of the kernel is called.
const fn call(helper: i32) -> Instruction {
    with_number(0x85, 0, helper)
}

const fn with_number(operation: u8, register: u8, number: i32) -> Instruction {
    let [a, b, c, d] = number.to_le_bytes();
    [operation, register, 0, 0, a, b, c, d]
}

/// An object with one program in a section that says of which type it is.
fn elf(section: &str, instructions: &[Instruction]) -> Result<Vec<u8>> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let code = object.add_section(Vec::new(), section.into(), SectionKind::Text);
    let size = size_of_val(instructions) as u64;
    let value = object.append_section_data(code, instructions.as_flattened(), 8);
    object.add_symbol(Symbol {
        name: NAME.into(),
        value,
        size,
        kind: SymbolKind::Text,
        scope: SymbolScope::Dynamic,
        weak: false,
        section: SymbolSection::Section(code),
        flags: SymbolFlags::None,
    });
    Ok(object.write()?)
}
