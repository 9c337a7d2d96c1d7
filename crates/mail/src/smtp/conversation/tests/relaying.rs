//! Ways to have a server pass mail on for strangers, as far as the way in which an address is read decides:
//! whatever is written, what is judged is the address behind all routes and quotes, with its true domain.

use super::*;

#[test]
fn no_spelling_makes_a_stranger_one_of_ours() {
    for path in [
        "<eve@elsewhere.test>",
        "<@hamburger.edu:eve@elsewhere.test>",
        "<@hamburger.edu,@hamburger.edu:eve@elsewhere.test>",
        "<\"eve@hamburger.edu\"@elsewhere.test>",
        "<eve@[192.0.2.1]>",
        "<eve@[IPv6:2001:db8::1]>",
        "<eve@hamburger.edu.elsewhere.test>",
        "<eve@xhamburger.edu>",
        "<eve@elsewhere.test@hamburger.edu>",
        "<hamburger.edu!eve@elsewhere.test>",
        "<eve%hamburger.edu@elsewhere.test>",
        "<eve@hamburger.edu@elsewhere.test>",
        "<eve@hamburger.edu:elsewhere.test>",
        "<eve@elsewhere.test,bob@hamburger.edu>",
        "<eve@elsewhere.test> <bob@hamburger.edu>",
        "<eve@elsewhere.test\0@hamburger.edu>",
        "<eve@hamburger.edu\t.elsewhere.test>",
        "<<bob@hamburger.edu>",
        "<\"<bob\"@elsewhere.test>",
        "<:eve@elsewhere.test>",
        "<@:eve@elsewhere.test>",
        "bob@hamburger.edu",
        "<bob>",
        "<>",
        "<@hamburger.edu>",
    ] {
        let mut door = Door::new(options(), remote_peer(), BareNewline::Reject);
        door.receive(b"EHLO x\r\n");
        door.receive(b"MAIL FROM:<bob@hamburger.edu>\r\n");
        door.told.clear();
        door.receive(format!("RCPT TO:{path}\r\n").as_bytes());
        assert!(door.told.starts_with("S: 5"), "{path}: {}", door.told);
    }
}

#[test]
fn what_looks_like_a_route_inside_our_domain_stays_in_our_domain() {
    // Whether such a user exists is for who knows the users: nobody takes the local part apart on the way.
    for (path, local) in [
        ("<eve%elsewhere.test@hamburger.edu>", "eve%elsewhere.test"),
        ("<elsewhere.test!eve@hamburger.edu>", "elsewhere.test!eve"),
        ("<\"eve@elsewhere.test\"@hamburger.edu>", "eve@elsewhere.test"),
        ("<@elsewhere.test:bob@hamburger.edu>", "bob"),
        ("<\"@elsewhere.test:bob\"@hamburger.edu>", "@elsewhere.test:bob"),
        ("<bob@HAMBURGER.EDU>", "bob"),
    ] {
        let mut door = Door::new(options(), remote_peer(), BareNewline::Reject);
        door.receive(b"EHLO x\r\n");
        door.receive(format!("MAIL FROM:<>\r\nRCPT TO:{path}\r\nBDAT 0 LAST\r\n").as_bytes());
        let [(envelope, _)] = &door.messages[..] else { panic!("{path}: {}", door.told) };
        assert_eq!(envelope.recipients[0].address.local, local, "{path}");
        assert!(is_ours(&envelope.recipients[0].address), "{path}");
    }
}
