//! A usual query is answered without a single allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use doorway_base::Writer;
use doorway_dns::authority::Carrier;
use doorway_dns::wire::{Edns, Name, Type};

use super::{query, serving};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[allow(unsafe_code, reason = "a global allocator is unsafe by nature; this one only counts and passes on")]
// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is ending has no counter left, and no test to count for.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System.alloc` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ZONE: &str = "$TTL 300
@ SOA ns hostmaster 1 2 3 4 60
@ NS ns
ns A 192.0.2.1
www A 192.0.2.2
www A 192.0.2.3
alias CNAME www
mail MX 10 www
*.wild TXT \"any\"
sub NS ns.sub
ns.sub A 192.0.2.4
";

#[test]
fn no_query_of_a_usual_form_allocates() {
    let mut engine = serving(&[("example.com".parse().unwrap(), ZONE.to_owned())]);
    let mut room = vec![0; 4096];
    let cases = [
        ("www.example.com", Type::A),
        ("WWW.example.com", Type::AAAA),
        ("alias.example.com", Type::A),
        ("mail.example.com", Type::MX),
        ("mail.example.com", Type::ANY),
        ("x.wild.example.com", Type::TXT),
        ("a.b.sub.example.com", Type::A),
        ("nothing.example.com", Type::A),
        ("a.b.c.d.e.f.g.example.com", Type::A),
        ("example.org", Type::A),
    ];
    for (name, kind) in cases {
        for edns in [None, Some(Edns { udp_octets_max: 1232, ..Edns::default() })] {
            let name: Name = name.parse().unwrap();
            let octets = query(&name, kind, edns).to_octets().unwrap();
            let before = ALLOCATIONS.get();
            engine.take_up();
            let verdict = engine.respond(&octets, Carrier::Datagram, &mut Writer::new(&mut room));
            assert_eq!(ALLOCATIONS.get() - before, 0, "{name} {kind} {verdict:?}");
        }
    }
}
