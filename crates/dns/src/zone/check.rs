//! What must hold for a zone to be served, and what somebody should look at: RFC 1034 §3.6.2,
//! RFC 2181 §5.2 and §10, RFC 1912 §2.

use crate::wire::{Name, Type};

use super::draft::{Draft, NodeId};
use super::fault::Severity;
use super::table::Key;

/// Receives a line number (0 for the whole file), how bad it is, and what is the matter.
pub(super) type Report<'r> = dyn FnMut(u32, Severity, String) + 'r;

pub(super) fn apex(draft: &Draft, sorted: &[u32], report: &mut Report<'_>) {
    let of = |kind: Type| sorted.iter().filter(move |&&index| draft.record(index).kind == kind);
    let apex = draft.apex();
    if of(Type::SOA).next().is_none() {
        report(0, Severity::Error, format!("expected a SOA record at {apex}, the name of the zone"));
    }
    if let Some(&second) = of(Type::SOA).nth(1) {
        let line = draft.record(second).line;
        report(line, Severity::Error, "expected one SOA record; this is a second, different one".into());
    }
    if of(Type::NS).next().is_none() {
        report(0, Severity::Error, format!("expected at least one NS record at {apex}"));
    }
    redirects(draft, sorted, report);
    if let Some(&alias) = of(Type::CNAME).next() {
        let line = draft.record(alias).line;
        report(
            line,
            Severity::Error,
            "the name of a zone cannot be an alias: it has SOA and NS records".into(),
        );
    }
}

pub(super) fn below_apex(draft: &Draft, node: NodeId, sorted: &[u32], report: &mut Report<'_>) {
    let mut aliases = sorted.iter().filter(|&&index| draft.record(index).kind == Type::CNAME);
    if let Some(&first) = aliases.next() {
        let name = Name::from_wire(draft.name(node)).unwrap_or_default();
        if let Some(&second) = aliases.next() {
            let line = draft.record(second).line;
            report(
                line,
                Severity::Error,
                format!("expected one CNAME record at {name}; this is a second one"),
            );
        } else if sorted.iter().any(|&index| !beside_alias(draft.record(index).kind)) {
            let line = draft.record(first).line;
            let message = format!("{name} has a CNAME record and others; the others will not be seen");
            report(line, Severity::Warning, message);
        }
    }
    redirects(draft, sorted, report);
    if let Some(&soa) = sorted.iter().find(|&&index| draft.record(index).kind == Type::SOA) {
        let message = format!("expected the SOA record at {}, not below it", draft.apex());
        report(draft.record(soa).line, Severity::Error, message);
    }
}

// RFC 6672 §2.4: one DNAME record at a name, and not beside a cut.
fn redirects(draft: &Draft, sorted: &[u32], report: &mut Report<'_>) {
    let mut redirects = sorted.iter().filter(|&&index| draft.record(index).kind == Type::DNAME);
    let Some(&first) = redirects.next() else { return };
    if let Some(&second) = redirects.next() {
        let message = "expected one DNAME record at one name; this is a second one".into();
        report(draft.record(second).line, Severity::Error, message);
    }
    let apex = sorted.iter().any(|&index| draft.record(index).kind == Type::SOA);
    if !apex && sorted.iter().any(|&index| draft.record(index).kind == Type::NS) {
        let message = "the NS records beside this DNAME record make a zone cut; it will not be seen".into();
        report(draft.record(first).line, Severity::Warning, message);
    }
}

// RFC 4034 §3 and §4: an alias may be signed like anything else.
const fn beside_alias(kind: Type) -> bool {
    matches!(kind, Type::CNAME | Type::RRSIG | Type::NSEC)
}

/// Names below a DNAME record are called otherwise, so what they have is not seen (RFC 6672 §2.4).
pub(super) fn below_redirect(draft: &Draft, node: NodeId, sorted: &[u32], report: &mut Report<'_>) {
    if let Some(&first) = sorted.first() {
        let name = Name::from_wire(draft.name(node)).unwrap_or_default();
        let message = format!("{name} lies below a DNAME record and will not be seen");
        report(draft.record(first).line, Severity::Warning, message);
    }
}

/// A wildcard with NS records does not delegate anything (RFC 4592 §4.2).
pub(super) fn wildcard_cut(draft: &Draft, sorted: &[u32], report: &mut Report<'_>) {
    if let Some(&ns) = sorted.iter().find(|&&index| draft.record(index).kind == Type::NS) {
        let message = "NS records of a wildcard delegate nothing; they are served as they are".into();
        report(draft.record(ns).line, Severity::Warning, message);
    }
}

/// The records of one type at one name must share a TTL; the lowest is used (RFC 2181 §5.2).
pub(super) fn times(draft: &Draft, set: &[u32], report: &mut Report<'_>) -> u32 {
    let mut lowest = u32::MAX;
    for &index in set {
        lowest = lowest.min(draft.record(index).ttl);
    }
    if let Some(&other) = set.iter().find(|&&index| draft.record(index).ttl != lowest) {
        let record = draft.record(other);
        let message =
            format!("the {} records of one name differ in TTL; {lowest} is used for all", record.kind);
        report(record.line, Severity::Warning, message);
    }
    lowest
}

/// A server whose name lies below the cut can only be reached by glue (RFC 9471).
pub(super) fn glue(draft: &Draft, cut: &[u8], key: &mut Key, server: u32, report: &mut Report<'_>) {
    let target = draft.rdata(server);
    let below = ends_with(target, cut);
    let known =
        draft.find(key, target).is_some_and(|node| draft.has(node, Type::A) || draft.has(node, Type::AAAA));
    if below && !known {
        let name = Name::from_wire(target).unwrap_or_default();
        let message = format!("{name} lies below this cut and has no address here, so nobody can reach it");
        report(draft.record(server).line, Severity::Warning, message);
    }
}

/// Whether the name `name` is `suffix` or below it; both in uncompressed wire form.
pub(super) fn ends_with(name: &[u8], suffix: &[u8]) -> bool {
    let Some(start) = name.len().checked_sub(suffix.len()) else { return false };
    let mut at = 0;
    while at < start {
        at += usize::from(name[at]) + 1;
    }
    at == start && name[start..].eq_ignore_ascii_case(suffix)
}
