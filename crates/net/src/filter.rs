//! Which frames the kernel hands to a link socket: a program of the classic packet filter, so that the
//! rest of a link's traffic costs nothing.
//!
//! Pure; `sys/packet.rs` gives it to the kernel. The machine that it is written for is that of the kernel's
//! `Documentation/networking/filter.rst`: an accumulator, an index, and jumps forwards.

use crate::frame::{ETHERNET_OCTETS, KIND_ARP, KIND_IPV4, PROTOCOL_UDP};
use crate::link::LinkOptions;

/// One instruction, as the kernel takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) code: u16,
    pub(crate) if_true: u8,
    pub(crate) if_false: u8,
    pub(crate) operand: u32,
}

// Load a word, half a word or an octet at a place; the same behind the index; the length of the IPv4 header
// into the index; compare; test bits; return.
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_OCTET: u16 = 0x30;
const LOAD_HALF_INDEXED: u16 = 0x48;
const INDEX_HEADER: u16 = 0xb1;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_BITS: u16 = 0x45;
const RETURN: u16 = 0x06;

/// What a frame is cut to: nothing that is taken is longer.
const WHOLE: u32 = 0xffff;

/// Where a jump leads.
#[derive(Clone, Copy)]
enum To {
    Next,
    /// Over so many instructions.
    Over(u8),
    Accept,
    Refuse,
}

#[derive(Default)]
struct Program(Vec<(u16, u32, To, To)>);

impl Program {
    fn step(&mut self, code: u16, operand: u32) {
        self.0.push((code, operand, To::Next, To::Next));
    }

    fn jump(&mut self, code: u16, operand: u32, if_true: To, if_false: To) {
        self.0.push((code, operand, if_true, if_false));
    }

    /// With the two ends: the last instruction but one accepts, the last refuses.
    fn finish(self) -> Vec<Instruction> {
        let count = self.0.len();
        let place = |from: usize, to: To| match to {
            To::Next => 0,
            To::Over(steps) => steps,
            To::Accept => (count - from - 1) as u8,
            To::Refuse => (count - from) as u8,
        };
        let instructions = self.0.into_iter().enumerate().map(|(at, (code, operand, if_true, if_false))| {
            Instruction { code, operand, if_true: place(at, if_true), if_false: place(at, if_false) }
        });
        let end = |operand| Instruction { code: RETURN, if_true: 0, if_false: 0, operand };
        instructions.chain([end(WHOLE), end(0)]).collect()
    }
}

/// The program that takes what `options` ask for. With more than [`crate::link::PORTS_MAX`] ports only
/// the first are looked for.
pub(crate) fn program(options: &LinkOptions) -> Vec<Instruction> {
    let mut program = Program::default();
    let ip = ETHERNET_OCTETS as u32;
    program.step(LOAD_HALF, 12);
    if options.arp {
        program.jump(JUMP_EQUAL, KIND_ARP.into(), To::Accept, To::Next);
    }
    let ports = &options.udp_ports[..options.udp_ports.len().min(crate::link::PORTS_MAX)];
    if !ports.is_empty() {
        program.jump(JUMP_EQUAL, KIND_IPV4.into(), To::Next, To::Refuse);
        program.step(LOAD_OCTET, ip + 9);
        program.jump(JUMP_EQUAL, PROTOCOL_UDP.into(), To::Next, To::Refuse);
        // A later fragment has no ports.
        program.step(LOAD_HALF, ip + 6);
        program.jump(JUMP_BITS, 0x1fff, To::Refuse, To::Next);
        if options.broadcast_only {
            program.step(LOAD_WORD, ip + 16);
            program.jump(JUMP_EQUAL, u32::MAX, To::Over(4), To::Next);
            program.step(LOAD_WORD, 0);
            program.jump(JUMP_EQUAL, u32::MAX, To::Next, To::Refuse);
            program.step(LOAD_HALF, 4);
            program.jump(JUMP_EQUAL, 0xffff, To::Next, To::Refuse);
        }
        program.step(INDEX_HEADER, ip);
        program.step(LOAD_HALF_INDEXED, ip + 2);
        for port in ports {
            program.jump(JUMP_EQUAL, u32::from(*port), To::Accept, To::Next);
        }
    }
    // Whoever falls through here was not asked for.
    program.jump(JUMP_EQUAL, 0, To::Refuse, To::Refuse);
    program.finish()
}

/// What the kernel would do with `frame`: true when the program takes it. For virtual links and tests.
pub(crate) fn takes(program: &[Instruction], frame: &[u8]) -> bool {
    let (mut accumulator, mut index, mut at) = (0_u32, 0_u32, 0_usize);
    let load = |from: u32, octets: usize| {
        let from = from as usize;
        frame.get(from..from + octets).map(|octets| octets.iter().fold(0, |sum, o| sum << 8 | u32::from(*o)))
    };
    while let Some(step) = program.get(at) {
        at += 1;
        let loaded = match step.code {
            LOAD_WORD => load(step.operand, 4),
            LOAD_HALF => load(step.operand, 2),
            LOAD_OCTET => load(step.operand, 1),
            LOAD_HALF_INDEXED => load(step.operand + index, 2),
            INDEX_HEADER => {
                let Some(first) = load(step.operand, 1) else { return false };
                index = (first & 15) * 4;
                continue;
            }
            RETURN => return step.operand != 0,
            code => {
                let holds = if code == JUMP_BITS {
                    accumulator & step.operand != 0
                } else {
                    accumulator == step.operand
                };
                at += usize::from(if holds { step.if_true } else { step.if_false });
                continue;
            }
        };
        // A load past the end of the frame refuses it.
        let Some(loaded) = loaded else { return false };
        accumulator = loaded;
    }
    false
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;
    use crate::frame::{LinkContent, LinkMessage, Mac};

    fn frame(to_mac: Mac, to: &str) -> Vec<u8> {
        let mut frame = Vec::new();
        let content = LinkContent::Udp {
            source: "10.0.0.7:68".parse().unwrap(),
            destination: to.parse().unwrap(),
            octets: vec![1; 300],
        };
        LinkMessage { source_mac: Mac::ZERO, destination_mac: to_mac, content }.write(&mut frame);
        frame
    }

    #[test]
    fn only_what_was_asked_for_passes() {
        let card = Mac([2, 0, 0, 0, 0, 1]);
        let mut arp = Vec::new();
        LinkMessage::arp_probe(card, Ipv4Addr::new(10, 0, 0, 1)).write(&mut arp);
        let mut fragment = frame(Mac::BROADCAST, "255.255.255.255:67");
        fragment[20] = 0x20;
        fragment[21] = 1;
        let frames = [
            ("broadcast", frame(Mac::BROADCAST, "255.255.255.255:67")),
            ("all ones to one card", frame(card, "255.255.255.255:67")),
            ("directed broadcast", frame(Mac::BROADCAST, "10.0.0.255:67")),
            ("unicast", frame(card, "10.0.0.1:67")),
            ("other port", frame(Mac::BROADCAST, "255.255.255.255:68")),
            ("third port", frame(Mac::BROADCAST, "255.255.255.255:69")),
            ("fragment", fragment),
            ("arp", arp),
            ("short", vec![0xff; 13]),
        ];
        for (options, wanted) in [
            (
                LinkOptions { udp_ports: vec![67], broadcast_only: true, ..LinkOptions::default() },
                &["broadcast", "all ones to one card", "directed broadcast"][..],
            ),
            (
                LinkOptions { udp_ports: vec![67, 68], ..LinkOptions::default() },
                &["broadcast", "all ones to one card", "directed broadcast", "unicast", "other port"],
            ),
            (LinkOptions { arp: true, ..LinkOptions::default() }, &["arp"]),
            (LinkOptions { udp_ports: vec![68], arp: true, broadcast_only: true }, &["other port", "arp"]),
            (LinkOptions::default(), &[]),
        ] {
            let program = program(&options);
            let taken: Vec<_> =
                frames.iter().filter(|(_, frame)| takes(&program, frame)).map(|(name, _)| *name).collect();
            assert_eq!(taken, wanted, "{options:?}");
        }
    }

    #[test]
    fn every_cut_frame_is_refused_without_harm() {
        let options = LinkOptions { udp_ports: vec![67], arp: true, broadcast_only: true };
        let program = program(&options);
        let whole = frame(Mac::BROADCAST, "255.255.255.255:67");
        for length in 0..38 {
            assert!(!takes(&program, &whole[..length]), "{length}");
        }
        assert!(takes(&program, &whole[..38]));
    }
}
